"""Which plugins the config names: found among what is installed, imported, their settings read."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from failgate.config.errors import ConfigRefused, Mistake
from failgate.config.installed import InstalledPlugin, find_installed
from failgate.config.load import draft_config
from failgate.config.model import Config, Instance
from failgate.config.settings import Reader, nearest
from failgate.config.source import read_source
from failgate.loader.pinning import Pin, pins_of, refuse_unpinned
from failgate.plugin import API_VERSION, ENTRY_POINT_GROUP, Plugin
from failgate.redaction import without_secrets

FIRST_PARTY = (
    "allowlist", "capture", "disclosure", "e2ee", "filesystem", "http-policy", "jsonl", "junit", "kafka", "mail",
    "nats", "objectstore", "otlp", "quorum", "risk", "sarif", "sentry", "slack", "syslog", "teams", "time-windows",
    "webhook",
)  # fmt: skip


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

    A spare one that is not installed is left out.

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
            "pinned": config.pins.distributions is not None,
            "api": API_VERSION,
            "named_by": [ref.setting for ref in config.references if ref.instance == each.instance.name],
        }
        for each in find_plugins(config)
    ]


def describe_pins(config: Config) -> list[Pin]:
    """Return a pin for each distribution whose plugins `config` names, as `failgate plugins --pins` prints it.

    Imports nothing, so that what is installed can be looked at before it is trusted.

    Raises: ConfigRefused for what is not installed.
    """
    reader = Reader(config.source)
    installed = find_installed()
    found = [_choose(instance, installed, reader) for instance in config.instances]
    if reader.mistakes:
        raise ConfigRefused(reader.mistakes)
    return pins_of(each for each in found if each is not None)


def _prepare(config: Config) -> tuple[list[ReadyPlugin], list[Mistake]]:
    installed = find_installed()
    reader = Reader(config.source)
    ready: list[ReadyPlugin] = []
    chosen = [(instance, found) for instance in config.instances if (found := _choose(instance, installed, reader))]
    refused = refuse_unpinned(config, chosen, reader)
    for instance, found in chosen:
        if found.distribution in refused:
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
    """Return the one installed plugin that `instance` uses; otherwise keep why there is none, unless it is spare."""
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
    elif not instance.is_spare:
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
        sentence = f"{where} cannot be imported: {type(error).__name__}: {without_secrets(str(error))}"
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
