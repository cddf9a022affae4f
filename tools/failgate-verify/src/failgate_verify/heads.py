"""The log of logs, compared with other logs: each head that it records has to be a head that the log had."""

import base64
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from failgate_verify.full import Proven, Told, verify_bundle
from failgate_verify.held import split
from failgate_verify.notes import Key, read_key, shown
from failgate_verify.record import parsed
from failgate_verify.tree import WIDTH
from failgate_verify.verdict import Incomplete, Unusable

_ROOT = re.compile("[A-Za-z0-9_-]{43}")
_HEAD, _EXCUSE = b'{"act":"head.recorded",', b'{"act":"rollback.accepted",'


class Compared(NamedTuple):
    """A log that is as the log of logs records it: how many of its heads were found there."""

    proven: Proven
    heads: int


def compare(log_of_logs: Path, bundles: Sequence[Path], vkey: str | None) -> tuple[Proven, list[Compared]]:
    """Verify the bundle of the log `system`, and each of `bundles` against the heads that it records.

    `vkey` is the key of the log `system`; the others are signed by the same one under their own names.

    Raises: Tampered, Unusable (another installation), Incomplete (a part of the log of logs, a bundle that is older).
    """
    system = verify_bundle(log_of_logs, vkey)
    name, border, log = system.key.name.rpartition("/log/")
    if not border or log != "system":
        raise Unusable(f"{log_of_logs} is the bundle of {shown(system.key.name)}, not of a log `system`.")
    if not system.is_whole:
        raise Incomplete(f"{log_of_logs} holds a part of the log of logs; export the whole.")
    told = _told(system)
    found: list[Compared] = []
    for path in bundles:
        proven = verify_bundle(path)
        prefix, _, log = proven.key.name.rpartition("/log/")
        own = Key(proven.key.name, system.key.kind, system.key.public)
        if prefix != name or read_key(own.vkey).vkey != proven.key.vkey:
            raise Unusable(f"{path} is of {shown(proven.key.name)}, signed by another key than the log of logs.")
        heads = told.get(log, [])
        found.append(Compared(verify_bundle(path, own.vkey, (), heads), len(heads)))
    return system, found


def _told(system: Proven) -> dict[str, list[Told]]:
    """Return the heads of each log, in order; a rollback that was accepted excuses those before it."""
    found: dict[str, list[Told]] = {}
    for leaf in _leaves(system):
        if not leaf.startswith((_HEAD, _EXCUSE)):
            continue
        log, one = _stated(parsed(leaf), is_head=leaf.startswith(_HEAD))
        if one is None:
            found.pop(log, None)
        else:
            found.setdefault(log, []).append(one)
    return found


def _stated(record: dict[str, Any], *, is_head: bool) -> tuple[str, Told | None]:
    """Return the log of a record and the head that it states. Raises: Unusable."""
    seq, place, facts = record["seq"], record.get("obj"), record.get("data")
    if isinstance(place, dict) and isinstance(facts, dict):
        log, told = cast("dict[str, Any]", place).get("id"), cast("dict[str, Any]", facts)
        size, root = told.get("size"), _root(told.get("root"))
        if type(log) is str and not is_head:
            return log, None
        if type(log) is str and type(size) is int and size >= 0 and root is not None:
            return log, Told(size, root, seq, record["ts"])
    raise Unusable(f"Record {seq} of the log of logs states no head.")


def _leaves(proven: Proven) -> Iterator[bytes]:
    for number in range(proven.held.tiles):
        yield from split(proven.held.records(number) or b"", WIDTH)[0]


def _root(text: object) -> bytes | None:
    is_one = isinstance(text, str) and _ROOT.fullmatch(text) is not None
    return base64.urlsafe_b64decode(f"{text}=") if is_one else None
