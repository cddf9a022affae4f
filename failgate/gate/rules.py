"""Rules of the rulebook: each is recorded before it takes effect, and at start each has to prove its record.

The rulebook is a plugin's and lies in a database of its own, so record and rule cannot share a transaction: the record
comes first. A crash in between leaves a record without a rule: it lets nothing pass, nobody was told that it would,
and the next start ends it. A rule that the rulebook had and has no more closes its workspace: `known_rules.py`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Transaction
from failgate.base.errors import BadInput, Conflict, NotFound, TooLarge, Unprocessable
from failgate.base.idempotency import FirstAnswers, Repeated, RequestKey
from failgate.base.ids import is_id, new_id
from failgate.base.log import get_logger
from failgate.gate.command import check_argv, check_text
from failgate.gate.known_rules import KnownRules
from failgate.gate.policy import Rulebook, rule_digest
from failgate.gate.starter import starter_rules
from failgate.gate.stored import MAX_PAGE
from failgate.matching.matcher import check_rule
from failgate.wire.gate import Rule, RulePage, RuleView

RULE: Final = "rule"
_OPERATING: Final = frozenset({"operator", "system"})  # whoever holds the machine may edit its files, too
MAX_TTL_SECONDS: Final = 366 * 86_400
MAX_USES: Final = 1_000_000_000
TOGETHER: Final = 64  # rules that are made at once
_MEND: Final = (
    "Nothing passes in this workspace without people. Put the file of the rulebook back as it was and start again, or"
    " end the rule and make it anew: failgate admin allow remove"
)
MAX_RULE_BYTES: Final = 512 * 1024
encode = msgspec.json.Encoder().encode
_log = get_logger("failgate.gate")


@dataclass(frozen=True, slots=True)
class Proven:
    """What the audit log says of one rule: the digest it was created with, and whether it was revoked or set apart."""

    digest: str | None = None
    is_over: bool = False
    expires_us: int | None = None


def prove_rule(proven: Proven, record: dict[str, Any]) -> Proven:
    """Return what is known of a rule after one more of its records, oldest first."""
    if record["act"] == Act.RULE_CREATED and proven.digest is None:
        return Proven(record["data"]["digest"], proven.is_over, record["data"].get("expires_us"))
    if record["act"] in {Act.RULE_REVOKED, Act.RULE_QUARANTINED}:
        return Proven(proven.digest, is_over=True, expires_us=proven.expires_us)
    return proven


async def approvers_of(db: Database, workspace_id: str) -> int:
    """Return how many others have to approve a rule of the workspace that lets commands pass."""
    row = await db.fetch_one("SELECT approvers FROM gate_rule_terms WHERE workspace_id = $1", workspace_id)
    return 0 if row is None else int(row["approvers"])


class Rules:
    """Creates, lists and revokes rules."""

    def __init__(
        self, db: Database, audit: AuditLog, clock: Clock, rulebook: Rulebook | None, known: KnownRules | None = None
    ) -> None:
        """Work on `rulebook`; None when no enabled policy keeps rules. Records go to `audit` through `db`.

        `known` is what the gate asks whether a workspace is closed.
        """
        self._db = db
        self._audit = audit
        self._clock = clock
        self._rulebook = rulebook
        self._known = known or KnownRules(db)
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
        rule), BadInput (a member that does not go with the kind), TooLarge, Conflict (no rulebook, others have to
        approve, a key whose first request did not come to its end).
        """
        is_free = actor.t in _OPERATING or rule.effect == "deny" or await approvers_of(self._db, workspace_id) == 0
        if not is_free:
            raise Conflict(
                "In this workspace other people approve a rule before it is in effect.",
                hint="Propose it: on the page of rules, or by POST rule-proposals.",
            )
        return await self.create_approved(actor, workspace_id, rule, key)

    async def create_approved(
        self, actor: Actor, workspace_id: str, rule: Rule, key: RequestKey | None = None
    ) -> RuleView:
        """Do what `create` does for a rule that whoever has to approve has approved.

        Raises: as `create`.
        """
        known = None if key is None else await self._answers.answer(key, RuleView)
        if known is not None:
            return known
        book = self._book()
        self.check_new(rule)
        rule_id, created_us = new_id(), self._clock.now_us()
        digest = rule_digest(workspace_id, rule_id, rule, created_by=actor.id, created_us=created_us)
        facts: dict[str, JSON] = {"digest": digest}
        if rule.ttl_seconds is not None:
            facts["expires_us"] = created_us + rule.ttl_seconds * MICROSECONDS
        if rule.max_uses is not None:
            facts["max_uses"] = rule.max_uses
        event = Event(Act.RULE_CREATED, workspace_id, RULE, rule_id, actor, facts)
        if not await self._begun(key, event):
            assert key is not None
            return await self._answers.repeated(key, RuleView)
        await book.add(workspace_id, rule_id, rule, created_by=actor.id, created_us=created_us)
        await self._known.keep([rule_id])
        view = await self._effective(workspace_id, rule_id)
        if key is not None:
            await self._answers.fill(key, view)
        return view

    async def take_starter(
        self, actor: Actor, workspace_id: str, directories: Sequence[str], review_by: str | None = None
    ) -> int:
        """Take the starter rules over for calls from `directories`; return how many were new.

        Raises: Unprocessable (no folder, or none that is real), Conflict (no rulebook).
        """
        new = await self.missing_starter(workspace_id, directories, review_by)
        for place in range(0, len(new), TOGETHER):  # one commit keeps many
            made = (self.create(actor, workspace_id, rule) for rule in new[place : place + TOGETHER])
            for ended in await asyncio.gather(*made, return_exceptions=True):
                if isinstance(ended, BaseException):
                    raise ended
        return len(new)

    async def missing_starter(
        self, workspace_id: str, directories: Sequence[str], review_by: str | None = None
    ) -> list[Rule]:
        """Return those starter rules for `directories` that are not in effect. Raises: as `take_starter`."""
        if not directories:
            raise Unprocessable("Starter rules need a folder.", hint="Name the folders of projects that agents read.")
        wanted = starter_rules(directories, review_by=review_by)
        self.check_new(wanted[0])
        known = {_what(view) for view in await self._book().rules(workspace_id)}
        return [rule for rule in wanted if _what(rule) not in known]

    def check_new(self, rule: Rule) -> None:
        """Accept a rule that may be made. Raises: BadInput, Unprocessable, TooLarge."""
        _check(rule)

    async def one(self, workspace_id: str, rule_id: str) -> RuleView:
        """Return an effective rule. Raises: NotFound, Conflict (no rulebook)."""
        return await self._effective(workspace_id, rule_id)

    async def _begun(self, key: RequestKey | None, event: Event) -> bool:
        """Record `event`, know its rule and claim `key`; False when somebody else claimed it."""

        async def begin(tx: Transaction) -> None:
            if key is not None:
                await self._answers.claim(tx, key)
            await self._audit.append(tx, event)
            await self._known.begin(tx, event.ws, event.obj_id)

        try:
            await self._db.write(begin)
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
            is_open = proven.digest is not None and not proven.is_over
            if not is_open and await self._known.workspace_of(rule_id) != workspace_id:
                raise
        await self._end(workspace_id, rule_id, actor)
        await book.revoke(workspace_id, rule_id)

    async def revoke_anywhere(self, actor: Actor, rule_id: str) -> None:
        """Do what `revoke` does, whatever workspace the rule is of.

        Raises: NotFound, Conflict.
        """
        workspace_id = await self._known.workspace_of(rule_id)
        if workspace_id is None:
            raise NotFound("There is no such rule.", hint="The id stands in the list of rules and in the server's log.")
        await self.revoke(actor, workspace_id, rule_id)

    async def end_of_workspace(self, tx: Transaction, workspace_id: str, actor: Actor) -> None:
        """Record the end of every rule of a workspace that is deleted; `forget` takes them out of the rulebook."""
        for rule_id in await self._known.of_workspace(tx, workspace_id):
            await self._audit.append(tx, Event(Act.RULE_REVOKED, workspace_id, RULE, rule_id, actor))
            await self._known.end(tx, workspace_id, rule_id)

    async def forget(self, workspace_id: str) -> None:
        """Take every rule of a deleted workspace out of the rulebook, ended ones too. Twice is as once."""
        if self._rulebook is not None:
            await self._rulebook.forget(workspace_id)

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

    @property
    def trouble(self) -> str | None:
        """Return what is missing, as a sentence for the operator; None when the rulebook holds every rule."""
        missing = self._known.missing
        if not missing:
            return None
        count, places = sum(len(rule_ids) for rule_ids in missing.values()), len(missing)
        rules = "1 rule is" if count == 1 else f"{count} rules are"
        where = "one workspace" if places == 1 else f"{places} workspaces"
        return f"{rules} missing from the rulebook's file: in {where} nothing passes without people."

    async def _end(self, workspace_id: str, rule_id: str, actor: Actor) -> None:
        event = Event(Act.RULE_REVOKED, workspace_id, RULE, rule_id, actor)

        async def verb(tx: Transaction) -> None:
            await self._audit.append(tx, event)
            await self._known.end(tx, workspace_id, rule_id)

        await self._db.write(verb)

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
        ended again; a workspace whose rulebook lacks a rule is closed. Call it at start, before the first command is
        judged.
        """
        if self._rulebook is None:
            return []
        set_apart: list[str] = []
        held: dict[str, str] = {}
        for workspace_id, rule_id, digest in await self._rulebook.stored():
            proven = await self._proven(workspace_id, rule_id)
            if proven.digest != digest:
                await self._set_apart(self._rulebook, workspace_id, rule_id, digest)
                set_apart.append(rule_id)
            elif proven.is_over:
                await self._rulebook.revoke(workspace_id, rule_id)
            else:
                held[rule_id] = workspace_id
        await self._look_for_missing(held)
        return set_apart

    async def _look_for_missing(self, held: Mapping[str, str]) -> None:
        """Compare what the rulebook has held with `held`, workspaces by the ids of the rules that are sound."""
        known = await self._known.all()
        await self._known.adopt(
            [(workspace_id, rule_id) for rule_id, workspace_id in held.items() if rule_id not in known]
        )
        await self._known.keep([rule_id for rule_id, (_, is_kept) in known.items() if rule_id in held and not is_kept])
        for rule_id, (workspace_id, is_kept) in known.items():
            if rule_id in held:
                continue
            proven = await self._proven(workspace_id, rule_id)
            if not is_kept:  # the server died between record and rule: nobody was told of it
                _log.warning("rule.unfinished", rule=rule_id, workspace=workspace_id)
                await self._end(workspace_id, rule_id, SERVER)
            elif proven.expires_us is not None and proven.expires_us <= self._clock.now_us():
                await self._end(workspace_id, rule_id, SERVER)
            else:
                await self._lose(workspace_id, rule_id, proven)

    async def _lose(self, workspace_id: str, rule_id: str, proven: Proven) -> None:
        self._known.close(workspace_id, rule_id)
        _log.error("rule.lost", rule=rule_id, workspace=workspace_id, hint=f"{_MEND} {rule_id}")
        facts: dict[str, JSON] = {} if proven.digest is None else {"digest": proven.digest}
        await self._record(Event(Act.RULE_LOST, workspace_id, RULE, rule_id, SERVER, facts))

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


def _what(rule: Rule | RuleView) -> bytes:
    """Return what a rule says of commands, to tell whether another one says the same."""
    return encode([rule.kind, rule.effect, rule.argv, rule.pattern, rule.arguments, rule.rest, rule.scope, rule.env])


def _check(rule: Rule) -> None:
    if rule.kind in {"exact", "prefix", "argument"}:
        check_argv(rule.argv)
    for name, text in (("note", rule.note), ("owner", rule.owner), ("pattern", rule.pattern)):
        check_text(name, text)
    check_rule(rule)
    if len(encode(rule)) > MAX_RULE_BYTES:
        raise TooLarge(f"The rule has more than {MAX_RULE_BYTES} bytes.", hint="Make two of it.")
    if rule.ttl_seconds is not None and not 1 <= rule.ttl_seconds <= MAX_TTL_SECONDS:
        raise Unprocessable(f"ttl_seconds is {rule.ttl_seconds}; it has to lie between 1 and {MAX_TTL_SECONDS}.")
    if rule.max_uses is not None and not 1 <= rule.max_uses <= MAX_USES:
        raise Unprocessable(f"max_uses is {rule.max_uses}; it has to lie between 1 and {MAX_USES}.")
