-- A key with which the SDK of a project sends failures, and does nothing else. `number` is the project in its address.
CREATE TABLE ingest_key (
  id TEXT NOT NULL PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  number BIGINT NOT NULL UNIQUE,
  project TEXT NOT NULL,
  account_id TEXT NOT NULL,
  key_sha256 TEXT NOT NULL UNIQUE,
  created_us BIGINT NOT NULL,
  revoked_us BIGINT
)
--;
CREATE INDEX ingest_key_by_workspace ON ingest_key (workspace_id)
