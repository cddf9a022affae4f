"""Who may decide, asked inside the transaction that decides: what was lost a moment ago counts already."""

from typing import Protocol

from failgate.access.permission import Permission
from failgate.access.role import GRANTS
from failgate.base.db import Transaction

_VOTING_ROLES = tuple(
    sorted(role.value for role, grants in GRANTS.items() if Permission.WORKSPACE_COMMAND_VOTE in grants)
)
_PLACES = ", ".join(f"${place}" for place in range(3, 3 + len(_VOTING_ROLES)))
_MAY_VOTE = (
    "SELECT membership.id FROM membership JOIN account ON account.id = membership.account_id"
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


class Electorate(Protocol):
    """Answers whether a person may decide in a workspace, now."""

    async def may_vote(self, tx: Transaction, workspace_id: str, account_id: str) -> bool:
        """Tell it from what `tx` sees; await nothing but `tx`."""
        ...


class Members:
    """The members whose role may vote and whose account is enabled, with a second factor here or at their provider."""

    async def may_vote(self, tx: Transaction, workspace_id: str, account_id: str) -> bool:
        """Tell it from the tables of accounts and workspaces."""
        return await tx.fetch_one(_MAY_VOTE, workspace_id, account_id, *_VOTING_ROLES) is not None
