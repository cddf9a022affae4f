-- Rules that a workspace adds, and how far its stored reports were scanned again by them. Texts are sealed: a rule may
-- spell out what it hides. `generation` rises with every change of the rules; `scan_after` is the last report that
-- was scanned by this generation.
CREATE TABLE redaction_rule (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  name TEXT NOT NULL,
  sealed TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  UNIQUE (workspace_id, name)
)
--;
CREATE TABLE redaction_set (
  workspace_id TEXT PRIMARY KEY,
  sealed_key TEXT NOT NULL,
  generation BIGINT NOT NULL,
  is_scanning INTEGER NOT NULL,
  scan_after TEXT NOT NULL,
  scanned BIGINT NOT NULL,
  quarantined BIGINT NOT NULL,
  scan_begun_us BIGINT NOT NULL,
  scan_ended_us BIGINT
)
--;
CREATE INDEX redaction_set_scanning ON redaction_set (workspace_id) WHERE is_scanning = 1
