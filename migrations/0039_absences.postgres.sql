-- Who is away is read by requests of its own workspace alone; see 0018_row_security.postgres.sql.
ALTER TABLE gate_absence ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE gate_absence FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON gate_absence
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
