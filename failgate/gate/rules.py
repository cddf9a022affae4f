"""Rules of the rulebook: each is recorded before it takes effect, and at start each has to prove its record.

The rulebook is a plugin's and lies in a database of its own, so record and rule cannot share a transaction: the record
comes first. A crash in between leaves a record without a rule: it lets nothing pass, `failgate audit verify --gate`
names it, and revoking it ends it.
"""

from dataclasses import dataclass
from typing import Any, Final

from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Transaction
from failgate.base.errors import BadInput, Conflict, NotFound, Unprocessable
from failgate.base.idempotency import FirstAnswers, Repeated, RequestKey
from failgate.base.ids import is_id, new_id
from failgate.base.log import get_logger
from failgate.gate.command import check_argv, check_text
from failgate.gate.policy import Rulebook, rule_digest
from failgate.gate.stored import MAX_PAGE
from failgate.wire.gate import Rule, RulePage, RuleView

RULE: Final = "rule"
MAX_TTL_SECONDS: Final = 366 * 86_400
MAX_USES: Final = 1_000_000_000
_log = get_logger("failgate.gate")


@dataclass(frozen=True, slots=True)
class Proven:
    """What the audit log says of one rule: the digest it was created with, and whether it was revoked or set apart."""

    digest: str | None = None
    is_over: bool = False


def prove_rule(proven: Proven, record: dict[str, Any]) -> Proven:
    """Return what is known of a rule after one more of its records, oldest first."""
    if record["act"] == Act.RULE_CREATED and proven.digest is None:
        return Proven(record["data"]["digest"], proven.is_over)
    if record["act"] in {Act.RULE_REVOKED, Act.RULE_QUARANTINED}:
        return Proven(proven.digest, is_over=True)
    return proven


class Rules:
    """Creates, lists and revokes rules."""

    def __init__(self, db: Database, audit: AuditLog, clock: Clock, rulebook: Rulebook | None) -> None:
        """Work on `rulebook`; None when no enabled policy keeps rules. Records go to `audit` through `db`."""
        self._db = db
        self._audit = audit
        self._clock = clock
        self._rulebook = rulebook
        self._answers = FirstAnswers(db, clock.now_us)

    def _book(self) -> Rulebook:
        if self._rulebook is None:
            raise Conflict(
                "No enabled policy keeps rules.",
                hint="Name the allowlist plugin in [gate] policies of the config file.",
            )
        return self._rulebook

    async def create(self, actor: Actor, workspace_id: str, rule: Rule, key: RequestKey | None = None) -> RuleView:
        """Record `rule`, then make it effective; return it. The same `key` gives the first answer again.

        Raises: Unprocessable (an argument list that cannot be executed, a number out of range, a key used for another
        rule), TooLarge, Conflict (no rulebook, a key whose first request did not come to its end).
        """
        known = None if key is None else await self._answers.answer(key, RuleView)
        if known is not None:
            return known
        book = self._book()
        _check(rule)
        rule_id, created_us = new_id(), self._clock.now_us()
        digest = rule_digest(workspace_id, rule_id, rule, created_by=actor.id, created_us=created_us)
        facts: dict[str, JSON] = {"digest": digest}
        if rule.ttl_seconds is not None:
            facts["expires_us"] = created_us + rule.ttl_seconds * MICROSECONDS
        if rule.max_uses is not None:
            facts["max_uses"] = rule.max_uses
        event = Event(Act.RULE_CREATED, workspace_id, RULE, rule_id, actor, facts)
        if key is None:
            await self._record(event)
        elif not await self._claimed(key, event):
            return await self._answers.repeated(key, RuleView)
        await book.add(workspace_id, rule_id, rule, created_by=actor.id, created_us=created_us)
        view = await self._effective(workspace_id, rule_id)
        if key is not None:
            await self._answers.fill(key, view)
        return view

    async def _claimed(self, key: RequestKey, event: Event) -> bool:
        """Record `event` and claim `key` with it; False when somebody else claimed it."""

        async def claim(tx: Transaction) -> None:
            await self._answers.claim(tx, key)
            await self._audit.append(tx, event)

        try:
            await self._db.write(claim)
        except Repeated:
            return False
        return True

    async def revoke(self, actor: Actor, workspace_id: str, rule_id: str) -> None:
        """Record the end of a rule, then end it; also of one that is recorded and not stored.

        Raises: NotFound (no such effective rule in this workspace), Conflict (no rulebook).
        """
        book = self._book()
        try:
            await self._effective(workspace_id, rule_id)
        except NotFound:
            proven = await self._proven(workspace_id, rule_id)
            if proven.digest is None or proven.is_over:
                raise
        await self._record(Event(Act.RULE_REVOKED, workspace_id, RULE, rule_id, actor))
        await book.revoke(workspace_id, rule_id)

    async def page(self, workspace_id: str, limit: int = 50, after: str | None = None) -> RulePage:
        """Return the effective rules, oldest first, those after the id `after`.

        Raises: BadInput (a limit or a cursor that is none).
        """
        if not 1 <= limit <= MAX_PAGE:
            raise BadInput(f"limit is {limit}; it has to lie between 1 and {MAX_PAGE}.")
        if after is not None and not is_id(after):
            raise BadInput("after is no identifier.", hint="Send the `next` of the page before.")
        rules = [] if self._rulebook is None else await self._rulebook.rules(workspace_id)
        rest = [rule for rule in rules if after is None or rule.id > after]
        items = rest[:limit]
        return RulePage(items, items[-1].id if len(rest) > limit else None)

    async def _record(self, event: Event) -> None:
        await self._db.write(lambda tx: self._audit.append(tx, event))

    async def _effective(self, workspace_id: str, rule_id: str) -> RuleView:
        for rule in await self._book().rules(workspace_id):
            if rule.id == rule_id:
                return rule
        raise NotFound("There is no such rule in this workspace.")

    async def check(self) -> list[str]:
        """Compare every stored rule with its audit records; return the ids of those that were set apart.

        A rule whose record says something else, or that has none, is quarantined; one that was revoked or set apart is
        ended again. Call it at start, before the first command is judged.
        """
        if self._rulebook is None:
            return []
        set_apart: list[str] = []
        for workspace_id, rule_id, digest in await self._rulebook.stored():
            proven = await self._proven(workspace_id, rule_id)
            if proven.digest != digest:
                await self._set_apart(self._rulebook, workspace_id, rule_id, digest)
                set_apart.append(rule_id)
            elif proven.is_over:
                await self._rulebook.revoke(workspace_id, rule_id)
        return set_apart

    async def _proven(self, workspace_id: str, rule_id: str) -> Proven:
        proven = Proven()
        for stored in reversed(await self._audit.newest(workspace_id, limit=1000, obj_id=rule_id)):
            proven = prove_rule(proven, stored.record)
        return proven

    async def _set_apart(self, book: Rulebook, workspace_id: str, rule_id: str, digest: str) -> None:
        _log.error("rule.quarantined", rule=rule_id)
        await book.quarantine(rule_id)
        log = workspace_id if is_id(workspace_id) else "system"
        name = rule_id if is_id(rule_id) else "unknown"
        await self._record(
            Event(Act.RULE_QUARANTINED, log, RULE, name, SERVER, {"digest_found": digest, "reason": "differs"})
        )


def _check(rule: Rule) -> None:
    check_argv(rule.argv)
    check_text("note", rule.note)
    if rule.ttl_seconds is not None and not 1 <= rule.ttl_seconds <= MAX_TTL_SECONDS:
        raise Unprocessable(f"ttl_seconds is {rule.ttl_seconds}; it has to lie between 1 and {MAX_TTL_SECONDS}.")
    if rule.max_uses is not None and not 1 <= rule.max_uses <= MAX_USES:
        raise Unprocessable(f"max_uses is {rule.max_uses}; it has to lie between 1 and {MAX_USES}.")
