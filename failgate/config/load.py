"""The config file, read whole: what is true of it, or everything that is wrong with it."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from failgate.config.audit import INSTANCE_PATTERN
from failgate.config.errors import ConfigRefused, Mistake
from failgate.config.model import (
    SECTIONS,
    ArtifactsSection,
    AuditSection,
    Config,
    GateSection,
    Instance,
    NotifySection,
    Reference,
    ReportsSection,
    references_of,
)
from failgate.config.settings import Reader, nearest
from failgate.config.source import Source, parse_source, read_source

_NAME = re.compile(INSTANCE_PATTERN.replace("$", r"\Z"), re.ASCII)
_NAMING = "up to 64 lower-case letters, digits and hyphens, a letter first"
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Draft:
    """A config as far as it could be read: sections with mistakes stand at their defaults."""

    config: Config
    mistakes: tuple[Mistake, ...]


def load_config(path: Path | None, env: Mapping[str, str] = os.environ) -> Config:
    """Return the config of the file at `path`; without a path, the defaults.

    The settings of plugins are not read here: only they know them (`failgate.loader.finding.check_config` reads all).

    Raises: ConfigRefused listing every mistake.
    """
    draft = draft_config(*read_source(path, env))
    if draft.mistakes:
        raise ConfigRefused(draft.mistakes)
    return draft.config


def parse_config(text: str, env: Mapping[str, str] | None = None, *, name: str = "failgate.toml") -> Config:
    """Return the config that `text` says; as `load_config`, for tests and embedding.

    Raises: ConfigRefused listing every mistake.
    """
    draft = draft_config(*parse_source(text, name, Path.cwd(), env or {}))
    if draft.mistakes:
        raise ConfigRefused(draft.mistakes)
    return draft.config


def draft_config(tables: Mapping[str, Any], source: Source) -> Draft:
    """Return what `tables` say and every mistake in the sections of the core."""
    reader = Reader(source, homes=_homes())
    _refuse_unknown_sections(reader, tables)
    sections: dict[str, Any] = {}
    for name, struct in SECTIONS.items():
        sections[name] = reader.read_partly(struct, tables.get(name, {}), (name,), f"[{name}]")
    _refuse_twice(reader, sections)
    if sections["audit"].signer is not None and sections["keys"].log is not None:
        reader.keep(("audit", "signer"), "the log's key is with the signer or in [keys] log, not with both")
    instances = _read_instances(reader, tables.get("plugins", {}))
    instances += _named_by_a_slot_only(instances, sections, says_notifiers=source.has(("notify", "notifiers")))
    return Draft(Config(source=source, instances=tuple(instances), **sections), tuple(reader.mistakes))


def _homes() -> dict[str, str]:
    """Return in which section each key belongs that only one section has."""
    homes: dict[str, list[str]] = {}
    for name, struct in SECTIONS.items():
        for key in struct.__struct_encode_fields__:
            homes.setdefault(key, []).append(f"[{name}]")
    return {key: sections[0] for key, sections in homes.items() if len(sections) == 1}


def _refuse_unknown_sections(reader: Reader, tables: Mapping[str, Any]) -> None:
    known = sorted([*SECTIONS, "plugins"])
    for name, table in tables.items():
        if name in known:
            continue
        meant = nearest(name, known)
        if not isinstance(table, dict):
            hint = (
                f"{name} belongs in {reader.homes[name]}" if name in reader.homes else "every setting is in a section"
            )
            reader.keep((name,), "this setting stands outside of every section", hint=hint)
        else:
            hint = f'did you mean "{meant}"? ' if meant else ""
            reader.keep((name,), "no such section", hint=f"{hint}the sections are: {', '.join(known)}")


def _read_instances(reader: Reader, tables: object) -> list[Instance]:
    if not isinstance(tables, dict):
        reader.keep(("plugins",), "takes one table for each instance: say [plugins.capture]", at="value")
        return []
    instances: list[Instance] = []
    for name, table in cast("dict[str, object]", tables).items():
        path = ("plugins", name)
        if not isinstance(table, dict):
            reader.keep(path, f"takes a table: say [plugins.{name}] above its settings", at="value")
            continue
        settings = cast("dict[str, Any]", table)
        use = settings.get("use", name)
        if not _NAME.match(name) or len(name) > _LONGEST_NAME:
            reader.keep(path, f"an instance is named by {_NAMING}")
        elif not (isinstance(use, str) and _NAME.match(use)):
            reader.keep((*path, "use"), f"takes the name of a plugin: {_NAMING}", at="value")
        else:
            rest = {key: value for key, value in settings.items() if key != "use"}
            instances.append(Instance(name, use, rest, (*path, "use") if "use" in settings else path))
    return instances


def _named_by_a_slot_only(
    instances: list[Instance], sections: Mapping[str, Any], *, says_notifiers: bool
) -> list[Instance]:
    """Return an instance without settings for each name that a slot uses and that has no section of its own."""
    known = {instance.name for instance in instances}
    added: dict[str, Instance] = {}
    for reference in _references(sections):
        name, is_spare = reference.instance, reference.slot == "notifier" and not says_notifiers
        if name not in known:
            added.setdefault(name, Instance(name, name, {}, reference.path, is_spare))
    return list(added.values())


def _refuse_twice(reader: Reader, sections: Mapping[str, Any]) -> None:
    seen: set[tuple[str, str]] = set()
    for reference in _references(sections):
        if (reference.slot, reference.instance) in seen:
            reader.keep(reference.path, f'"{reference.instance}" is named twice', at="value")
        seen.add((reference.slot, reference.instance))


def _references(sections: Mapping[str, Any]) -> list[Reference]:
    artifacts: ArtifactsSection = sections["artifacts"]
    gate: GateSection = sections["gate"]
    reports: ReportsSection = sections["reports"]
    audit: AuditSection = sections["audit"]
    notify: NotifySection = sections["notify"]
    return references_of(artifacts, gate, reports, audit, notify)
