-- Passkeys, the challenges that were answered, trusted devices, and where an account signed in before.
CREATE TABLE passkey (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account (id),
    credential_id TEXT NOT NULL UNIQUE,
    public_key {BYTES} NOT NULL,
    sign_count BIGINT NOT NULL,
    transports TEXT NOT NULL,
    aaguid TEXT NOT NULL,
    name TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    last_used_us BIGINT
)
--;
CREATE INDEX passkey_account ON passkey (account_id)
--;
-- A challenge by its SHA-256 from its answer until it is too old to be answered: the second answer meets UNIQUE.
CREATE TABLE answered_challenge (
    id TEXT PRIMARY KEY,
    expires_us BIGINT NOT NULL
)
--;
CREATE TABLE trusted_device (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account (id),
    token_sha256 TEXT NOT NULL UNIQUE,
    previous_sha256 TEXT,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    expires_us BIGINT NOT NULL,
    last_used_us BIGINT
)
--;
CREATE INDEX trusted_device_account ON trusted_device (account_id)
--;
CREATE INDEX trusted_device_previous ON trusted_device (previous_sha256)
--;
-- A client at a network address from which an account signed in, by their SHA-256.
CREATE TABLE sign_in_place (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account (id),
    mark TEXT NOT NULL,
    seen_us BIGINT NOT NULL,
    UNIQUE (account_id, mark)
)
--;
ALTER TABLE session ADD COLUMN is_new_place SMALLINT NOT NULL DEFAULT 0
