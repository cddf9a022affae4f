"""What a capture keeps and how much of each kind: the options of the command line, then the table `[capture]`."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from failgate.base.errors import BadInput
from failgate.client.exits import NotConfigured
from failgate.client.output import HEAD_BYTES, TAIL_BYTES
from failgate.client.patterns import parse_pattern

_MIB = 1 << 20
_SIZE = re.compile(r"([0-9]{1,9})(B|KiB|MiB|GiB)", re.ASCII)
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class Limits(NamedTuple):
    """The most that is kept of each kind, in bytes: of output and files the first and the last."""

    output_head: int = HEAD_BYTES
    output_tail: int = TAIL_BYTES
    diff: int = _MIB
    file_head: int = 256 * 1024
    file_tail: int = _MIB
    files: int = 32 * _MIB
    snapshot: int = 64 * _MIB
    snapshot_file: int = 8 * _MIB
    bundle: int = 256 * _MIB


class Wishes(NamedTuple):
    """What a capture is to keep besides output, changes and environment."""

    patterns: tuple[tuple[str, ...], ...] = ()
    has_binary_files: bool = False
    has_snapshot: bool = False
    has_bundle: bool = False
    project: str | None = None
    version: str | None = None
    environment: tuple[str, ...] = ()
    limits: Limits = Limits()


_TEXTS = {"files": list, "environment": list, "project": str, "snapshot": bool, "bundle": bool, "binary_files": bool}
_LIMITS = {f"{name}_limit": name for name in Limits._fields}


def read_wishes(table: Mapping[str, Any]) -> Wishes:
    """Return what the table `[capture]` of `client.toml` asks for.

    Raises: NotConfigured (an unknown key, a value of another kind, a pattern that leaves the folder).
    """
    for key, value in table.items():
        if key in _LIMITS:
            continue
        if key not in _TEXTS:
            from difflib import get_close_matches

            near = get_close_matches(key, (*_TEXTS, *_LIMITS), n=1)
            hint = f'Did you mean "{near[0]}"?' if near else f"There are {', '.join((*_TEXTS, *_LIMITS))}."
            raise NotConfigured(f"client.toml: capture.{key}: no such setting.", hint=hint)
        is_fitting = isinstance(value, _TEXTS[key])
        if is_fitting and isinstance(value, list):
            is_fitting = all(isinstance(one, str) for one in cast("list[object]", value))
        if not is_fitting:
            raise NotConfigured(
                f"client.toml: capture.{key} is not of the right kind.", hint=f"It is a {_TEXTS[key].__name__}."
            )
    try:
        patterns = tuple(parse_pattern(text) for text in table.get("files", ()))
    except BadInput as error:
        raise NotConfigured(f"client.toml: capture.files: {error.sentence}", hint=error.hint) from error
    return Wishes(
        patterns=patterns,
        has_binary_files=table.get("binary_files", False),
        has_snapshot=table.get("snapshot", False),
        has_bundle=table.get("bundle", False),
        project=table.get("project"),
        environment=tuple(table.get("environment", ())),
        limits=Limits(**{_LIMITS[key]: _size(key, table[key]) for key in _LIMITS if key in table}),
    )


def _size(key: str, value: object) -> int:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise NotConfigured(f"client.toml: capture.{key} is no size.", hint='It is like "256KiB" or "4MiB".')
    return int(match[1]) * _UNITS[match[2]]
