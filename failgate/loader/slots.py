"""What the slots of the config take from the plugins that opened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from failgate.artifacts.store import ArtifactStore
from failgate.audit.exporter import AuditExporter
from failgate.audit.record import Act
from failgate.audit.sieve import Sieve
from failgate.config.errors import ConfigRefused, Mistake
from failgate.config.model import Config, Reference
from failgate.config.settings import Reader, nearest
from failgate.drafts import DocumentFormat
from failgate.gate.policy import ApprovalPolicy, Rulebook
from failgate.loader.finding import PluginIdentity, ReadyPlugin
from failgate.notify.notifier import Notifier
from failgate.plugin import Health, Provides
from failgate.relay.relay import Relay
from failgate.reports.format import ReportFormat

_SLOT_SETTINGS = {
    "artifact_store": "[artifacts] store",
    "approval_policy": "[gate] policies",
    "report_formats": "[reports] formats",
    "audit_exporter": "[audit] exporters",
    "notifier": "[notify] notifiers",
    "relay": "[gate] relay",
}


@dataclass(frozen=True, slots=True)
class OpenedPlugin:
    """An instance that works, and what it provides."""

    identity: PluginIdentity
    provides: Provides


@dataclass(frozen=True, slots=True)
class OpenedPlugins:
    """Every opened plugin in the order of opening, and what the slots of the config name.

    `policies`, `exporters`, `notifiers` and `health` are by instance name, in the order in which the config names them;
    `report_formats` (manifests) and `document_formats` (what other tools write) by the format's own name.
    """

    plugins: tuple[OpenedPlugin, ...]
    artifact_store: ArtifactStore
    policies: Mapping[str, ApprovalPolicy]
    rulebook: Rulebook | None
    report_formats: Mapping[str, ReportFormat]
    document_formats: Mapping[str, DocumentFormat]
    exporters: Mapping[str, AuditExporter]
    notifiers: Mapping[str, Notifier]
    health: Mapping[str, Health]
    relay: Relay | None = None

    @property
    def advice(self) -> list[tuple[str, str]]:
        """Return what the plugins say that the operator should see to soon: the instance, a sentence."""
        asked = [(one.identity.name, one.provides.advice) for one in self.plugins]
        return [(name, sentence) for name, advice in asked if advice is not None for sentence in advice()]


def fill_slots(config: Config, ready: Sequence[ReadyPlugin], opened: Sequence[OpenedPlugin]) -> OpenedPlugins:
    """Return what was opened, by the slots of `config` that it fills.

    Raises: ConfigRefused for a setting that names an instance which does not fill its slot, an instance that no setting
    names, two that bring the same.
    """
    mistakes = _check_slots(config, ready, opened)
    if mistakes:
        raise ConfigRefused(mistakes)
    return _assemble(config, opened)


def _check_slots(config: Config, ready: Sequence[ReadyPlugin], opened: Sequence[OpenedPlugin]) -> list[Mistake]:
    by_name = {each.identity.name: each for each in opened}
    reader = Reader(config.source)
    for reference in config.references:
        each = by_name.get(reference.instance)
        if each is None:  # a spare one that is not installed
            continue
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
    _check_filters(config, reader)
    _check_format_names(opened, reader)
    return reader.mistakes


def _who_fills(reference: Reference, opened: Sequence[OpenedPlugin]) -> str:
    able = [each.identity.name for each in opened if getattr(each.provides, reference.slot)]
    return f"{reference.setting} takes: {', '.join(able)}" if able else "no enabled plugin provides it"


def _check_filters(config: Config, reader: Reader) -> None:
    """Keep a mistake for an act that no record has: it would let nothing through, or leave nothing out."""
    for name, told in config.audit.filters.items():
        for key in ("acts", "without"):
            given: tuple[str, ...] = getattr(told, key)
            for place, act in enumerate(given):
                if Sieve((act,)).unknown_acts():
                    meant = nearest(act, [each.value for each in Act])
                    hint = f'did you mean "{meant}"?' if meant else 'say "command.denied", or "command.*"'
                    path = ("audit", "filters", name, key, place)
                    reader.keep(path, f'no record has the act "{act}"', at="value", hint=hint)


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
    notifiers = {name: provided[name].notifier for name in config.notify.notifiers if name in provided}
    formats = [each for name in config.reports.formats for each in provided[name].report_formats]
    return OpenedPlugins(
        plugins=tuple(opened),
        artifact_store=store,
        policies={name: policy for name, policy in policies.items() if policy is not None},
        rulebook=next((each.rulebook for each in provided.values() if each.rulebook is not None), None),
        report_formats={each.name: each for each in formats if not isinstance(each, DocumentFormat)},
        document_formats={each.name: each for each in formats if isinstance(each, DocumentFormat)},
        exporters={name: exporter for name, exporter in exporters.items() if exporter is not None},
        notifiers={name: notifier for name, notifier in notifiers.items() if notifier is not None},
        health={name: each.health for name, each in provided.items() if each.health is not None},
        relay=None if config.gate.relay is None else provided[config.gate.relay].relay,
    )
