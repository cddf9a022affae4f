-- Read by requests of its own workspace alone; see 0018_row_security.postgres.sql.
ALTER TABLE recording_scan ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE recording_scan FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON recording_scan
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
