"""Breaking the glass: in an emergency one person lets a request run without its quorum, and another reviews that.

```text
pending ──► broken, by one person in person, where every policy that asks allows it
              └──► review: open ──► justified | unjustified, by another person
```

Whoever broke the glass breaks none again while a review of theirs is open; everybody who may review is told at once,
and again every four hours until somebody did.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec
from msgspec.structs import replace

from failgate.access.principal import Principal
from failgate.audit.record import SERVER, Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS
from failgate.base.db import Database, Row, Transaction, Verb
from failgate.base.errors import Conflict, FailgateError, Forbidden, StepUpRequired, Unprocessable
from failgate.base.idempotency import RequestKey
from failgate.base.log import get_logger
from failgate.gate import lifecycle as life
from failgate.gate.challenge import check_challenge
from failgate.gate.command import check_text
from failgate.gate.deciding import Contradicted, Deciding
from failgate.gate.evidence import NoEvidence, proven_in
from failgate.gate.journal import COMMAND
from failgate.gate.parts import Overdue, Parts, conflict, foreign_digest
from failgate.gate.stored import Stored, load_locked, request_of, texts_text, view_of
from failgate.gate.terms import Person, Terms, mailbox, stored_terms
from failgate.wire.gate import Challenge, CommandView, Vote
from failgate.wire.glass import GlassBreak, GlassVerdict

_log = get_logger("failgate.gate")
REMIND_SECONDS: Final = 4 * 3600
MOST_SHOWN: Final = 100
Told = Callable[[Transaction, str, int], Awaitable[None]]
"""`(tx, workspace_id, seq)`: the record `seq` is told to people, also where nobody was told of anything before."""

_BREAK: Final = (
    "UPDATE gate_command SET state = 'approved', decided_us = $1, decided_by = $2, note = $3, use_by_us = $4,"
    " broken_by = $5, glass = 'open' WHERE id = $6 AND state = 'pending' AND digest = $7 AND expires_us > $1"
)
_KEEP: Final = (
    "INSERT INTO gate_glass (command_id, workspace_id, account_id, label, reason, broken_us, told_us, review)"
    " VALUES ($1, $2, $3, $4, $5, $6, $6, 'open') ON CONFLICT DO NOTHING"
)
_OPEN_BY: Final = "SELECT account_id FROM gate_glass WHERE workspace_id = $1 AND review = 'open'"
_REVIEW: Final = (
    "UPDATE gate_glass SET review = $1, reviewer_id = $2, reviewer_label = $3, words = $4, reviewed_us = $5"
    " WHERE command_id = $6 AND review = 'open'"
)
_MARK: Final = "UPDATE gate_command SET glass = $1 WHERE id = $2 AND glass = 'open'"
_LISTED: Final = (
    "SELECT * FROM gate_glass WHERE workspace_id = $1"
    " ORDER BY CASE WHEN review = 'open' THEN 0 ELSE 1 END, broken_us DESC, command_id DESC LIMIT $2"
)
_ONE: Final = "SELECT * FROM gate_glass WHERE workspace_id = $1 AND command_id = $2"
_DUE: Final = "SELECT * FROM gate_glass WHERE review = 'open' AND told_us <= $1 ORDER BY told_us LIMIT 100"
_REMIND: Final = "UPDATE gate_glass SET told_us = $1 WHERE command_id = $2 AND review = 'open' AND told_us = $3"


class Broken(msgspec.Struct, frozen=True):
    """A row of `gate_glass`, member for column. Times are microseconds since 1970."""

    command_id: str
    workspace_id: str
    account_id: str
    label: str
    reason: str
    broken_us: int
    told_us: int
    review: life.Glass
    reviewer_id: str | None = None
    reviewer_label: str | None = None
    words: str | None = None
    reviewed_us: int | None = None


class BreakingGlass:
    """Lets requests run without their quorum, and takes the reviews."""

    def __init__(self, parts: Parts, deciding: Deciding, told: Told | None = None) -> None:
        """Work with `parts`; `deciding` puts apart what differs from its records; what happens is told by `told`."""
        self._parts = parts
        self._deciding = deciding
        self._told = told

    async def break_glass(
        self, principal: Principal, workspace_id: str, command_id: str, wish: GlassBreak, key: RequestKey | None = None
    ) -> CommandView:
        """Let the request run without its quorum; return it as it is then. The same `key` gives the first answer again.

        Raises: NotFound, Forbidden (no person, the requester or their agent's owner, the policies let nobody or not
        this person), StepUpRequired and Unprocessable (the factor, the host's name, the reason), Conflict (foreign
        digest, decided already, somebody denied it, a review is open, the clock went back; its row differs from its
        records, and it is quarantined).
        """

        async def verb(tx: Transaction) -> Stored:
            stored = await load_locked(tx, workspace_id, command_id)  # first: a foreign one is as one that is not there
            reason = _words("reason", wish.reason, "Say what the emergency is.")
            account_id, terms = _person(principal), stored_terms(stored.terms)
            voter = await self._other_than_who_asked(tx, stored, account_id)
            _must_be_allowed(terms, voter)
            self._must_wait(stored, wish.digest)
            challenge: Challenge = "passkey" if terms.challenge == "passkey" else "factor"
            vote = Vote("approve", wish.digest, confirm=wish.confirm)
            check_challenge(challenge, principal, vote, stored.host, self._parts.time.now_us())
            await self._must_owe_no_review(tx, stored, voter)
            return await self._broken(tx, stored, principal, account_id, reason)

        return await self._once(key, verb)

    def _must_wait(self, stored: Stored, digest: str) -> None:
        """Refuse a request that does not wait, or that is another one. Raises: Conflict, Overdue."""
        if digest != stored.digest:
            raise foreign_digest(stored)
        if stored.state != "pending":
            raise conflict(stored.state)
        if self._parts.time.now_us() >= stored.expires_us:
            raise Overdue
        if self._parts.time.is_frozen():
            raise Conflict("The server's clock went back: no glass is broken until it is right.", state=stored.state)

    async def _broken(
        self, tx: Transaction, stored: Stored, principal: Principal, account_id: str, reason: str
    ) -> Stored:
        try:
            request = await proven_in(self._parts.audit, tx, stored)
        except NoEvidence as error:
            raise Contradicted(stored, str(error)) from error
        now_us = self._parts.time.now_us()
        use_by_us = now_us + self._parts.use_within_us(stored_terms(stored.terms))
        event = life.GlassBroken(account_id, stored.digest, now_us, use_by_us)
        appended = await self._parts.append(tx, stored, event, Actor.of(principal))
        at_us = max(now_us, appended.ts_us)
        try:
            request = life.apply(request, life.GlassBroken(account_id, stored.digest, at_us, use_by_us))
        except life.IllegalTransition as error:
            if at_us >= stored.expires_us:
                raise Overdue from error
            raise Conflict(f"The glass is not broken: {error}.", state=stored.state) from error
        by = texts_text([principal.label]).decode()
        values = (at_us, by, reason, use_by_us, account_id)
        if await tx.execute(_BREAK, *values, stored.id, stored.digest) != 1:
            raise conflict(stored.state)
        kept = (stored.id, stored.workspace_id, account_id, principal.label, reason, at_us)
        if await tx.execute(_KEEP, *kept) != 1:
            raise _review_is_owed()
        await self._tell_people(tx, stored.workspace_id, appended.seq)
        broken = replace(
            stored, state=request.state, decided_us=at_us, decided_by=by, note=reason, use_by_us=use_by_us,
            broken_by=account_id, glass="open",
        )  # fmt: skip
        self._parts.tell(tx, broken, "broken")
        return broken

    async def review(
        self,
        principal: Principal,
        workspace_id: str,
        command_id: str,
        wish: GlassVerdict,
        key: RequestKey | None = None,
    ) -> CommandView:
        """Close the review: another person than who broke the glass, or asked, says whether it was justified.

        The same `key` gives the first answer again.

        Raises: NotFound, Forbidden, StepUpRequired, Unprocessable (no words), Conflict (no review is open).
        """
        actor = Actor.of(principal)

        async def verb(tx: Transaction) -> Stored:
            stored = await load_locked(tx, workspace_id, command_id)
            words = _words("words", wish.words, "Say why.")
            account_id = _person(principal)
            if principal.second_factor_us is None:
                raise StepUpRequired("A review needs a second factor.", hint="Prove it, then review again.")
            event = life.GlassReviewed(account_id, stored.digest, wish.verdict)
            try:
                request = life.apply(request_of(stored), event)
            except life.IllegalTransition as error:
                if stored.glass != "open":
                    raise Conflict("No review of this command is open.", state=stored.state) from error
                raise _another_reviews() from error
            voter = await self._other_than_who_asked(tx, stored, account_id)
            if mailbox(voter.email) in await self._parts.electorate.mailboxes(tx, {str(stored.broken_by)}):
                raise _another_reviews()
            appended = await self._parts.append(tx, stored, event, actor)
            values = (wish.verdict, account_id, principal.label, words, appended.ts_us)
            if await tx.execute(_REVIEW, *values, stored.id) != 1 or (
                await tx.execute(_MARK, wish.verdict, stored.id) != 1
            ):
                raise Conflict("No review of this command is open.", state=stored.state)
            await self._tell_people(tx, workspace_id, appended.seq)
            reviewed = replace(stored, glass=request.glass)
            self._parts.tell(tx, reviewed, "reviewed")
            return reviewed

        return await self._once(key, verb)

    async def _once(self, key: RequestKey | None, verb: Verb[Stored]) -> CommandView:
        async def shown(tx: Transaction) -> CommandView:
            return view_of(await verb(tx), self._parts.time.now_us())

        try:
            return await self._parts.answers.once(key, CommandView, shown)
        except Overdue:
            raise conflict("expired") from None
        except Contradicted as error:
            await self._deciding.quarantine(error.stored, str(error))
            raise conflict("quarantined") from error

    async def listed(self, workspace_id: str) -> list[Broken]:
        """Return what waits for its review, then the newest that was reviewed; at most 100."""
        return [_broken(row) for row in await self._parts.db.fetch(_LISTED, workspace_id, MOST_SHOWN)]

    async def of_command(self, workspace_id: str, command_id: str) -> Broken | None:
        """Return how the glass was broken for a command, or None when it was not."""
        row = await self._parts.db.fetch_one(_ONE, workspace_id, command_id)
        return None if row is None else _broken(row)

    async def remind(self) -> None:
        """Tell of every review that is open for four hours again. To be called once a minute."""
        now_us = self._parts.time.now_us()
        for row in await self._parts.db.fetch(_DUE, now_us - REMIND_SECONDS * MICROSECONDS):
            try:
                await self._parts.db.write(partial(self._remind, broken=_broken(row), now_us=now_us))
            except FailgateError as error:  # one that cannot be told must not keep the others silent
                _log.warning("glass.not_reminded", command=row["command_id"], reason=str(error))

    async def _remind(self, tx: Transaction, broken: Broken, now_us: int) -> None:
        stored = await load_locked(tx, broken.workspace_id, broken.command_id)
        if await tx.execute(_REMIND, now_us, broken.command_id, broken.told_us) != 1:
            return  # reviewed, or told by somebody else
        facts: dict[str, JSON] = {"digest": stored.digest, "waited_us": max(0, now_us - broken.broken_us)}
        event = Event(Act.GLASS_REMINDED, broken.workspace_id, COMMAND, broken.command_id, SERVER, facts)
        appended = await self._parts.audit.append(tx, event)
        await self._tell_people(tx, broken.workspace_id, appended.seq)

    async def _tell_people(self, tx: Transaction, workspace_id: str, seq: int) -> None:
        if self._told is not None:
            await self._told(tx, workspace_id, seq)

    async def _other_than_who_asked(self, tx: Transaction, stored: Stored, account_id: str) -> Person:
        """Return the person, who may decide and did not ask. Raises: Forbidden."""
        request, electorate = request_of(stored), self._parts.electorate
        voter = await electorate.voter(tx, stored.workspace_id, account_id)
        if voter is None:
            raise Forbidden(
                "This needs a role that may vote and an enrolled second factor.", hint="Ask an admin of the workspace."
            )
        own = {one for one in (stored.requester_id, stored.requester_account_id, *request.excluded) if one}
        if account_id in own or mailbox(voter.email) in await electorate.mailboxes(tx, own):
            raise Forbidden("Not for one's own request, nor for one's own agent's.", hint="Ask another reviewer.")
        return voter

    async def _must_owe_no_review(self, tx: Transaction, stored: Stored, voter: Person) -> None:
        owing = {row["account_id"] for row in await tx.fetch(_OPEN_BY, stored.workspace_id)}
        if voter.account_id in owing or (
            owing and mailbox(voter.email) in await self._parts.electorate.mailboxes(tx, owing)
        ):
            raise _review_is_owed()


def _another_reviews() -> Forbidden:
    return Forbidden("Another person than who asked or broke the glass reviews it.", hint="Ask a reviewer.")


def _person(principal: Principal) -> str:
    if principal.kind != "user" or principal.account_id is None:
        raise Forbidden("Only a person does this.", hint="Sign in and use the page of the command.")
    return principal.account_id


def _words(name: str, text: str, hint: str) -> str:
    said = text.strip()
    if not said:
        raise Unprocessable(f"{name} is empty.", hint=hint)
    check_text(name, said)
    return said


def _must_be_allowed(terms: Terms, voter: Person) -> None:
    """Refuse who may not break the glass. Raises: Forbidden."""
    if terms.break_glass is None:
        raise Forbidden(
            "The policies let nobody break the glass for this command.",
            hint="[plugins.quorum] break_glass says who may.",
        )
    if terms.break_glass == "owner" and voter.role != "owner":
        raise Forbidden("Only an owner breaks the glass here.", hint="Ask an owner of the workspace.")
    if mailbox(voter.email) in map(mailbox, terms.excluded) or voter.account_id in terms.makers:
        raise Forbidden("A policy excludes you from deciding on this.", hint="Ask another reviewer.")


def _review_is_owed() -> Conflict:
    return Conflict(
        "A review of glass that you broke is still open: you break none again before.",
        hint="Ask another person to review it first.",
    )


async def stored_glass(db: Database) -> list[Broken]:
    """Return every row, for whoever verifies them."""
    return [_broken(row) for row in await db.fetch("SELECT * FROM gate_glass ORDER BY command_id")]


def _broken(row: Row) -> Broken:
    return Broken(**row)
