-- Accounts and their proofs: passwords, second factors, sessions, tokens, the setup link.
CREATE TABLE account (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    password_hash TEXT,
    password_changed_us BIGINT,
    is_platform_admin SMALLINT NOT NULL DEFAULT 0,
    created_us BIGINT NOT NULL,
    disabled_us BIGINT
)
--;
CREATE TABLE totp_secret (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account (id),
    sealed {BYTES} NOT NULL,
    created_us BIGINT NOT NULL,
    confirmed_us BIGINT
)
--;
CREATE INDEX totp_secret_account ON totp_secret (account_id)
--;
-- One row for each time step that an account has used: the second use of a code meets UNIQUE.
CREATE TABLE totp_use (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account (id),
    step BIGINT NOT NULL,
    UNIQUE (account_id, step)
)
--;
CREATE TABLE backup_code (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account (id),
    code_sha256 TEXT NOT NULL,
    used_us BIGINT,
    UNIQUE (account_id, code_sha256)
)
--;
CREATE TABLE session (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account (id),
    token_sha256 TEXT NOT NULL UNIQUE,
    opened_us BIGINT NOT NULL,
    seen_us BIGINT NOT NULL,
    second_factor_us BIGINT,
    awaits_second_factor SMALLINT NOT NULL,
    auth TEXT NOT NULL,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL
)
--;
CREATE INDEX session_account ON session (account_id)
--;
CREATE TABLE token (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES account (id),
    workspace_id TEXT NOT NULL,
    label TEXT NOT NULL,
    token_sha256 TEXT NOT NULL UNIQUE,
    scopes TEXT,
    created_us BIGINT NOT NULL,
    expires_us BIGINT,
    last_used_us BIGINT,
    revoked_us BIGINT
)
--;
CREATE INDEX token_owner ON token (owner_id)
--;
CREATE INDEX token_account ON token (account_id)
--;
CREATE TABLE setup_link (
    id TEXT PRIMARY KEY,
    token_sha256 TEXT NOT NULL UNIQUE,
    minted_us BIGINT NOT NULL,
    expires_us BIGINT NOT NULL,
    used_us BIGINT
)
