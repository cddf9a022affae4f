-- Who is away from when until when (microseconds), in which zone they said it, and who stands in for them, if anybody.
CREATE TABLE gate_absence (
  workspace_id TEXT NOT NULL,
  account_id TEXT NOT NULL,
  from_us BIGINT NOT NULL,
  until_us BIGINT NOT NULL,
  zone TEXT NOT NULL,
  stand_in TEXT,
  declared_us BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, account_id)
)
--;
CREATE INDEX gate_absence_stand_in ON gate_absence (workspace_id, stand_in) WHERE stand_in IS NOT NULL
--;
CREATE INDEX gate_absence_account ON gate_absence (account_id)
