CREATE TABLE audit_record (
  position BIGINT PRIMARY KEY,
  leaf BYTEA NOT NULL,
  leaf_hash BYTEA NOT NULL,
  obj_id TEXT NOT NULL
)
--;
CREATE INDEX audit_record_obj ON audit_record (obj_id, position)
--;
CREATE TABLE audit_node (
  position BIGINT PRIMARY KEY,
  hash BYTEA NOT NULL
)
--;
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $refuse$
BEGIN
  RAISE EXCEPTION 'audit records are never changed or deleted';
END
$refuse$
--;
CREATE TRIGGER audit_record_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_record
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
--;
CREATE TRIGGER audit_node_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_node
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
