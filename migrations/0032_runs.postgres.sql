-- The wall between workspaces around runs; see 0018_row_security.postgres.sql.
ALTER TABLE gate_run ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE gate_run FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON gate_run
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
--;
ALTER TABLE gate_run_command ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE gate_run_command FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON gate_run_command USING (
  COALESCE(current_setting('failgate.workspace', true), '') = ''
  OR EXISTS (SELECT 1 FROM gate_run WHERE gate_run.id = gate_run_command.run_id)
)
