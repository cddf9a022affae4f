-- How far the recordings of a workspace were looked through again since one of its redaction rules was added.
CREATE TABLE recording_scan (
  workspace_id TEXT PRIMARY KEY,
  generation BIGINT NOT NULL,
  is_scanning INTEGER NOT NULL,
  scan_after TEXT NOT NULL
)
--;
CREATE INDEX recording_scan_due ON recording_scan (workspace_id) WHERE is_scanning = 1
