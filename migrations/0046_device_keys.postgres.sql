-- Device keys are read by requests of their workspace alone; see 0018_row_security.postgres.sql.
ALTER TABLE device_key ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE device_key FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON device_key
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
