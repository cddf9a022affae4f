"""Which rules the rulebook has to hold, in the core's own database; a workspace that lacks one is closed.

The rulebook lies in a database of its own, so a rule can be gone from it while its record stands: a row was deleted or
edited, the file was put back from an older copy. A denial that is gone would let a command pass that it refused.
Therefore a workspace whose rulebook lacks a rule at start is closed: nothing passes there without people, until the
file is back (and the server started again) or each missing rule is revoked.
"""

from collections import defaultdict
from typing import Final

from failgate.base.db import Database, Transaction

_ADD: Final = "INSERT INTO gate_known_rule (id, workspace_id, is_kept) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING"


class KnownRules:
    """The list of rules in force, and what is missing of it."""

    def __init__(self, database: Database) -> None:
        """Keep the list in `database`; nothing is missing until `close` says so."""
        self._database = database
        self._missing: defaultdict[str, set[str]] = defaultdict(set)

    async def all(self) -> dict[str, tuple[str, bool]]:
        """Return workspace and whether the rulebook has taken it, by the id of each known rule."""
        rows = await self._database.fetch("SELECT id, workspace_id, is_kept FROM gate_known_rule ORDER BY id")
        return {row["id"]: (row["workspace_id"], bool(row["is_kept"])) for row in rows}

    async def workspace_of(self, rule_id: str) -> str | None:
        """Return the workspace of a rule, be it in the rulebook or missing from it; None for one that is not known."""
        row = await self._database.fetch_one("SELECT workspace_id FROM gate_known_rule WHERE id = $1", rule_id)
        return None if row is None else str(row["workspace_id"])

    async def of_workspace(self, tx: Transaction, workspace_id: str) -> list[str]:
        """Return the ids of the rules of a workspace, as `tx` sees them."""
        rows = await tx.fetch("SELECT id FROM gate_known_rule WHERE workspace_id = $1 ORDER BY id", workspace_id)
        return [str(row["id"]) for row in rows]

    async def begin(self, tx: Transaction, workspace_id: str, rule_id: str) -> None:
        """Know a rule that is recorded and not yet in the rulebook."""
        await tx.execute(_ADD, rule_id, workspace_id, 0)

    async def keep(self, rule_ids: list[str]) -> None:
        """Know that the rulebook has taken these rules; of one that has ended meanwhile nothing is known."""
        if not rule_ids:
            return

        async def verb(tx: Transaction) -> None:
            for rule_id in rule_ids:
                await tx.execute("UPDATE gate_known_rule SET is_kept = 1 WHERE id = $1", rule_id)

        await self._database.write(verb)

    async def adopt(self, rules: list[tuple[str, str]]) -> None:
        """Know `(workspace_id, rule_id)` that the rulebook holds: rules from before this list was kept."""
        if not rules:
            return

        async def verb(tx: Transaction) -> None:
            for workspace_id, rule_id in rules:
                await tx.execute(_ADD, rule_id, workspace_id, 1)

        await self._database.write(verb)

    async def end(self, tx: Transaction, workspace_id: str, rule_id: str) -> None:
        """Forget a rule that has ended; when it was the last that was missing, its workspace is open again."""
        await tx.execute("DELETE FROM gate_known_rule WHERE id = $1", rule_id)
        tx.after_commit(lambda: self._found(workspace_id, rule_id))

    def close(self, workspace_id: str, rule_id: str) -> None:
        """Close the workspace, for this rule is missing."""
        self._missing[workspace_id].add(rule_id)

    def is_closed(self, workspace_id: str) -> bool:
        """Tell whether nothing passes in the workspace without people."""
        return workspace_id in self._missing

    @property
    def missing(self) -> dict[str, frozenset[str]]:
        """Return the ids of what is missing, by workspace."""
        return {workspace_id: frozenset(rule_ids) for workspace_id, rule_ids in self._missing.items()}

    def _found(self, workspace_id: str, rule_id: str) -> None:
        missing = self._missing.get(workspace_id)
        if missing is not None:
            missing.discard(rule_id)
            if not missing:
                del self._missing[workspace_id]
