-- Recordings of shells. The bytes lie in the artifact store, a chunk an artifact; rows hold their chain.
CREATE TABLE recording (
  id TEXT NOT NULL PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  state TEXT NOT NULL,
  begun TEXT NOT NULL,
  recorder_t TEXT NOT NULL,
  recorder_id TEXT NOT NULL,
  recorder_label TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  heard_us BIGINT NOT NULL,
  ended_us BIGINT,
  exit_code BIGINT,
  chunks BIGINT NOT NULL,
  size_bytes BIGINT NOT NULL,
  duration_ms BIGINT NOT NULL,
  chain TEXT NOT NULL,
  findings TEXT NOT NULL
)
--;
CREATE INDEX recording_by_workspace ON recording (workspace_id, id)
--;
CREATE INDEX recording_live ON recording (heard_us) WHERE state = 'live'
--;
CREATE TABLE recording_chunk (
  workspace_id TEXT NOT NULL,
  recording_id TEXT NOT NULL REFERENCES recording (id),
  number BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  size_bytes BIGINT NOT NULL,
  from_ms BIGINT NOT NULL,
  to_ms BIGINT NOT NULL,
  chain TEXT NOT NULL,
  artifact_id TEXT NOT NULL REFERENCES artifact (id),
  PRIMARY KEY (recording_id, number)
)
--;
CREATE INDEX recording_chunk_by_artifact ON recording_chunk (artifact_id)
--;
-- What a recording says of a command: when it was asked for, decided, started, ended.
CREATE TABLE recording_mark (
  workspace_id TEXT NOT NULL,
  recording_id TEXT NOT NULL REFERENCES recording (id),
  chunk BIGINT NOT NULL,
  position BIGINT NOT NULL,
  at_ms BIGINT NOT NULL,
  kind TEXT NOT NULL,
  command_id TEXT NOT NULL,
  PRIMARY KEY (recording_id, chunk, position)
)
--;
CREATE INDEX recording_mark_by_command ON recording_mark (command_id)
