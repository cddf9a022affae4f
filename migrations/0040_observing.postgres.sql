-- When a workspace is observed is read by requests of that workspace alone; see 0018_row_security.postgres.sql.
ALTER TABLE gate_observing ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE gate_observing FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON gate_observing
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
