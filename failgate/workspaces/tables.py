"""What is kept of workspaces, memberships and agents."""

from piccolo.columns import BigInt, Text
from piccolo.table import Table


class WorkspaceRow(Table, tablename="workspace"):
    """A workspace; `slug` stands in addresses and never changes its meaning."""

    id = Text(primary_key=True, default="")
    slug = Text(unique=True)
    name = Text()
    created_us = BigInt()


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


class AgentRow(Table, tablename="agent"):
    """A program that asks; `owner_account_id` answers for it."""

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    name = Text()
    owner_account_id = Text()
    created_us = BigInt()
    disabled_us = BigInt(null=True, default=None)
    model = Text(null=True, default=None)
