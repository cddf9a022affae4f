-- Workspaces, who belongs to them, and the agents that ask in them.
CREATE TABLE workspace (
    id TEXT PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_us BIGINT NOT NULL
)
--;
CREATE TABLE membership (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    account_id TEXT NOT NULL,
    role TEXT NOT NULL,
    added_us BIGINT NOT NULL,
    UNIQUE (workspace_id, account_id)
)
--;
CREATE INDEX membership_account ON membership (account_id)
--;
CREATE TABLE agent (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    name TEXT NOT NULL,
    owner_account_id TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    disabled_us BIGINT,
    UNIQUE (workspace_id, name)
)
