-- Single sign-on: connections to identity providers, who is whom there, and requests under way.
-- `settings`, `roles` and `trusted_methods` are JSON; of a connection in the config file the row is its shadow.
CREATE TABLE sso_connection (
    id TEXT PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    workspace_id TEXT REFERENCES workspace (id),
    settings TEXT NOT NULL,
    roles TEXT NOT NULL,
    default_role TEXT,
    trusted_methods TEXT NOT NULL,
    is_enabled SMALLINT NOT NULL,
    is_listed SMALLINT NOT NULL,
    client_secret_sealed {BYTES},
    signing_sealed {BYTES},
    created_us BIGINT NOT NULL,
    changed_us BIGINT NOT NULL,
    tested_us BIGINT,
    removed_us BIGINT
)
--;
CREATE INDEX sso_connection_workspace ON sso_connection (workspace_id)
--;
-- A mail domain whose people a connection may bring in, once `verified_us` is set.
CREATE TABLE sso_domain (
    id TEXT PRIMARY KEY,
    connection_id TEXT NOT NULL REFERENCES sso_connection (id),
    domain TEXT NOT NULL,
    token TEXT NOT NULL,
    verified_by TEXT,
    verified_us BIGINT,
    created_us BIGINT NOT NULL,
    UNIQUE (connection_id, domain)
)
--;
CREATE INDEX sso_domain_domain ON sso_domain (domain)
--;
-- Who is whom: never by e-mail, and never across connections, of which each speaks for itself alone. `factor_us` is
-- when the provider, trusted with it, saw a second factor; null when its last sign-in showed none.
CREATE TABLE sso_identity (
    id TEXT PRIMARY KEY,
    connection_id TEXT NOT NULL REFERENCES sso_connection (id),
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES account (id),
    email TEXT,
    is_origin SMALLINT NOT NULL,
    linked_us BIGINT NOT NULL,
    seen_us BIGINT,
    factor_us BIGINT,
    UNIQUE (connection_id, issuer, subject)
)
--;
CREATE INDEX sso_identity_account ON sso_identity (account_id)
--;
-- A membership that a connection gave; it may take it again.
CREATE TABLE sso_membership (
    id TEXT PRIMARY KEY,
    connection_id TEXT NOT NULL REFERENCES sso_connection (id),
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    account_id TEXT NOT NULL REFERENCES account (id),
    UNIQUE (workspace_id, account_id)
)
--;
-- A browser that went to its provider: used once, within ten minutes, by the browser that began it.
CREATE TABLE sso_request (
    id TEXT PRIMARY KEY,
    request_sha256 TEXT NOT NULL UNIQUE,
    connection_id TEXT NOT NULL REFERENCES sso_connection (id),
    purpose TEXT NOT NULL,
    browser_sha256 TEXT NOT NULL,
    kept_sealed {BYTES} NOT NULL,
    return_to TEXT NOT NULL,
    account_id TEXT,
    session_id TEXT,
    begun_us BIGINT NOT NULL,
    expires_us BIGINT NOT NULL,
    used_us BIGINT
)
--;
CREATE INDEX sso_request_expires ON sso_request (expires_us)
--;
-- Assertions, logout messages and tokens that were used: the second use meets UNIQUE.
CREATE TABLE sso_used (
    id TEXT PRIMARY KEY,
    connection_id TEXT NOT NULL REFERENCES sso_connection (id),
    value_sha256 TEXT NOT NULL,
    until_us BIGINT NOT NULL,
    UNIQUE (connection_id, value_sha256)
)
--;
CREATE INDEX sso_used_until ON sso_used (until_us)
--;
-- A session of ours (`id` is its id) and the provider's session behind it, for logout both ways.
CREATE TABLE sso_session (
    id TEXT PRIMARY KEY,
    connection_id TEXT NOT NULL REFERENCES sso_connection (id),
    account_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    provider_session TEXT,
    hint_sealed {BYTES},
    opened_us BIGINT NOT NULL,
    ends_us BIGINT
)
--;
CREATE INDEX sso_session_subject ON sso_session (connection_id, subject)
--;
-- What a test of a connection showed; kept for an hour, for who made it.
CREATE TABLE sso_test (
    id TEXT PRIMARY KEY,
    connection_id TEXT NOT NULL REFERENCES sso_connection (id),
    account_id TEXT NOT NULL,
    outcome_sealed {BYTES} NOT NULL,
    made_us BIGINT NOT NULL
)
--;
-- A workspace that is entered through its connections alone, but for one owner with password and second factor.
CREATE TABLE sso_enforcement (
    id TEXT PRIMARY KEY REFERENCES workspace (id),
    break_glass_account_id TEXT NOT NULL REFERENCES account (id),
    since_us BIGINT NOT NULL
)
--;
-- Which connection opened a session, which workspace it is confined to, and whether it may change its account.
ALTER TABLE session ADD COLUMN connection_id TEXT
--;
ALTER TABLE session ADD COLUMN confined_to TEXT
--;
ALTER TABLE session ADD COLUMN may_change_account SMALLINT NOT NULL DEFAULT 1
