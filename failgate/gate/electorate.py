"""Who may decide, asked inside the transaction that decides: what was lost a moment ago counts already."""

from collections.abc import Collection
from typing import Protocol

from failgate.access.permission import Permission
from failgate.access.role import GRANTS
from failgate.base.db import Database, Transaction
from failgate.gate.terms import Person, mailbox

VOTING_ROLES = tuple(
    sorted(role.value for role, grants in GRANTS.items() if Permission.WORKSPACE_COMMAND_VOTE in grants)
)
_PLACES = ", ".join(f"${place}" for place in range(3, 3 + len(VOTING_ROLES)))
_MAY_VOTE = (
    "SELECT membership.role, account.email FROM membership JOIN account ON account.id = membership.account_id"
    f" WHERE membership.workspace_id = $1 AND membership.account_id = $2 AND membership.role IN ({_PLACES})"
    " AND account.disabled_us IS NULL AND (EXISTS (SELECT 1 FROM totp_secret"
    " WHERE totp_secret.account_id = account.id AND totp_secret.confirmed_us IS NOT NULL)"
    " OR EXISTS (SELECT 1 FROM passkey WHERE passkey.account_id = account.id)"
    # Their provider, which is trusted with it here, saw one at their last sign-in.
    " OR EXISTS (SELECT 1 FROM sso_identity JOIN sso_connection ON sso_connection.id = sso_identity.connection_id"
    " WHERE sso_identity.account_id = account.id AND sso_identity.factor_us IS NOT NULL"
    " AND sso_connection.is_enabled = 1"
    " AND (sso_connection.workspace_id IS NULL OR sso_connection.workspace_id = membership.workspace_id)))"
)


_ABSENT = (
    "SELECT account_id FROM gate_absence WHERE workspace_id = $1 AND stand_in = $2 AND from_us <= $3 AND until_us > $3"
    " ORDER BY account_id"
)


class Electorate(Protocol):
    """Knows who may decide in a workspace, now, from what `tx` sees; awaits nothing but `tx`."""

    async def voter(self, tx: Database | Transaction, workspace_id: str, account_id: str) -> Person | None:
        """Return the person who may decide, or None."""
        ...

    async def absent_for(self, tx: Transaction, workspace_id: str, account_id: str, now_us: int) -> tuple[Person, ...]:
        """Return those who may decide, are away at `now_us`, and named this account to stand in for them."""
        ...

    async def mailboxes(self, tx: Transaction, account_ids: Collection[str]) -> frozenset[str]:
        """Return where the mail of these accounts goes: another account of the same mailbox is the same person."""
        ...


class Members:
    """The members whose role may vote and whose account is enabled, with a second factor here or at their provider."""

    async def absent_for(self, tx: Transaction, workspace_id: str, account_id: str, now_us: int) -> tuple[Person, ...]:
        """Tell it from the table of absences."""
        rows = await tx.fetch(_ABSENT, workspace_id, account_id, now_us)
        found = [await self.voter(tx, workspace_id, row["account_id"]) for row in rows]
        return tuple(person for person in found if person is not None)

    async def voter(self, tx: Database | Transaction, workspace_id: str, account_id: str) -> Person | None:
        """Tell it from the tables of accounts and workspaces."""
        row = await tx.fetch_one(_MAY_VOTE, workspace_id, account_id, *VOTING_ROLES)
        return None if row is None else Person(account_id, row["role"], row["email"])

    async def mailboxes(self, tx: Transaction, account_ids: Collection[str]) -> frozenset[str]:
        """Tell it from the table of accounts."""
        if not account_ids:
            return frozenset()
        places = ", ".join(f"${place}" for place in range(1, len(account_ids) + 1))
        rows = await tx.fetch(f"SELECT email FROM account WHERE id IN ({places})", *sorted(account_ids))
        return frozenset(mailbox(row["email"]) for row in rows)
