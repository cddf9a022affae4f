"""Observing: for a time that an owner sets, commands are judged and recorded, and run although nothing let them pass.

```text
begin ──► running ──► end, by any owner
             └──► over: its last day went by, and everything is gated again
```

A command that would have waited, or where the owner wants that, would have been refused, gets an answer that says so in
a field of its own, and a record of its own kind. What proves the time is its audit record: a row that says more than
that lets nothing pass. Nothing is observed in a workspace whose rulebook lacks a rule, or while the clock went back.
"""

from collections.abc import Iterable
from functools import partial
from typing import Final, Literal

import msgspec

from failgate.access.principal import Principal
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import Conflict, Forbidden, NotFound, Unprocessable
from failgate.base.idempotency import FirstAnswers, RequestKey
from failgate.base.ids import new_id
from failgate.base.log import get_logger
from failgate.gate.command import check_text
from failgate.gate.periods import OBSERVING, PERIOD_ACTS, Proven, fault_of, folded
from failgate.gate.steady import SteadyTime
from failgate.gate.stored import Stored

MOST_DAYS: Final = 90
MOST_SHOWN: Final = 50
_log = get_logger("failgate.gate")
_DAY_US: Final = 86_400 * MICROSECONDS
_OWNER: Final = (
    "SELECT membership.id FROM membership JOIN account ON account.id = membership.account_id"
    " WHERE membership.workspace_id = $1 AND membership.account_id = $2 AND membership.role = 'owner'"
    " AND account.disabled_us IS NULL"
)
_AGENT: Final = "SELECT id FROM agent WHERE workspace_id = $1 AND id = $2"
_ADD: Final = (
    "INSERT INTO gate_observing (id, workspace_id, agent_id, denials, begun_us, expires_us, begun_by, reason)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING"
)
_OVER: Final = (
    "UPDATE gate_observing SET ended_us = expires_us WHERE workspace_id = $1 AND ended_us IS NULL AND expires_us <= $2"
)
_END: Final = (
    "UPDATE gate_observing SET ended_us = $1, ended_by = $2"
    " WHERE workspace_id = $3 AND id = $4 AND ended_us IS NULL AND expires_us > $1"
)
_NEWEST: Final = "SELECT * FROM gate_observing WHERE workspace_id = $1 ORDER BY id DESC LIMIT $2"
_OPEN: Final = "SELECT * FROM gate_observing WHERE ended_us IS NULL AND expires_us > $1 ORDER BY id"
_ONE: Final = "SELECT * FROM gate_observing WHERE workspace_id = $1 AND id = $2"


class Period(msgspec.Struct, frozen=True):
    """A time in which commands are only observed: of one agent, or of the whole workspace where `agent_id` is empty.

    Times are microseconds since 1970; `begun_by` and `ended_by` are accounts. `ended_us` is None until it was ended.
    """

    id: str
    workspace_id: str
    agent_id: str
    denials: bool
    begun_us: int
    expires_us: int
    begun_by: str
    reason: str | None = None
    ended_us: int | None = None
    ended_by: str | None = None

    def is_running(self, now_us: int) -> bool:
        """Tell whether it is in effect."""
        return self.ended_us is None and now_us < self.expires_us


class Observing:
    """Begins and ends such times, and knows which one a command falls into."""

    def __init__(self, db: Database, audit: AuditLog, time: SteadyTime, *, is_allowed: bool = True) -> None:
        """Where the operator forbids it (`is_allowed`), nothing is only observed, also what an owner began before."""
        self._db = db
        self._audit = audit
        self._time = time
        self.is_allowed = is_allowed
        self._answers = FirstAnswers(db, time.now_us)
        self._begun: dict[str, dict[str, Period]] = {}  # by workspace and id: what its records prove, and was not ended

    async def rebuild(self) -> None:
        """Know what runs. A row that says something else than its records observes nothing."""
        self._begun = {}
        for period in [_period(row) for row in await self._db.fetch(_OPEN, self._time.now_us())]:
            if await self._is_proven(period):
                self._know(period)
            else:
                _log.error("observing.contradicted", observing=period.id)

    async def begin(
        self,
        principal: Principal,
        workspace_id: str,
        *,
        days: int,
        agent_id: str = "",
        denials: bool = False,
        reason: str | None = None,
        key: RequestKey | None = None,
    ) -> Period:
        """Observe from now on for so many days; the same `key` gives the first answer again.

        Raises: Forbidden (no person, no owner, the operator forbids it), Unprocessable (the days, the reason), NotFound
        (no such agent), Conflict (the same is observed already).
        """
        self._must_be_allowed()
        if not 1 <= days <= MOST_DAYS:
            raise Unprocessable(f"Observing takes 1 to {MOST_DAYS} days, not {days}.", hint="It can be begun again.")
        check_text("reason", reason)

        async def verb(tx: Transaction) -> Period:
            account_id = await self._must_own(tx, principal, workspace_id)
            if agent_id and await tx.fetch_one(_AGENT, workspace_id, agent_id) is None:
                raise NotFound("This workspace has no such agent.", hint="Leave it out to observe all.")
            now_us = self._time.now_us()
            await tx.execute(_OVER, workspace_id, now_us)
            period = Period(
                new_id(), workspace_id, agent_id, denials, now_us, now_us + days * _DAY_US, account_id, reason
            )
            values = (int(denials), now_us, period.expires_us, account_id, reason)
            if await tx.execute(_ADD, period.id, workspace_id, agent_id, *values) != 1:
                raise Conflict("This is only observed already.", hint="End that time first to begin another one.")
            facts: dict[str, JSON] = {"expires_us": period.expires_us, "denials": int(denials)}
            if agent_id:
                facts["agent"] = agent_id
            await self._record(tx, Act.OBSERVING_BEGUN, period, Actor.of(principal), facts)
            tx.after_commit(partial(self._know, period))
            return period

        return await self._answers.once(key, Period, verb)

    async def end(self, principal: Principal, workspace_id: str, period_id: str) -> None:
        """Gate again from now on; any owner may. Raises: NotFound (no such one, or over), Forbidden."""

        async def verb(tx: Transaction) -> None:
            now_us = self._time.now_us()
            row = await tx.fetch_one(_ONE, workspace_id, period_id)
            if row is None or not _period(row).is_running(now_us):
                raise _none_runs()
            account_id = await self._must_own(tx, principal, workspace_id)
            if await tx.execute(_END, now_us, account_id, workspace_id, period_id) != 1:
                raise _none_runs()
            await self._record(tx, Act.OBSERVING_ENDED, _period(row), Actor.of(principal), {})
            tx.after_commit(partial(self._forget, workspace_id, period_id))

        await self._db.write(verb)

    async def newest(self, workspace_id: str) -> list[Period]:
        """Return the times of the workspace, the newest first, at most 50."""
        return [_period(row) for row in await self._db.fetch(_NEWEST, workspace_id, MOST_SHOWN)]

    async def one(self, workspace_id: str, period_id: str) -> Period:
        """Return one of them. Raises: NotFound."""
        row = await self._db.fetch_one(_ONE, workspace_id, period_id)
        if row is None:
            raise NotFound("There is no such time of observing in this workspace.")
        return _period(row)

    def running(self, workspace_id: str) -> list[Period]:
        """Return what is in effect now; empty where the operator forbids it."""
        if not self.is_allowed:
            return []
        now_us = self._time.now_us()
        return [one for one in self._begun.get(workspace_id, {}).values() if one.is_running(now_us)]

    def covering(self, workspace_id: str, principal: Principal) -> Period | None:
        """Return the time into which what `principal` asks falls: its own before that of the whole workspace."""
        if workspace_id not in self._begun or self._time.is_frozen():
            return None
        found = {one.agent_id: one for one in self.running(workspace_id)}
        own = found.get(principal.agent_id) if principal.agent_id else None
        return own or found.get("")

    async def must_hold(self, tx: Transaction, stored: Iterable[Stored], at_us: int) -> None:
        """Refuse, inside `tx`, what says of itself that it is only observed when that is not proven at `at_us`.

        Raises: Conflict.
        """
        proven: dict[str, Proven | None] = {}
        for one in stored:
            if one.observing_id is None:
                continue
            if one.observing_id not in proven:
                proven[one.observing_id] = await self._proven_in(tx, one.workspace_id, one.observing_id)
            fault = fault_of(proven[one.observing_id], one.workspace_id, one.requester_id, one.observed, at_us)
            if fault is not None or not self.is_allowed:
                self._forget(one.workspace_id, one.observing_id)
                raise Conflict(
                    "Commands are gated again: this one may not run.",
                    hint="Ask again; it then waits for people.",
                    state=one.state,
                )

    def _must_be_allowed(self) -> None:
        if not self.is_allowed:
            raise Forbidden(
                "The operator of this server forbids observing.", hint="[gate] allow_observing in the config says so."
            )

    async def _must_own(self, tx: Transaction, principal: Principal, workspace_id: str) -> str:
        account_id = principal.account_id
        if principal.kind != "user" or account_id is None:
            raise Forbidden("A person switches observing, no key and no agent.", hint="Sign in.")
        if await tx.fetch_one(_OWNER, workspace_id, account_id) is None:
            raise Forbidden("Only an owner switches observing.", hint="Ask an owner of the workspace.")
        return account_id

    async def _record(
        self, tx: Transaction, act: Literal[Act.OBSERVING_BEGUN, Act.OBSERVING_ENDED], period: Period, actor: Actor,
        facts: dict[str, JSON],
    ) -> None:  # fmt: skip
        await self._audit.append(tx, Event(act, period.workspace_id, OBSERVING, period.id, actor, facts))

    def _know(self, period: Period) -> None:
        self._begun.setdefault(period.workspace_id, {})[period.id] = period

    def _forget(self, workspace_id: str, period_id: str) -> None:
        begun = self._begun.get(workspace_id, {})
        begun.pop(period_id, None)
        if not begun:
            self._begun.pop(workspace_id, None)

    async def _is_proven(self, period: Period) -> bool:
        """Tell whether the audit log says the same of the time: a row that was edited observes nothing."""
        proven: Proven | None = None
        for one in reversed(await self._audit.newest(period.workspace_id, limit=100, obj_id=period.id)):
            if one.record["act"] in PERIOD_ACTS:
                proven = folded(proven, one.record)
        return proven is not None and not differences(period, proven)

    async def _proven_in(self, tx: Transaction, workspace_id: str, period_id: str) -> Proven | None:
        proven: Proven | None = None
        for one in await self._audit.of_object(tx, workspace_id, period_id):
            if one.record["act"] in PERIOD_ACTS:
                proven = folded(proven, one.record)
        return proven


def differences(period: Period, proven: Proven) -> list[str]:
    """Return where the row says something else than its records; one that is over may or may not be marked so."""
    found = [
        f"{name} differs from the record"
        for name in ("agent_id", "denials", "expires_us")
        if getattr(period, name) != getattr(proven, name)
    ]
    is_over = period.ended_us is not None and period.ended_us == period.expires_us and period.ended_by is None
    if proven.is_ended is (period.ended_us is None or is_over):
        found.append("whether it was ended differs from the record")
    return found


async def stored_periods(db: Database) -> list[Period]:
    """Return every row, for whoever verifies them."""
    return [_period(row) for row in await db.fetch("SELECT * FROM gate_observing ORDER BY id")]


def _none_runs() -> NotFound:
    return NotFound("No such time of observing runs.", hint="It may have ended meanwhile.")


def _period(row: Row) -> Period:
    fields = dict(row)
    denials = bool(fields.pop("denials"))
    return Period(**fields, denials=denials)
