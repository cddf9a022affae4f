-- Provisioning by SCIM 2.0: the token of each connection, the people and groups that it keeps here, and which account
-- each of them is. `body` is the resource as JSON without what is derived (id, meta, groups, members).
CREATE TABLE scim_token (
    id TEXT PRIMARY KEY,
    connection_id TEXT NOT NULL,
    token_sha256 TEXT NOT NULL UNIQUE,
    created_us BIGINT NOT NULL,
    last_used_us BIGINT,
    revoked_us BIGINT
)
--;
CREATE INDEX scim_token_connection ON scim_token (connection_id)
--;
-- `name` is userName or displayName as names are compared, `label` as it is shown. `gap` is why a person has no account here.
CREATE TABLE scim_resource (
    id TEXT PRIMARY KEY,
    connection_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    label TEXT NOT NULL,
    body TEXT NOT NULL,
    version BIGINT NOT NULL,
    is_active SMALLINT NOT NULL,
    account_id TEXT,
    gap TEXT,
    created_us BIGINT NOT NULL,
    changed_us BIGINT NOT NULL,
    UNIQUE (connection_id, kind, name)
)
--;
CREATE INDEX scim_resource_listed ON scim_resource (connection_id, kind, id)
--;
CREATE INDEX scim_resource_account ON scim_resource (account_id)
--;
-- Every value of a resource as it is compared, one row each: what filters and sorting look at. `brief` is the beginning
-- of `value`, short enough for an index on either engine. `entry` tells the values of one complex entry together.
CREATE TABLE scim_value (
    id TEXT PRIMARY KEY,
    connection_id TEXT NOT NULL,
    resource_id TEXT NOT NULL REFERENCES scim_resource (id),
    head TEXT NOT NULL,
    path TEXT NOT NULL,
    entry BIGINT NOT NULL,
    is_primary SMALLINT NOT NULL,
    brief TEXT NOT NULL,
    value TEXT NOT NULL
)
--;
CREATE INDEX scim_value_brief ON scim_value (connection_id, path, brief)
--;
CREATE INDEX scim_value_resource ON scim_value (resource_id, path, entry)
--;
CREATE TABLE scim_member (
    id TEXT PRIMARY KEY,
    connection_id TEXT NOT NULL,
    group_id TEXT NOT NULL REFERENCES scim_resource (id),
    user_id TEXT NOT NULL REFERENCES scim_resource (id),
    UNIQUE (group_id, user_id)
)
--;
CREATE INDEX scim_member_user ON scim_member (user_id)
--;
-- Which accounts a connection governs: those that it made (`is_origin`) and those that an owner linked to it.
-- `has_disabled`: it was this connection that disabled the account, so it may enable it again.
CREATE TABLE scim_account (
    id TEXT PRIMARY KEY,
    connection_id TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES account (id),
    is_origin SMALLINT NOT NULL,
    has_disabled SMALLINT NOT NULL DEFAULT 0,
    linked_us BIGINT NOT NULL,
    UNIQUE (connection_id, account_id)
)
--;
CREATE INDEX scim_account_account ON scim_account (account_id)
--;
-- A vote is found by its voter, whose deactivation takes it away.
CREATE INDEX gate_vote_account ON gate_vote (account_id)
