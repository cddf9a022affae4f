"""The audit log as its page shows it. Pure: records come as the objects that were hashed, with their hash."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from failgate.base.ids import is_id
from failgate.web.pages.text import Moment, moment_of


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One record."""

    seq: int
    act: str
    out: str
    actor: str
    actor_id: str
    auth: str
    object: str
    object_id: str
    object_href: str | None
    facts: str
    hash: str
    hash_short: str
    at: Moment


@dataclass(frozen=True, slots=True)
class AuditView:
    """A page of the log, newest first, with its signed checkpoint."""

    size: int
    checkpoint: str
    checkpoint_size: int
    root_short: str
    object_id: str
    rows: tuple[RecordRow, ...]
    older_href: str | None
    newer_href: str | None


def audit_view(
    records: Sequence[tuple[Mapping[str, Any], str]],
    *,
    slug: str,
    size: int,
    checkpoint: str,
    names: Mapping[str, str],
    object_id: str,
    older: int | None,
    is_first: bool,
    now_us: int,
) -> AuditView:
    """Return a page of the log of the workspace `slug`.

    `records` are (record, leaf hash), newest first; `names` gives people and agents their names; `older` is the
    sequence number before which the next page begins, None at the end of the log.
    """
    lines = checkpoint.split("\n")
    where = f"object={object_id}&" if object_id else ""
    return AuditView(
        size=size,
        checkpoint=checkpoint,
        checkpoint_size=int(lines[1]) if len(lines) > 2 and lines[1].isdigit() else 0,
        root_short=lines[2][:16] if len(lines) > 2 else "",
        object_id=object_id,
        rows=tuple(record_row(record, leaf_hash, slug, names, now_us) for record, leaf_hash in records),
        older_href=f"/w/{slug}/audit?{where}before={older}" if older is not None else None,
        newer_href=None if is_first else f"/w/{slug}/audit{f'?object={object_id}' if object_id else ''}",
    )


def record_row(
    record: Mapping[str, Any], leaf_hash: str, slug: str, names: Mapping[str, str], now_us: int
) -> RecordRow:
    """Return one record as a row."""
    actor: Mapping[str, Any] = record.get("actor") or {}
    thing: Mapping[str, Any] = record.get("obj") or {}
    kind, number, who = str(thing.get("t", "")), str(thing.get("id", "")), str(actor.get("id", ""))
    rooms = {"command": "commands", "report": "reports"}
    return RecordRow(
        seq=int(record["seq"]),
        act=str(record["act"]),
        out=str(record.get("out", "ok")),
        actor=names.get(who) or _unnamed(str(actor.get("t", "")), who),
        actor_id=who,
        auth=", ".join(str(method) for method in actor.get("auth") or ()),
        object=f"{kind} {names.get(number) or _short(number)}",
        object_id=number,
        object_href=f"/w/{slug}/{rooms[kind]}/{number}" if kind in rooms else None,
        facts=facts_of(record.get("data") or {}),
        hash=leaf_hash,
        hash_short=f"{leaf_hash[:10]}…",
        at=moment_of(str(record["ts"]), now_us),
    )


def _unnamed(kind: str, number: str) -> str:
    return kind if number in {"", kind} else f"{kind} {_short(number)}"


def _short(number: str) -> str:
    return number if len(number) <= 12 else f"…{number[-8:]}"


def facts_of(facts: Mapping[str, Any]) -> str:
    """Return the facts of a record in one line; long digests are shortened."""
    return " ".join(f"{name}={_fact(value)}" for name, value in facts.items())


def _fact(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_fact(item) for item in value)}]"
    text = "none" if value is None else str(value)
    if is_id(text):
        return _short(text)
    return f"{text[:12]}…" if len(text) > 40 else text
