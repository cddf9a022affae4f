"""What a pack is made of: sections with columns, and the lines in them, each with the records that say it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from failgate.audit.catalogue import words_of
from failgate.audit.stored import StoredRecord
from failgate.base.clock import to_rfc3339
from failgate.base.spreadsheet import seen

SOURCE: Final = ("log", "record", "leaf_hash", "further_records")  # the columns that every line begins with
_METHODS: Final = {
    "otp": "authenticator code",
    "passkey": "passkey",
    "provider": "identity provider",
    "recovery": "backup code",
    "trusted_device": "trusted device",
}
FACTORS: Final = frozenset(_METHODS) - {"trusted_device"}  # what is a proof of its own


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name in the CSV, what it says, and whether the printed form has it too."""

    name: str
    about: str
    is_printed: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A table of a pack, a file of its own as CSV."""

    id: str
    title: str
    about: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a log, read."""

    log: str
    seq: int
    leaf_hash: bytes
    said: Mapping[str, Any]

    @classmethod
    def of(cls, stored: StoredRecord) -> "Record":
        """Return what was stored, read."""
        return cls(stored.log, stored.seq, stored.leaf_hash, stored.record)

    @property
    def act(self) -> str:
        """Return what happened, by its name in the catalogue."""
        return str(self.said["act"])

    @property
    def ts(self) -> str:
        """Return when it happened, as the record says it."""
        return str(self.said["ts"])

    @property
    def data(self) -> Mapping[str, Any]:
        """Return what the act states."""
        stated: Mapping[str, Any] = self.said["data"]
        return stated

    @property
    def object_id(self) -> str:
        """Return what it happened to."""
        return str(self.said["obj"]["id"])

    @property
    def actor_id(self) -> str:
        """Return who did it."""
        return str(self.said["actor"]["id"])

    @property
    def auth(self) -> tuple[str, ...]:
        """Return the methods of the actor's credential."""
        return tuple(self.said["actor"].get("auth") or ())


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a section: the record that says it, others that it was read from, and a text for each column."""

    section: Section
    record: Record
    further: tuple[Record, ...]
    cells: tuple[str, ...]

    @property
    def source(self) -> tuple[str, str, str, str]:
        """Return the cells that name the records; the hash is in hexadecimal digits, which no spreadsheet reckons."""
        one = self.record
        others = (f"{other.seq}" if other.log == one.log else f"{other.log}:{other.seq}" for other in self.further)
        return one.log, str(one.seq), f"sha256:{one.leaf_hash.hex()}", " ".join(others)


def line(section: Section, record: Record, further: Sequence[Record | None], **cells: object) -> Line:
    """Return a line; None is an empty cell, and every column has to be named."""
    named = [column.name for column in section.columns]
    assert set(named) == set(cells), (section.id, set(named) ^ set(cells))
    others = {(one.log, one.seq): one for one in further if one is not None}
    others.pop((record.log, record.seq), None)
    texts = tuple("" if cells[name] is None else seen(str(cells[name])) for name in named)
    return Line(section, record, tuple(others[key] for key in sorted(others)), texts)


@dataclass(frozen=True, slots=True)
class Names:
    """The names of people and agents by their ids, as the server has them now; the log holds ids alone."""

    by_id: Mapping[str, str]
    members: frozenset[str] = frozenset()  # the accounts that are members here or were once

    def of(self, key: object) -> str:
        """Return the name of `key`, or the id itself; empty for none."""
        return "" if key is None else self.by_id.get(str(key), str(key))

    def actor(self, record: Record | None) -> str:
        """Return who did what `record` says; empty for none."""
        if record is None:
            return ""
        actor = record.said["actor"]
        if actor["t"] == "system":
            return "Failgate"
        if actor["t"] == "operator":
            return "the operator of the server"
        name = self.by_id.get(actor["id"])
        return name or (actor["t"] if actor["id"] == actor["t"] else f"{actor['t']} {actor['id']}")


def factor_of(record: Record) -> str:
    """Return which second factor the actor's credential had shown, in words; `none` when it had shown none."""
    return ", ".join(words for method, words in _METHODS.items() if method in record.auth) or "none"


def seconds_between(begin: Record | None, end: Record | None) -> str | None:
    """Return how long it took from one record to another, in seconds with three places; None without both."""
    if begin is None or end is None:
        return None
    return f"{(datetime.fromisoformat(end.ts) - datetime.fromisoformat(begin.ts)).total_seconds():.3f}"


def when(us: object) -> str:
    """Return a time in microseconds since 1970 as RFC 3339 in UTC; empty for none."""
    return to_rfc3339(us) if isinstance(us, int) else ""


def facts_of(record: Record, names: Names) -> str:
    """Return everything that the record states of what happened, in one line."""
    return "; ".join(f"{name}: {_fact(name, value, names)}" for name, value in record.data.items())


def told(record: Record) -> str:
    """Return the act in words."""
    return words_of(record.act)


def _fact(name: str, value: object, names: Names) -> str:
    if isinstance(value, list | tuple):
        return " ".join(names.of(item) for item in value) or "none"
    if value is None:
        return "none"
    return when(value) if name.endswith("_us") and name != "waited_us" else names.of(value)
