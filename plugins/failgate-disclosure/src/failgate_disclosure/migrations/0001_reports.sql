-- Reports of vulnerabilities. What somebody wrote stands in `sealed` alone, sealed under the desk's key for the row's id.
CREATE TABLE report (
  id TEXT PRIMARY KEY,
  number INTEGER NOT NULL UNIQUE,
  link_sha256 TEXT NOT NULL UNIQUE,
  form_sha256 TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL CHECK (state IN ('new', 'acknowledged', 'accepted', 'fixed', 'closed')),
  reason TEXT,
  assignee TEXT,
  received_us INTEGER NOT NULL,
  acknowledged_us INTEGER,
  sealed BLOB NOT NULL
)
--;
CREATE INDEX report_by_state ON report (state, received_us)
--;
CREATE TABLE message (
  id TEXT PRIMARY KEY,
  report_id TEXT NOT NULL REFERENCES report (id),
  kind TEXT NOT NULL CHECK (kind IN ('reporter', 'desk', 'note', 'state')),
  author TEXT NOT NULL,
  written_us INTEGER NOT NULL,
  sealed BLOB NOT NULL
)
--;
CREATE INDEX message_by_report ON message (report_id, written_us)
