"""What is kept of provisioning. A token is kept as its SHA-256; a password that a provider sends is kept nowhere."""

from typing import Final

from piccolo.columns import BigInt, SmallInt, Text
from piccolo.table import Table

from failgate.base.emptying import Rows


class ScimTokenRow(Table, tablename="scim_token"):
    """The token of a connection by the SHA-256 of its text; one of them counts at a time."""

    id = Text(primary_key=True, default="")
    connection_id = Text()
    token_sha256 = Text(unique=True)
    created_us = BigInt()
    last_used_us = BigInt(null=True, default=None)
    revoked_us = BigInt(null=True, default=None)


class ScimResourceRow(Table, tablename="scim_resource"):
    """A person (`kind` User) or a group (Group) of a connection, and the account that the person is."""

    id = Text(primary_key=True, default="")
    connection_id = Text()
    kind = Text()
    name = Text()
    label = Text()
    body = Text()
    version = BigInt()
    is_active = SmallInt()
    account_id = Text(null=True, default=None)
    gap = Text(null=True, default=None)
    created_us = BigInt()
    changed_us = BigInt()


class ScimValueRow(Table, tablename="scim_value"):
    """One value of a resource in the form in which it is compared."""

    id = Text(primary_key=True, default="")
    connection_id = Text()
    resource_id = Text()
    head = Text()
    path = Text()
    entry = BigInt()
    is_primary = SmallInt()
    brief = Text()
    value = Text()


class ScimMemberRow(Table, tablename="scim_member"):
    """A person in a group."""

    id = Text(primary_key=True, default="")
    connection_id = Text()
    group_id = Text()
    user_id = Text()


class ScimAccountRow(Table, tablename="scim_account"):
    """An account that a connection governs."""

    id = Text(primary_key=True, default="")
    connection_id = Text()
    account_id = Text()
    is_origin = SmallInt()
    has_disabled = SmallInt(default=0)
    linked_us = BigInt()


_OURS: Final = "connection_id IN (SELECT id FROM sso_connection WHERE workspace_id = $1)"
# What goes with a workspace that is deleted, in the order in which it goes.
OF_WORKSPACE: Final = tuple(
    Rows(f"scim_{name}", scope=_OURS) for name in ("member", "value", "resource", "account", "token")
)
