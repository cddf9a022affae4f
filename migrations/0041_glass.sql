-- Glass that was broken: a command that one person let run without its quorum, and the review that somebody else owes.
-- `review` is 'open' until then. `broken_by` (an account) and `glass` stand in the request's row too, proven by its records.
CREATE TABLE gate_glass (
  command_id TEXT PRIMARY KEY REFERENCES gate_command (id),
  workspace_id TEXT NOT NULL,
  account_id TEXT NOT NULL,
  label TEXT NOT NULL,
  reason TEXT NOT NULL,
  broken_us BIGINT NOT NULL,
  told_us BIGINT NOT NULL,
  review TEXT NOT NULL CHECK (review IN ('open', 'justified', 'unjustified')),
  reviewer_id TEXT,
  reviewer_label TEXT,
  words TEXT,
  reviewed_us BIGINT
)
--;
CREATE INDEX gate_glass_place ON gate_glass (workspace_id, broken_us)
--;
CREATE UNIQUE INDEX gate_glass_open ON gate_glass (workspace_id, account_id) WHERE review = 'open'
--;
ALTER TABLE gate_command ADD COLUMN broken_by TEXT
--;
ALTER TABLE gate_command ADD COLUMN glass TEXT CHECK (glass IN ('open', 'justified', 'unjustified'))
