"""Plugins opened in the order of the config, and closed in reverse, whatever happens."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, cast

from failgate.artifacts.store import ArtifactStore
from failgate.audit.exporter import AuditExporter
from failgate.base.errors import FailgateError, StartRefused
from failgate.base.log import get_logger
from failgate.config.model import Config
from failgate.drafts import DocumentFormat
from failgate.gate.policy import ApprovalPolicy, Rulebook
from failgate.loader.finding import ReadyPlugin, find_plugins
from failgate.loader.slots import OpenedPlugin, OpenedPlugins, fill_slots
from failgate.notify.notifier import Notifier
from failgate.pages import Pages
from failgate.plugin import Host, Provides
from failgate.redaction import without_secrets
from failgate.relay.relay import Relay
from failgate.reports.format import ReportFormat

CLOSE_SECONDS = 5.0
_log = get_logger("failgate.loader")
# What an object in a slot has to have; the contracts say what each is for.
_CONTRACTS: dict[str, type[Any]] = {
    "artifact_store": ArtifactStore,
    "approval_policy": ApprovalPolicy,
    "rulebook": Rulebook,
    "audit_exporter": AuditExporter,
    "notifier": Notifier,
    "report_formats": ReportFormat,
    "relay": Relay,
}


@asynccontextmanager
async def open_plugins(config: Config, host_for: Callable[[str], Host]) -> AsyncIterator[OpenedPlugins]:
    """Open what `config` names, in its order; close it in reverse on leaving, whatever happened.

    `host_for` makes the host of an instance, by its name.

    Raises: ConfigRefused as `find_plugins`, or as `fill_slots`; StartRefused naming the plugin that does not open.
    """
    ready = find_plugins(config)
    for absent in (each for each in config.instances if each.is_spare and each not in [one.instance for one in ready]):
        _log.warning("plugin.left_out", plugin=absent.use, mend=f"pip install failgate-{absent.use}")
    async with AsyncExitStack() as stack:
        opened: list[OpenedPlugin] = []
        for each in ready:
            provides = await stack.enter_async_context(_open(each, host_for(each.instance.name)))
            opened.append(OpenedPlugin(each.identity, provides))
        yield fill_slots(config, ready, opened)


@asynccontextmanager
async def open_artifact_store(config: Config, host_for: Callable[[str], Host]) -> AsyncIterator[ArtifactStore]:
    """Open the store that `[artifacts] store` names, and no other plugin: also beside a server that has it open.

    Raises: ConfigRefused, StartRefused as `open_plugins`.
    """
    [ready] = [each for each in find_plugins(config) if each.instance.name == config.artifacts.store]
    async with _open(ready, host_for(ready.instance.name)) as provides:
        if provides.artifact_store is None:
            raise _not_opened(ready, "it provides no artifact store", "See [artifacts] store.")
        yield provides.artifact_store


@asynccontextmanager
async def _open(ready: ReadyPlugin, host: Host) -> AsyncIterator[Provides]:
    try:
        context = _context_of(ready, host)
        provides: object = await context.__aenter__()
    except FailgateError as error:
        raise _not_opened(ready, error.sentence, error.hint) from error
    except Exception as error:
        raise _not_opened(ready, f"{type(error).__name__}: {without_secrets(str(error))}", None) from error
    try:
        yield _checked(ready, provides)
    finally:
        # The plugin is not told why it is closed: it could otherwise swallow the reason.
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await context.__aexit__(None, None, None)
        except Exception as error:  # noqa: BLE001  # the others have to close too
            reason = f"{type(error).__name__}: {without_secrets(str(error))}"
            host.log.error("plugin.close_failed", plugin=str(ready.identity), reason=reason)  # noqa: TRY400  # one line


def _context_of(ready: ReadyPlugin, host: Host) -> AbstractAsyncContextManager[object]:
    context = cast("object", ready.plugin.open(ready.settings, host))  # a stranger's: it may return anything
    if isinstance(context, AbstractAsyncContextManager):
        return cast("AbstractAsyncContextManager[object]", context)
    if inspect.iscoroutine(context):
        context.close()
    raise StartRefused("its open() is no asynchronous context manager.", hint="Write @asynccontextmanager above it.")


def _not_opened(ready: ReadyPlugin, sentence: str, hint: str | None) -> StartRefused:
    where = f"plugins.{ready.instance.name}: {ready.identity} ({ready.identity.distribution})"
    return StartRefused(f"{where} does not open: {sentence}", hint=hint)


def _checked(ready: ReadyPlugin, provides: object) -> Provides:
    """Return `provides` when every object in it has what its slot demands.

    Raises: StartRefused.
    """
    if not isinstance(provides, Provides):
        raise _not_opened(ready, f"it yields {type(provides).__name__} where Provides(...) is due", None)
    for slot, due in _CONTRACTS.items():
        value: object = getattr(provides, slot)
        objects = cast("Sequence[object]", value) if slot == "report_formats" else [] if value is None else [value]
        for each in objects:
            contract = DocumentFormat if slot == "report_formats" and hasattr(each, "drafts") else due
            absent = sorted(name for name in _members(contract) if not hasattr(each, name))
            if absent:
                sentence = f"{type(each).__name__} in the slot {slot} has no {', '.join(absent)}"
                raise _not_opened(ready, sentence, f"failgate.plugin.{contract.__name__} says what it needs.")
    if provides.pages is not None and not isinstance(cast("object", provides.pages), Pages):
        raise _not_opened(ready, "its pages are no Pages(...)", "failgate.plugin.Pages says what it needs.")
    return provides


def _members(contract: type[Any]) -> set[str]:
    own = {name for name, value in vars(contract).items() if callable(value) and not name.startswith("_")}
    return own | set(vars(contract).get("__annotations__", {}))
