"""How a pending request ends: by votes, by its requester, by time. One conditional UPDATE decides each time.

Source: SECURITY N3: read-then-write let 299 of 300 races acknowledge both answers; the conditional update none.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec
from msgspec.structs import replace

from failgate.access.principal import Principal
from failgate.audit.record import SERVER, Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.db import Transaction
from failgate.base.errors import Conflict, Forbidden, StepUpRequired, Unprocessable
from failgate.base.ids import new_id
from failgate.base.log import get_logger
from failgate.base.reserve import from_the_reserve
from failgate.gate import lifecycle as life
from failgate.gate.challenge import check_challenge
from failgate.gate.command import check_text, digest_of_body
from failgate.gate.evidence import NoEvidence, proven_in
from failgate.gate.pace import TooOften, TooSoon
from failgate.gate.parts import Overdue, Parts, Write, conflict, foreign_digest
from failgate.gate.standing_in import stand_ins_in, with_seats
from failgate.gate.stored import Stored, StoredVote, load, load_locked, not_found, request_of, texts_text
from failgate.gate.terms import Person, is_complete, mailbox, stored_terms
from failgate.wire.gate import EditedAs, State, Vote

_log = get_logger("failgate.gate")
EXPIRE_TOGETHER: Final = 64  # requests that expire in one transaction

_KEEP_VOTE = (
    "INSERT INTO gate_vote (id, command_id, account_id, label, decision, at_us, note, signature)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (command_id, account_id) DO UPDATE SET"
    " label = excluded.label, decision = excluded.decision, at_us = excluded.at_us, note = excluded.note,"
    " signature = excluded.signature"
)
_APPROVE = (
    "UPDATE gate_command SET state = 'approved', decided_us = $1, decided_by = $2, note = $3, use_by_us = $4"
    " WHERE id = $5 AND state = 'pending' AND digest = $6 AND expires_us > $1"
)
_DENY = (
    "UPDATE gate_command SET state = 'denied', decided_us = $1, decided_by = $2, note = $3, wants_changes = $4,"
    " edited = $5 WHERE id = $6 AND state = 'pending' AND digest = $7 AND expires_us > $1"
)
_EXPIRE = "UPDATE gate_command SET state = 'expired' WHERE id = $1 AND state = 'pending' AND expires_us <= $2"
_QUARANTINE = "UPDATE gate_command SET state = 'quarantined' WHERE id = $1 AND state = 'pending'"
_CANCEL = "UPDATE gate_command SET state = 'cancelled' WHERE id = $1 AND state = 'pending' AND expires_us > $2"


class Contradicted(Exception):  # internal: tells the caller to quarantine it first
    """A verb met a row that its audit records do not prove."""

    def __init__(self, stored: Stored, fault: str) -> None:
        """Keep the row and where it differs."""
        super().__init__(fault)
        self.stored = stored


@dataclass(frozen=True, slots=True)
class Ballot:
    """A vote on its way: whose, what, as which audit actor; of a denial, the edit for whose sake it is given."""

    principal: Principal
    account_id: str
    actor: Actor
    vote: Vote
    edited: EditedAs | None = None

    @property
    def label(self) -> str:
        """Return how the person is shown."""
        return self.principal.label


class Deciding:
    """Ends pending requests."""

    def __init__(self, parts: Parts) -> None:
        """Work with `parts`."""
        self._parts = parts

    async def vote(self, principal: Principal, workspace_id: str, command_id: str, vote: Vote, write: Write) -> Stored:
        """Count the person's decision; return the request as it is then.

        A denial ends the request, or as many as its terms say; an approval does once `need` people who may still vote
        have approved and its terms are met. Voting the same again counts once; an approval can be turned into a denial.

        Raises: NotFound, Forbidden (no person, the requester, the agent's owner or who shares their mailbox, whom the
        terms exclude, without the role or a second factor), StepUpRequired and Unprocessable (the challenge is not
        met), TooSoon (an approval of what was not shown for long enough), TooOften, Conflict (foreign digest; decided
        already, with the stored `state`; the clock went back), Unprocessable (a wish for changes that does not deny, or
        does not say which).
        """
        ballot = ballot_of(principal, vote)
        _check_wish(vote)

        async def cast(tx: Transaction) -> Stored:
            return await self.cast(tx, workspace_id, command_id, ballot)

        with from_the_reserve(is_allowed=vote.decision == "deny"):
            try:
                return await self.written(workspace_id, command_id, cast, write)
            except (TooSoon, TooOften) as error:
                await self.tell_hurry(workspace_id, command_id, ballot, error)
                raise

    async def tell_hurry(self, workspace_id: str, command_id: str, ballot: Ballot, error: TooSoon | TooOften) -> None:
        """Record that approvals came faster than a person reads, what was too soon once of each session and request."""
        if error.is_first:
            facts: dict[str, JSON] = {"command": command_id, **error.told}
            event = Event(Act.VOTE_REFUSED, workspace_id, "account", ballot.account_id, ballot.actor, facts, out="deny")
            await self._parts.audit.record(event)

    async def written(
        self, workspace_id: str, command_id: str, cast: Callable[[Transaction], Awaitable[Stored]], write: Write
    ) -> Stored:
        """Return what `cast` returns, which decides on the request; write down what keeps it from that.

        Raises: Conflict (its time has gone by, or it is quarantined), as `cast`.
        """
        try:
            return await write(cast)
        except Overdue:
            raise await self._overdue(workspace_id, command_id) from None
        except Contradicted as error:
            await self.quarantine(error.stored, str(error))
            raise conflict("quarantined") from error

    async def quarantine(self, stored: Stored, fault: str) -> None:
        """Take a pending request out of reach for good, audited with the digest that was found in its place."""
        _log.error("command.quarantined", command=stored.id, fault=fault)
        found = digest_of_body(stored.body.encode("utf-8", "surrogatepass"))

        async def set_apart(tx: Transaction) -> None:
            if await tx.execute(_QUARANTINE, stored.id) == 1:
                facts: dict[str, JSON] = {"digest_found": found, "reason": fault[:200]}
                await self._parts.append(tx, stored, life.Quarantined(), SERVER, facts)
                self._parts.tell(tx, replace(stored, state="quarantined"), "quarantined")

        await self._parts.db.write(set_apart)

    async def cast(self, tx: Transaction, workspace_id: str, command_id: str, ballot: Ballot) -> Stored:
        """Count the vote inside `tx`; see `vote`. Raises: Overdue, Contradicted besides."""
        stored = await load_locked(tx, workspace_id, command_id)
        voter = await self._check_voter(tx, stored, ballot)
        try:
            request = await proven_in(self._parts.audit, tx, stored)
        except NoEvidence as error:
            raise Contradicted(stored, str(error)) from error
        now_us = self._parts.time.now_us()
        if ballot.vote.decision == "approve" and self._parts.time.is_frozen():
            raise Conflict(
                "The server's clock went back: nothing is approved until it is right again.",
                hint="Ask the operator to correct the clock. Denying works.",
                state=stored.state,
            )
        is_repeated = any(
            vote.account_id == ballot.account_id and vote.decision == ballot.vote.decision for vote in stored.votes
        )
        if is_repeated:
            at_us = now_us
        else:
            event = life.VoteCast(ballot.account_id, ballot.vote.decision, ballot.vote.digest, now_us)
            at_us = max(now_us, (await self._parts.append(tx, stored, event, ballot.actor)).ts_us)
        request = self._applied(
            stored,
            request,
            life.VoteCast(ballot.account_id, ballot.vote.decision, ballot.vote.digest, at_us),
        )
        if not is_repeated:
            stored = await self._keep_vote(tx, stored, ballot, at_us)
        if ballot.vote.decision == "approve":
            return await self._approve_when_complete(tx, stored, request, ballot, voter)
        if len(request.denials) >= request.deny_after:
            return await self._deny(tx, stored, request, ballot)
        self._parts.tell(tx, stored, "voted")
        return stored

    async def _check_voter(self, tx: Transaction, stored: Stored, ballot: Ballot) -> Person:
        request, terms, electorate = request_of(stored), stored_terms(stored.terms), self._parts.electorate
        own = {stored.requester_id, stored.requester_account_id}
        if ballot.account_id in request.excluded or ballot.account_id in own:
            raise _own_request()
        voter = await electorate.voter(tx, stored.workspace_id, ballot.account_id)
        if voter is None:
            raise Forbidden(
                "Deciding needs a role that may vote and an enrolled second factor.",
                hint="Ask an admin of the workspace.",
            )
        if mailbox(voter.email) in await electorate.mailboxes(tx, request.excluded):
            raise _own_request()
        if mailbox(voter.email) in map(mailbox, terms.excluded):
            raise Forbidden("A policy excludes you from deciding on this.", hint="Ask another reviewer.")
        if ballot.vote.digest != stored.digest:
            raise foreign_digest(stored)
        if stored.state != "pending":
            raise conflict(stored.state)
        now_us = self._parts.time.now_us()
        if now_us >= stored.expires_us:
            raise Overdue
        check_challenge(terms.challenge, ballot.principal, ballot.vote, stored.host, now_us)
        if ballot.vote.decision == "approve":
            self._parts.pace.approve(ballot.principal, stored.digest, terms.challenge, now_us)
            self._parts.must_not_hurry(ballot.account_id, now_us)
        return voter

    async def _keep_vote(self, tx: Transaction, stored: Stored, ballot: Ballot, at_us: int) -> Stored:
        vote = ballot.vote
        await tx.execute(
            _KEEP_VOTE,
            new_id(),
            stored.id,
            ballot.account_id,
            ballot.label,
            vote.decision,
            at_us,
            vote.note,
            vote.signature,
        )
        others = tuple(other for other in stored.votes if other.account_id != ballot.account_id)
        mine = StoredVote(ballot.account_id, ballot.label, vote.decision, at_us, vote.note)
        return replace(stored, votes=(*others, mine))

    async def _deny(self, tx: Transaction, stored: Stored, request: life.Request, ballot: Ballot) -> Stored:
        now_us, wants_changes = self._parts.time.now_us(), int(ballot.vote.wants_changes)
        facts: dict[str, JSON] = {"digest": stored.digest}
        edited = None
        if ballot.edited is not None:
            edited = msgspec.json.encode(ballot.edited).decode()
            facts |= {"reason": "edited", "edited": ballot.edited.id, "edited_digest": ballot.edited.digest}
        elif wants_changes:
            facts["reason"] = "wants changes"
        appended = await self._parts.append(tx, stored, life.Denied(now_us), ballot.actor, facts)
        at_us = max(now_us, appended.ts_us)
        request = self._applied(stored, request, life.Denied(at_us))
        by = texts_text([ballot.label]).decode()
        told = (at_us, by, ballot.vote.note, wants_changes, edited)
        if await tx.execute(_DENY, *told, stored.id, stored.digest) != 1:
            raise conflict(stored.state)
        ended = replace(
            stored,
            state=request.state,
            decided_us=at_us,
            decided_by=by,
            note=ballot.vote.note,
            wants_changes=wants_changes,
            edited=edited,
        )
        self._parts.tell(tx, ended, "denied")
        return ended

    async def _approve_when_complete(
        self, tx: Transaction, stored: Stored, request: life.Request, ballot: Ballot, voter: Person
    ) -> Stored:
        approvers = [voter]
        for account in request.approvals:
            if account != voter.account_id:
                other = await self._parts.electorate.voter(tx, stored.workspace_id, account)
                approvers += [] if other is None else [other]
        terms, now_us = stored_terms(stored.terms), self._parts.time.now_us()
        approvers = await with_seats(tx, self._parts.electorate, stored, request, terms, approvers, now_us)
        if not is_complete(terms, stored.need, approvers):
            self._parts.tell(tx, stored, "voted")
            return stored
        counted = {person.account_id for person in approvers}
        use_by_us = now_us + self._parts.use_within_us(terms)
        event = life.Approved(stored.digest, now_us, use_by_us, len(counted))
        stand_ins = stand_ins_in(approvers)
        appended = await self._parts.append(
            tx, stored, event, ballot.actor, {"stand_ins": stand_ins} if stand_ins else {}
        )
        at_us = max(now_us, appended.ts_us)
        request = self._applied(stored, request, life.Approved(stored.digest, at_us, use_by_us, len(counted)))
        by = texts_text([vote.label for vote in stored.votes if vote.account_id in counted]).decode()
        changed = await tx.execute(_APPROVE, at_us, by, ballot.vote.note, use_by_us, stored.id, stored.digest)
        if changed != 1:
            raise conflict(stored.state)
        ended = replace(
            stored,
            state=request.state,
            decided_us=at_us,
            decided_by=by,
            note=ballot.vote.note,
            use_by_us=use_by_us,
        )
        self._parts.tell(tx, ended, "approved")
        return ended

    def _applied(self, stored: Stored, request: life.Request, event: life.Event) -> life.Request:
        try:
            return life.apply(request, event)
        except life.IllegalTransition as error:
            if self._parts.time.now_us() >= stored.expires_us:
                raise Overdue from error
            words = f"The vote does not count: {error}."
            raise Conflict(words, hint="Let another reviewer decide.", state=stored.state) from error

    async def cancel(self, principal: Principal, workspace_id: str, command_id: str, write: Write) -> Stored:
        """Withdraw a pending request; only who asked, or the account that answers for them, may.

        Raises: NotFound, Forbidden, Conflict with the stored `state`.
        """
        actor = Actor.of(principal)

        async def withdraw(tx: Transaction) -> Stored:
            stored = await load_locked(tx, workspace_id, command_id)
            if principal.id != stored.requester_id:
                if principal.kind == "agent":
                    raise not_found()
                if principal.account_id is None or principal.account_id != stored.requester_account_id:
                    raise Forbidden("Only who asked may cancel.", hint="Deny the command instead.")
            if stored.state != "pending":
                raise conflict(stored.state)
            now_us = self._parts.time.now_us()
            if now_us >= stored.expires_us:
                raise Overdue
            event = life.Cancelled(now_us)
            await self._parts.append(tx, stored, event, actor, {"digest": stored.digest})
            ended = replace(stored, state=self._applied(stored, request_of(stored), event).state)
            if await tx.execute(_CANCEL, stored.id, now_us) != 1:
                raise conflict(stored.state)
            self._parts.tell(tx, ended, "cancelled")
            return ended

        try:
            with from_the_reserve():
                return await write(withdraw)
        except Overdue:
            raise await self._overdue(workspace_id, command_id) from None

    async def expire_due(self) -> int:
        """Expire every pending request whose time has gone by; return how many."""
        count = 0
        while due := self._parts.queue.due(self._parts.time.now_us(), EXPIRE_TOGETHER):
            count += await self._parts.db.write(partial(self._expire_all, due))
        return count

    async def _expire_all(self, due: list[Stored], tx: Transaction) -> int:
        now_us, count = self._parts.time.now_us(), 0
        for stored in due:
            if await tx.execute(_EXPIRE, stored.id, now_us) == 1:
                event = life.Expired(now_us)
                await self._parts.append(tx, stored, event, SERVER, {"digest": stored.digest})
                ended = replace(stored, state=life.apply(request_of(stored), event).state)
                self._parts.tell(tx, ended, "expired")
                count += 1
            else:  # decided elsewhere, or gone: the queue learns what is stored
                found = await load(tx, stored.workspace_id, stored.id)
                if found is None or found.state == "pending":
                    found = replace(stored, state="quarantined")
                self._parts.tell(tx, found, "quarantined")
        return count

    async def _overdue(self, workspace_id: str, command_id: str) -> Conflict:
        """Write the expiry down, then return the answer to a decision that came too late."""

        async def expire(tx: Transaction) -> Stored:
            stored = await load_locked(tx, workspace_id, command_id)
            if stored.state == "pending":
                await self._expire_all([stored], tx)
            return stored

        stored = await self._parts.db.write(expire)
        state: State = "expired" if stored.state == "pending" else stored.state
        return conflict(state)


def ballot_of(principal: Principal, vote: Vote, edited: EditedAs | None = None) -> Ballot:
    """Return the vote of `principal` as it is cast.

    Raises: Forbidden (no person), StepUpRequired (no second factor), Unprocessable and TooLarge (a text).
    """
    if principal.kind != "user" or principal.account_id is None:
        raise Forbidden("Only a person decides.", hint="Sign in and use the queue page.")
    if principal.second_factor_us is None:
        raise StepUpRequired("A decision needs a second factor.", hint="Prove it, then decide again.")
    check_text("note", vote.note)
    check_text("signature", vote.signature)
    return Ballot(principal, principal.account_id, Actor.of(principal), vote, edited)


def _check_wish(vote: Vote) -> None:
    """Accept a vote that says what it wants. Raises: Unprocessable."""
    if not vote.wants_changes:
        return
    if vote.decision != "deny":
        raise Unprocessable(
            "An approval wants no changes: it is about the call as it is.", hint="Send deny with wants_changes."
        )
    if vote.note is None or not vote.note.strip():
        raise Unprocessable("The wish for changes does not say which.", hint="Write them into the note.")


def _own_request() -> Forbidden:
    return Forbidden("Nobody decides on their own request, nor on their own agent's.", hint="Ask another reviewer.")
