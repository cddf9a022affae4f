-- Whose bodies of audit records were asked to be erased, and until when; `done_us` once they are. Backups carry it, and a
-- file beside the database outlives it. See failgate/audit/erasure_list.py.
CREATE TABLE audit_erasure (
  kind TEXT NOT NULL CHECK (kind IN ('account', 'workspace')),
  subject_id TEXT NOT NULL,
  until_us BIGINT NOT NULL,
  done_us BIGINT,
  PRIMARY KEY (kind, subject_id)
)
