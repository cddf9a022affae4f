"""The witnesses that the config names: the server submits its signed heads to each of them, and keeps what they say.

Appending never waits for them. A head of each log is chosen now and then, the same one for all, so that their
cosignatures meet on one note; each witness is asked by a task of its own, later and later while it fails.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Sequence
from functools import partial
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from failgate.audit.checkpoint import read_unverified
from failgate.audit.cosigned import CosignatureBook, Cosigned
from failgate.audit.cosigning import cosignature_in, witness_key
from failgate.audit.follower import Lag, Position, moment_of
from failgate.audit.log import AuditLog
from failgate.audit.nodes import StoredTree
from failgate.audit.record import SERVER, SYSTEM, Act, Actor, Event
from failgate.audit.stored import StoredHead, read_head, read_heads
from failgate.audit.submitting import Ask, Contradicted, WitnessAhead, WitnessAway, asking, submit
from failgate.base.background import Background
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database
from failgate.base.errors import FailgateError, NotFound, StorageUnavailable
from failgate.base.outbound import Outbound
from failgate.base.vkey import Vkey

EVERY_SECONDS: Final = 60.0  # between two heads of a log that are submitted
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
SETTLE_SECONDS: Final = 2.0  # what a start waits for the first answers, where they are required
TRY_SECONDS: Final = 20.0  # what somebody who tries waits for all answers together
_chance = random.SystemRandom()
_log = logging.getLogger("failgate.audit.witnesses")


class Witness:
    """One witness: what the config calls it, its key, how it is asked, and how it fared."""

    def __init__(self, name: str, key: Vkey, ask: Ask) -> None:
        """Keep who it is; nothing was asked yet."""
        self.name = name
        self.key = key
        self.ask = ask
        self.failure: str | None = None  # why the last round failed
        self.failed_us: int | None = None
        self.conflict: str | None = None  # what history it saw that is not ours
        self.due = asyncio.Event()
        self.asked = asyncio.Event()  # a first round came to its end
        self.lock = asyncio.Lock()  # it is asked of one head after another
        self.failures = 0
        self.told: set[str] = set()  # logs whose conflict is on record


class Tried(NamedTuple):
    """What one witness answered when somebody tried: in one word, and in a sentence."""

    name: str
    state: Literal["cosigned", "contradicted", "failed"]
    said: str


def witness_of(name: str, vkey: str, url: str, outbound: Outbound) -> Witness:
    """Return the witness that the config calls `name`, asked by the one way out. Raises: NoteRejected."""
    return Witness(name, witness_key(vkey), asking(outbound.naming(urlsplit(url).hostname or ""), url))


class Witnessing:
    """Every witness that the config names; `quorum` of them are enough for a head."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        clock: Clock,
        witnesses: Sequence[Witness] = (),
        *,
        quorum: int = 1,
        every_seconds: float = EVERY_SECONDS,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
        longest_pause_seconds: float = LONGEST_PAUSE_SECONDS,
    ) -> None:
        """Keep whom to ask; `open` reads what they said before, `start` begins."""
        self.witnesses = tuple(witnesses)
        self.quorum = quorum
        self._database = database
        self._audit = audit
        self._clock = clock
        self._tree = StoredTree(database)
        self._book = CosignatureBook(database, [one.key for one in witnesses], quorum)
        self._every_seconds = every_seconds
        self._first_pause_seconds = first_pause_seconds
        self._longest_pause_seconds = longest_pause_seconds
        self._forked: dict[str, str] = {}  # logs that do not continue what was cosigned, and how
        self._chosen: dict[str, str] = {}
        self._grew = audit.listen()
        self._tasks = (
            Background("audit-witness-heads", self._choose_step),
            *(Background(f"audit-witness-{one.name}", partial(self._step, one)) for one in self.witnesses),
        )

    async def open(self) -> None:
        """Read what was cosigned, and compare each log with it."""
        if not self.witnesses:
            return
        await self._book.open()
        for log in self._book.logs():
            for witness in self.witnesses:
                newest = self._book.newest(log, witness.key)
                wrong = None if newest is None else await self._fork(log, newest)
                if wrong is not None:
                    self._forked[log] = wrong
                    witness.conflict = wrong
                    _log.error("witness.contradicted: witness %s: %s", witness.name, wrong)

    async def start(self, *, settle_seconds: float = 0.0) -> None:
        """Begin; wait up to `settle_seconds` until each was asked once."""
        if self.witnesses:
            self._grew.set()
            for task in self._tasks:
                task.start()
            if settle_seconds:
                first = [asyncio.ensure_future(one.asked.wait()) for one in self.witnesses]
                _, late = await asyncio.wait(first, timeout=settle_seconds)
                for waiting in late:
                    waiting.cancel()

    async def close(self) -> None:
        """Ask no more; what is not cosigned yet is submitted after the next start."""
        await asyncio.gather(*(task.close() for task in self._tasks))
        self._audit.unlisten(self._grew)

    # What they said

    async def lag(self) -> Lag:
        """Return how many records no head with enough cosignatures covers, and how long the oldest of them waits."""
        return await self._lag({head.log: self._covered(head.log) for head in await read_heads(self._database)})

    async def lag_of(self, witness: Witness) -> Lag:
        """Return the same for one witness alone."""
        return await self._lag({one.log: one.seq for one in await self.positions(witness)})

    async def positions(self, witness: Witness) -> list[Position]:
        """Return up to where one witness cosigned each log, oldest log first."""
        found: list[Position] = []
        for stored in await read_heads(self._database):
            newest = self._book.newest(stored.log, witness.key)
            seq = 0 if newest is None or stored.log in self._forked else newest.size
            found.append(Position(stored.log, min(seq, stored.head.size), stored.head.size))
        return found

    def cosigned_us(self, witness: Witness) -> int | None:
        """Return when it cosigned last, by its own clock."""
        newest = [self._book.newest(log, witness.key) for log in self._book.logs()]
        return max((one.cosignature.seconds * MICROSECONDS for one in newest if one is not None), default=None)

    def problem(self, witness: Witness) -> str | None:
        """Return what an operator should know of one witness, or None."""
        if witness.conflict is not None:
            return witness.conflict
        return None if witness.failure is None else f"It does not cosign: {witness.failure}"

    async def checkpoint(self, log: str) -> str:
        """Return the newest signed note of `log`, with the cosignatures that it has already."""
        note = await self._audit.checkpoint(log)
        cosigned = self._book.note(log, read_unverified(note).size)
        return cosigned if cosigned is not None and cosigned.startswith(note) else note

    def cosigned(self, log: str) -> str:
        """Return the newest note of `log` that enough witnesses cosigned. Raises: NotFound."""
        size = self._covered(log)
        note = self._book.note(log, size) if size else None
        if note is None:
            raise NotFound("No checkpoint of this log is cosigned by enough witnesses yet.")
        return note

    def _covered(self, log: str) -> int:
        return 0 if log in self._forked else self._book.size(log)

    async def _lag(self, covered: dict[str, int]) -> Lag:
        now_us = oldest_us = self._clock.now_us()
        records = 0
        for stored in await read_heads(self._database):
            seq = covered.get(stored.log, 0)
            if seq >= stored.head.size:
                continue
            records += stored.head.size - seq
            first = await self._audit.records(stored.log, seq - 1, 1)
            oldest_us = min([oldest_us, *(moment_of(one.record["ts"]) for one in first)])
        return Lag(records, (now_us - oldest_us) / MICROSECONDS)

    # Asking

    async def _choose_step(self) -> None:
        await self._grew.wait()
        self._grew.clear()
        try:
            self._chosen = await self._audit.checkpoints()
        except FailgateError as error:  # whoever signs says so too
            _log.error("witness.nothing_signed: %s", error.sentence)
            self._grew.set()
        for witness in self.witnesses:
            witness.due.set()
        await asyncio.sleep(self._every_seconds)

    async def _step(self, witness: Witness) -> None:
        await witness.due.wait()
        witness.due.clear()
        try:
            is_done = await self.ask_all(witness)
        except BaseException:
            witness.due.set()  # the next step goes on with it
            raise
        witness.asked.set()
        if not is_done:
            await asyncio.sleep(self._pause(witness.failures))
            witness.due.set()

    def _pause(self, failures: int) -> float:
        longest: float = min(self._longest_pause_seconds, self._first_pause_seconds * 2 ** min(failures - 1, 16))
        return longest * (0.5 + _chance.random() / 2)  # so that servers do not knock in step

    async def try_now(self, actor: Actor) -> list[Tried]:
        """Submit, because `actor` asks, the newest head of every log to each witness at once; return what each said.

        That it was asked for is on record before, so the heads cover that too. Whoever takes longer than `TRY_SECONDS`
        is asked again in the background.

        Raises: NotFound (the config names none), FailgateError (nothing can be signed or kept now).
        """
        if not self.witnesses:
            raise NotFound("The config names no witness.", hint="Name some: [audit.witnesses.NAME] with url and vkey.")
        facts: dict[str, JSON] = {"count": len(self.witnesses)}
        await self._audit.record(Event(Act.WITNESS_ASKED, SYSTEM, "witness", "all", actor, facts))
        self._chosen = await self._audit.checkpoints()
        asked = [asyncio.ensure_future(self.ask_all(witness)) for witness in self.witnesses]
        try:
            await asyncio.wait(asked, timeout=TRY_SECONDS)
        finally:
            late = [witness for witness, task in zip(self.witnesses, asked, strict=True) if task.cancel()]
            for witness in late:
                witness.due.set()
        for outcome in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
        return [self._tried(witness, is_late=witness in late) for witness in self.witnesses]

    def _tried(self, witness: Witness, *, is_late: bool) -> Tried:
        if is_late:
            return Tried(witness.name, "failed", f"It has not answered within {TRY_SECONDS:.0f} seconds.")
        if witness.conflict is not None:
            return Tried(witness.name, "contradicted", witness.conflict)
        if witness.failure is not None:
            return Tried(witness.name, "failed", witness.failure)
        newest = [(self._book.newest(log, witness.key), note) for log, note in self._chosen.items()]
        count = sum(one is not None and one.note == note for one, note in newest)
        return Tried(witness.name, "cosigned", f"It cosigned the newest checkpoint of {count} logs.")

    async def ask_all(self, witness: Witness) -> bool:
        """Submit every chosen head that it has not cosigned; return whether it cosigned them all."""
        async with witness.lock:
            return await self._ask_all(witness)

    async def _ask_all(self, witness: Witness) -> bool:
        failure = conflict = None
        for stored in await read_heads(self._database):
            try:
                await self._ask(witness, stored)
            except WitnessAway as error:
                failure = failure or error.sentence
                break
            except Contradicted as error:
                conflict = conflict or error.sentence
                await self._tell(witness, stored, error.sentence)
            except FailgateError as error:
                failure = failure or error.sentence
        if failure is not None or conflict is not None:
            witness.failures += 1
            witness.failed_us = self._clock.now_us()
            _log.warning("witness.failed: witness %s, try %d: %s", witness.name, witness.failures, failure or conflict)
        else:
            witness.failures = 0
            witness.told.clear()
        witness.failure, witness.conflict = failure, conflict
        return not witness.failures

    async def _ask(self, witness: Witness, stored: StoredHead) -> None:
        """Have one head cosigned, unless it is. Raises: Contradicted, WitnessFailed, NoteRejected."""
        note, newest = self._chosen.get(stored.log), self._book.newest(stored.log, witness.key)
        if note is None or not read_unverified(note).size or (newest is not None and newest.note == note):
            return
        known = 0 if newest is None else newest.size
        try:
            lines = await self._submit(witness, stored, note, known)
        except WitnessAhead as ahead:  # somebody submitted a newer head of ours, or it saw another history
            note = await self._audit.checkpoint(stored.log)
            if read_unverified(note).size < ahead.size:
                raise
            self._chosen[stored.log] = note
            lines = await self._submit(witness, stored, note, ahead.size)
        cosigned = Cosigned(note, read_unverified(note).size, cosignature_in(lines, note, witness.key))
        await self._book.keep(stored.log, witness.key, cosigned)
        if await self._fork(stored.log, cosigned) is None:
            self._forked.pop(stored.log, None)

    async def _submit(self, witness: Witness, stored: StoredHead, note: str, known: int) -> str:
        size = read_unverified(note).size
        return await submit(
            witness.ask, note, lambda old: self._tree.consistency(stored.number, old, size), known=known
        )

    async def _tell(self, witness: Witness, stored: StoredHead, reason: str) -> None:
        """Say aloud, and once in the system log, that a witness saw another history of a log."""
        _log.error("witness.contradicted: witness %s: %s", witness.name, reason)
        if stored.log in witness.told:
            return
        witness.told.add(stored.log)
        facts: dict[str, JSON] = {"log": stored.log, "size": stored.head.size, "reason": reason[:200]}
        with contextlib.suppress(StorageUnavailable):
            await self._audit.record(
                Event(Act.WITNESS_CONTRADICTED, SYSTEM, "witness", witness.name, SERVER, facts, "error")
            )

    async def _fork(self, log: str, cosigned: Cosigned) -> str | None:
        """Return how `log`, as it lies in the database, does not continue what was cosigned; None when it does."""
        stored, head = await read_head(self._database, log), read_unverified(cosigned.note)
        size = 0 if stored is None else stored.head.size
        if size < head.size:
            return f"The log {log} has {size} records, and {head.size} of it were cosigned: the database went back."
        assert stored is not None
        if await self._tree.root(stored.number, head.size) != head.root:
            return f"The log {log} differs from its first {head.size} records as they were cosigned."
        return None
