"""From the names in the config to opened plugins: entry points looked up, settings read, slots filled.

Only a plugin that the config names is imported. Everything wrong with the config is listed at once, the plugins' own
settings included; a plugin that does not open stops the start and is named. Plugins open in the order of the config and
close in reverse, also when a later one fails.
"""

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

import msgspec

from failgate.artifacts.store import ArtifactStore
from failgate.audit.exporter import AuditExporter
from failgate.base.clock import Clock
from failgate.base.db import Database
from failgate.base.errors import FailgateError, StartRefused
from failgate.base.log import get_logger, mask
from failgate.base.migrate import migrate
from failgate.base.open_database import open_database
from failgate.config.errors import ConfigRefused, Mistake
from failgate.config.installed import InstalledPlugin, find_installed
from failgate.config.load import draft_config
from failgate.config.model import Config, Instance, Reference
from failgate.config.settings import Reader, nearest
from failgate.config.source import read_source
from failgate.gate.policy import ApprovalPolicy, Rulebook
from failgate.plugin import API_VERSION, ENTRY_POINT_GROUP, Health, Host, Plugin, Provides
from failgate.reports.format import ReportFormat

FIRST_PARTY = ("allowlist", "capture", "filesystem", "jsonl", "quorum")
CLOSE_SECONDS = 5.0
# What an object in a slot has to have; the contracts say what each is for.
_CONTRACTS: dict[str, type[Any]] = {
    "artifact_store": ArtifactStore,
    "approval_policy": ApprovalPolicy,
    "rulebook": Rulebook,
    "audit_exporter": AuditExporter,
    "report_formats": ReportFormat,
}
_SLOT_SETTINGS = {
    "artifact_store": "[artifacts] store",
    "approval_policy": "[gate] policies",
    "report_formats": "[reports] formats",
    "audit_exporter": "[audit] exporters",
}


class PluginIdentity(msgspec.Struct, frozen=True):
    """Which code an instance runs: `digest` is over its files, taken before it was imported."""

    name: str
    plugin: str
    version: str
    distribution: str
    digest: str
    location: str

    def __str__(self) -> str:
        """Return instance, plugin and version, as a sentence names them."""
        return f"{self.plugin} {self.version}"


@dataclass(frozen=True, slots=True)
class ReadyPlugin:
    """An instance whose plugin is imported and whose settings are right; not opened yet."""

    identity: PluginIdentity
    instance: Instance
    plugin: Plugin[Any]
    settings: msgspec.Struct


@dataclass(frozen=True, slots=True)
class OpenedPlugin:
    """An instance that works, and what it provides."""

    identity: PluginIdentity
    provides: Provides


@dataclass(frozen=True, slots=True)
class OpenedPlugins:
    """Every opened plugin in the order of opening, and what the slots of the config name.

    `policies`, `exporters` and `health` are by instance name, in the order in which the config names them;
    `report_formats` by the format's own name.
    """

    plugins: tuple[OpenedPlugin, ...]
    artifact_store: ArtifactStore
    policies: Mapping[str, ApprovalPolicy]
    rulebook: Rulebook | None
    report_formats: Mapping[str, ReportFormat]
    exporters: Mapping[str, AuditExporter]
    health: Mapping[str, Health]


def check_config(path: Path | None, env: Mapping[str, str] = os.environ) -> Config:
    """Return the config of the file at `path` (None: the defaults); its plugins are found and their settings right.

    Raises: ConfigRefused listing every mistake of core and plugins.
    """
    draft = draft_config(*read_source(path, env))
    _, mistakes = _prepare(draft.config)
    if draft.mistakes or mistakes:
        raise ConfigRefused([*draft.mistakes, *mistakes])
    return draft.config


def find_plugins(config: Config) -> tuple[ReadyPlugin, ...]:
    """Return the plugins that `config` names, imported, with their settings, in the order of opening.

    Raises: ConfigRefused listing every one that is not installed, not importable or has mistakes in its settings.
    """
    ready, mistakes = _prepare(config)
    if mistakes:
        raise ConfigRefused(mistakes)
    return tuple(ready)


def describe_plugins(config: Config) -> list[dict[str, Any]]:
    """Return what is enabled, as `failgate plugins --json` answers it; opens nothing.

    Raises: ConfigRefused as `find_plugins`.
    """
    return [
        {
            "name": each.instance.name,
            "plugin": each.identity.plugin,
            "version": each.identity.version,
            "enabled": True,
            "distribution": each.identity.distribution,
            "location": each.identity.location,
            "hash": each.identity.digest,
            "api": API_VERSION,
            "named_by": [ref.setting for ref in config.references if ref.instance == each.instance.name],
        }
        for each in find_plugins(config)
    ]


@asynccontextmanager
async def open_plugins(config: Config, host_for: Callable[[str], Host]) -> AsyncIterator[OpenedPlugins]:
    """Open what `config` names, in its order; close it in reverse on leaving, whatever happened.

    `host_for` makes the host of an instance, by its name.

    Raises: ConfigRefused as `find_plugins`, or for a slot that names an instance which does not fill it; StartRefused
    naming the plugin that does not open.
    """
    ready = find_plugins(config)
    async with AsyncExitStack() as stack:
        opened: list[OpenedPlugin] = []
        for each in ready:
            provides = await stack.enter_async_context(_open(each, host_for(each.instance.name)))
            opened.append(OpenedPlugin(each.identity, provides))
        mistakes = _check_slots(config, ready, opened)
        if mistakes:
            raise ConfigRefused(mistakes)
        yield _assemble(config, opened)


@asynccontextmanager
async def _open(ready: ReadyPlugin, host: Host) -> AsyncIterator[Provides]:
    try:
        context = _context_of(ready, host)
        provides: object = await context.__aenter__()
    except FailgateError as error:
        raise _not_opened(ready, error.sentence, error.hint) from error
    except Exception as error:
        raise _not_opened(ready, f"{type(error).__name__}: {mask(str(error))}", None) from error
    try:
        yield _checked(ready, provides)
    finally:
        # The plugin is not told why it is closed: it could otherwise swallow the reason.
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await context.__aexit__(None, None, None)
        except Exception as error:  # noqa: BLE001  # the others have to close too
            reason = f"{type(error).__name__}: {mask(str(error))}"
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
    for slot, contract in _CONTRACTS.items():
        value: object = getattr(provides, slot)
        objects = cast("Sequence[object]", value) if slot == "report_formats" else [] if value is None else [value]
        for each in objects:
            absent = sorted(name for name in _members(contract) if not hasattr(each, name))
            if absent:
                sentence = f"{type(each).__name__} in the slot {slot} has no {', '.join(absent)}"
                raise _not_opened(ready, sentence, f"failgate.plugin.{contract.__name__} says what it needs.")
    return provides


def _members(contract: type[Any]) -> set[str]:
    own = {name for name, value in vars(contract).items() if callable(value) and not name.startswith("_")}
    return own | set(vars(contract).get("__annotations__", {}))


def _prepare(config: Config) -> tuple[list[ReadyPlugin], list[Mistake]]:
    installed = find_installed()
    reader = Reader(config.source)
    ready: list[ReadyPlugin] = []
    for instance in config.instances:
        found = _choose(instance, installed, reader)
        if found is None:
            continue
        digest, location = found.digest(), found.location()  # of what is about to be imported
        plugin = _import(instance, found, reader)
        if plugin is None:
            continue
        settings = _read_settings(instance, found, plugin, reader)
        if settings is not None:
            identity = PluginIdentity(instance.name, found.name, found.version, found.distribution, digest, location)
            ready.append(ReadyPlugin(identity, instance, plugin, settings))
    return ready, reader.mistakes


def _choose(instance: Instance, installed: Sequence[InstalledPlugin], reader: Reader) -> InstalledPlugin | None:
    """Return the one installed plugin that `instance` uses; otherwise keep why there is none."""
    candidates = [each for each in installed if each.name == instance.use]
    fitting = [each for each in candidates if each.api == str(API_VERSION)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        distributions = " and ".join(each.distribution for each in fitting)
        sentence = f'the plugin "{instance.use}" is brought by {distributions}'
        reader.keep(instance.path, sentence, at="value", hint="uninstall all but one of them with `pip uninstall`")
    elif candidates:
        other = candidates[0]
        sentence = (
            f'the plugin "{instance.use}" ({other.distribution} {other.version}) is written for plugin API '
            f"v{other.api}; this Failgate speaks v{API_VERSION}"
        )
        hint = f"install a version of {other.distribution} that registers in {ENTRY_POINT_GROUP}"
        reader.keep(instance.path, sentence, at="value", hint=hint)
    else:
        names = sorted({each.name for each in installed if each.api == str(API_VERSION)})
        sentence = f'no plugin "{instance.use}" is installed'
        reader.keep(instance.path, sentence, at="value", hint=_mend_for_absent(instance, names))
    return None


def _mend_for_absent(instance: Instance, names: Sequence[str]) -> str:
    """Return the mend; a name that nobody knows is never turned into a distribution to install from the index."""
    listed = f"installed are: {', '.join(names)}" if names else "no plugin is installed"
    if instance.use in FIRST_PARTY:
        return f"install it with `pip install failgate-{instance.use}`; {listed}"
    meant = nearest(instance.use, sorted({*names, *FIRST_PARTY}))
    if meant:
        return f'did you mean "{meant}"? {listed}'
    return f'install the distribution that brings it with `pip install`, or say use = "…"; {listed}'


def _import(instance: Instance, found: InstalledPlugin, reader: Reader) -> Plugin[Any] | None:
    where = f'the plugin "{found.name}" ({found.distribution} {found.version})'
    try:
        loaded: object = found.entry_point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001  # any code of a stranger may run here
        sentence = f"{where} cannot be imported: {type(error).__name__}: {mask(str(error))}"
        hint = f"install it again with what it needs: `pip install --force-reinstall {found.distribution}`"
        reader.keep(instance.path, sentence, at="value", hint=hint)
        return None
    if not isinstance(loaded, Plugin):
        sentence = (
            f"{where} is no plugin: {found.entry_point.value} is {type(loaded).__name__}, not failgate.plugin.Plugin"
        )
        reader.keep(instance.path, sentence, at="value", hint="its author has to mend it")
        return None
    plugin: Plugin[Any] = loaded
    if plugin.name != found.name:
        sentence = f'{where} calls itself "{plugin.name}"'
        hint = "its author has to give the entry point and the Plugin one name"
        reader.keep(instance.path, sentence, at="value", hint=hint)
        return None
    return plugin


def _read_settings(
    instance: Instance, found: InstalledPlugin, plugin: Plugin[Any], reader: Reader
) -> msgspec.Struct | None:
    count = len(reader.mistakes)
    section = ("plugins", instance.name)
    settings: msgspec.Struct | None = reader.read(
        plugin.config, dict(instance.settings), section, f"{found.name} {found.version}"
    )
    if not reader.source.has(section):  # named by a slot only: show the mistake where the name stands
        for place in range(count, len(reader.mistakes)):
            mistake = reader.mistakes[place]
            shown = reader.source.mistake(instance.path, mistake.sentence, at="value", hint=mistake.hint)
            reader.mistakes[place] = replace(shown, path=mistake.path)
    return settings


def _check_slots(config: Config, ready: Sequence[ReadyPlugin], opened: Sequence[OpenedPlugin]) -> list[Mistake]:
    by_name = {each.identity.name: each for each in opened}
    reader = Reader(config.source)
    for reference in config.references:
        each = by_name[reference.instance]
        if not getattr(each.provides, reference.slot):
            sentence = f'"{reference.instance}" ({each.identity}) provides no {reference.slot}'
            reader.keep(reference.path, sentence, at="value", hint=_who_fills(reference, opened))
    named = {reference.instance for reference in config.references}
    for instance in (each.instance for each in ready):
        provides = by_name[instance.name].provides
        settings = [setting for slot, setting in _SLOT_SETTINGS.items() if getattr(provides, slot)]
        if settings and instance.name not in named:
            hint = f'add "{instance.name}" to {" or ".join(settings)}, or remove the section'
            reader.keep(("plugins", instance.name), "opened for nothing: no setting names this instance", hint=hint)
    rulebooks = [each.identity.name for each in opened if each.provides.rulebook]
    for name in rulebooks[1:]:
        sentence = f'a second rulebook beside that of "{rulebooks[0]}": rules are kept in one place'
        reader.keep(("plugins", name), sentence, hint="enable one of them")
    _check_format_names(opened, reader)
    return reader.mistakes


def _who_fills(reference: Reference, opened: Sequence[OpenedPlugin]) -> str:
    able = [each.identity.name for each in opened if getattr(each.provides, reference.slot)]
    return f"{reference.setting} takes: {', '.join(able)}" if able else "no enabled plugin provides it"


def _check_format_names(opened: Sequence[OpenedPlugin], reader: Reader) -> None:
    owners: dict[str, str] = {}
    for each in opened:
        for report_format in each.provides.report_formats:
            owner = owners.setdefault(report_format.name, each.identity.name)
            if owner != each.identity.name:
                sentence = f'brings the report format "{report_format.name}" that "{owner}" brings already'
                reader.keep(("plugins", each.identity.name), sentence, hint="enable one of them")


def _assemble(config: Config, opened: Sequence[OpenedPlugin]) -> OpenedPlugins:
    provided = {each.identity.name: each.provides for each in opened}
    store = provided[config.artifacts.store].artifact_store
    assert store is not None, "the slots were checked"
    policies = {name: provided[name].approval_policy for name in config.gate.policies}
    exporters = {name: provided[name].audit_exporter for name in config.audit.exporters}
    return OpenedPlugins(
        plugins=tuple(opened),
        artifact_store=store,
        policies={name: policy for name, policy in policies.items() if policy is not None},
        rulebook=next((each.rulebook for each in provided.values() if each.rulebook is not None), None),
        report_formats={each.name: each for name in config.reports.formats for each in provided[name].report_formats},
        exporters={name: exporter for name, exporter in exporters.items() if exporter is not None},
        health={name: each.health for name, each in provided.items() if each.health is not None},
    )


class HostMaker:
    """Makes the host of each plugin instance."""

    def __init__(self, data_dir: Path, clock: Clock) -> None:
        """Give each instance a place in `data_dir`."""
        self._data_dir = data_dir
        self._clock = clock

    def __call__(self, name: str) -> Host:
        """Return the host of the instance `name`."""
        return Host(
            name=name,
            data_root=self._data_dir,
            clock=self._clock,
            log=get_logger(f"failgate.plugin.{name}"),
            database_opener=self._open,
        )

    async def _open(self, path: Path, migrations: Traversable | Path) -> Database:
        database = await open_database(f"sqlite://{path}")
        try:
            await migrate(database, migrations, self._clock)
        except BaseException:
            await database.close()
            raise
        return database
