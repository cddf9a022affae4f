"""What happens to an approved command: it is used once, in time, and its outcome is told once."""

import re

from msgspec.structs import replace

from failgate.access.principal import Principal
from failgate.audit.record import SERVER, Act, Actor, Event
from failgate.base.canonical import JSON, LARGEST_INTEGER
from failgate.base.db import Transaction
from failgate.base.errors import Conflict, Unprocessable
from failgate.base.ids import is_id
from failgate.base.log import get_logger
from failgate.gate import lifecycle as life
from failgate.gate.evidence import NoEvidence, proven_in
from failgate.gate.journal import COMMAND
from failgate.gate.parts import ForeignDigest, Overdue, Parts, Write, conflict, foreign_digest
from failgate.gate.stored import Stored, load_locked, not_found, request_of
from failgate.wire.gate import Consume, Outcome

_log = get_logger("failgate.gate")
_CONSUME = (
    "UPDATE gate_command SET state = 'executed', consumed_us = $1"
    " WHERE id = $2 AND state = 'approved' AND digest = $3 AND use_by_us > $1"
)
_LAPSE = "UPDATE gate_command SET state = 'expired' WHERE id = $1 AND state = 'approved' AND use_by_us <= $2"
_FINISH = (
    "UPDATE gate_command SET finished_us = $1, exit_code = $2, duration_ms = $3, signal = $4, report_id = $5"
    " WHERE id = $6 AND state = 'executed' AND finished_us IS NULL"
)
_DIGEST = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_SMALLEST_INT, _LARGEST_INT = -(2**31), 2**31 - 1


class Using:
    """Lets approved commands be used."""

    def __init__(self, parts: Parts) -> None:
        """Work with `parts`."""
        self._parts = parts

    async def consume(
        self, principal: Principal, workspace_id: str, command_id: str, consume: Consume, write: Write
    ) -> Stored:
        """Use the approval, for the only time; the caller executes after this returned, never before.

        A foreign digest changes nothing; that something else was about to be executed is audited, once for a request.

        Raises: NotFound (absent, or another requester's), Conflict (foreign digest; not approved, used already or too
        late, with the stored `state`; the clock went back).
        """
        actor = Actor.of(principal)

        async def use(tx: Transaction) -> Stored:
            stored = await self._own(tx, principal, workspace_id, command_id, consume.digest)
            if stored.state != "approved" or stored.use_by_us is None:
                raise conflict(stored.state)
            now_us = self._parts.time.now_us()
            if now_us >= stored.use_by_us:
                raise Overdue
            if self._parts.time.is_frozen():
                raise Conflict(
                    "The server's clock went back: nothing is executed until it is right again.",
                    hint="Ask the operator to correct the clock.",
                    state=stored.state,
                )
            request = await self._proven(tx, stored)
            event = life.Consumed(stored.digest, now_us)
            at_us = max(now_us, (await self._parts.append(tx, stored, event, actor)).ts_us)
            if at_us >= stored.use_by_us:
                raise Overdue
            await self._must_be_observed(tx, stored, at_us)
            state = life.apply(request, life.Consumed(stored.digest, at_us)).state
            if await tx.execute(_CONSUME, at_us, stored.id, stored.digest) != 1:
                raise conflict(stored.state)
            if stored.observing_id is None and stored.broken_by is None:  # what no quorum approved makes nothing known
                await self._parts.familiar.meet(tx, stored, at_us)
            used = replace(stored, state=state, consumed_us=at_us)
            self._parts.tell(tx, used, "consumed")
            return used

        try:
            return await write(use)
        except Overdue:
            raise await self._lapsed(workspace_id, command_id) from None
        except ForeignDigest:
            await self._note_mismatch(actor, workspace_id, command_id, consume.digest)
            raise

    async def _must_be_observed(self, tx: Transaction, stored: Stored, at_us: int) -> None:
        """Refuse what was only observed when that has ended meanwhile. Raises: Conflict."""
        if stored.observing_id is not None:
            if self._parts.observing is None:
                raise conflict(stored.state)
            await self._parts.observing.must_hold(tx, [stored], at_us)

    async def _note_mismatch(self, actor: Actor, workspace_id: str, command_id: str, found: str) -> None:
        async def note(tx: Transaction) -> None:
            stored = await load_locked(tx, workspace_id, command_id)
            known = await self._parts.audit.of_object(tx, workspace_id, command_id)
            if stored.state != "approved" or any(one.record["act"] == Act.COMMAND_MISMATCHED for one in known):
                return
            facts: dict[str, JSON] = {"digest": stored.digest}
            if _DIGEST.fullmatch(found):
                facts["digest_found"] = found
            event = Event(Act.COMMAND_MISMATCHED, workspace_id, COMMAND, command_id, actor, facts, out="deny")
            await self._parts.audit.append(tx, event)

        await self._parts.db.write(note)

    async def _proven(self, tx: Transaction, stored: Stored) -> life.Request:
        """Return what the audit records prove: a row that was edited into an approval lets nothing run."""
        try:
            return await proven_in(self._parts.audit, tx, stored)
        except NoEvidence as error:
            _log.error("command.contradicted", command=stored.id, fault=str(error))  # no traceback
            raise Conflict(
                "The stored command differs from its audit record: it is not executed.",
                hint="Ask the operator to run `failgate audit verify --gate`.",
                state=stored.state,
            ) from error

    async def _own(
        self, tx: Transaction, principal: Principal, workspace_id: str, command_id: str, digest: str
    ) -> Stored:
        stored = await load_locked(tx, workspace_id, command_id)
        if stored.requester_id != principal.id:
            raise not_found()
        if digest != stored.digest:
            raise foreign_digest(stored)
        return stored

    async def _lapsed(self, workspace_id: str, command_id: str) -> Conflict:
        """Write down that the approval was not used in time, then return the answer."""

        async def lapse(tx: Transaction) -> Stored:
            stored = await load_locked(tx, workspace_id, command_id)
            now_us = self._parts.time.now_us()
            if await tx.execute(_LAPSE, stored.id, now_us) != 1:
                return stored
            event = life.Lapsed(now_us)
            await self._parts.append(tx, stored, event, SERVER, {"digest": stored.digest})
            ended = replace(stored, state=life.apply(request_of(stored), event).state)
            self._parts.tell(tx, ended, "expired")
            return ended

        return conflict((await self._parts.db.write(lapse)).state)

    async def outcome(
        self, principal: Principal, workspace_id: str, command_id: str, outcome: Outcome, write: Write
    ) -> Stored:
        """Keep how the execution ended, once.

        Raises: NotFound, Conflict (foreign digest; not executed, or told already), Unprocessable (a number is wrong).
        """
        _check_outcome(outcome)
        actor = Actor.of(principal)

        async def finish(tx: Transaction) -> Stored:
            stored = await self._own(tx, principal, workspace_id, command_id, outcome.digest)
            if stored.state != "executed":
                raise conflict(stored.state)
            if stored.finished_us is not None:
                raise Conflict("The outcome of this command is known already.", state=stored.state)
            now_us = self._parts.time.now_us()
            facts: dict[str, JSON] = {
                "digest": stored.digest,
                "exit_code": outcome.exit_code,
                "duration_ms": outcome.duration_ms,
            }
            if outcome.report_id is not None:
                facts["report"] = outcome.report_id
            await self._parts.append(tx, stored, life.Finished(), actor, facts)
            life.apply(request_of(stored), life.Finished())
            values = (outcome.exit_code, outcome.duration_ms, outcome.signal, outcome.report_id)
            if await tx.execute(_FINISH, now_us, *values, stored.id) != 1:
                raise conflict(stored.state)
            finished = replace(
                stored,
                finished_us=now_us,
                exit_code=outcome.exit_code,
                duration_ms=outcome.duration_ms,
                signal=outcome.signal,
                report_id=outcome.report_id,
            )
            self._parts.tell(tx, finished, "finished")
            return finished

        return await write(finish)


def _check_outcome(outcome: Outcome) -> None:
    if not _SMALLEST_INT <= outcome.exit_code <= _LARGEST_INT:
        raise Unprocessable("exit_code is no exit code.", hint="Send a 32-bit integer.")
    if not 0 <= outcome.duration_ms <= LARGEST_INTEGER:
        raise Unprocessable("duration_ms is no duration.", hint="Send whole milliseconds, not negative.")
    if outcome.signal is not None and not 1 <= outcome.signal <= 128:
        raise Unprocessable("signal is no signal number.", hint="Send a number between 1 and 128.")
    if outcome.report_id is not None and not is_id(outcome.report_id):
        raise Unprocessable("report_id is no identifier.", hint="Send the id that POST reports answered.")
