"""What a time of observing shows: how much rules answered, what would have waited, of whom, and which commands."""

from typing import Any, Final

import msgspec

from failgate.base.db import Database
from failgate.gate.observing import Period
from failgate.gate.stored import SELECT, Stored

MOST_ROWS: Final = 20  # of each list

# What was asked for while it ran. Ids sort by time, and its own was made before all of theirs.
_WITHIN: Final = "workspace_id = $1 AND id > $2 AND created_us < $3 AND state <> 'quarantined'"
_OBSERVED: Final = "workspace_id = $1 AND observing_id = $2"
_COUNTS: Final = (
    "SELECT COUNT(CASE WHEN observing_id = $2 AND observed = 'wait' THEN 1 END) AS would_wait,"
    " COUNT(CASE WHEN observing_id = $2 AND observed = 'deny' THEN 1 END) AS would_be_denied,"
    " COUNT(CASE WHEN observed IS NULL AND need = 0 AND state <> 'denied' THEN 1 END) AS passed,"
    " COUNT(CASE WHEN observed IS NULL AND need = 0 AND state = 'denied' THEN 1 END) AS denied,"
    " COUNT(CASE WHEN observed IS NULL AND need > 0 THEN 1 END) AS asked"
    f" FROM gate_command WHERE {_WITHIN}"
)
_BY: Final = (
    "SELECT {name} AS name, COUNT(CASE WHEN observed = 'wait' THEN 1 END) AS would_wait,"
    " COUNT(CASE WHEN observed = 'deny' THEN 1 END) AS would_be_denied"
    f" FROM gate_command WHERE {_OBSERVED} GROUP BY {{name}} ORDER BY COUNT(*) DESC, {{name}} LIMIT $3"
)
_BY_AGENT: Final = _BY.format(name="requester_label")
_BY_PROGRAM: Final = _BY.format(name="program")
_COMMANDS: Final = (
    "SELECT MAX(id) AS id, COUNT(*) AS number"
    f" FROM gate_command WHERE {_OBSERVED} GROUP BY alike, observed ORDER BY COUNT(*) DESC, MAX(id) DESC LIMIT $3"
)


class Count(msgspec.Struct, frozen=True):
    """How often an agent, or a program, would have waited and would have been denied."""

    name: str
    would_wait: int
    would_be_denied: int


class Frequent(msgspec.Struct, frozen=True):
    """The same command, so many times; `stored` is the newest of them."""

    stored: Stored
    number: int


class Observed(msgspec.Struct, frozen=True):
    """Everything that was asked for in a time of observing, by what came of it.

    `passed` by a rule, `denied` by a policy, `asked` of people (of other agents, or before it was known); the rest ran
    although nothing let it pass. The lists hold at most 20, the most frequent first.
    """

    passed: int
    denied: int
    asked: int
    would_wait: int
    would_be_denied: int
    by_agent: tuple[Count, ...]
    by_program: tuple[Count, ...]
    commands: tuple[Frequent, ...]

    @property
    def total(self) -> int:
        """Return how many were asked for."""
        return self.passed + self.denied + self.asked + self.would_wait + self.would_be_denied

    @property
    def answered(self) -> int:
        """Return how many rules and policies answered, one way or the other, so that nobody would have waited."""
        return self.passed + self.denied + self.would_be_denied


async def observed_in(db: Database, period: Period) -> Observed:
    """Return what `period` shows so far."""
    place = (period.workspace_id, period.id)
    until_us = period.expires_us if period.ended_us is None else period.ended_us
    more, values = "", [*place, until_us]
    if period.agent_id:
        values.append(period.agent_id)
        more = " AND requester_id = $4"
    counts: dict[str, Any] = (await db.fetch(_COUNTS + more, *values))[0]
    frequent = await db.fetch(_COMMANDS, *place, MOST_ROWS)
    rows: dict[str, Stored] = {}
    if frequent:
        places = ", ".join(f"${number}" for number in range(2, len(frequent) + 2))
        found = await db.fetch(
            f"{SELECT} WHERE workspace_id = $1 AND id IN ({places})",
            period.workspace_id, *(one["id"] for one in frequent),
        )  # fmt: skip
        rows = {row["id"]: Stored(**row) for row in found}
    return Observed(
        **{name: int(number) for name, number in counts.items()},
        by_agent=tuple(Count(**row) for row in await db.fetch(_BY_AGENT, *place, MOST_ROWS)),
        by_program=tuple(Count(**row) for row in await db.fetch(_BY_PROGRAM, *place, MOST_ROWS)),
        commands=tuple(Frequent(rows[one["id"]], int(one["number"])) for one in frequent if one["id"] in rows),
    )
