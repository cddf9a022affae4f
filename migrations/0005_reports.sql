CREATE TABLE artifact (
  id TEXT NOT NULL PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  size_bytes BIGINT NOT NULL,
  findings TEXT NOT NULL,
  scanned_by TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  UNIQUE (workspace_id, sha256)
)
--;
CREATE TABLE report (
  workspace_id TEXT NOT NULL,
  id TEXT NOT NULL,
  state TEXT NOT NULL,
  format TEXT NOT NULL,
  title TEXT NOT NULL,
  exit_code BIGINT NOT NULL,
  manifest_id TEXT NOT NULL,
  manifest_sha256 TEXT NOT NULL,
  manifest TEXT NOT NULL,
  uploader_t TEXT NOT NULL,
  uploader_id TEXT NOT NULL,
  uploader_owner_id TEXT,
  uploader_label TEXT NOT NULL,
  command_id TEXT,
  consent_by TEXT NOT NULL,
  consent_at TEXT NOT NULL,
  findings TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  sealed_us BIGINT,
  PRIMARY KEY (workspace_id, id),
  UNIQUE (workspace_id, uploader_id, manifest_id)
)
--;
CREATE INDEX report_by_command ON report (command_id) WHERE command_id IS NOT NULL
--;
CREATE TABLE report_artifact (
  workspace_id TEXT NOT NULL,
  report_id TEXT NOT NULL,
  position BIGINT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  media_type TEXT NOT NULL,
  size_bytes BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  artifact_id TEXT REFERENCES artifact (id),
  PRIMARY KEY (workspace_id, report_id, position),
  FOREIGN KEY (workspace_id, report_id) REFERENCES report (workspace_id, id)
)
--;
CREATE INDEX report_artifact_by_artifact ON report_artifact (artifact_id)
