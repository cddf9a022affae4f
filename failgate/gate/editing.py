"""Approving in another form: what was asked ends as denied, and what a reviewer made of it is a request in its place.

The edited command is a request of its own, of the same requester: an id and a digest of its own, judged anew by every
policy, decided by votes over its own digest, used once. What was asked stays as it was asked. Only the arguments behind
the program change: everything else was attested by the agent, and the file of another program was not.
"""

from typing import Final

import msgspec
from msgspec.structs import replace

from failgate.access.principal import Principal
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS
from failgate.base.db import Transaction
from failgate.base.errors import Unprocessable
from failgate.base.ids import new_id
from failgate.gate import lifecycle as life
from failgate.gate.command import ParsedCommand, parse_command, stored_command
from failgate.gate.deciding import Ballot, Deciding, ballot_of
from failgate.gate.judging import Conclusion, conclusion_of, to_wire
from failgate.gate.likeness import alike_of, changes_between, program_of
from failgate.gate.pace import TooOften, TooSoon
from failgate.gate.parts import Parts, Write, conflict, foreign_digest
from failgate.gate.policy import combine_for_people
from failgate.gate.stored import Stored, insert_of, load, not_found, request_of, risk_of, state_at
from failgate.gate.submitting import Asker, Submitting
from failgate.gate.terms import Terms, joined, people_needed, stored_terms, terms_digest, terms_text, words_of
from failgate.matching.rendering import render, warnings
from failgate.wire.edits import Edit, EditTrial, EditWish
from failgate.wire.gate import EditedAs, Vote

_SAME_RUN: Final = (
    "INSERT INTO gate_run_command (command_id, run_id, tool)"
    " SELECT CAST($1 AS TEXT), run_id, tool FROM gate_run_command WHERE command_id = $2"
)


class Editing:
    """Lets reviewers approve what they edited."""

    def __init__(self, parts: Parts, submitting: Submitting, deciding: Deciding) -> None:
        """Have `submitting` judge, and `deciding` count the votes."""
        self._parts = parts
        self._submitting = submitting
        self._deciding = deciding

    async def trial(self, principal: Principal, stored: Stored, wish: EditWish) -> EditTrial:
        """Return what would come of the edit; nothing is decided or kept.

        Raises: Conflict (foreign digest; decided already), Unprocessable (an edit that cannot be, as `edit`), TooLarge.
        """
        if wish.digest != stored.digest:
            raise foreign_digest(stored)
        state = state_at(stored, self._parts.time.now_us())
        if state != "pending":
            raise conflict(state)
        _check_one_ends_it(stored, principal.account_id)
        edited = edited_command(stored, wish.argv, self._parts.limits.argv_bytes)
        concluded, terms, need = await self._judged(stored, edited)
        self._parts.pace.show(principal, edited.digest, self._parts.time.now_us())
        argv, findings = edited.command.argv, to_wire(concluded.combined.findings)
        return EditTrial(
            edited.digest,
            render(argv),
            changes_between(stored_command(stored.body), edited.command),
            "deny" if concluded.combined.decision == "deny" else "ask",
            concluded.combined.reason,
            need,
            words_of(terms),
            terms.challenge,
            findings,
            risk_of(findings, warnings(argv, edited.command.env)),
        )

    async def edit(self, principal: Principal, workspace_id: str, command_id: str, edit: Edit, write: Write) -> Stored:
        """Deny what was asked, ask for the edited command in its place and approve that; return it as it is then.

        All of that happens, or none. It is approved at once when one approval is enough; otherwise others vote on it.

        Raises: NotFound, and what a vote raises (`Deciding.vote`): on what was asked it is a denial, on the edited
        command an approval; Unprocessable (an edit that cannot be, one that a policy denies, one that was not shown so,
        a request that one person alone does not end), TooLarge.
        """
        stored = await load(self._parts.db, workspace_id, command_id)
        if stored is None:
            raise not_found()
        ballot_of(principal, Vote("deny", edit.digest, edit.note))  # whoever may not vote learns nothing of policies
        edited = edited_command(stored, edit.argv, self._parts.limits.argv_bytes)
        if edited.digest != edit.edited_digest:
            raise Unprocessable(
                "The edited command is another one than was shown: nothing was decided.",
                hint="Look at the difference again, then approve it.",
                expected=edited.digest,
            )
        snapshot, policy = self._submitting.snapshots.take(workspace_id)
        concluded, terms, need = await self._judged(stored, edited)
        if concluded.combined.decision == "deny":
            raise Unprocessable(
                f"A policy denies the edited command, {concluded.combined.reason}: nothing was decided.",
                hint="Edit it otherwise, or deny the request.",
            )
        made = EditedAs(new_id(), edited.digest, edited.command.argv)
        denial = ballot_of(principal, Vote("deny", edit.digest, edit.note, wants_changes=True), made)
        approval = ballot_of(principal, Vote("approve", edited.digest, edit.note, confirm=edit.confirm))

        async def replaced(tx: Transaction) -> Stored:
            asked = await self._deciding.cast(tx, workspace_id, command_id, denial)
            if asked.state != "denied":
                raise _takes_more(request_of(asked).deny_after)
            kept = replace(_row(asked, edited, concluded, terms, made.id), policy=policy, policy_snapshot=snapshot)
            await self._keep(tx, asked, kept, need, approval)
            return await self._deciding.cast(tx, workspace_id, made.id, approval)

        try:
            return await self._deciding.written(workspace_id, command_id, replaced, write)
        except (TooSoon, TooOften) as error:
            await self._deciding.tell_hurry(workspace_id, command_id, approval, error)
            raise

    async def _keep(self, tx: Transaction, asked: Stored, kept: Stored, need: int, ballot: Ballot) -> None:
        """Keep the edited command as a request that waits, until what was asked would have expired and no longer."""
        now_us, terms = self._parts.time.now_us(), stored_terms(kept.terms)
        expires_us = asked.expires_us
        if terms.decide_within_seconds is not None:
            expires_us = min(expires_us, now_us + terms.decide_within_seconds * MICROSECONDS)
        event = life.Asked(
            kept.id,
            kept.digest,
            expires_us,
            need,
            kept.policy,
            asked.requester_id,
            request_of(asked).excluded,
            None if kept.terms is None else terms_digest(kept.terms),
            terms.deny_after or 1,
        )
        request = life.apply(None, event)
        kept = replace(kept, created_us=now_us, expires_us=request.expires_us, need=request.need)
        facts: dict[str, JSON] = {"edits": asked.id, "edits_digest": asked.digest}
        await self._parts.append(tx, kept, event, ballot.actor, facts)
        statement, values = insert_of(kept)
        await tx.execute(statement, *values)
        await tx.execute(_SAME_RUN, kept.id, asked.id)
        self._parts.tell(tx, kept, "created")

    async def _judged(self, stored: Stored, edited: ParsedCommand) -> tuple[Conclusion, Terms, int]:
        """Return what the policies say of the edited command; the terms and the number of people that it then takes.

        They are those of both commands together, the stricter of each: an edit never makes fewer people enough.
        """
        asker = Asker(
            stored.requester_id,
            stored.requester_id if stored.requester_kind == "agent" else None,
            stored.requester_account_id,
        )
        combined = combine_for_people(await self._submitting.ask_policies(edited.command, asker, stored.workspace_id))
        terms = joined((stored_terms(stored.terms), combined.terms))
        return conclusion_of(combined), terms, max(stored.need, combined.need, people_needed(terms))


def edited_command(stored: Stored, argv: list[str], argv_bytes: int) -> ParsedCommand:
    """Return the command of `stored` with the arguments `argv` in place of its own, with a digest of its own.

    Raises: Unprocessable (nothing is edited, the program is another one, it cannot be executed), TooLarge.
    """
    asked = stored_command(stored.body).argv
    if argv == asked:
        raise Unprocessable("The command is as it was asked: that is no edit.", hint="Approve it as it is.")
    if argv[:1] != asked[:1]:
        raise Unprocessable(
            "The program cannot be edited: the agent attested the file of the one that it asked for.",
            hint="Request changes, and say which program.",
        )
    return parse_command(msgspec.json.decode(stored.body) | {"argv": argv}, argv_bytes)


def _check_one_ends_it(stored: Stored, account_id: str | None) -> None:
    """Accept a request that a denial of this account ends. Raises: Unprocessable."""
    request = request_of(stored)
    if request.deny_after - len(set(request.denials) - {account_id}) > 1:
        raise _takes_more(request.deny_after)


def _takes_more(denials: int) -> Unprocessable:
    return Unprocessable(
        f"{denials} denials end this request: one reviewer does not put another in its place.",
        hint="Deny it or request changes.",
    )


def _row(asked: Stored, edited: ParsedCommand, concluded: Conclusion, terms: Terms, made_id: str) -> Stored:
    """Return the row of the edited command, as it is asked for."""
    return Stored(
        id=made_id,
        workspace_id=asked.workspace_id,
        state="pending",
        digest=edited.digest,
        body=edited.body,
        reason=asked.reason,
        requester_kind=asked.requester_kind,
        requester_id=asked.requester_id,
        requester_account_id=asked.requester_account_id,
        requester_label=asked.requester_label,
        host=asked.host,
        excluded=asked.excluded,
        need=asked.need,
        policy=asked.policy,
        policy_snapshot=asked.policy_snapshot,
        findings=concluded.findings_text,
        created_us=asked.created_us,
        expires_us=asked.expires_us,
        terms=terms_text(terms),
        alike=alike_of(edited.command),
        program=program_of(edited.command),
        edits=asked.id,
    )
