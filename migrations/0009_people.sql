-- Limits and last use of tokens, what an agent runs, invitations, password resets.
ALTER TABLE token ADD COLUMN networks TEXT
--;
ALTER TABLE token ADD COLUMN last_used_address TEXT
--;
ALTER TABLE agent ADD COLUMN model TEXT
--;
CREATE TABLE invitation (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    role TEXT NOT NULL,
    email TEXT,
    token_sha256 TEXT NOT NULL UNIQUE,
    inviter_kind TEXT NOT NULL,
    inviter_id TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    expires_us BIGINT NOT NULL,
    ended_us BIGINT,
    account_id TEXT
)
--;
CREATE INDEX invitation_workspace ON invitation (workspace_id)
--;
CREATE TABLE password_reset (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account (id),
    token_sha256 TEXT NOT NULL UNIQUE,
    minter_kind TEXT NOT NULL,
    minter_id TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    expires_us BIGINT NOT NULL,
    ended_us BIGINT
)
--;
CREATE INDEX password_reset_account ON password_reset (account_id)
