-- What the desk makes of a report: severity, embargo and credits in `sealed`; `edit` counts the changes.
CREATE TABLE triage (
  report_id TEXT PRIMARY KEY REFERENCES report (id),
  edit INTEGER NOT NULL,
  changed_us INTEGER NOT NULL,
  changed_by TEXT NOT NULL,
  sealed BLOB NOT NULL
)
--;
-- What of this server a report speaks of: identifiers alone.
CREATE TABLE report_link (
  report_id TEXT NOT NULL REFERENCES report (id),
  kind TEXT NOT NULL CHECK (kind IN ('command', 'report', 'record')),
  workspace TEXT NOT NULL,
  object TEXT NOT NULL,
  added_us INTEGER NOT NULL,
  PRIMARY KEY (report_id, kind, workspace, object)
)
--;
-- The advisory of a report: its draft in `sealed`; `file_name` and `published_us` since it was published first.
CREATE TABLE advisory (
  id TEXT PRIMARY KEY,
  report_id TEXT NOT NULL UNIQUE REFERENCES report (id),
  edit INTEGER NOT NULL,
  changed_us INTEGER NOT NULL,
  changed_by TEXT NOT NULL,
  file_name TEXT UNIQUE,
  published_us INTEGER,
  sealed BLOB NOT NULL
)
--;
-- What was published, revision by revision; a row is never changed. `contents` is the advisory as JSON.
CREATE TABLE advisory_release (
  advisory_id TEXT NOT NULL REFERENCES advisory (id),
  number INTEGER NOT NULL,
  released_us INTEGER NOT NULL,
  contents BLOB NOT NULL,
  csaf BLOB NOT NULL,
  PRIMARY KEY (advisory_id, number)
)
--;
CREATE TRIGGER advisory_release_stays BEFORE UPDATE ON advisory_release
BEGIN SELECT RAISE(ABORT, 'what was published is never changed'); END
--;
CREATE INDEX advisory_by_time ON advisory (published_us)
