"""What is kept of workspaces, memberships and agents."""

from typing import Final

from piccolo.columns import BigInt, Text
from piccolo.table import Table

from failgate.base.emptying import Rows


class WorkspaceRow(Table, tablename="workspace"):
    """A workspace; `slug` stands in addresses and never changes its meaning."""

    id = Text(primary_key=True, default="")
    slug = Text(unique=True)
    name = Text()
    created_us = BigInt()
    closed_us = BigInt(null=True, default=None)


class WorkspaceDeletionRow(Table, tablename="workspace_deletion"):
    """An owner's word that the workspace shall be deleted, until it ends or another owner confirms it."""

    workspace_id = Text(primary_key=True, default="")
    id = Text(unique=True)
    asked_by = Text()
    asked_us = BigInt()
    expires_us = BigInt()


class DeletedWorkspaceRow(Table, tablename="deleted_workspace"):
    """What is left of a workspace: whose word it was, what was removed, the receipt."""

    id = Text(primary_key=True, default="")
    slug = Text(unique=True)
    owners = Text()
    asked_by = Text()
    asked_us = BigInt()
    confirmed_by = Text()
    closed_us = BigInt()
    removed = Text()
    emptied_us = BigInt(null=True, default=None)
    receipt = Text(null=True, default=None)
    record = BigInt(null=True, default=None)


class MembershipRow(Table, tablename="membership"):
    """An account's role in a workspace; one for each pair."""

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    account_id = Text()
    role = Text()
    added_us = BigInt()


class AgentCertificateRow(Table, tablename="agent_certificate"):
    """A subject alternative name that stands for an agent, until it is revoked."""

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    agent_id = Text()
    san = Text()
    created_us = BigInt()
    revoked_us = BigInt(null=True, default=None)
    registered_by = Text(null=True, default=None)


class AgentRow(Table, tablename="agent"):
    """A program that asks; `owner_account_id` answers for it."""

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    name = Text()
    owner_account_id = Text()
    created_us = BigInt()
    disabled_us = BigInt(null=True, default=None)
    model = Text(null=True, default=None)


# What goes with a workspace that is deleted, in the order in which it goes.
OF_WORKSPACE: Final = (
    Rows("agent_certificate"),
    Rows("agent"),
    Rows("usage_day", "day"),
    Rows("workspace_limit", "quota"),
    Rows("membership"),
    Rows("workspace_deletion", "workspace_id"),
)
