-- Personal data of audit records, beside them, each at the position of its record. Erasing sets salt and body to NULL,
-- and is all that may be done to a row. See failgate/audit/bodies.py.
CREATE TABLE audit_body (
  position BIGINT PRIMARY KEY,
  salt BYTEA,
  body BYTEA,
  erased_us BIGINT,
  CHECK ((salt IS NULL) = (body IS NULL) AND (salt IS NULL) = (erased_us IS NOT NULL))
)
--;
CREATE FUNCTION audit_body_refuse() RETURNS trigger LANGUAGE plpgsql AS $refuse$
BEGIN
  RAISE EXCEPTION 'bodies of audit records are erased, never changed or deleted';
END
$refuse$
--;
CREATE TRIGGER audit_body_stays BEFORE UPDATE ON audit_body FOR EACH ROW
WHEN (NEW.position <> OLD.position OR NEW.erased_us IS NULL OR OLD.erased_us IS NOT NULL)
EXECUTE FUNCTION audit_body_refuse()
--;
CREATE TRIGGER audit_body_is_kept BEFORE DELETE OR TRUNCATE ON audit_body
FOR EACH STATEMENT EXECUTE FUNCTION audit_body_refuse()
