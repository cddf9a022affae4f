-- Exporters that were opened once. `is_due` is 1 while a test record is to be sent, `probes` counts those that arrived,
-- `proven_us` says when the first one did: nothing else leaves before. Exporters of before have shown that they work.
CREATE TABLE audit_exporter (
  exporter TEXT PRIMARY KEY,
  probes BIGINT NOT NULL CHECK (probes >= 0),
  is_due INTEGER NOT NULL CHECK (is_due IN (0, 1)),
  proven_us BIGINT
)
--;
INSERT INTO audit_exporter (exporter, probes, is_due, proven_us) SELECT DISTINCT exporter, 0, 0, 0 FROM audit_cursor
--;
-- Records that the other side refused for ever. `is_due` is 1 when somebody asked to send one again.
CREATE TABLE audit_put_aside (
  exporter TEXT NOT NULL,
  log TEXT NOT NULL,
  seq BIGINT NOT NULL CHECK (seq >= 0),
  reason TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  put_us BIGINT NOT NULL,
  is_due INTEGER NOT NULL CHECK (is_due IN (0, 1)),
  PRIMARY KEY (exporter, log, seq)
)
