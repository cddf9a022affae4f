-- What a reviewer muted: further requests of that agent (`requester_id`) for the same words in the same folder of the
-- same host (`what` is 'same', then `thing` is their `alike`), or for the same program (its name), are denied at once
-- until `expires_us`. `denied` counts them. `command_id` is the request that was denied when it was muted.
CREATE TABLE gate_mute (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  requester_id TEXT NOT NULL,
  requester_label TEXT NOT NULL,
  command_id TEXT NOT NULL,
  what TEXT NOT NULL CHECK (what IN ('same', 'program')),
  thing TEXT NOT NULL,
  program TEXT NOT NULL,
  reason TEXT,
  account_id TEXT NOT NULL,
  begun_us BIGINT NOT NULL,
  expires_us BIGINT NOT NULL,
  denied BIGINT NOT NULL,
  ended_us BIGINT,
  ended_by TEXT
)
--;
CREATE INDEX gate_mute_place ON gate_mute (workspace_id, id)
--;
CREATE INDEX gate_mute_open ON gate_mute (expires_us) WHERE ended_us IS NULL
