"""A denial that covers more than its request: of all that waits and is alike, and of what is asked again for a time."""

import contextlib

from msgspec.structs import replace

from failgate.access.principal import Principal
from failgate.base.clock import MICROSECONDS
from failgate.base.db import Transaction
from failgate.base.errors import Conflict, Forbidden, NotFound, Unprocessable
from failgate.base.idempotency import Repeated, RequestKey
from failgate.base.ids import is_id, new_id
from failgate.gate.command import stored_command
from failgate.gate.deciding import Deciding, ballot_of
from failgate.gate.likeness import alike_of, program_of
from failgate.gate.mutes import MOST_MINUTES, Mute, Mutes, What
from failgate.gate.parts import Parts, Write
from failgate.gate.stored import Stored, load, request_of
from failgate.wire.gate import Vote

_MINUTE_US = 60 * MICROSECONDS


class Muting:
    """Denies what is alike, and mutes it."""

    def __init__(self, parts: Parts, deciding: Deciding) -> None:
        """Deny by `deciding`."""
        self._parts = parts
        self._deciding = deciding
        self.mutes: Mutes = parts.mutes

    async def deny_alike(self, principal: Principal, workspace_id: str, command_id: str, vote: Vote) -> int:
        """Deny the request with `vote`, and all that its agent asks the same of; return how many were denied.

        Raises: as `vote`, when the request itself could not be denied. Of the others, what was decided meanwhile stays.
        """
        first = self._parts.queue.get(command_id)
        same = [
            one
            for one in self._parts.queue.of_workspace(workspace_id)
            if first is not None and one.requester_id == first.requester_id and one.alike == first.alike is not None
        ]
        await self._deciding.vote(principal, workspace_id, command_id, vote, self._parts.db.write)
        return 1 + await self._deny(principal, [one for one in same if one.id != command_id], vote)

    async def mute(
        self,
        principal: Principal,
        workspace_id: str,
        command_id: str,
        vote: Vote,
        what: What,
        minutes: int,
        key: RequestKey | None = None,
    ) -> Mute:
        """Deny the request with `vote`, and from now on at once what its agent asks of the same kind, for `minutes`.

        `what` is `same` (the same words in the same folder of the same host) or `program`. Denial and mute are one
        change; what waits already and is of that kind is denied after it. The same `key` gives the first answer again.

        Raises: as `Deciding.vote`; Unprocessable (the minutes, no denial), Conflict (the denial of one person does not
        end this request; too much of the agent is muted). Nothing is denied then.
        """
        if vote.decision != "deny" or vote.wants_changes:
            raise Unprocessable("Only what is denied is muted.", hint="Send deny, without a wish for changes.")
        if not 1 <= minutes <= MOST_MINUTES:
            raise Unprocessable(
                f"It would be muted for {minutes} minutes; 1 to {MOST_MINUTES} are possible.",
                hint="Mute it again then.",
            )
        ballot = ballot_of(principal, vote)
        made: list[Mute] = []

        async def both(tx: Transaction) -> Stored:
            denied = await self._deciding.cast(tx, workspace_id, command_id, ballot)
            if denied.state != "denied":
                raise Conflict(
                    f"{request_of(denied).deny_after} people have to deny this: one of them mutes nothing.",
                    hint="Deny it without muting.",
                    state=denied.state,
                )
            command, now_us = stored_command(denied.body), self._parts.time.now_us()
            program = program_of(command)
            mute = Mute(
                new_id(), workspace_id, denied.requester_id, denied.requester_label, command_id, what,
                alike_of(command) if what == "same" else program, program, vote.note, ballot.account_id,
                now_us, now_us + minutes * _MINUTE_US,
            )  # fmt: skip
            await self.mutes.begin(tx, mute, ballot.actor)
            made[:] = [mute]
            return denied

        parts = self._parts
        write: Write = parts.db.write
        if key is not None:
            known = await parts.answers.answer(key, Mute)
            if known is not None:
                return known
            write = _claiming(parts, key, made)
        try:
            await self._deciding.written(workspace_id, command_id, both, write)
        except Repeated:
            return await parts.answers.repeated(key, Mute) if key is not None else made[0]
        mute = made[0]
        waiting = [
            one
            for one in parts.queue.of_workspace(workspace_id)
            if one.requester_id == mute.requester_id and mute.covers(one.alike, one.program)
        ]
        await self._deny(principal, waiting, vote)
        return mute

    async def unmute(self, principal: Principal, workspace_id: str, mute_id: str) -> None:
        """Ask people again from now on. Whoever may decide on that agent's requests may, in person.

        Raises: NotFound (nothing of that id is muted), Forbidden, StepUpRequired.
        """
        ballot = ballot_of(principal, Vote("deny", ""))

        async def verb(tx: Transaction) -> None:
            if not is_id(mute_id):
                raise NotFound("Nothing of this id is muted.")
            mute = await self.mutes.one_in(tx, workspace_id, mute_id)
            if await self._parts.electorate.voter(tx, workspace_id, ballot.account_id) is None:
                raise Forbidden(
                    "Unmuting needs a role that may vote and an enrolled second factor.",
                    hint="Ask an admin of the workspace.",
                )
            denied = await load(tx, workspace_id, mute.command_id)
            own = {mute.requester_id} if denied is None else {mute.requester_id, *request_of(denied).excluded}
            if ballot.account_id in own:
                raise Forbidden("Nobody unmutes their own agent.", hint="Ask another reviewer.")
            await self.mutes.end(tx, mute, ballot.account_id, ballot.actor)

        await self._parts.db.write(verb)

    async def _deny(self, principal: Principal, waiting: list[Stored], vote: Vote) -> int:
        """Deny each of `waiting` with `vote`; return how many were not decided, or withdrawn, meanwhile."""
        denied = 0
        for one in waiting:
            with contextlib.suppress(Conflict, NotFound):
                await self._deciding.vote(
                    principal, one.workspace_id, one.id, replace(vote, digest=one.digest), self._parts.db.write
                )
                denied += 1
        return denied


def _claiming(parts: Parts, key: RequestKey, made: list[Mute]) -> Write:
    """Return how a mute is written that claims `key` and keeps the mute as its answer."""
    return lambda verb: parts.db.write(parts.answers.claiming(key, verb, lambda _stored: made[0]))
