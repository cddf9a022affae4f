-- Share links of reports, who opened them, which source snapshots somebody reviewed, where links are switched off.
CREATE TABLE share (
  id TEXT NOT NULL PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  report_id TEXT NOT NULL,
  artifacts TEXT NOT NULL,
  token_sha256 TEXT NOT NULL UNIQUE,
  passphrase_hash TEXT,
  creator_t TEXT NOT NULL,
  creator_id TEXT NOT NULL,
  creator_label TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  expires_us BIGINT NOT NULL,
  revoked_us BIGINT,
  views BIGINT NOT NULL,
  last_view_us BIGINT
)
--;
CREATE INDEX share_by_report ON share (workspace_id, report_id)
--;
CREATE TABLE share_view (
  id TEXT NOT NULL PRIMARY KEY,
  share_id TEXT NOT NULL REFERENCES share (id),
  viewed_us BIGINT NOT NULL,
  network TEXT NOT NULL
)
--;
CREATE INDEX share_view_by_share ON share_view (share_id, id)
--;
CREATE TABLE artifact_review (
  workspace_id TEXT NOT NULL,
  report_id TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  reviewer_t TEXT NOT NULL,
  reviewer_id TEXT NOT NULL,
  reviewed_us BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, report_id, sha256)
)
--;
CREATE TABLE sharing_stop (
  workspace_id TEXT NOT NULL PRIMARY KEY,
  stopped_us BIGINT NOT NULL
)
