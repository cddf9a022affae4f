-- What policies demand of those who decide, as JSON; its digest stands in the request's record. Null: nothing.
ALTER TABLE gate_command ADD COLUMN terms TEXT
--;
-- The account that made the credential: its approval alone does not do. Null: made before this was known, or by none.
ALTER TABLE token ADD COLUMN minted_by TEXT
--;
ALTER TABLE agent_certificate ADD COLUMN registered_by TEXT
--;
-- Which programs a requester has used approvals for.
CREATE TABLE gate_familiar (
  workspace_id TEXT NOT NULL,
  requester_id TEXT NOT NULL,
  program TEXT NOT NULL,
  first_us BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, requester_id, program)
)
