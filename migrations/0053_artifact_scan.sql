-- When a virus scanner looked through an artifact, and what it found; without a time it did not.
ALTER TABLE artifact ADD COLUMN scanned_us BIGINT
--;
ALTER TABLE artifact ADD COLUMN malware TEXT
--;
CREATE INDEX artifact_unscanned ON artifact (id) WHERE scanned_us IS NULL
