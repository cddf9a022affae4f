-- The life of a report: project and version, groups of one cause, hold, what is searched, usage, quotas.
ALTER TABLE report ADD COLUMN project TEXT NOT NULL DEFAULT ''
--;
ALTER TABLE report ADD COLUMN version TEXT NOT NULL DEFAULT ''
--;
ALTER TABLE report ADD COLUMN source TEXT NOT NULL DEFAULT 'command'
--;
ALTER TABLE report ADD COLUMN command TEXT NOT NULL DEFAULT ''
--;
ALTER TABLE report ADD COLUMN cause TEXT NOT NULL DEFAULT ''
--;
ALTER TABLE report ADD COLUMN recording_ms BIGINT NOT NULL DEFAULT 0
--;
ALTER TABLE report ADD COLUMN group_id TEXT
--;
ALTER TABLE report ADD COLUMN held_us BIGINT
--;
ALTER TABLE report ADD COLUMN held_by TEXT
--;
ALTER TABLE report ADD COLUMN held_reason TEXT
--;
CREATE INDEX report_by_group ON report (workspace_id, group_id, id) WHERE group_id IS NOT NULL
--;
CREATE INDEX report_unsealed ON report (workspace_id, state, id) WHERE state <> 'sealed'
--;
CREATE INDEX report_held ON report (workspace_id, id) WHERE held_us IS NOT NULL
--;
ALTER TABLE report_artifact ADD COLUMN removed_us BIGINT
--;
CREATE TABLE report_group (
  workspace_id TEXT NOT NULL,
  id TEXT NOT NULL,
  project TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  title TEXT NOT NULL,
  command TEXT NOT NULL,
  error TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'resolved', 'regressed', 'ignored')),
  resolved_in_version TEXT,
  changed_us BIGINT NOT NULL,
  changed_by TEXT,
  first_us BIGINT NOT NULL,
  last_us BIGINT NOT NULL,
  first_version TEXT NOT NULL,
  last_version TEXT NOT NULL,
  last_report_id TEXT NOT NULL,
  count BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, id),
  UNIQUE (workspace_id, project, fingerprint)
)
--;
CREATE INDEX report_group_by_last ON report_group (workspace_id, last_us, id)
--;
CREATE TABLE report_group_day (
  workspace_id TEXT NOT NULL,
  group_id TEXT NOT NULL,
  day BIGINT NOT NULL,
  count BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, group_id, day)
)
--;
CREATE TABLE report_excerpt (
  artifact_id TEXT PRIMARY KEY,
  error TEXT NOT NULL,
  frame TEXT NOT NULL,
  text TEXT NOT NULL
)
--;
CREATE TABLE usage_day (
  workspace_id TEXT NOT NULL,
  day BIGINT NOT NULL,
  reports BIGINT NOT NULL DEFAULT 0,
  commands BIGINT NOT NULL DEFAULT 0,
  recording_ms BIGINT NOT NULL DEFAULT 0,
  bytes_added BIGINT NOT NULL DEFAULT 0,
  bytes_removed BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (workspace_id, day)
)
--;
CREATE TABLE workspace_limit (
  workspace_id TEXT NOT NULL,
  quota TEXT NOT NULL,
  amount BIGINT,
  set_by TEXT NOT NULL,
  set_us BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, quota)
)
--;
CREATE TABLE workspace_retention (
  workspace_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  days BIGINT,
  PRIMARY KEY (workspace_id, kind)
)
