-- A run: what one session of an agent program asked for. `mark` is the digest of what it calls itself; every text is the
-- agent's own word.
CREATE TABLE gate_run (
  id TEXT NOT NULL PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  requester_id TEXT NOT NULL,
  mark TEXT NOT NULL,
  program TEXT,
  model TEXT,
  session TEXT,
  run TEXT,
  began_us BIGINT NOT NULL,
  last_us BIGINT NOT NULL,
  commands BIGINT NOT NULL
)
--;
CREATE UNIQUE INDEX gate_run_by_mark ON gate_run (workspace_id, requester_id, mark)
--;
CREATE INDEX gate_run_by_last ON gate_run (workspace_id, requester_id, last_us)
--;
CREATE TABLE gate_run_command (
  command_id TEXT NOT NULL PRIMARY KEY,
  run_id TEXT NOT NULL,
  tool TEXT
)
--;
CREATE INDEX gate_run_command_by_run ON gate_run_command (run_id, command_id)
