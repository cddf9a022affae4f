"""What is kept of single sign-on. Secrets and keys are sealed; ids of messages and requests are hashed."""

from typing import Final

from piccolo.columns import BigInt, Bytea, SmallInt, Text
from piccolo.table import Table

from failgate.base.emptying import Rows


class SsoConnectionRow(Table, tablename="sso_connection"):
    """A connection. `workspace_id` null: of the whole installation, and then the row is the shadow of the config."""

    id = Text(primary_key=True, default="")
    slug = Text(unique=True)
    title = Text()
    workspace_id = Text(null=True, default=None)
    settings = Text()
    roles = Text()
    default_role = Text(null=True, default=None)
    trusted_methods = Text()
    is_enabled = SmallInt()
    is_listed = SmallInt()
    client_secret_sealed = Bytea(null=True, default=None)
    signing_sealed = Bytea(null=True, default=None)
    created_us = BigInt()
    changed_us = BigInt()
    tested_us = BigInt(null=True, default=None)
    removed_us = BigInt(null=True, default=None)


class SsoDomainRow(Table, tablename="sso_domain"):
    """A mail domain of a connection; it counts from `verified_us` on. `token` is what its DNS record shows."""

    id = Text(primary_key=True, default="")
    connection_id = Text()
    domain = Text()
    token = Text()
    verified_by = Text(null=True, default=None)
    verified_us = BigInt(null=True, default=None)
    created_us = BigInt()


class SsoIdentityRow(Table, tablename="sso_identity"):
    """A person at a provider and the account that this is. `is_origin`: the account was made for this identity."""

    id = Text(primary_key=True, default="")
    connection_id = Text()
    issuer = Text()
    subject = Text()
    account_id = Text()
    email = Text(null=True, default=None)
    is_origin = SmallInt()
    linked_us = BigInt()
    seen_us = BigInt(null=True, default=None)
    factor_us = BigInt(null=True, default=None)


class SsoMembershipRow(Table, tablename="sso_membership"):
    """A membership that a connection gave."""

    id = Text(primary_key=True, default="")
    connection_id = Text()
    workspace_id = Text()
    account_id = Text()


class SsoRequestRow(Table, tablename="sso_request"):
    """A browser on its way to a provider and back."""

    id = Text(primary_key=True, default="")
    request_sha256 = Text(unique=True)
    connection_id = Text()
    purpose = Text()
    browser_sha256 = Text()
    kept_sealed = Bytea()
    return_to = Text()
    account_id = Text(null=True, default=None)
    session_id = Text(null=True, default=None)
    begun_us = BigInt()
    expires_us = BigInt()
    used_us = BigInt(null=True, default=None)


class SsoUsedRow(Table, tablename="sso_used"):
    """An assertion or a message that may not be used again."""

    id = Text(primary_key=True, default="")
    connection_id = Text()
    value_sha256 = Text()
    until_us = BigInt()


class SsoSessionRow(Table, tablename="sso_session"):
    """The provider's session behind one of ours, whose id it has."""

    id = Text(primary_key=True, default="")
    connection_id = Text()
    account_id = Text()
    issuer = Text()
    subject = Text()
    provider_session = Text(null=True, default=None)
    hint_sealed = Bytea(null=True, default=None)
    opened_us = BigInt()
    ends_us = BigInt(null=True, default=None)


class SsoTestRow(Table, tablename="sso_test"):
    """What a test of a connection showed, for an hour."""

    id = Text(primary_key=True, default="")
    connection_id = Text()
    account_id = Text()
    outcome_sealed = Bytea()
    made_us = BigInt()


class SsoEnforcementRow(Table, tablename="sso_enforcement"):
    """A workspace (its id) that demands single sign-on, and the owner who may enter without."""

    id = Text(primary_key=True, default="")
    break_glass_account_id = Text()
    since_us = BigInt()


_OURS: Final = "connection_id IN (SELECT id FROM sso_connection WHERE workspace_id = $1)"
# What goes with a workspace that is deleted, in the order in which it goes.
OF_WORKSPACE: Final = (
    *(Rows(f"sso_{name}", scope=_OURS) for name in ("domain", "identity", "request", "used", "session", "test")),
    Rows("sso_membership"),
    Rows("sso_membership", scope=_OURS),
    Rows("sso_enforcement", scope="id = $1"),
    Rows("sso_connection"),
)
