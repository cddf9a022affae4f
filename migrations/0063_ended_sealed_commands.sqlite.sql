-- A sealed command that its agent withdrew is `cancelled`, one that nobody decided in time is `expired`: both recorded.
CREATE TABLE sealed_command_that_ends (
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
  state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'executed', 'cancelled', 'expired')),
  created_us BIGINT NOT NULL,
  expires_us BIGINT NOT NULL,
  ended_us BIGINT,
  receipt TEXT
)
--;
INSERT INTO sealed_command_that_ends (id, workspace_id, cid, agent_id, agent_jkt, owner_account_id, commitment, epoch,
  policy, size_bytes, body, state, created_us, expires_us, ended_us, receipt)
SELECT id, workspace_id, cid, agent_id, agent_jkt, owner_account_id, commitment, epoch,
  policy, size_bytes, body, state, created_us, expires_us, ended_us, receipt
FROM sealed_command
--;
DROP TABLE sealed_command
--;
ALTER TABLE sealed_command_that_ends RENAME TO sealed_command
--;
CREATE UNIQUE INDEX sealed_command_cid ON sealed_command (workspace_id, cid)
--;
CREATE INDEX sealed_command_place ON sealed_command (workspace_id, id)
--;
CREATE INDEX sealed_command_due ON sealed_command (expires_us) WHERE state = 'pending'
