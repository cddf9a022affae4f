"""What is kept of accounts. Secrets are hashed or sealed; no row holds a credential that could be used."""

from typing import Final

from piccolo.columns import BigInt, Bytea, SmallInt, Text
from piccolo.table import Table

from failgate.base.emptying import Rows

# A second factor is an authenticator app or a passkey; backup codes alone are none.
HAS_FACTOR: Final = (
    "SELECT id FROM totp_secret WHERE account_id = $1 AND confirmed_us IS NOT NULL"
    " UNION ALL SELECT id FROM passkey WHERE account_id = $1 LIMIT 1"
)

_OPEN_SESSION: Final = (
    "SELECT session.*, account.email FROM session JOIN account ON account.id = session.account_id"
    " WHERE account.disabled_us IS NULL"
)
LOAD_SESSION: Final = f"{_OPEN_SESSION} AND session.token_sha256 = $1"
FIND_SESSION: Final = f"{_OPEN_SESSION} AND session.id = $1"
INSERT_SESSION: Final = """
INSERT INTO session (id, account_id, token_sha256, opened_us, seen_us, second_factor_us, awaits_second_factor, auth,
                     address, user_agent, connection_id, confined_to, may_change_account, is_new_place,
                     first_factor_us, fresh_sha256)
VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
"""


class AccountRow(Table, tablename="account"):
    """A person. `email` is lower-case; the row stays when the account is disabled."""

    id = Text(primary_key=True, default="")
    email = Text(unique=True)
    password_hash = Text(null=True, default=None)
    password_changed_us = BigInt(null=True, default=None)
    is_platform_admin = SmallInt(default=0)
    created_us = BigInt()
    disabled_us = BigInt(null=True, default=None)


class TotpSecretRow(Table, tablename="totp_secret"):
    """A TOTP secret, sealed; in use from `confirmed_us` on."""

    id = Text(primary_key=True, default="")
    account_id = Text()
    sealed = Bytea()
    created_us = BigInt()
    confirmed_us = BigInt(null=True, default=None)


class TotpUseRow(Table, tablename="totp_use"):
    """A time step whose code an account has used; unique for both."""

    id = Text(primary_key=True, default="")
    account_id = Text()
    step = BigInt()


class BackupCodeRow(Table, tablename="backup_code"):
    """A backup code by its SHA-256."""

    id = Text(primary_key=True, default="")
    account_id = Text()
    code_sha256 = Text()
    used_us = BigInt(null=True, default=None)


class SessionRow(Table, tablename="session"):
    """An open session by the SHA-256 of its token; closing deletes the row, the audit log remembers."""

    id = Text(primary_key=True, default="")
    account_id = Text()
    token_sha256 = Text(unique=True)
    opened_us = BigInt()
    seen_us = BigInt()
    second_factor_us = BigInt(null=True, default=None)
    awaits_second_factor = SmallInt(default=0)
    auth = Text()
    address = Text()
    user_agent = Text()
    connection_id = Text(null=True, default=None)
    confined_to = Text(null=True, default=None)
    may_change_account = SmallInt(default=1)
    is_new_place = SmallInt(default=0)
    first_factor_us = BigInt(null=True, default=None)
    fresh_sha256 = Text(null=True, default=None)


class PasskeyRow(Table, tablename="passkey"):
    """A WebAuthn credential of an account; `credential_id` is base64url, `transports` words with a space between."""

    id = Text(primary_key=True, default="")
    account_id = Text()
    credential_id = Text(unique=True)
    public_key = Bytea()
    sign_count = BigInt()
    transports = Text()
    aaguid = Text()
    name = Text()
    created_us = BigInt()
    last_used_us = BigInt(null=True, default=None)


class TrustedDeviceRow(Table, tablename="trusted_device"):
    """A browser that need not show a code at sign-in, by the SHA-256 of its token and of the one before."""

    id = Text(primary_key=True, default="")
    account_id = Text()
    token_sha256 = Text(unique=True)
    previous_sha256 = Text(null=True, default=None)
    name = Text()
    address = Text()
    user_agent = Text()
    created_us = BigInt()
    expires_us = BigInt()
    last_used_us = BigInt(null=True, default=None)


class TokenRow(Table, tablename="token"):
    """An API key (`kind` usr, owner an account) or agent token (agt, owner an agent) by the SHA-256 of its text."""

    id = Text(primary_key=True, default="")
    kind = Text()
    owner_id = Text()
    account_id = Text()
    workspace_id = Text()
    label = Text()
    token_sha256 = Text(unique=True)
    scopes = Text(null=True, default=None)
    created_us = BigInt()
    expires_us = BigInt(null=True, default=None)
    last_used_us = BigInt(null=True, default=None)
    revoked_us = BigInt(null=True, default=None)
    networks = Text(null=True, default=None)
    last_used_address = Text(null=True, default=None)
    minted_by = Text(null=True, default=None)


class SetupLinkRow(Table, tablename="setup_link"):
    """The link of the first start by the SHA-256 of its token."""

    id = Text(primary_key=True, default="")
    token_sha256 = Text(unique=True)
    minted_us = BigInt()
    expires_us = BigInt()
    used_us = BigInt(null=True, default=None)


class InvitationRow(Table, tablename="invitation"):
    """An invitation by the SHA-256 of its token; ended when it was accepted (`account_id` by whom) or revoked."""

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    role = Text()
    email = Text(null=True, default=None)
    token_sha256 = Text(unique=True)
    inviter_kind = Text()
    inviter_id = Text()
    created_us = BigInt()
    expires_us = BigInt()
    ended_us = BigInt(null=True, default=None)
    account_id = Text(null=True, default=None)


class PasswordResetRow(Table, tablename="password_reset"):
    """A link to choose a new password, by the SHA-256 of its token; ended when it was used or voided."""

    id = Text(primary_key=True, default="")
    account_id = Text()
    token_sha256 = Text(unique=True)
    minter_kind = Text()
    minter_id = Text()
    created_us = BigInt()
    expires_us = BigInt()
    ended_us = BigInt(null=True, default=None)


class DeviceRequestRow(Table, tablename="device_request"):
    """A command line that asks to be signed in, by the SHA-256 of its two codes; `state` as in `device_grant`."""

    id = Text(primary_key=True, default="")
    client_id = Text()
    device_code_sha256 = Text(unique=True)
    user_code_sha256 = Text(unique=True)
    state = Text()
    account_id = Text(null=True, default=None)
    connection_id = Text(null=True, default=None)
    confined_to = Text(null=True, default=None)
    host = Text()
    address = Text()
    place = Text()
    user_agent = Text()
    created_us = BigInt()
    expires_us = BigInt()


class LoginRow(Table, tablename="login"):
    """A command line that is signed in; ending deletes the row, the audit log remembers."""

    id = Text(primary_key=True, default="")
    account_id = Text()
    client_id = Text()
    connection_id = Text(null=True, default=None)
    confined_to = Text(null=True, default=None)
    host = Text()
    address = Text()
    user_agent = Text()
    opened_us = BigInt()
    seen_us = BigInt()
    seen_address = Text()
    expires_us = BigInt()


class RefreshTokenRow(Table, tablename="refresh_token"):
    """A refresh token by its SHA-256; used ones stay until their login ends, so that a second use is known."""

    id = Text(primary_key=True, default="")
    login_id = Text()
    token_sha256 = Text(unique=True)
    minted_us = BigInt()
    used_us = BigInt(null=True, default=None)
    retry_sha256 = Text(null=True, default=None)
    successor_id = Text(null=True, default=None)


class SigningKeyRow(Table, tablename="signing_key"):
    """A key that signs access tokens, its private part sealed; `id` is its `kid`."""

    id = Text(primary_key=True, default="")
    public_key = Text()
    sealed = Bytea()
    created_us = BigInt()
    retired_us = BigInt(null=True, default=None)


# What goes with a workspace that is deleted, in the order in which it goes.
OF_WORKSPACE: Final = (Rows("token"), Rows("invitation"))
