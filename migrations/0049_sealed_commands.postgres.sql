-- What is sealed is read by requests of its workspace alone; see 0018_row_security.postgres.sql.
ALTER TABLE key_manifest ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE key_manifest FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON key_manifest
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
--;
ALTER TABLE sealed_command ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE sealed_command FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON sealed_command
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
--;
ALTER TABLE sealed_decision ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE sealed_decision FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON sealed_decision
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
