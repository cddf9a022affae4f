-- The audit logs. Places of records and nodes: failgate/audit/tables.py. The tables of both, whose key SQLite wants to be
-- called INTEGER, stand in the file of each engine.
CREATE TABLE audit_head (
  log TEXT PRIMARY KEY,
  number BIGINT NOT NULL UNIQUE CHECK (number > 0),
  size BIGINT NOT NULL CHECK (size >= 0),
  last_hash {BYTES} NOT NULL,
  peaks {BYTES} NOT NULL,
  ts_us BIGINT NOT NULL,
  clock_us BIGINT NOT NULL
)
--;
CREATE TABLE audit_cursor (
  exporter TEXT NOT NULL,
  log TEXT NOT NULL,
  seq BIGINT NOT NULL CHECK (seq >= 0),
  PRIMARY KEY (exporter, log)
)
