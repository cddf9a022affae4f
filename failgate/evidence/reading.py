"""The records that a pack is made of: those of one workspace's log up to a signed head, and of a period in it.

What stands in the log `system` (sign-ins, second factors) is read of people alone who are or were members here.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

from failgate.audit.bundle import Head, Period, Span, span_of
from failgate.audit.log import AuditLog
from failgate.audit.moments import moment_us
from failgate.audit.record import SYSTEM, Act
from failgate.audit.search import Search, first_since
from failgate.base.db import Database
from failgate.evidence.sheets import FACTORS, Names, Record, factor_of, seconds_between

BATCH: Final = 50  # objects whose records are read together
MOST_OF_SESSION: Final = 5_000  # records of a person that are looked through for the proofs of one session
_SESSIONS: Final = 500  # sessions whose proofs are remembered
_PAGE: Final = 200
_EMAIL: Final = "SELECT email FROM account WHERE id = $1"
_AGENTS: Final = "SELECT id, name FROM agent WHERE workspace_id = $1"
_JOINED: Final = (str(Act.MEMBER_ADDED), str(Act.WORKSPACE_CREATED))
_PROVEN: Final = {str(Act.SESSION_SECOND_FACTOR_PROVEN), str(Act.SESSION_OPENED)}
_OPENED: Final = {str(Act.SESSION_OPENED), str(Act.LOGIN_OPENED)}


class Factor(NamedTuple):
    """A second factor as it stood when somebody did something: in words, its age in seconds, and who says so."""

    words: str
    age: str | None
    proof: Record | None


class OfAccount(NamedTuple):
    """What the log `system` says of an account at the end of the period; `factors` are in words."""

    signed_in: Record | None
    factors: tuple[str, ...]
    factor_changed: Record | None
    disabled: Record | None


class Reading:
    """Reads one log for one pack."""

    def __init__(
        self,
        search: Search,
        head: Head,
        span: Span,
        system: Head,
        of_system: tuple[int, int],
        end_us: int,
        names: Names,
    ) -> None:
        """Read the log of `head`: of the period are `span` and, of `system`, from one number up to below the other."""
        self._search = search
        self._system_begin, self._system_end = of_system
        self._end_us = end_us
        self._sessions: OrderedDict[tuple[str, str], tuple[Record, ...]] = OrderedDict()
        self.head = head
        self.span = span
        self.system = system
        self.names = names

    @classmethod
    async def open(cls, database: Database, audit: AuditLog, head: Head, system: Head, period: Period) -> "Reading":
        """Return the reading of a period. Raises: BadInput (no record in it), StorageUnavailable."""
        search, span = Search(database, audit), await span_of(audit, head, period)
        size = system.checkpoint.size
        of_system = (
            0 if period.from_us is None else await first_since(audit, SYSTEM, size, period.from_us),
            size if period.to_us is None else await first_since(audit, SYSTEM, size, period.to_us),
        )
        last = (await audit.record_at(head.log, span.last)).record
        end_us = moment_us(last["ts"], "ts") if period.to_us is None else period.to_us
        names: dict[str, str] = {row["id"]: row["name"] for row in await database.fetch(_AGENTS, head.log)}
        members: set[str] = set()
        async for record in search.of_acts(head.log, _JOINED, 0, head.checkpoint.size):
            account_id = account_of(Record.of(record))
            if account_id not in members:
                members.add(account_id)
                row = await database.fetch_one(_EMAIL, account_id)
                if row is not None:
                    names[account_id] = row["email"]
        return cls(search, head, span, system, of_system, end_us, Names(names, frozenset(members)))

    @property
    def end_us(self) -> int:
        """Return when the period ended, in microseconds since 1970; an open one with its last record."""
        return self._end_us

    def has(self, record: Record) -> bool:
        """Tell whether `record` is of the period."""
        return record.log == self.head.log and self.span.first <= record.seq <= self.span.last

    async def records(self, acts: Sequence[str], *, is_from_start: bool = False) -> AsyncIterator[Record]:
        """Yield the records of `acts` in the period, oldest first; those before it too when `is_from_start`."""
        first = 0 if is_from_start else self.span.first
        async for stored in self._search.of_acts(self.head.log, acts, first, self.span.last + 1):
            yield Record.of(stored)

    async def system_records(self, acts: Sequence[str]) -> AsyncIterator[Record]:
        """Yield the records of `acts` that the log `system` has of the period, oldest first."""
        async for stored in self._search.of_acts(SYSTEM, acts, self._system_begin, self._system_end):
            yield Record.of(stored)

    async def of_account(self, account_id: str) -> OfAccount:
        """Return what the log `system` says of a member's account at the end of the period."""
        methods: dict[str, int] = {}
        passkeys: set[str] = set()
        changed = disabled = None
        async for stored in self._search.of_objects(SYSTEM, (account_id,), self._system_end):
            record = Record.of(stored)
            if record.act in {Act.FACTOR_ENROLLED, Act.FACTOR_REMOVED}:
                changed = record
                _fold_factor(record, methods, passkeys)
            elif record.act == Act.ACCOUNT_DISABLED:
                disabled = record
            elif record.act == Act.ACCOUNT_ENABLED:
                disabled = None
        count = len(passkeys)
        words = (
            "authenticator app" if "otp" in methods else "",
            f"{count} passkey{'' if count == 1 else 's'}" if count else "",
        )
        return OfAccount(await self._signed_in(account_id), tuple(one for one in words if one), changed, disabled)

    async def _signed_in(self, account_id: str) -> Record | None:
        read, end = 0, self._system_end
        while read < MOST_OF_SESSION:
            rows = await self._search.of_actor(SYSTEM, account_id, end, _PAGE)
            for record in map(Record.of, rows):
                if record.act in _OPENED:
                    return record
            if len(rows) < _PAGE:
                break
            end, read = rows[-1].seq, read + len(rows)
        return None

    async def batches(self, acts: Sequence[str]) -> AsyncIterator[list[Record]]:
        """Yield the records of `acts` in the period in groups of `BATCH`, oldest first."""
        batch: list[Record] = []
        async for record in self.records(acts):
            batch.append(record)
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    async def stories(self, object_ids: Sequence[str], acts: frozenset[str]) -> dict[str, list[Record]]:
        """Return of each object what `acts` say of it up to the end of the period, oldest first."""
        found: dict[str, list[Record]] = {key: [] for key in object_ids}
        async for stored in self._search.of_objects(self.head.log, tuple(found), self.span.last + 1):
            record = Record.of(stored)
            if record.act in acts:
                found[record.object_id].append(record)
        return found

    async def factor(self, record: Record) -> Factor:
        """Return the second factor behind what `record` says.

        Its age is since the record of the log `system` that shows the proof; None when no such record is known, as for
        a key of the API, which shows none.
        """
        session = record.said["actor"].get("sid_h")
        if session is None:
            return Factor(factor_of(record), None, None)
        for proof in await self._proofs(record.actor_id, session):
            if proof.ts <= record.ts:
                return Factor(factor_of(record), seconds_between(proof, record), proof)
        return Factor(factor_of(record), None, None)

    async def _proofs(self, actor_id: str, session: str) -> tuple[Record, ...]:
        """Return the proofs of a second factor in a session, newest first; the session goes by its hash."""
        key = actor_id, session
        if key not in self._sessions:
            self._sessions[key] = await self._look_for_proofs(actor_id, session)
            if len(self._sessions) > _SESSIONS:
                self._sessions.popitem(last=False)
        self._sessions.move_to_end(key)
        return self._sessions[key]

    async def _look_for_proofs(self, actor_id: str, session: str) -> tuple[Record, ...]:
        found: list[Record] = []
        read, end = 0, self._system_end
        while read < MOST_OF_SESSION:
            rows = await self._search.of_actor(SYSTEM, actor_id, end, _PAGE)
            for record in map(Record.of, rows):
                if record.said["actor"].get("sid_h") != session:
                    continue
                if record.act in _PROVEN and not FACTORS.isdisjoint(record.auth):
                    found.append(record)
                if record.act in _OPENED:
                    return tuple(found)
            if len(rows) < _PAGE:
                break
            end, read = rows[-1].seq, read + len(rows)
        return tuple(found)


def _fold_factor(record: Record, methods: dict[str, int], passkeys: set[str]) -> None:
    method, passkey = str(record.data.get("method")), record.data.get("passkey")
    if record.act == Act.FACTOR_ENROLLED:
        if passkey:
            passkeys.add(str(passkey))
        else:
            methods[method] = record.seq
    elif method == "all":
        methods.clear()
        passkeys.clear()
    elif passkey:
        passkeys.discard(str(passkey))
    else:
        methods.pop(method, None)


def account_of(record: Record) -> str:
    """Return the account that a record about a membership is about."""
    if record.act == Act.WORKSPACE_CREATED:
        return str(record.data.get("owner") or record.actor_id)
    return str(record.data.get("account") or record.object_id)
