"""Exact rules: the whole argument list, token by token. All are in memory; storage is asked only for changes."""

import asyncio
import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from structlog.typing import FilteringBoundLogger

from failgate.plugin import (
    Clock,
    Command,
    CommandContext,
    Conflict,
    Database,
    FailgateError,
    Finding,
    Row,
    Rule,
    Rulebook,
    RuleView,
    Transaction,
    rule_digest,
    to_rfc3339,
)

SAVE_SECONDS: Final = 5.0  # how often uses of unlimited rules are written
MICROSECONDS: Final = 1_000_000
UNREADABLE: Final = "unreadable"  # stands for the digest of a row that is no rule any more

_SELECT = "SELECT * FROM rule WHERE is_over = 0 ORDER BY id"
_ADD = (
    "INSERT INTO rule"
    " (id, workspace_id, effect, argv, note, ttl_seconds, max_uses, created_by, created_us, uses, is_over)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0) ON CONFLICT (id) DO NOTHING"
)
_END = "UPDATE rule SET is_over = 1 WHERE id = $1 AND is_over = 0"
_USE = "UPDATE rule SET uses = uses + 1 WHERE id = $1 AND is_over = 0 AND uses < max_uses"
_SAVE_USES = "UPDATE rule SET uses = $1 WHERE id = $2"

_Key = tuple[str, tuple[str, ...]]
_argv_of = msgspec.json.Decoder(list[str]).decode
_argv_text = msgspec.json.Encoder().encode


@dataclass(slots=True)
class _Entry:
    """A rule in effect; `uses` moves, the rest stays."""

    workspace_id: str
    id: str
    rule: Rule
    created_by: str
    created_us: int
    uses: int
    expires_us: int | None = field(init=False)
    finding: Finding = field(init=False)

    def __post_init__(self) -> None:
        """Work out when it ends and what it says."""
        ttl = self.rule.ttl_seconds
        self.expires_us = None if ttl is None else self.created_us + ttl * MICROSECONDS
        if self.rule.effect == "deny":
            self.finding = Finding("deny", "a rule refuses exactly this command", rule_id=self.id)
        else:
            self.finding = Finding("allow", "a rule allows exactly this command", rule_id=self.id)

    @property
    def key(self) -> _Key:
        return self.workspace_id, tuple(self.rule.argv)

    def is_effective(self, now_us: int) -> bool:
        if self.expires_us is not None and now_us >= self.expires_us:
            return False
        return self.rule.max_uses is None or self.uses < self.rule.max_uses

    def digest(self) -> str:
        return rule_digest(
            self.workspace_id, self.id, self.rule, created_by=self.created_by, created_us=self.created_us
        )

    def view(self) -> RuleView:
        rule = self.rule
        return RuleView(
            id=self.id,
            kind=rule.kind,
            effect=rule.effect,
            argv=rule.argv,
            created_at=to_rfc3339(self.created_us),
            created_by=self.created_by,
            uses=self.uses,
            note=rule.note,
            expires_at=None if self.expires_us is None else to_rfc3339(self.expires_us),
            max_uses=rule.max_uses,
        )


_NO_RULE = Finding("abstain", "no rule matches")


class Allowlist(Rulebook):
    """The policy and its rulebook."""

    def __init__(self, database: Database, clock: Clock, log: FilteringBoundLogger) -> None:
        """Have no rule yet; `opened` reads them."""
        self._database = database
        self._clock = clock
        self._log = log
        self._by_id: dict[str, _Entry] = {}
        self._by_argv: defaultdict[_Key, list[_Entry]] = defaultdict(list)
        self._unreadable: dict[str, str] = {}
        self._digests: dict[str, str] = {}
        self._used: set[str] = set()
        self._saving: asyncio.Task[None] | None = None

    @classmethod
    async def opened(cls, database: Database, clock: Clock, log: FilteringBoundLogger) -> "Allowlist":
        """Return the allowlist with every stored rule in effect; it saves uses in the background until `close`."""
        allowlist = cls(database, clock, log)
        for row in await database.fetch(_SELECT):
            allowlist._take(row)
        allowlist._saving = asyncio.get_running_loop().create_task(allowlist._keep_saving(), name="allowlist-uses")
        return allowlist

    async def close(self) -> None:
        """Save the uses and stop."""
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.wait([self._saving])
            self._saving = None
        with contextlib.suppress(FailgateError):  # a count for people; the limits are saved at each use
            await self._save_uses()

    async def health(self) -> str | None:
        """Return None while rules can be kept, else why not."""
        return None if self._database.is_healthy() else "the allowlist's database does not take changes"

    # The policy

    async def judge(self, command: Command, context: CommandContext) -> Finding:
        """Say what the effective rules for exactly these arguments say; a denial beats everything."""
        answer = _NO_RULE
        for entry in self._by_argv.get((context.workspace_id, tuple(command.argv)), ()):
            if entry.is_effective(context.now_us):
                if entry.rule.effect == "deny":
                    return entry.finding
                answer = entry.finding
        return answer

    def snapshot(self, workspace_id: str) -> dict[str, object]:
        """Return a digest over the workspace's rules: which rules a request met can be told apart afterwards."""
        digest = self._digests.get(workspace_id)
        if digest is None:
            mine = sorted(entry.digest() for entry in self._by_id.values() if entry.workspace_id == workspace_id)
            digest = self._digests[workspace_id] = hashlib.sha256("\n".join(mine).encode()).hexdigest()
        return {"kind": "exact", "rules_sha256": digest}

    # The rulebook

    async def add(self, workspace_id: str, rule_id: str, rule: Rule, *, created_by: str, created_us: int) -> None:
        """Keep `rule` and let it take effect.

        Raises: StorageUnavailable (nothing was kept), Conflict (the id belongs to another rule).
        """
        entry = _Entry(workspace_id, rule_id, rule, created_by, created_us, 0)
        known = self._by_id.get(rule_id)
        if known is not None:
            if known.digest() != entry.digest():
                raise Conflict("Another rule has this id.")
            return
        argv = _argv_text(rule.argv).decode()
        limits = (rule.ttl_seconds, rule.max_uses)

        async def keep(tx: Transaction) -> int:
            added = await tx.execute(
                _ADD, rule_id, workspace_id, rule.effect, argv, rule.note, *limits, created_by, created_us
            )
            if added == 1:
                tx.after_commit(lambda: self._put(entry))
            return added

        if await self._database.write(keep) != 1 and rule_id not in self._by_id:
            raise Conflict("This rule was ended before.", hint="Make a new one.")

    async def revoke(self, workspace_id: str, rule_id: str) -> bool:
        """End a rule of the workspace; False when there was none."""
        entry = self._by_id.get(rule_id)
        if entry is None or entry.workspace_id != workspace_id:
            return False
        await self._end(rule_id)
        return True

    async def rules(self, workspace_id: str) -> Sequence[RuleView]:
        """Return the workspace's effective rules, oldest first."""
        now_us = self._clock.now_us()
        mine = (entry for entry in self._by_id.values() if entry.workspace_id == workspace_id)
        return [entry.view() for entry in sorted(mine, key=lambda entry: entry.id) if entry.is_effective(now_us)]

    async def stored(self) -> Sequence[tuple[str, str, str]]:
        """Return `(workspace_id, rule_id, digest)` of every row that is not over, as it was read from storage."""
        rows = [(entry.workspace_id, entry.id, entry.digest()) for entry in self._by_id.values()]
        return rows + [(workspace_id, rule_id, UNREADABLE) for rule_id, workspace_id in self._unreadable.items()]

    async def quarantine(self, rule_id: str) -> None:
        """Take a rule out of effect for good, readable or not."""
        await self._end(rule_id)

    async def forget(self, workspace_id: str) -> None:
        """Remove every row of the workspace, which is deleted."""

        async def forget(tx: Transaction) -> None:
            await tx.execute("DELETE FROM rule WHERE workspace_id = $1", workspace_id)
            tx.after_commit(lambda: self._drop_all(workspace_id))

        await self._database.write(forget)

    async def use(self, workspace_id: str, rule_id: str) -> bool:
        """Count one use; of a limited rule it is on the disk before this returns.

        Raises: StorageUnavailable (the use is not counted).
        """
        entry = self._by_id.get(rule_id)
        if entry is None or entry.workspace_id != workspace_id or not entry.is_effective(self._clock.now_us()):
            return False
        entry.uses += 1  # before the disk is waited for: others see it at once
        if entry.rule.max_uses is None:
            self._used.add(rule_id)
            return True
        try:
            return await self._database.write(lambda tx: tx.execute(_USE, rule_id)) == 1
        except FailgateError:
            entry.uses -= 1
            raise

    # Memory and storage

    def _take(self, row: Row) -> None:
        try:
            rule = _rule_of(row)
            entry = _Entry(row["workspace_id"], row["id"], rule, row["created_by"], row["created_us"], row["uses"])
            entry.digest()
        except (msgspec.MsgspecError, FailgateError, TypeError, ValueError):
            self._log.error("rule.unreadable", rule=str(row["id"]))
            self._unreadable[row["id"]] = str(row["workspace_id"])
            return
        self._put(entry)

    def _put(self, entry: _Entry) -> None:
        if entry.id not in self._by_id:
            self._by_id[entry.id] = entry
            self._by_argv[entry.key].append(entry)
            self._digests.pop(entry.workspace_id, None)

    def _drop(self, rule_id: str) -> None:
        self._unreadable.pop(rule_id, None)
        self._used.discard(rule_id)
        entry = self._by_id.pop(rule_id, None)
        if entry is not None:
            same = self._by_argv[entry.key]
            same.remove(entry)
            if not same:
                del self._by_argv[entry.key]
            self._digests.pop(entry.workspace_id, None)

    def _drop_all(self, workspace_id: str) -> None:
        mine = [entry.id for entry in self._by_id.values() if entry.workspace_id == workspace_id]
        for rule_id in mine + [each for each, place in self._unreadable.items() if place == workspace_id]:
            self._drop(rule_id)

    async def _end(self, rule_id: str) -> None:
        async def end(tx: Transaction) -> None:
            await tx.execute(_END, rule_id)
            tx.after_commit(lambda: self._drop(rule_id))

        await self._database.write(end)

    async def _keep_saving(self) -> None:
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            try:
                await self._save_uses()
            except FailgateError as error:
                self._log.warning("rule.uses_not_saved", error=error.slug)

    async def _save_uses(self) -> None:
        used = [self._by_id[rule_id] for rule_id in self._used if rule_id in self._by_id]
        self._used.clear()
        if not used:
            return

        async def save(tx: Transaction) -> None:
            for entry in used:
                await tx.execute(_SAVE_USES, entry.uses, entry.id)

        try:
            await self._database.write(save)
        except FailgateError:
            self._used.update(entry.id for entry in used)
            raise


def _rule_of(row: Row) -> Rule:
    """Return the rule of a row.

    Raises: msgspec.MsgspecError, TypeError.
    """
    members: dict[str, Any] = {
        "kind": "exact",
        "effect": row["effect"],
        "argv": _argv_of(row["argv"]),
        "note": row["note"],
        "ttl_seconds": row["ttl_seconds"],
        "max_uses": row["max_uses"],
    }
    return msgspec.convert(members, Rule)
