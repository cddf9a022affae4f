"""The rules: all are in memory, storage is asked only for changes. What a rule lets pass is `index.py`."""

import asyncio
import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Sequence
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
)
from failgate_allowlist.entry import Entry
from failgate_allowlist.index import NO_RULE, Index

SAVE_SECONDS: Final = 5.0  # how often uses of unlimited rules are written
UNREADABLE: Final = "unreadable"  # stands for the digest of a row that is no rule any more

_SELECT = "SELECT * FROM rule WHERE is_over = 0 ORDER BY id"
_ADD = (
    "INSERT INTO rule"
    " (id, workspace_id, effect, argv, note, ttl_seconds, max_uses, created_by, created_us, uses, is_over, kind,"
    " members) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, $10, $11) ON CONFLICT (id) DO NOTHING"
)
_END = "UPDATE rule SET is_over = 1 WHERE id = $1 AND is_over = 0"
_USE = "UPDATE rule SET uses = uses + 1, last_used_us = $1 WHERE id = $2 AND is_over = 0 AND uses < max_uses"
_SAVE_USES = "UPDATE rule SET uses = $1, last_used_us = $2 WHERE id = $3"
_COLUMNS = ("kind", "effect", "argv", "note", "ttl_seconds", "max_uses")

_argv_of = msgspec.json.Decoder(list[str]).decode
_members_of = msgspec.json.Decoder(dict[str, Any]).decode
_text_of = msgspec.json.Encoder().encode


class Allowlist(Rulebook):
    """The policy and its rulebook."""

    def __init__(self, database: Database, clock: Clock, log: FilteringBoundLogger) -> None:
        """Have no rule yet; `opened` reads them."""
        self._database = database
        self._clock = clock
        self._log = log
        self._by_id: dict[str, Entry] = {}
        self._indexes: defaultdict[str, Index] = defaultdict(Index)
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
        """Say what the workspace's rules say of the command; a denial beats everything."""
        index = self._indexes.get(context.workspace_id)
        return NO_RULE if index is None else index.judge(command, context)

    def snapshot(self, workspace_id: str) -> dict[str, object]:
        """Return a digest over the workspace's rules: which rules a request met can be told apart afterwards."""
        digest = self._digests.get(workspace_id)
        if digest is None:
            mine = sorted(entry.digest for entry in self._by_id.values() if entry.workspace_id == workspace_id)
            digest = self._digests[workspace_id] = hashlib.sha256("\n".join(mine).encode()).hexdigest()
        return {"kind": "parsed", "rules_sha256": digest}

    # The rulebook

    async def add(self, workspace_id: str, rule_id: str, rule: Rule, *, created_by: str, created_us: int) -> None:
        """Keep `rule` and let it take effect.

        Raises: StorageUnavailable (nothing was kept), Conflict (the id belongs to another rule).
        """
        entry = Entry(workspace_id, rule_id, rule, created_by, created_us)
        known = self._by_id.get(rule_id)
        if known is not None:
            if known.digest != entry.digest:
                raise Conflict("Another rule has this id.")
            return
        argv, limits = _text_of(rule.argv).decode(), (rule.ttl_seconds, rule.max_uses)
        further = (rule.kind, _members_text(rule))

        async def keep(tx: Transaction) -> int:
            added = await tx.execute(
                _ADD, rule_id, workspace_id, rule.effect, argv, rule.note, *limits, created_by, created_us, *further
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
        rows = [(entry.workspace_id, entry.id, entry.digest) for entry in self._by_id.values()]
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
        now_us = self._clock.now_us()
        if entry is None or entry.workspace_id != workspace_id or not entry.is_effective(now_us):
            return False
        entry.uses += 1  # before the disk is waited for: others see it at once
        entry.last_used_us = now_us
        if entry.rule.max_uses is None:
            self._used.add(rule_id)
            return True
        try:
            return await self._database.write(lambda tx: tx.execute(_USE, now_us, rule_id)) == 1
        except FailgateError:
            entry.uses -= 1
            raise

    # Memory and storage

    def _take(self, row: Row) -> None:
        try:
            rule = _rule_of(row)
            made = (row["created_by"], row["created_us"], row["uses"], row["last_used_us"])
            entry = Entry(row["workspace_id"], row["id"], rule, *made)
            assert entry.digest, "a rule without a canonical form has none"
        except (msgspec.MsgspecError, FailgateError, TypeError, ValueError):
            self._log.error("rule.unreadable", rule=str(row["id"]))
            self._unreadable[row["id"]] = str(row["workspace_id"])
            return
        self._put(entry)

    def _put(self, entry: Entry) -> None:
        if entry.id not in self._by_id:
            self._by_id[entry.id] = entry
            self._indexes[entry.workspace_id].put(entry)
            self._digests.pop(entry.workspace_id, None)

    def _drop(self, rule_id: str) -> None:
        self._unreadable.pop(rule_id, None)
        self._used.discard(rule_id)
        entry = self._by_id.pop(rule_id, None)
        if entry is not None:
            self._indexes[entry.workspace_id].drop(entry)
            self._digests.pop(entry.workspace_id, None)

    def _drop_all(self, workspace_id: str) -> None:
        mine = [entry.id for entry in self._by_id.values() if entry.workspace_id == workspace_id]
        for rule_id in mine + [each for each, place in self._unreadable.items() if place == workspace_id]:
            self._drop(rule_id)
        self._indexes.pop(workspace_id, None)

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
                await tx.execute(_SAVE_USES, entry.uses, entry.last_used_us, entry.id)

        try:
            await self._database.write(save)
        except FailgateError:
            self._used.update(entry.id for entry in used)
            raise


def _members_text(rule: Rule) -> str | None:
    """Return what the rule says besides the columns, as JSON; None when that is nothing."""
    members = {
        name: value
        for name, value in msgspec.structs.asdict(rule).items()
        if name not in _COLUMNS and value is not None
    }
    return _text_of(members).decode() if members else None


def _rule_of(row: Row) -> Rule:
    """Return the rule of a row.

    Raises: msgspec.MsgspecError, TypeError.
    """
    members = {} if row["members"] is None else _members_of(row["members"])
    columns = {name: row[name] for name in _COLUMNS} | {"argv": _argv_of(row["argv"])}
    return msgspec.convert(members | columns, Rule)
