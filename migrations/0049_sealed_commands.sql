-- The manifests of keys that were accepted, in order of their epochs: `signed` and `policies` are JSON as it was sent.
-- With its first one a workspace is sealed for good.
CREATE TABLE key_manifest (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  digest TEXT NOT NULL,
  signed TEXT NOT NULL,
  policies TEXT NOT NULL,
  expires_us BIGINT NOT NULL,
  accepted_us BIGINT NOT NULL,
  account_id TEXT
)
--;
CREATE UNIQUE INDEX key_manifest_epoch ON key_manifest (workspace_id, epoch)
--;
-- What agents asked for, sealed: `cid` and `commitment` are the agent's, `body` the JWE as it was sent, `size_bytes` that
-- of its padded content. Whoever holds no key of a reviewer learns nothing else of the command.
CREATE TABLE sealed_command (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  cid TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  agent_jkt TEXT NOT NULL,
  owner_account_id TEXT,
  commitment TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  policy TEXT NOT NULL,
  size_bytes BIGINT NOT NULL,
  body TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'executed')),
  created_us BIGINT NOT NULL,
  expires_us BIGINT NOT NULL,
  ended_us BIGINT,
  receipt TEXT
)
--;
CREATE UNIQUE INDEX sealed_command_cid ON sealed_command (workspace_id, cid)
--;
CREATE INDEX sealed_command_place ON sealed_command (workspace_id, id)
--;
CREATE TABLE sealed_decision (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  cid TEXT NOT NULL,
  account_id TEXT NOT NULL,
  jkt TEXT NOT NULL,
  decision TEXT NOT NULL CHECK (decision IN ('approve', 'deny')),
  body TEXT NOT NULL,
  decided_us BIGINT NOT NULL
)
--;
CREATE UNIQUE INDEX sealed_decision_once ON sealed_decision (workspace_id, cid, account_id)
