"""Reading the bodies that lie beside records: for verification, for people, for what leaves."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from failgate.audit.bodies import BODIES_BETWEEN, Body
from failgate.audit.exporter import ExportedRecord
from failgate.audit.places import record_position
from failgate.audit.stored import StoredRecord, read_head
from failgate.base.clock import to_rfc3339
from failgate.base.db import Database

_BETWEEN: Final = BODIES_BETWEEN.format("$1", "$2")
_ONES: Final = "SELECT position, salt, body, erased_us FROM audit_body WHERE position IN ({places})"
_THERE: Final = "SELECT to_regclass('audit_body') IS NOT NULL AS there"
_AT_ONCE: Final = 100  # places in one statement


async def has_bodies(database: Database) -> bool:
    """Tell whether a PostgreSQL database has a place for bodies; one of a version from before them has none."""
    return bool((await database.fetch(_THERE))[0]["there"])


async def bodies_between(database: Database, number: int, first: int, end: int) -> dict[int, Body]:
    """Return the bodies beside the records from `first` up to below `end` of the log `number`, by their numbers."""
    base = record_position(number, 0)
    rows = await database.fetch(_BETWEEN, base + first, base + end)
    return {row["position"] - base: Body(row["salt"], row["body"], row["erased_us"]) for row in rows}


async def bodies_of(database: Database, log: str, seqs: Collection[int]) -> dict[int, Body]:
    """Return the bodies beside some records of `log`, by their numbers."""
    stored = await read_head(database, log) if seqs else None
    if stored is None:
        return {}
    wanted = sorted(set(seqs))
    if wanted[-1] - wanted[0] < len(wanted):
        return await bodies_between(database, stored.number, wanted[0], wanted[-1] + 1)
    base, found = record_position(stored.number, 0), dict[int, Body]()
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        query = _ONES.format(places=", ".join(f"${number}" for number in range(1, len(part) + 1)))
        for row in await database.fetch(query, *(base + seq for seq in part)):
            found[row["position"] - base] = Body(row["salt"], row["body"], row["erased_us"])
    return found


async def leaving(database: Database, records: Sequence[StoredRecord], *, is_with_bodies: bool) -> list[ExportedRecord]:
    """Return `records`, all of one log, as they leave: with the bodies that are not erased, or without any."""
    bodies = (
        await bodies_of(database, records[0].log, [one.seq for one in records]) if is_with_bodies and records else {}
    )
    beside = {seq: body.body for seq, body in bodies.items()}
    return [ExportedRecord(one.log, one.seq, one.leaf, beside.get(one.seq)) for one in records]


def told(body: Body | None) -> dict[str, Any] | None:
    """Return what people are shown of a body: its members, or `{"erased": TIME}`; None where there is none."""
    if body is None:
        return None
    if body.body is None:
        return {"erased": None if body.erased_us is None else to_rfc3339(body.erased_us)}
    try:
        return msgspec.json.decode(body.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {"damaged": True}  # `audit verify` says more
