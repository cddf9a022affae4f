-- One table for every door: `answer` is what the first request was answered, NULL while it is under way.
CREATE TABLE idempotency (
  id TEXT PRIMARY KEY,
  request_digest TEXT NOT NULL,
  answer TEXT,
  created_us BIGINT NOT NULL
)
--;
CREATE INDEX idempotency_created ON idempotency (created_us)
--;
DROP TABLE gate_idempotency
