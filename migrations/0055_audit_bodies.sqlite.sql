-- Personal data of audit records, beside them, each at the position of its record. Erasing sets salt and body to NULL,
-- and is all that may be done to a row. See failgate/audit/bodies.py.
CREATE TABLE audit_body (
  position INTEGER PRIMARY KEY,
  salt BLOB,
  body BLOB,
  erased_us BIGINT,
  CHECK ((salt IS NULL) = (body IS NULL) AND (salt IS NULL) = (erased_us IS NOT NULL))
)
--;
CREATE TRIGGER audit_body_stays BEFORE UPDATE ON audit_body
WHEN NEW.position <> OLD.position OR NEW.erased_us IS NULL OR OLD.erased_us IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'bodies of audit records are erased, never changed'); END
--;
CREATE TRIGGER audit_body_is_kept BEFORE DELETE ON audit_body
BEGIN SELECT RAISE(ABORT, 'bodies of audit records are erased, never deleted'); END
