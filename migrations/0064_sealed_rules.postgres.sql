-- As 0049: signed rules and runs are read by requests of their workspace alone.
ALTER TABLE sealed_rules ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE sealed_rules FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON sealed_rules
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
--;
ALTER TABLE sealed_run ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE sealed_run FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON sealed_run
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
