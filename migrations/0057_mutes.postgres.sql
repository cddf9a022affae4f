-- What is muted is read by requests of its workspace alone; see 0018_row_security.postgres.sql.
ALTER TABLE gate_mute ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE gate_mute FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON gate_mute
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
