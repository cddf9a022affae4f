CREATE TABLE audit_record (
  position INTEGER PRIMARY KEY,
  leaf BLOB NOT NULL,
  leaf_hash BLOB NOT NULL,
  obj_id TEXT NOT NULL
)
--;
CREATE INDEX audit_record_obj ON audit_record (obj_id)
--;
CREATE TABLE audit_node (
  position INTEGER PRIMARY KEY,
  hash BLOB NOT NULL
)
--;
CREATE TRIGGER audit_record_stays BEFORE UPDATE ON audit_record
BEGIN SELECT RAISE(ABORT, 'audit records are never changed'); END
--;
CREATE TRIGGER audit_record_is_kept BEFORE DELETE ON audit_record
BEGIN SELECT RAISE(ABORT, 'audit records are never deleted'); END
--;
CREATE TRIGGER audit_node_stays BEFORE UPDATE ON audit_node
BEGIN SELECT RAISE(ABORT, 'audit nodes are never changed'); END
--;
CREATE TRIGGER audit_node_is_kept BEFORE DELETE ON audit_node
BEGIN SELECT RAISE(ABORT, 'audit nodes are never deleted'); END
