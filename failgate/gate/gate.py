"""The gate: what agents ask for, what people decide, what is used, in order. Every verb is durable when it returns.

`submitting`, `deciding`, `using` and `recovery` hold the verbs; this module joins them over one set of parts, reads,
waits and keeps time.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from failgate.access.principal import Principal
from failgate.audit.log import AuditLog
from failgate.audit.record import Actor
from failgate.base.background import Background
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Transaction
from failgate.base.errors import BadInput
from failgate.base.idempotency import FirstAnswers, Repeated, RequestKey
from failgate.base.ids import is_id
from failgate.gate.answering import Answered, answered_by
from failgate.gate.command import stored_command
from failgate.gate.deciding import Deciding
from failgate.gate.editing import Editing
from failgate.gate.electorate import Electorate, Members
from failgate.gate.endings import Endings
from failgate.gate.familiar import Familiar
from failgate.gate.feed import Feed
from failgate.gate.further import Wish, rule_for
from failgate.gate.glass import BreakingGlass, Told
from failgate.gate.history import history_of
from failgate.gate.known_rules import KnownRules
from failgate.gate.ladder import Silence, silences
from failgate.gate.likeness import program_of
from failgate.gate.muting import Muting
from failgate.gate.observing import Observing
from failgate.gate.parts import Asked, GateLimits, Parts, RefuseClear, Write
from failgate.gate.policy import ApprovalPolicy, Rulebook
from failgate.gate.queue import Queue
from failgate.gate.recovery import Rebuilt, rebuild
from failgate.gate.runs import Run, commands_of, run_of, runs_of
from failgate.gate.steady import SteadyTime
from failgate.gate.stored import MAX_PAGE, Receipt, Stored, load, load_page, not_found, receipt_of, request_of, view_of
from failgate.gate.submitting import Submitting
from failgate.gate.suggesting import Suggestions, suggested
from failgate.gate.terms import Terms, stored_terms
from failgate.gate.using import Using
from failgate.gate.voiding import cancel_all, void_votes
from failgate.wire.edits import Edit, EditTrial, EditWish
from failgate.wire.gate import CommandPage, CommandView, Consume, Explanation, Outcome, Rule, State, Submission, Vote
from failgate.wire.history import CommandHistory

MAX_WAIT_SECONDS: Final = 55.0
TICK_SECONDS: Final = 1.0  # how long a jump of the wall clock may go unnoticed


class Gate:
    """The gate of one server."""

    def __init__(
        self,
        db: Database,
        audit: AuditLog,
        clock: Clock,
        policies: Mapping[str, ApprovalPolicy],
        rulebook: Rulebook | None = None,
        *,
        electorate: Electorate | None = None,
        limits: GateLimits | None = None,
        feed: Feed | None = None,
        known_rules: KnownRules | None = None,
        asked: Asked | None = None,
        told: Told | None = None,
        refuse_clear: RefuseClear | None = None,
    ) -> None:
        """Be ready for `rebuild`. `policies` are asked in their order; without any, every command is denied.

        `refuse_clear` raises where a workspace takes no command in the clear.

        `known_rules` says in which workspaces nothing passes without people, for the rulebook lacks a rule.
        """
        limits = limits or GateLimits()
        self.feed = feed or Feed()
        self._queue = Queue(limits.max_pending, limits.max_pending_bytes, limits.max_pending_each)
        self._time = SteadyTime(clock)
        self.endings = Endings(self._queue, self._time)
        self.observing = Observing(db, audit, self._time, is_allowed=limits.allow_observing)
        self._parts = Parts(
            db,
            audit,
            self._time,
            self._queue,
            self.feed,
            limits,
            electorate or Members(),
            dict(policies),
            rulebook,
            known_rules or KnownRules(db),
            FirstAnswers(db, self._time.now_us),
            Familiar(db),
            asked,
            refuse_clear,
            self.observing,
        )
        self._submitting = Submitting(self._parts)
        self._deciding = Deciding(self._parts)
        self._editing = Editing(self._parts, self._submitting, self._deciding)
        self._using = Using(self._parts)
        self.muting = Muting(self._parts, self._deciding)
        self.glass = BreakingGlass(self._parts, self._deciding, told)
        self._timer = Background("gate-timer", self._step)

    async def rebuild(self) -> Rebuilt:
        """Fill the queue from storage: what differs from its audit records is quarantined, what is overdue expires.

        Call it once, before the first verb.
        """
        return await rebuild(self._parts)

    async def submit(
        self,
        principal: Principal,
        workspace_id: str,
        submission: Submission,
        idempotency_key: str | None = None,
    ) -> CommandView:
        """Take a command in: it is allowed or refused by a policy at once, or pending.

        The same `idempotency_key` of the same principal gives the first answer again.

        Raises: Unprocessable (foreign digest, a command that cannot be executed, a key used for another body),
        TooLarge, TooManyRequests (the queue is full), StorageUnavailable (nothing was kept).
        """
        return self._view(await self._submitting.submit(principal, workspace_id, submission, idempotency_key))

    def ask(
        self,
        principal: Principal,
        workspace_id: str,
        submission: Submission,
        answered: Callable[[Receipt | Exception], None],
    ) -> Awaitable[None]:
        """Take a command in as `submit` does, without a wait; only what its agent has to know is told, to `answered`.

        `answered` is called once, later, from the loop: with the receipt of a command that is durable, or with the
        error why it was not kept. It costs far less than a task that waits.

        Raises: as `submit`, when nothing was begun; then `answered` is not called.
        """

        def kept(stored: Stored, error: Exception | None) -> None:
            answered(receipt_of(stored, self._time.now_us()) if error is None else error)

        return self._submitting.hand_in(principal, workspace_id, submission, kept)

    async def explain(self, principal: Principal, workspace_id: str, command: dict[str, Any]) -> Explanation:
        """Return what the policies would say of the raw `command` now; nothing is kept.

        Raises: Unprocessable, TooLarge.
        """
        return await self._submitting.explain(principal, workspace_id, command)

    async def view(self, workspace_id: str, command_id: str, principal: Principal) -> CommandView:
        """Return the request with its command. An agent sees its own only.

        Raises: NotFound (absent, of another workspace, of another agent: the same answer).
        """
        stored = await self._read(workspace_id, command_id, principal)
        self._parts.pace.show(principal, stored.digest, self._time.now_us())
        return self._view(stored, with_command=True)

    async def history(self, workspace_id: str, command_id: str, principal: Principal) -> CommandHistory:
        """Return what was known beside the request when it was asked for. Raises: NotFound."""
        stored = await self._read(workspace_id, command_id, principal)
        return await history_of(self._parts.db, stored, self._time.now_us())

    async def further(
        self, workspace_id: str, command_id: str, principal: Principal, wish: Wish
    ) -> tuple[Rule, Answered]:
        """Return the rule that `wish` makes of the request, and what it would have answered; nothing is made.

        Raises: NotFound, and as `rule_for`.
        """
        stored = await self._read(workspace_id, command_id, principal)
        rule = rule_for(stored, wish)
        program = stored.program or program_of(stored_command(stored.body))
        return rule, await answered_by(self._parts.db, workspace_id, program, rule)

    async def suggestions(self, workspace_id: str) -> Suggestions:
        """Return the few rules that would have answered most of what people were asked in the last week."""
        return await suggested(self._parts.db, workspace_id, self._time.now_us())

    async def wait(
        self, workspace_id: str, command_id: str, principal: Principal, seconds: float | None
    ) -> CommandView:
        """Return the request as soon as it is no longer pending, at the latest after `seconds`.

        `seconds` is cut to the range 0 to 55; None waits for as long as it takes, or until the gate closes.

        Raises: NotFound.
        """
        limit = None if seconds is None else max(0.0, min(seconds, MAX_WAIT_SECONDS))
        with self._queue.watch(command_id) as ended:
            stored = await self._read(workspace_id, command_id, principal)
            if stored.state == "pending" and limit != 0:
                await asyncio.wait([ended], timeout=limit)
                decided = ended.result() if ended.done() else None
                stored = decided or await self._read(workspace_id, command_id, principal)
        return self._view(stored)

    async def page(
        self, workspace_id: str, state: State | None = None, limit: int = 50, after: str | None = None
    ) -> CommandPage:
        """Return the workspace's requests, newest first, those after the id `after`; at most 200 in a page.

        Raises: BadInput (a limit or a cursor that is none).
        """
        if not 1 <= limit <= MAX_PAGE:
            raise BadInput(f"limit is {limit}; it has to lie between 1 and {MAX_PAGE}.")
        if after is not None and not is_id(after):
            raise BadInput("after is no identifier.", hint="Send the `next` of the page before.")
        stored = await load_page(
            self._parts.db, workspace_id, state=state, limit=limit + 1, before=after, now_us=self._time.now_us()
        )
        items = [self._view(each) for each in stored[:limit]]
        return CommandPage(items, items[-1].id if len(stored) > limit else None)

    def pending(self, workspace_id: str) -> list[CommandView]:
        """Return the workspace's pending requests from memory, oldest first, without those whose time has gone by."""
        now_us = self._time.now_us()
        return [self._view(each) for each in self._queue.of_workspace(workspace_id) if now_us < each.expires_us]

    def silent(self) -> list[Silence]:
        """Return the pending requests of every workspace of whose ladder a step is due, for nobody decided."""
        return silences(self._queue.waiting(), self._time.now_us())

    def alike(self, workspace_id: str) -> dict[str, str]:
        """Return of each pending request, by its id, who asks for which command: equal for what can be folded."""
        waiting = self._queue.of_workspace(workspace_id)
        return {each.id: f"{each.requester_id} {each.alike}" for each in waiting if each.alike is not None}

    async def tell_report(self, workspace_id: str, command_id: str) -> None:
        """Let those who watch know that the command's run has a report now."""
        if self.feed.has_readers(workspace_id):
            stored = await load(self._parts.db, workspace_id, command_id)
            if stored is not None:
                self.feed.publish(workspace_id, "reported", view_of(stored, self._time.now_us()))

    async def terms_of(self, workspace_id: str, command_id: str, principal: Principal) -> tuple[Terms, frozenset[str]]:
        """Return what is demanded of those who decide on the request, and who does not. Raises: NotFound."""
        stored = await self._read(workspace_id, command_id, principal)
        return stored_terms(stored.terms), request_of(stored).excluded

    async def views(self, workspace_id: str, command_ids: Sequence[str]) -> dict[str, CommandView]:
        """Return those of the workspace's requests that `command_ids` name, by id."""
        found = [await load(self._parts.db, workspace_id, command_id) for command_id in command_ids]
        return {stored.id: self._view(stored) for stored in found if stored is not None}

    async def requester_of(self, workspace_id: str, command_id: str) -> str | None:
        """Return the id of the principal that asked for the command, or None when the workspace has no such one."""
        stored = await load(self._parts.db, workspace_id, command_id)
        return None if stored is None else stored.requester_id

    async def vote(
        self, principal: Principal, workspace_id: str, command_id: str, vote: Vote, key: RequestKey | None = None
    ) -> CommandView:
        """Count a person's decision; see `Deciding.vote` for its law and its errors.

        Of this, the next three and `edit`: a `key` that had its effect before gives the first answer again.
        """
        return await self._once(
            key, lambda write: self._deciding.vote(principal, workspace_id, command_id, vote, write)
        )

    async def try_edit(self, principal: Principal, workspace_id: str, command_id: str, wish: EditWish) -> EditTrial:
        """Return what would come of an edit; nothing is decided. Raises: NotFound, as `Editing.trial`."""
        return await self._editing.trial(principal, await self._read(workspace_id, command_id, principal), wish)

    async def edit(
        self, principal: Principal, workspace_id: str, command_id: str, edit: Edit, key: RequestKey | None = None
    ) -> CommandView:
        """Approve the request in another form, which is another request; see `Editing.edit`."""
        return await self._once(key, lambda write: self._editing.edit(principal, workspace_id, command_id, edit, write))

    async def runs(self, workspace_id: str, requester_id: str, limit: int, before_us: int | None = None) -> list[Run]:
        """Return the runs of a requester; see `runs_of`."""
        return await runs_of(self._parts.db, workspace_id, requester_id, limit, before_us)

    async def run_commands(
        self, workspace_id: str, requester_id: str, run_id: str, limit: int, before: str | None = None
    ) -> tuple[Run, list[tuple[CommandView, str | None]]]:
        """Return a run and its newest commands, each with the tool it is for. Raises: NotFound."""
        found = await run_of(self._parts.db, workspace_id, requester_id, run_id)
        commands = await commands_of(self._parts.db, workspace_id, run_id, limit, before)
        return found, [(self._view(one.stored), one.tool) for one in commands]

    async def cancel(
        self, principal: Principal, workspace_id: str, command_id: str, key: RequestKey | None = None
    ) -> CommandView:
        """Withdraw a pending request; see `Deciding.cancel`."""
        return await self._once(key, lambda write: self._deciding.cancel(principal, workspace_id, command_id, write))

    async def consume(
        self, principal: Principal, workspace_id: str, command_id: str, consume: Consume, key: RequestKey | None = None
    ) -> CommandView:
        """Use an approval, for the only time; see `Using.consume`."""
        return await self._once(
            key, lambda write: self._using.consume(principal, workspace_id, command_id, consume, write)
        )

    async def outcome(
        self, principal: Principal, workspace_id: str, command_id: str, outcome: Outcome, key: RequestKey | None = None
    ) -> CommandView:
        """Keep how the execution ended, once; see `Using.outcome`."""
        return await self._once(
            key, lambda write: self._using.outcome(principal, workspace_id, command_id, outcome, write)
        )

    async def void_votes_of(self, tx: Transaction, account_id: str, actor: Actor) -> None:
        """Void the open votes of an account that is disabled, inside that transaction."""
        await void_votes(self._parts, tx, account_id, actor, reason="account_disabled")

    async def void_votes_in(self, tx: Transaction, workspace_id: str, account_id: str, actor: Actor) -> None:
        """Void the open votes of an account that leaves the workspace, inside that transaction."""
        await void_votes(self._parts, tx, account_id, actor, reason="member_removed", workspace_id=workspace_id)

    async def end_of_workspace(self, tx: Transaction, workspace_id: str, actor: Actor) -> None:
        """Cancel what is pending in a workspace that is deleted, inside that transaction."""
        await cancel_all(self._parts, tx, workspace_id, actor)
        tx.after_commit(lambda: self._parts.familiar.end_of_workspace(workspace_id))
        tx.after_commit(lambda: self._parts.mutes.end_of_workspace(workspace_id))

    async def expire_due(self) -> int:
        """Expire every pending request whose time has gone by; return how many."""
        return await self._deciding.expire_due()

    def pending_count(self) -> int:
        """Return how many requests wait for people, for the metrics."""
        return len(self._queue)

    def is_frozen(self) -> bool:
        """Tell whether the wall clock went back so far that nothing is approved, for the health page."""
        return self._time.is_frozen()

    def run(self) -> None:
        """Start the timer that expires requests."""
        self._timer.start()

    async def close(self) -> None:
        """Stop the timer, end every subscription and wake everybody who waits. Pending requests stay stored."""
        await self._timer.close()
        self._queue.release()
        self.feed.close()

    async def _once(self, key: RequestKey | None, act: Callable[[Write], Awaitable[Stored]]) -> CommandView:
        parts = self._parts
        if key is None:
            return self._view(await act(parts.db.write))
        known = await parts.answers.answer(key, CommandView)
        if known is not None:
            return known
        try:
            return self._view(await act(lambda verb: parts.db.write(parts.answers.claiming(key, verb, self._view))))
        except Repeated:
            return await parts.answers.repeated(key, CommandView)

    def _view(self, stored: Stored, *, with_command: bool = False) -> CommandView:
        return view_of(stored, self._time.now_us(), with_command=with_command)

    async def _read(self, workspace_id: str, command_id: str, principal: Principal) -> Stored:
        stored = self._queue.get(command_id)
        if stored is None or stored.workspace_id != workspace_id:
            stored = await load(self._parts.db, workspace_id, command_id) if is_id(command_id) else None
        if stored is None or (principal.kind == "agent" and stored.requester_id != principal.id):
            raise not_found()
        return stored

    async def _step(self) -> None:
        await self.expire_due()
        next_us = self._queue.next_expiry_us()
        seconds = None
        if next_us is not None:
            seconds = min(TICK_SECONDS, max(0.005, (next_us - self._time.now_us()) / MICROSECONDS))
        self._queue.changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._queue.changed.wait()
