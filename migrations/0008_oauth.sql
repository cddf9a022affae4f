-- Logins of command lines: who asks for one, the login itself, its refresh tokens; the keys that sign access tokens.
-- `connection_id` and `confined_to` are of the session that approved: a login reaches no further than it.
CREATE TABLE device_request (
    id TEXT PRIMARY KEY,
    client_id TEXT NOT NULL,
    device_code_sha256 TEXT NOT NULL UNIQUE,
    user_code_sha256 TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    account_id TEXT REFERENCES account (id),
    connection_id TEXT,
    confined_to TEXT,
    host TEXT NOT NULL,
    address TEXT NOT NULL,
    place TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    expires_us BIGINT NOT NULL
)
--;
CREATE INDEX device_request_expires ON device_request (expires_us)
--;
CREATE INDEX device_request_account ON device_request (account_id)
--;
CREATE TABLE login (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account (id),
    client_id TEXT NOT NULL,
    connection_id TEXT,
    confined_to TEXT,
    host TEXT NOT NULL,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    opened_us BIGINT NOT NULL,
    seen_us BIGINT NOT NULL,
    seen_address TEXT NOT NULL,
    expires_us BIGINT NOT NULL
)
--;
CREATE INDEX login_account ON login (account_id)
--;
-- A used row stays as long as its login: that is how a second use is known.
CREATE TABLE refresh_token (
    id TEXT PRIMARY KEY,
    login_id TEXT NOT NULL REFERENCES login (id),
    token_sha256 TEXT NOT NULL UNIQUE,
    minted_us BIGINT NOT NULL,
    used_us BIGINT,
    retry_sha256 TEXT,
    successor_id TEXT
)
--;
CREATE INDEX refresh_token_login ON refresh_token (login_id)
--;
CREATE TABLE signing_key (
    id TEXT PRIMARY KEY,
    public_key TEXT NOT NULL,
    sealed {BYTES} NOT NULL,
    created_us BIGINT NOT NULL,
    retired_us BIGINT
)
