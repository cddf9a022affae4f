"""A command is asked for: parsed, judged, kept and audited in one transaction. The hottest verb of the product."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from failgate.access.principal import Principal
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS
from failgate.base.db import Transaction
from failgate.base.errors import FailgateError, TooManyRequests, Unprocessable
from failgate.base.idempotency import Repeated, RequestKey, request_key
from failgate.base.ids import new_id
from failgate.base.log import get_logger, request_context
from failgate.gate import lifecycle as life
from failgate.gate.command import ParsedCommand, check_text, check_ttl, parse_command
from failgate.gate.feed import Happened
from failgate.gate.journal import record_event
from failgate.gate.judging import (
    Conclusion,
    Snapshots,
    Unfinished,
    begin,
    conclude,
    conclusion_of,
    judge_all,
    to_wire,
)
from failgate.gate.keeping import Judged, Keeping
from failgate.gate.likeness import alike_of, program_of
from failgate.gate.mutes import MUTE, Mute
from failgate.gate.observing import Period
from failgate.gate.parts import Parts
from failgate.gate.policy import Combined, CommandContext, Finding, combine, without_allowing
from failgate.gate.runs import check_origin
from failgate.gate.stored import Stored, load, not_found, risk_of, texts_text
from failgate.gate.terms import Terms, joined, ladder_of, terms_digest, terms_text, words_of
from failgate.wire.gate import Command, Explanation, Origin, Submission

REJUDGE: Final = 3  # how often a rule that was spent meanwhile leads to asking the policies again
_log = get_logger("failgate.gate")
_HAPPENED: Mapping[str, Happened] = {"allow": "allowed", "ask": "created", "deny": "refused"}
HandedIn = Callable[[Stored, Exception | None], None]
"""Learns of the command that it is durable, or by the error why it was not kept."""


class _Asking(msgspec.Struct, frozen=True):
    principal: Principal
    asker: "Asker"
    workspace_id: str
    parsed: ParsedCommand
    reason: str | None
    ttl_us: int
    origin: Origin | None


class Asker(msgspec.Struct, frozen=True, gc=False):
    """Whose command it is, as far as policies may know."""

    id: str
    agent_id: str | None
    account_id: str | None

    @classmethod
    def of(cls, principal: Principal) -> "Asker":
        """Return who `principal` is."""
        return cls(principal.id, principal.agent_id, principal.account_id or principal.owner_account_id)


class Submitting:
    """Takes commands in."""

    def __init__(self, parts: Parts) -> None:
        """Work with `parts`."""
        self._parts = parts
        self.snapshots = Snapshots(parts.policies)
        self._keeping = Keeping(parts)

    async def submit(
        self, principal: Principal, workspace_id: str, submission: Submission, idempotency_key: str | None
    ) -> Stored:
        """Keep the command as allowed, refused or pending, durably and audited, and return it."""
        asking = self._asking(principal, workspace_id, submission)
        if idempotency_key is None:
            judged = await self._judge(asking)
            await self._keeping.keep(judged)
            return judged.stored
        body = [submission.digest, submission.reason, submission.ttl_seconds]
        key = request_key(idempotency_key, principal.id, ("commands.submit", workspace_id), body)
        first = await self._parts.answers.answer(key, str)
        if first is None:
            try:
                return await self._keep_once(await self._judge(asking), key)
            except Repeated:
                first = await self._parts.answers.repeated(key, str)
        return await self._first(workspace_id, first)

    async def hand_in(
        self, principal: Principal, workspace_id: str, submission: Submission, answered: HandedIn
    ) -> None:
        """Judge the command, then keep it as `submit` does; `answered` is called when that has ended.

        Raises: what `submit` raises of a command that is not usable, and of a queue that is full.
        """
        judged = await self._judge(self._asking(principal, workspace_id, submission))
        self._keeping.put(judged, partial(answered, judged.stored))

    def _asking(self, principal: Principal, workspace_id: str, submission: Submission) -> _Asking:
        parsed = parse_command(submission.command, self._parts.limits.argv_bytes)
        if submission.digest != parsed.digest:
            raise Unprocessable(
                "The digest does not fit the command: nothing was kept.",
                hint="digest is base64url(SHA-256(RFC 8785 bytes of command)) without padding.",
                expected=parsed.digest,
            )
        check_text("reason", submission.reason)
        check_origin(submission.origin)
        ttl_us = self._ttl_us(submission.ttl_seconds)
        return _Asking(
            principal, Asker.of(principal), workspace_id, parsed, submission.reason, ttl_us, submission.origin
        )

    async def _first(self, workspace_id: str, command_id: str) -> Stored:
        """Return the command that the key made, as it is now."""
        stored = await load(self._parts.db, workspace_id, command_id)
        if stored is None:
            raise not_found()
        return stored

    async def _keep_once(self, judged: Judged, key: RequestKey) -> Stored:
        stored = judged.stored

        async def keep(tx: Transaction) -> None:
            await self._parts.answers.claim(tx, key, stored.id)
            await self._keeping.keep_all(tx, stored.workspace_id, (judged,))

        await self._parts.db.write(keep)
        return stored

    async def _judge(self, asking: _Asking) -> Judged:
        snapshot, policy = self.snapshots.take(asking.workspace_id)
        concluded = await self._decide(asking.parsed.command, asking.asker, asking.workspace_id)
        mute = self._mute(asking.workspace_id, asking.asker, asking.parsed.command, concluded.combined)
        if mute is not None:
            concluded = conclude((*concluded.combined.findings, (MUTE, mute.finding)))
        decision = concluded.combined.decision
        period = self._observing(asking, decision) if mute is None else None
        if decision == "ask" and period is None:
            await self._admit(asking)
        now_us = self._parts.time.now_us()
        terms = _terms_of(asking.principal, concluded.combined)
        if period is None:
            event = self._event(asking, concluded.combined, policy, now_us, terms)
        else:
            event = self._observed(asking, concluded.combined, policy, now_us, terms, period)
        stored = _stored(asking, life.apply(None, event), concluded, snapshot, now_us, terms)
        record = record_event(
            event,
            workspace_id=asking.workspace_id,
            command_id=stored.id,
            actor=Actor.of(asking.principal),
            facts=_facts(concluded, period, mute),
        )
        happened = _HAPPENED[decision] if period is None else "observed"
        mute_id = None if mute is None else mute.id
        return Judged(stored, record, happened, request_context.get(), asking.origin, mute_id)

    async def _admit(self, asking: _Asking) -> None:
        """Let one more request wait for people. Raises: TooManyRequests, on record once a minute for each asker."""
        parts, now_us = self._parts, self._parts.time.now_us()
        parts.queue.admit(asking.asker.id, len(asking.parsed.body))
        wait_seconds = parts.asks.take(asking.asker.id, now_us)
        if wait_seconds:
            if parts.asks.is_news(asking.asker.id, now_us):
                await self._tell_rush(asking)
            raise TooManyRequests(
                f"You asked people for {parts.asks.per_minute} commands within a minute.",
                retry_after_seconds=wait_seconds,
                hint="Ask more slowly; what rules let pass is not counted.",
            )

    async def _tell_rush(self, asking: _Asking) -> None:
        kind = "account" if asking.asker.agent_id is None else "agent"
        facts: dict[str, JSON] = {"reason": "too often", "per_minute": self._parts.asks.per_minute}
        actor = Actor.of(asking.principal)
        event = Event(Act.ASKING_REFUSED, asking.workspace_id, kind, asking.asker.id, actor, facts, out="deny")
        await self._parts.audit.record(event)

    def _mute(self, workspace_id: str, asker: Asker, command: Command, combined: Combined) -> Mute | None:
        return self._parts.mutes.answering(workspace_id, asker.id, command, combined)

    def _observing(self, asking: _Asking, decision: str) -> Period | None:
        """Return the time in which the command is only observed, or None when the law's answer holds.

        A workspace whose rulebook lacks a rule is gated: the rule that is missing may have refused this command.
        """
        parts = self._parts
        if decision == "allow" or parts.observing is None or parts.known_rules.is_closed(asking.workspace_id):
            return None
        period = parts.observing.covering(asking.workspace_id, asking.principal)
        return None if period is None or (decision == "deny" and not period.denials) else period

    async def explain(self, principal: Principal, workspace_id: str, raw: dict[str, Any]) -> Explanation:
        """Return what the policies would say of the command now; nothing is kept and no use of a rule is counted."""
        parsed = parse_command(raw, self._parts.limits.argv_bytes)
        asker = Asker.of(principal)
        combined = combine(await self.ask_policies(parsed.command, asker, workspace_id))
        mute = self._mute(workspace_id, asker, parsed.command, combined)
        if mute is not None:
            combined = combine((*combined.findings, (MUTE, mute.finding)))
        findings, terms = to_wire(combined.findings), combined.terms
        return Explanation(
            combined.decision,
            findings,
            combined.reason,
            combined.need,
            risk_of(findings),
            terms.challenge,
            words_of(terms),
            terms.deny_after or 1,
            terms.decide_within_seconds,
            terms.use_within_seconds,
            ladder_of(terms),
        )

    def _ttl_us(self, wish: int | None) -> int:
        if wish is None:
            wish = self._parts.limits.default_ttl_seconds
        else:
            check_ttl(wish)
        return min(wish, self._parts.limits.max_ttl_seconds) * MICROSECONDS

    async def ask_policies(self, command: Command, asker: Asker, workspace_id: str) -> list[tuple[str, Finding]]:
        """Return what the policies say of `command` when `asker` asks for it; no use of a rule is counted.

        Raises: Conflict in a sealed workspace: no policy, and so nobody else, is shown what stood in the clear.
        """
        if self._parts.refuse_clear is not None:
            await self._parts.refuse_clear(workspace_id)
        context = CommandContext(
            workspace_id,
            asker.agent_id,
            asker.account_id,
            self._parts.time.now_us(),
            partial(self._parts.familiar.knows, workspace_id, asker.id, command),
        )
        findings = await judge_all(self._parts.policies, command, context, self._parts.limits.policy_seconds)
        return without_allowing(findings) if self._parts.known_rules.is_closed(workspace_id) else findings

    async def _decide(self, command: Command, asker: Asker, workspace_id: str) -> Conclusion:
        """Return the law's answer; a rule that lets the command pass has counted this use."""
        findings: list[tuple[str, Finding]] = []
        for _ in range(REJUDGE):
            findings = await self.ask_policies(command, asker, workspace_id)
            concluded = conclude(findings)
            if concluded.combined.decision != "allow" or await self._count_uses(workspace_id, concluded):
                return concluded
        unusable = "the rule that would let it pass cannot be used"
        return conclusion_of(Combined("deny", 0, unusable, tuple(findings)))

    async def _count_uses(self, workspace_id: str, concluded: Conclusion) -> bool:
        rulebook = self._parts.rulebook
        for rule_id in concluded.rules_used:
            if rulebook is None:
                return False
            try:
                is_usable = begin(rulebook.use(workspace_id, rule_id))
                if isinstance(is_usable, Unfinished):
                    is_usable = await is_usable.within(self._parts.limits.policy_seconds)
            except FailgateError:
                raise
            except Exception as error:  # noqa: BLE001  # a rulebook's fault must fail closed
                _log.error("rulebook.failed", error=type(error).__name__)
                is_usable = False
            if not is_usable:
                return False
        return True

    def _event(self, asking: _Asking, combined: Combined, policy: str, now_us: int, terms: Terms) -> life.Beginning:
        command_id, digest, requester = new_id(), asking.parsed.digest, asking.asker.id
        if combined.decision == "allow":
            use_by_us = now_us + self._parts.use_within_us(terms)
            return life.Allowed(command_id, digest, policy, requester, use_by_us)
        if combined.decision == "deny":
            return life.Refused(command_id, digest, policy, requester)
        accounts = (asking.principal.account_id, asking.principal.owner_account_id)
        excluded = frozenset(account for account in accounts if account is not None)
        ttl_us, text = asking.ttl_us, terms_text(terms)
        if terms.decide_within_seconds is not None:
            ttl_us = min(ttl_us, terms.decide_within_seconds * MICROSECONDS)
        return life.Asked(
            command_id,
            digest,
            now_us + ttl_us,
            combined.need,
            policy,
            requester,
            excluded,
            None if text is None else terms_digest(text),
            terms.deny_after or 1,
        )

    def _observed(
        self, asking: _Asking, combined: Combined, policy: str, now_us: int, terms: Terms, period: Period
    ) -> life.Observed:
        text = terms_text(terms)
        return life.Observed(
            new_id(),
            asking.parsed.digest,
            policy,
            asking.asker.id,
            min(now_us + self._parts.use_within_us(terms), period.expires_us),
            "wait" if combined.decision == "ask" else "deny",
            combined.need,
            period.id,
            None if text is None else terms_digest(text),
            terms.deny_after or 1,
        )


def _facts(concluded: Conclusion, period: Period | None, mute: Mute | None) -> dict[str, JSON] | None:
    """Return what the record says besides: the rule, or what a reviewer muted, that decided."""
    if mute is not None:
        return {"mute": mute.id}
    return None if concluded.rule_id is None or period is not None else {"rule": concluded.rule_id}


def _terms_of(principal: Principal, combined: Combined) -> Terms:
    """Return what is demanded of those who decide: by the policies, and because of who made the credential."""
    maker = principal.maker_account_id
    if combined.decision != "ask" or maker is None or maker in {principal.account_id, principal.owner_account_id}:
        return combined.terms
    return joined((combined.terms, Terms(makers=(maker,))))


def _stored(
    asking: _Asking, request: life.Request, concluded: Conclusion, snapshot: str, now_us: int, terms: Terms
) -> Stored:
    """Return the row of `request`; `snapshot` is the text of what the policies would apply."""
    principal, is_decided, command = asking.principal, request.state != "pending", asking.parsed.command
    is_known = is_decided and request.observed is None  # by a policy alone: nobody looks for it again
    says_why = concluded.combined.decision == "deny" or request.observed is not None
    return Stored(
        id=request.id,
        workspace_id=asking.workspace_id,
        state=request.state,
        digest=request.digest,
        body=asking.parsed.body,
        reason=asking.reason,
        requester_kind=principal.kind,
        requester_id=asking.asker.id,
        requester_account_id=asking.asker.account_id,
        requester_label=principal.label,
        host=command.host,
        excluded=texts_text(sorted(request.excluded)).decode() if request.excluded else "[]",
        need=request.need,
        policy=request.policy,
        policy_snapshot=snapshot,
        findings=concluded.findings_text,
        created_us=now_us,
        expires_us=request.expires_us,
        decided_us=now_us if is_decided else None,
        decided_by=concluded.deciders if is_decided else None,
        note=concluded.combined.reason if says_why else None,
        use_by_us=request.use_by_us,
        terms=None if is_known else terms_text(terms),
        alike=None if is_known else alike_of(command),
        program=None if is_known else program_of(command),
        observed=request.observed,
        observing_id=request.observing,
    )
