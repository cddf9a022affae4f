-- Times in which commands are only observed: of a whole workspace, or of one agent (`agent_id`, empty for all).
-- `denials` is 1 when what policies refuse is only observed too. One runs at a time for the same commands.
CREATE TABLE gate_observing (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  denials INTEGER NOT NULL CHECK (denials IN (0, 1)),
  begun_us BIGINT NOT NULL,
  expires_us BIGINT NOT NULL,
  begun_by TEXT NOT NULL,
  reason TEXT,
  ended_us BIGINT,
  ended_by TEXT
)
--;
CREATE INDEX gate_observing_place ON gate_observing (workspace_id, id)
--;
CREATE UNIQUE INDEX gate_observing_open ON gate_observing (workspace_id, agent_id) WHERE ended_us IS NULL
--;
-- Of a command that was only observed: what it would have met, and in which of those times. Null: it was gated.
ALTER TABLE gate_command ADD COLUMN observed TEXT CHECK (observed IN ('wait', 'deny'))
--;
ALTER TABLE gate_command ADD COLUMN observing_id TEXT
--;
CREATE INDEX gate_command_observed ON gate_command (workspace_id, observing_id, id) WHERE observing_id IS NOT NULL
