-- The heads of rules that pinned machines judge by themselves, signed by the roots: `signed` is JSON as it was sent. The
-- rules are not here, but the digest of a body with a nonce, which is brought to each machine by hand.
CREATE TABLE sealed_rules (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  digest TEXT NOT NULL,
  signed TEXT NOT NULL,
  issued_us BIGINT NOT NULL,
  expires_us BIGINT NOT NULL,
  accepted_us BIGINT NOT NULL,
  account_id TEXT
)
--;
CREATE UNIQUE INDEX sealed_rules_epoch ON sealed_rules (workspace_id, epoch)
--;
-- What agents ran by them, as they signed it: `rid` and `commitment` are the agent's, `rules` the digest of the head.
CREATE TABLE sealed_run (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  rid TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  agent_jkt TEXT NOT NULL,
  rules TEXT NOT NULL,
  commitment TEXT NOT NULL,
  exit_code BIGINT NOT NULL,
  receipt TEXT NOT NULL,
  taken_us BIGINT NOT NULL
)
--;
CREATE UNIQUE INDEX sealed_run_rid ON sealed_run (workspace_id, rid)
--;
CREATE INDEX sealed_run_place ON sealed_run (workspace_id, id)
