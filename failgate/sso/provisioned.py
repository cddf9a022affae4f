"""What provisioning has said of a person, asked at sign-in: a provider's directory and its sign-in are one word.

Source: the rows that `failgate/sso/scim` keeps.
"""

import json
from typing import Final

from failgate.base.db import Transaction

_GROUPS: Final = (
    "SELECT g.label, g.body FROM scim_resource u JOIN scim_member m ON m.user_id = u.id"
    " JOIN scim_resource g ON g.id = m.group_id"
    " WHERE u.connection_id = $1 AND u.account_id = $2 AND u.is_active = 1 ORDER BY m.group_id"
)
# Made by this connection, active in its directory, and nobody has signed in to it through this connection yet: an
# address that the provider gives to somebody else later opens nothing.
_MADE: Final = (
    "SELECT account.id FROM account JOIN scim_account ON scim_account.account_id = account.id"
    " JOIN scim_resource ON scim_resource.account_id = account.id"
    " WHERE account.email = $1 AND account.disabled_us IS NULL AND scim_account.connection_id = $2"
    " AND scim_account.is_origin = 1 AND scim_resource.connection_id = $2 AND scim_resource.is_active = 1"
    " AND NOT EXISTS (SELECT 1 FROM sso_identity WHERE sso_identity.connection_id = $2"
    " AND sso_identity.account_id = account.id)"
)
_GOVERNED: Final = "SELECT id FROM scim_account WHERE connection_id = $1 AND account_id = $2"
_ACTIVE: Final = "SELECT id FROM scim_resource WHERE connection_id = $1 AND account_id = $2 AND is_active = 1"


async def is_deprovisioned(tx: Transaction, connection_id: str, account_id: str) -> bool:
    """Tell whether the connection's provider provisioned the account and has deactivated or deleted its person."""
    if await tx.fetch_one(_GOVERNED, connection_id, account_id) is None:
        return False
    return await tx.fetch_one(_ACTIVE, connection_id, account_id) is None


async def made_for(tx: Transaction, connection_id: str, email: str) -> str | None:
    """Return the account that the connection made for `email` and that its person has not entered yet, or None."""
    row = await tx.fetch_one(_MADE, email, connection_id)
    return str(row["id"]) if row is not None else None


async def groups_of(tx: Transaction, connection_id: str, account_id: str) -> tuple[str, ...]:
    """Return the groups that the provider keeps the person in, by displayName and externalId."""
    names: list[str] = []
    for row in await tx.fetch(_GROUPS, connection_id, account_id):
        names.extend(group_names(row["label"], row["body"]))
    return tuple(dict.fromkeys(names))


def group_names(label: str, body: str) -> tuple[str, ...]:
    """Return the names under which the rules of a connection may know a group: its displayName and its externalId."""
    external = json.loads(body).get("externalId")
    return (label, external) if isinstance(external, str) else (label,)
