"""Rules of redaction that a workspace adds: create, list, revoke; and the scanner that has them.

A rule's text is sealed where it is kept, since it may spell out what it hides; its examples are checked and forgotten.
Each change lets this process, the only one that serves the database, forget the workspace's scanner. It raises the
workspace's generation and begins the scan of what is stored already (`rescanning.py`).
"""

import contextlib
import json
import secrets
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import Clock, to_rfc3339
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import Conflict, NotFound, Unprocessable
from failgate.base.idempotency import FirstAnswers, RequestKey
from failgate.base.ids import new_id
from failgate.base.secretbox import SecretBox
from failgate.redaction import RULES_VERSION, Pattern, PatternMatcher, Scanner, UnusablePattern, check_pattern
from failgate.wire.redaction import RedactionRule, RedactionRulePage, RedactionRuleView, RedactionScan

Begin = Callable[[Transaction, str], Awaitable[None]]
"""`(tx, workspace_id)`: begins a scan of what is stored."""

MOST_RULES: Final = 100
_RULE: Final = "redaction-rule"
_KEY: Final = "redaction-key"
_BEGIN = """
INSERT INTO redaction_set (workspace_id, sealed_key, generation, is_scanning, scan_after, scanned, quarantined,
  scan_begun_us, rules_version) VALUES ($1, $2, 0, 0, '', 0, 0, $3, $4) ON CONFLICT (workspace_id) DO NOTHING
"""
_CHANGED = "UPDATE redaction_set SET generation = generation + 1 WHERE workspace_id = $1"
_SCAN = """
UPDATE redaction_set SET is_scanning = 1, scan_after = '', scanned = 0, quarantined = 0, scan_begun_us = $1,
  scan_ended_us = NULL WHERE workspace_id = $2
"""
_OLDER = "SELECT workspace_id FROM redaction_set WHERE rules_version <> $1 ORDER BY workspace_id"
_RENEWED = """
UPDATE redaction_set SET rules_version = $1, generation = generation + 1
WHERE workspace_id = $2 AND rules_version <> $1
"""
_SET = """
SELECT sealed_key, generation, is_scanning, scanned, quarantined FROM redaction_set WHERE workspace_id = $1
"""
_RULES = """
SELECT id, name, sealed, created_by, created_us FROM redaction_rule WHERE workspace_id = $1 ORDER BY id
"""
_INSERT = """
INSERT INTO redaction_rule (id, workspace_id, name, sealed, created_by, created_us) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (workspace_id, name) DO NOTHING
"""


class RedactionRules:
    """Creates, lists and revokes the rules of workspaces; gives each its scanner."""

    def __init__(self, db: Database, audit: AuditLog, clock: Clock, box: SecretBox) -> None:
        """Seal texts and keys with `box`."""
        self._db = db
        self._audit = audit
        self._clock = clock
        self._box = box
        self._answers = FirstAnswers(db, clock.now_us)
        self._known: dict[str, Scanner] = {}
        self._changes = 0
        self._also_begin: list[Begin] = []

    def also_begin(self, begin: Begin) -> None:
        """Let something else that is stored be looked through again, too, when a rule is added."""
        self._also_begin.append(begin)

    async def create(
        self, actor: Actor, workspace_id: str, rule: RedactionRule, key: RequestKey | None = None
    ) -> RedactionRuleView:
        """Add `rule`; it is in effect, and the scan of stored reports is due, when this returns.

        Raises: Unprocessable (no RE2, an example that it should match and does not, or the other way round), Conflict
        (the name is taken, too many rules).
        """
        _check(rule)
        await self._ensure(workspace_id)
        return await self._answers.once(key, RedactionRuleView, lambda tx: self._create(tx, actor, workspace_id, rule))

    async def revoke(self, actor: Actor, workspace_id: str, rule_id: str) -> None:
        """End a rule. What it quarantined stays so.

        Raises: NotFound.
        """

        async def revoke(tx: Transaction) -> None:
            query = "DELETE FROM redaction_rule WHERE workspace_id = $1 AND id = $2"
            if await tx.execute(query, workspace_id, rule_id) != 1:
                raise NotFound("There is no such redaction rule.")
            await self._changed(tx, workspace_id)
            number = len(await tx.fetch(_RULES, workspace_id))
            event = Event(Act.REDACTION_RULE_REVOKED, workspace_id, "redaction_rule", rule_id, actor, {"rules": number})
            await self._audit.append(tx, event)

        await self._db.write(revoke)

    async def renew(self) -> int:
        """Begin the scan of what other built-in rules than these looked through; return in how many workspaces.

        Called at the start: the rules change with the version of Failgate.
        """
        renewed = 0
        for row in await self._db.fetch(_OLDER, RULES_VERSION):
            with contextlib.suppress(NotFound):  # it is being deleted
                renewed += await self._db.write(partial(self._renew, workspace_id=row["workspace_id"]))
        return renewed

    async def end_of_workspace(self, tx: Transaction, workspace_id: str, _actor: Actor) -> None:
        """Scan nothing more of `workspace_id`, which is deleted, and forget its scanner."""
        await tx.execute("UPDATE redaction_set SET is_scanning = 0 WHERE workspace_id = $1", workspace_id)
        tx.after_commit(lambda: self._forget(workspace_id))

    async def page(self, workspace_id: str) -> RedactionRulePage:
        """Return every rule of the workspace, and how far the scan of its reports is."""
        rows = await self._db.fetch(_RULES, workspace_id)
        one = await self._db.fetch_one(_SET, workspace_id)
        scan = None
        if one is not None and one["generation"]:
            state = "running" if one["is_scanning"] else "ended"
            scan = RedactionScan(state, one["scanned"], one["quarantined"])
        return RedactionRulePage([self._view(row) for row in rows], RULES_VERSION, scan)

    async def scanner_of(self, workspace_id: str) -> Scanner:
        """Return the scanner with the workspace's rules and its own key, the same object until a rule changes."""
        known = self._known.get(workspace_id)
        while known is None:
            changes, scanner = self._changes, await self._made(workspace_id)
            if changes == self._changes:  # else a rule may have changed while they were read
                known = self._known.setdefault(workspace_id, scanner)  # of many who made one at once, the first's
        return known

    def is_current(self, workspace_id: str, scanner: Scanner) -> bool:
        """Tell, inside a verb, whether no committed change of the workspace's rules is missing in `scanner`."""
        return self._known.get(workspace_id) is scanner

    async def _made(self, workspace_id: str) -> Scanner:
        one = await self._db.fetch_one(_SET, workspace_id)
        if one is None:
            await self._ensure(workspace_id)
            one = await self._db.fetch_one(_SET, workspace_id)
            assert one is not None
        return self._scanner(workspace_id, one, await self._db.fetch(_RULES, workspace_id))

    async def _renew(self, tx: Transaction, *, workspace_id: str) -> int:
        self._audit.must_be_open(tx, workspace_id)
        if await tx.execute(_RENEWED, RULES_VERSION, workspace_id) != 1:
            return 0
        await self._scan(tx, workspace_id)
        return 1

    async def _scan(self, tx: Transaction, workspace_id: str) -> None:
        await tx.execute(_SCAN, self._clock.now_us(), workspace_id)
        for begin in self._also_begin:
            await begin(tx, workspace_id)

    async def _changed(self, tx: Transaction, workspace_id: str) -> None:
        await tx.execute(_CHANGED, workspace_id)
        tx.after_commit(lambda: self._forget(workspace_id))

    def _forget(self, workspace_id: str) -> None:
        self._changes += 1
        self._known.pop(workspace_id, None)

    def _scanner(self, workspace_id: str, one: Row, rows: list[Row]) -> Scanner:
        views = [self._view(row) for row in rows]
        patterns = PatternMatcher([Pattern(f"x-{view.name}", view.pattern) for view in views]) if views else None
        key = self._box.unseal(b64decode(one["sealed_key"]), purpose=_KEY, owner=workspace_id)
        scanner = Scanner(key=key, patterns=patterns)
        scanner.prepare()
        return scanner

    async def _ensure(self, workspace_id: str) -> None:
        sealed = self._box.seal(secrets.token_bytes(32), purpose=_KEY, owner=workspace_id)
        text, now_us = b64encode(sealed).decode(), self._clock.now_us()

        async def begin(tx: Transaction) -> None:
            self._audit.must_be_open(tx, workspace_id)
            await tx.execute(_BEGIN, workspace_id, text, now_us, RULES_VERSION)

        await self._db.write(begin)

    async def _create(self, tx: Transaction, actor: Actor, workspace_id: str, rule: RedactionRule) -> RedactionRuleView:
        number = len(await tx.fetch(_RULES, workspace_id)) + 1
        if number > MOST_RULES:
            raise Conflict(f"The workspace has {MOST_RULES} redaction rules already.", hint="Revoke one, or join two.")
        rule_id, now_us = new_id(), self._clock.now_us()
        content = json.dumps({"pattern": rule.pattern, "description": rule.description}).encode()
        sealed = b64encode(self._box.seal(content, purpose=_RULE, owner=rule_id)).decode()
        if await tx.execute(_INSERT, rule_id, workspace_id, rule.name, sealed, actor.id, now_us) != 1:
            raise Conflict(f"There is a redaction rule {rule.name!r} already.", hint="Give this one another name.")
        await self._changed(tx, workspace_id)
        await self._scan(tx, workspace_id)
        facts: dict[str, JSON] = {"rules": number, "examples": len(rule.must_match) + len(rule.must_not_match)}
        event = Event(Act.REDACTION_RULE_CREATED, workspace_id, "redaction_rule", rule_id, actor, facts)
        await self._audit.append(tx, event)
        return RedactionRuleView(
            rule_id, rule.name, rule.pattern, rule.description, actor.id, to_rfc3339(now_us)
        )  # fmt: skip

    def _view(self, row: Row) -> RedactionRuleView:
        content = json.loads(self._box.unseal(b64decode(row["sealed"]), purpose=_RULE, owner=row["id"]))
        return RedactionRuleView(
            row["id"], row["name"], content["pattern"], content["description"], row["created_by"],
            to_rfc3339(row["created_us"]),
        )  # fmt: skip


def _check(rule: RedactionRule) -> None:
    """Refuse a rule that is no RE2 or does not do what its examples say."""
    try:
        check_pattern(rule.pattern)
        matcher = PatternMatcher([Pattern("x", rule.pattern)])
    except UnusablePattern as error:
        raise Unprocessable(f"The pattern {error}.", hint="RE2 has no look-around and no \\1.") from error
    for number, example in enumerate(rule.must_match):
        if not _finds(matcher, example):
            raise Unprocessable(
                f"must_match[{number}] is not matched.",
                hint="A pattern matches within one line; mend it or the example.",
            )
    for number, example in enumerate(rule.must_not_match):
        if _finds(matcher, example):
            raise Unprocessable(f"must_not_match[{number}] is matched.", hint="Make the pattern narrower.")


def _finds(matcher: PatternMatcher, example: str) -> bool:
    return next(matcher.spans(example.encode("utf-8", "surrogatepass")), None) is not None
