-- One data key for each workspace, wrapped by a key that lies outside the database. A destroyed one is empty: what it
-- sealed cannot be read by anybody.
CREATE TABLE artifact_key (
  workspace_id TEXT NOT NULL PRIMARY KEY,
  wrapped TEXT NOT NULL,
  wrapping_key_id TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  destroyed_us BIGINT
)
--;
-- salt: that of a sealed object, NULL for a plain one. object_key: the name in the store where it is not the row's id.
ALTER TABLE artifact ADD COLUMN salt TEXT
--;
ALTER TABLE artifact ADD COLUMN object_key TEXT
--;
CREATE UNIQUE INDEX artifact_by_object_key ON artifact (object_key)
