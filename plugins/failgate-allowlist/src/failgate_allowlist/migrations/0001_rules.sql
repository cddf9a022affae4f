CREATE TABLE rule (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  effect TEXT NOT NULL,
  argv TEXT NOT NULL,
  note TEXT,
  ttl_seconds BIGINT,
  max_uses BIGINT,
  created_by TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  uses BIGINT NOT NULL,
  is_over SMALLINT NOT NULL
)
