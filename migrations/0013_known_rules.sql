-- Which rules a rulebook has to hold: it lies in a database of its own, where one may be missing after a deletion or an
-- older copy. Written with the audit record of each rule; is_kept is 0 until the rulebook has taken it.
CREATE TABLE gate_known_rule (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  is_kept INTEGER NOT NULL
)
