"""The audit log as its page shows it. Pure: records come as the bytes that were hashed, with their hash."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

from failgate.audit.catalogue import Group, groups, words_of
from failgate.base.ids import is_id
from failgate.evidence.views import SavedView, Visitor
from failgate.web.pages.audit_filter import AuditFilter, clock_of
from failgate.web.pages.text import Moment, Piece, moment, moment_of, pieces

_SHORT: Final = 40  # characters; a digest in base64url has 43
_LINKED: Final = {"command": "commands", "report": "reports"}


@dataclass(frozen=True, slots=True)
class Fact:
    """A member of `data` with its value, in full; `title` is the exact form of what `text` says in words."""

    name: str
    text: str
    title: str = ""


class Shown(NamedTuple):
    """A record as it comes: its members, its canonical JSON, its leaf hash, and what is told of the body beside it."""

    record: Mapping[str, Any]
    leaf: str
    leaf_hash: str
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One record; `leaf` is its canonical JSON, `all_facts` what it states, `facts` the same in one short line."""

    seq: int
    act: str
    words: str
    out: str
    actor: str
    actor_id: str
    auth: str
    object: str
    object_id: str
    object_href: str | None
    facts: str
    all_facts: tuple[Fact, ...]
    leaf: tuple[Piece, ...]
    hash: str
    of_actor_href: str
    of_object_href: str
    proof_href: str
    request: str
    ip: str
    at: Moment
    is_sealed: bool  # it is about a command that the server cannot read


@dataclass(frozen=True, slots=True)
class SavedLine:
    """A saved view as a link; `may_change` when the visitor may rename and remove it."""

    id: str
    name: str
    href: str
    is_shared: bool
    is_current: bool
    may_change: bool


@dataclass(frozen=True, slots=True)
class AuditView:
    """A page of the log, newest first, with its signed checkpoint. `since`, `until`: as their fields want them."""

    size: int
    checkpoint: str
    checkpoint_size: int
    root_short: str
    asked: AuditFilter
    is_filtered: bool
    since: str
    until: str
    groups: tuple[Group, ...]
    people: tuple[str, ...]
    rows: tuple[RecordRow, ...]
    older_href: str | None
    newer_href: str | None
    cut_at: int | None
    problem: str | None
    saved: tuple[SavedLine, ...]

    @property
    def asked_fields(self) -> tuple[tuple[str, str], ...]:
        """Return the fields of the filter that are not empty."""
        return tuple(parse_qsl(self.asked.query))


def audit_view(
    records: Sequence[Shown],
    *,
    slug: str,
    size: int,
    checkpoint: str,
    names: Mapping[str, str],
    asked: AuditFilter,
    older: int | None,
    is_first: bool,
    now_us: int,
    is_cut: bool = False,
    problem: str | None = None,
    saved: tuple[SavedLine, ...] = (),
) -> AuditView:
    """Return a page of the log of the workspace `slug`.

    `records` come newest first; `names` gives people and agents their names;
    `older` is the sequence number before which the next page begins, None at the end of the log. `is_cut`: the page
    stopped there though it is not full.
    """
    lines = checkpoint.split("\n")
    here = f"/w/{slug}/audit"
    return AuditView(
        size=size,
        checkpoint=checkpoint,
        checkpoint_size=int(lines[1]) if len(lines) > 2 and lines[1].isdigit() else 0,
        root_short=lines[2][:16] if len(lines) > 2 else "",
        asked=asked,
        is_filtered=bool(asked.query),
        since=clock_of(asked.since),
        until=clock_of(asked.until),
        groups=groups(),
        people=tuple(sorted(set(names.values()))),
        rows=tuple(record_row(one, slug, names, now_us) for one in records),
        older_href=f"{here}?{_joined(asked.query, f'before={older}')}" if older is not None else None,
        newer_href=None if is_first else f"{here}{f'?{asked.query}' if asked.query else ''}",
        cut_at=older if is_cut else None,
        problem=problem,
        saved=saved,
    )


def saved_lines(views: Sequence[SavedView], visitor: Visitor, query: str, slug: str) -> tuple[SavedLine, ...]:
    """Return the views that `visitor` sees; the one that asks for `query` is the current one."""
    return tuple(
        SavedLine(
            one.id, one.name, f"/w/{slug}/audit?{one.query}", one.is_shared, one.query == query, visitor.may_change(one)
        )
        for one in views
    )


def record_row(shown: Shown, slug: str, names: Mapping[str, str], now_us: int) -> RecordRow:
    """Return one record as a row."""
    record = shown.record
    actor: Mapping[str, Any] = record.get("actor") or {}
    thing: Mapping[str, Any] = record.get("obj") or {}
    kind, number, who = str(thing.get("t", "")), str(thing.get("id", "")), str(actor.get("id", ""))
    seq, data, here = int(record["seq"]), record.get("data") or {}, f"/w/{slug}/audit"
    return RecordRow(
        seq=seq,
        act=str(record["act"]),
        words=words_of(str(record["act"])),
        out=str(record.get("out", "ok")),
        actor=names.get(who) or _unnamed(str(actor.get("t", "")), who),
        actor_id=who,
        auth=", ".join(str(method) for method in actor.get("auth") or ()),
        object=f"{kind} {names.get(number) or _short(number)}",
        object_id=number,
        object_href=f"/w/{slug}/{_LINKED[kind]}/{number}" if kind in _LINKED else None,
        facts=facts_of({name: value for name, value in data.items() if value != number}, names),
        all_facts=tuple(_fact_line(name, value, names, now_us) for name, value in data.items()),
        leaf=pieces(shown.leaf),
        hash=shown.leaf_hash,
        of_actor_href=f"{here}?{urlencode({'actor': who})}",
        of_object_href=f"{here}?{urlencode({'object': number})}",
        proof_href=f"/api/v1/workspaces/{slug}/audit/proof/inclusion?seq={seq}",
        request=str(record.get("req") or ""),
        ip=_address(shown),
        at=moment_of(str(record["ts"]), now_us),
        is_sealed=kind == "sealed_command",
    )


def _address(shown: Shown) -> str:
    """Return where a record came from: of version 1 as it says itself, else by its body, as long as that is there."""
    if shown.record.get("pd") is None:
        return str(shown.record.get("ip") or "")
    body = shown.body or {}
    if "erased" in body:
        return f"erased on {str(body['erased'])[:10]}"
    return str(body.get("ip") or "not there")


def facts_of(facts: Mapping[str, Any], names: Mapping[str, str] | None = None) -> str:
    """Return what is short among the facts of a record in one line: no digests, no times, nothing that is absent."""
    said = (
        f"{name.replace('_', ' ')} {text}"
        for name, value in facts.items()
        if value is not None and not name.endswith("_us") and len(text := _fact(value, names or {})) <= _SHORT
    )
    return ", ".join(said)


def _joined(*queries: str) -> str:
    return "&".join(query for query in queries if query)


def _unnamed(kind: str, number: str) -> str:
    return "Failgate" if kind == "system" else kind if number in {"", kind} else f"{kind} {_short(number)}"


def _short(number: str) -> str:
    return number if len(number) <= 12 else f"…{number[-8:]}"


def _fact(value: object, names: Mapping[str, str]) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_fact(item, names) for item in value) or "none"
    text = str(value)
    if text in names:
        return names[text]
    return _short(text) if is_id(text) else text


def _fact_line(name: str, value: object, names: Mapping[str, str], now_us: int) -> Fact:
    """Return one fact with its whole value: a time in words, an id with the name that it has here."""
    label = name.removesuffix("_us").replace("_", " ")
    if name.endswith("_us") and name != "waited_us" and isinstance(value, int):
        return Fact(label, moment(value, now_us).exact, str(value))
    if isinstance(value, list | tuple):
        return Fact(label, ", ".join(names.get(str(item), str(item)) for item in value) or "none")
    text = "none" if value is None else str(value)
    return Fact(label, names.get(text, text), text if text in names else "")
