-- The public keys of end-to-end mode: those with which a person's device opens what is sealed to it ('opening') and
-- signs decisions ('deciding', of a class), and those with which an agent signs what it asks ('asking'). A key is known
-- in a workspace once and for all: one that was revoked does not come back. `jwk` and `origins` are canonical JSON.
CREATE TABLE device_key (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  purpose TEXT NOT NULL CHECK (purpose IN ('opening', 'deciding', 'asking')),
  account_id TEXT,
  agent_id TEXT,
  jkt TEXT NOT NULL,
  jwk TEXT NOT NULL,
  key_class TEXT CHECK (key_class IN ('browser', 'native', 'webauthn')),
  rp TEXT,
  origins TEXT,
  label TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  revoked_us BIGINT
)
--;
CREATE UNIQUE INDEX device_key_once ON device_key (workspace_id, jkt)
