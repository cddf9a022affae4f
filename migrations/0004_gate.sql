CREATE TABLE gate_command (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'expired', 'cancelled', 'executed', 'quarantined')),
  digest TEXT NOT NULL,
  body TEXT NOT NULL,
  reason TEXT,
  requester_kind TEXT NOT NULL,
  requester_id TEXT NOT NULL,
  requester_account_id TEXT,
  requester_label TEXT NOT NULL,
  host TEXT NOT NULL,
  excluded TEXT NOT NULL,
  need INTEGER NOT NULL,
  policy TEXT NOT NULL,
  policy_snapshot TEXT NOT NULL,
  findings TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  expires_us BIGINT NOT NULL,
  decided_us BIGINT,
  decided_by TEXT,
  note TEXT,
  use_by_us BIGINT,
  consumed_us BIGINT,
  finished_us BIGINT,
  exit_code INTEGER,
  duration_ms BIGINT,
  signal INTEGER,
  report_id TEXT
)
--;
CREATE INDEX gate_command_workspace ON gate_command (workspace_id, id)
--;
CREATE INDEX gate_command_pending ON gate_command (id) WHERE state = 'pending'
--;
CREATE TABLE gate_vote (
  id TEXT PRIMARY KEY,
  command_id TEXT NOT NULL REFERENCES gate_command (id),
  account_id TEXT NOT NULL,
  label TEXT NOT NULL,
  decision TEXT NOT NULL CHECK (decision IN ('approve', 'deny')),
  at_us BIGINT NOT NULL,
  note TEXT,
  signature TEXT,
  UNIQUE (command_id, account_id)
)
--;
CREATE TABLE gate_idempotency (
  id TEXT PRIMARY KEY,
  request_digest TEXT NOT NULL,
  command_id TEXT NOT NULL,
  created_us BIGINT NOT NULL
)
--;
CREATE INDEX gate_idempotency_created ON gate_idempotency (created_us)
