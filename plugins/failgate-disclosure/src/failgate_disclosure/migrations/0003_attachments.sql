-- What was attached to reports. `named` and `content` are sealed under the desk's key for the row's id.
CREATE TABLE attachment (
  id TEXT PRIMARY KEY,
  report_id TEXT NOT NULL REFERENCES report (id),
  received_us INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  named BLOB NOT NULL,
  content BLOB NOT NULL
)
--;
CREATE INDEX attachment_by_report ON attachment (report_id, size_bytes)
