-- What an agent runs is read by requests of its own workspace alone; see 0018_row_security.postgres.sql.
ALTER TABLE gate_familiar ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE gate_familiar FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON gate_familiar
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
