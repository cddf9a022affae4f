"""Erasing the bodies of records: of what is older than it is kept, of what one account did, of a deleted workspace.

Each batch is a transaction with its own `body.erased` on record, so that at no time a body is gone of which no record
says so, and a stop in between loses nothing. What is hashed stays as it is. What somebody asked for stands on a list
first (`erasure_list.py`): what that lacks here, because the database was put back from before, is erased again.
"""

from collections.abc import Sequence
from typing import Final

from failgate.audit.erasure_list import ErasureList, Listed, Subject
from failgate.audit.erasures import OF_ACCOUNT, OF_LOG, Erasures, erasures_of
from failgate.audit.log import AuditLog
from failgate.audit.moments import moment_us
from failgate.audit.places import record_position
from failgate.audit.record import SERVER, Act, Actor, Event
from failgate.audit.search import Search, Wanted, first_since
from failgate.audit.stored import StoredHead, read_head
from failgate.base.canonical import JSON
from failgate.base.clock import Clock, to_rfc3339
from failgate.base.db import Database, Transaction

EVERY_SECONDS: Final = 3600
RECORDS_AT_ONCE: Final = 4_096
OF_ONE_AT_ONCE: Final = 500
BATCHES_IN_A_SWEEP: Final = 100  # so that a sweep ends, and others come between
_FIRST: Final = """
SELECT position FROM audit_body WHERE position >= $1 AND position < $2 AND erased_us IS NULL ORDER BY position LIMIT 1
"""
_ERASE: Final = """
UPDATE audit_body SET salt = NULL, body = NULL, erased_us = $1
WHERE position >= $2 AND position < $3 AND erased_us IS NULL
"""
_ERASE_ONES: Final = """
UPDATE audit_body SET salt = NULL, body = NULL, erased_us = $1 WHERE erased_us IS NULL AND position IN ({places})
"""


class Erasing:
    """Erases bodies of every log. `sweep` is called again and again, and looks once in an hour."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        search: Search,
        clock: Clock,
        *,
        keep_us: int | None,
        listed: ErasureList,
    ) -> None:
        """Keep bodies for `keep_us` microseconds, None for good, and what is asked for on the list."""
        self._database = database
        self._audit = audit
        self._search = search
        self._clock = clock
        self._keep_us = keep_us
        self._list = listed
        self._is_caught_up = False
        self._due = 0.0
        self._begins: dict[str, int] = {}  # by log: no body before this record is there

    async def sweep(self) -> int:
        """Erase what is older than it is kept; return how many bodies. What is left over comes with the next call."""
        if self._keep_us is None or self._clock.monotonic() < self._due:
            return 0
        erased, batches = 0, 0
        before_us = self._clock.now_us() - self._keep_us
        for stored in await self._audit.heads():
            first = await self._first(stored)
            if first is None or (await self._audit.record_at(stored.log, first)).record["ts"] >= to_rfc3339(before_us):
                continue
            end = await first_since(self._audit, stored.log, stored.head.size, before_us)
            while first is not None and first < end:
                if batches == BATCHES_IN_A_SWEEP:
                    return erased
                erased += await self._erase_span(stored, first, min(first + RECORDS_AT_ONCE, end))
                batches += 1
                first = await self._first(stored)
        self._due = self._clock.monotonic() + EVERY_SECONDS
        return erased

    async def erase_account(self, account_id: str, actor: Actor) -> int:
        """Erase, because `actor` asks, the bodies of all that an account did until now; return how many.

        It is recorded in each log in which the account did anything. Raises: BadInput (the file of the list is
        damaged), StorageUnavailable.
        """
        heads = await self._audit.heads()
        subject = Subject("account", account_id)
        until_us = await self._newest_us(heads)
        await self._list.note(subject, until_us)
        erased = 0
        for stored in heads:
            erased += await self._erase_done_by(stored, account_id, stored.head.size, actor)
        await self._list.done(subject, until_us, self._clock.now_us())
        return erased

    async def erase_log(self, log: str) -> int:
        """Erase the bodies of all records of the log of a deleted workspace; return how many. May be called again.

        Raises: as `erase_account`.
        """
        stored = await read_head(self._database, log)
        if stored is None:
            return 0
        subject = Subject("workspace", log)
        until_us = await self._newest_us([stored])
        await self._list.note(subject, until_us)
        erased = await self._erase_below(stored, stored.head.size, SERVER, "deleted")
        await self._list.done(subject, until_us, self._clock.now_us())
        return erased

    async def compare_lists(self) -> tuple[Listed, Listed]:
        """As `ErasureList.compare`: what the file lacks, and what the database lacks. Raises: BadInput."""
        return await self._list.compare()

    async def catch_up(self, listed: Listed | None = None, actor: Actor = SERVER) -> int:
        """Erase what is on the list, or comes onto it by `listed`, and is not erased here; return how many bodies.

        That is so after a kill in the middle, and when the database was put back from before. Without `listed` it looks
        once. Raises: as `erase_account`.
        """
        if self._is_caught_up and listed is None:
            return 0
        await self._list.take(listed or {})
        erased = 0
        for subject, until_us in (await self._list.due()).items():
            for stored in await self._audit.heads():
                if subject.kind == "workspace" and stored.log != subject.id:
                    continue
                end = await first_since(self._audit, stored.log, stored.head.size, until_us + 1)
                if subject.kind == "workspace":
                    erased += await self._erase_below(stored, end, actor, "restored")
                else:
                    erased += await self._erase_done_by(stored, subject.id, end, actor, "restored")
            await self._list.done(subject, until_us, self._clock.now_us())
        self._is_caught_up = True
        return erased

    async def _newest_us(self, heads: Sequence[StoredHead]) -> int:
        """Return the time of the newest of all their records: a clock that went back is behind it."""
        times = [self._clock.now_us()]
        for stored in heads:
            if stored.head.size:
                newest = await self._audit.record_at(stored.log, stored.head.size - 1)
                times.append(moment_us(str(newest.record["ts"]), "ts"))
        return max(times)

    async def erase_again(self, log: str, erasures: Erasures, actor: Actor) -> int:
        """Erase what was erased of `log` once, as `actor` puts back a database from before; return how many bodies."""
        stored = await read_head(self._database, log)
        if stored is None:
            return 0
        size = stored.head.size
        erased = await self._erase_below(stored, min(erasures.before, size), actor, "restored")
        for account_id, before in erasures.accounts.items():
            erased += await self._erase_done_by(stored, account_id, min(before, size), actor, "restored")
        return erased

    async def _erase_below(self, stored: StoredHead, end: int, actor: Actor, reason: str) -> int:
        erased, first = 0, await self._first(stored)
        while first is not None and first < end:
            erased += await self._erase_span(stored, first, min(first + RECORDS_AT_ONCE, end), actor, reason)
            first = await self._first(stored)
        return erased

    async def _erase_done_by(
        self, stored: StoredHead, account_id: str, end: int, actor: Actor, reason: str = "person"
    ) -> int:
        erased, before = 0, end
        while True:
            page = await self._search.newest(stored.log, Wanted(actor_id=account_id), before, OF_ONE_AT_ONCE)
            seqs = [one.seq for one in page.records if one.record["actor"]["t"] in {"user", "api_key"}]
            if seqs:
                erased += await self._erase_ones(stored, seqs, account_id, (end, actor, reason))
            if page.before is None:
                return erased
            before = page.before

    async def _first(self, stored: StoredHead) -> int | None:
        """Return the first record whose body is not erased; what lies before the one found last is not looked at."""
        begin = self._begins.get(stored.log)
        if begin is None:
            begin = (await erasures_of(self._database, stored)).before
        bounds = record_position(stored.number, begin), record_position(stored.number, stored.head.size)
        row = await self._database.fetch_one(_FIRST, *bounds)
        first = None if row is None else int(row["position"] - record_position(stored.number, 0))
        self._begins[stored.log] = stored.head.size if first is None else first
        return first

    async def _erase_span(
        self, stored: StoredHead, first: int, end: int, actor: Actor = SERVER, reason: str = "age"
    ) -> int:
        bounds = record_position(stored.number, first), record_position(stored.number, end)

        async def erase(tx: Transaction) -> int:
            count = await tx.execute(_ERASE, self._clock.now_us(), *bounds)
            facts: dict[str, JSON] = {"reason": reason, "before": end, "count": count, "keep_us": self._keep_us}
            await self._audit.append(tx, Event(Act.BODY_ERASED, stored.log, OF_LOG, stored.log, actor, facts))
            return count

        return await self._database.write(erase)

    async def _erase_ones(
        self, stored: StoredHead, seqs: Sequence[int], account_id: str, terms: tuple[int, Actor, str]
    ) -> int:
        """Erase some bodies; `terms` are below which record it is said to be, who asks, and why."""
        before, actor, reason = terms
        places = [record_position(stored.number, seq) for seq in seqs]
        query = _ERASE_ONES.format(places=", ".join(f"${number}" for number in range(2, len(places) + 2)))

        async def erase(tx: Transaction) -> int:
            count = await tx.execute(query, self._clock.now_us(), *places)
            if count:
                facts: dict[str, JSON] = {"reason": reason, "before": before, "count": count}
                event = Event(Act.BODY_ERASED, stored.log, OF_ACCOUNT, account_id, actor, facts)
                await self._audit.append(tx, event)
            return count

        return await self._database.write(erase)
