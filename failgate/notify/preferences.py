"""What members want to be told of in person; without a word of theirs the default stands, `DEFAULT_OF_MEMBERS`."""

import json
from collections.abc import Iterable, Mapping

from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.clock import Clock
from failgate.base.db import Database, Transaction
from failgate.base.errors import BadInput
from failgate.notify import events
from failgate.notify.cursor import follow_from

_KEEP = (
    "INSERT INTO notify_preference (workspace_id, account_id, events, changed_us) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (workspace_id, account_id) DO UPDATE SET events = excluded.events, changed_us = excluded.changed_us"
)


class Preferences:
    """The preferences of all members."""

    def __init__(self, db: Database, audit: AuditLog, clock: Clock) -> None:
        """Keep them in `db`."""
        self._db = db
        self._audit = audit
        self._clock = clock

    async def choose(self, actor: Actor, workspace_id: str, account_id: str, names: Iterable[str]) -> None:
        """Tell the member of these events from now on. Raises: BadInput (an event that is none)."""
        chosen = sorted(set(names))
        if not set(chosen) <= set(events.NAMES):
            raise BadInput("There is no such event.", hint=f"The events are: {', '.join(events.NAMES)}.")

        async def verb(tx: Transaction) -> None:
            facts = {"events": len(chosen)}
            event = Event(
                Act.NOTIFICATION_PREFERENCE_CHANGED, workspace_id, "account", account_id, actor, {**facts}
            )  # fmt: skip
            await follow_from(tx, workspace_id, (await self._audit.append(tx, event)).seq)
            await tx.execute(_KEEP, workspace_id, account_id, json.dumps(chosen), self._clock.now_us())

        await self._db.write(verb)

    async def of_account(self, account_id: str) -> Mapping[str, frozenset[str]]:
        """Return what an account chose, by workspace."""
        rows = await self._db.fetch(
            "SELECT workspace_id, events FROM notify_preference WHERE account_id = $1", account_id
        )
        return {row["workspace_id"]: frozenset(json.loads(row["events"])) for row in rows}

    async def of_workspace(self, workspace_id: str) -> Mapping[str, frozenset[str]]:
        """Return what the accounts of a workspace chose, by account; of those who left too."""
        rows = await self._db.fetch(
            "SELECT account_id, events FROM notify_preference WHERE workspace_id = $1", workspace_id
        )
        return {row["account_id"]: frozenset(json.loads(row["events"])) for row in rows}

    @staticmethod
    async def forget_within(tx: Transaction, workspace_id: str, account_id: str) -> None:
        """Forget what a member chose who leaves the workspace."""
        await tx.execute(
            "DELETE FROM notify_preference WHERE workspace_id = $1 AND account_id = $2", workspace_id, account_id
        )
