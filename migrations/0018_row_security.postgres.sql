-- A second wall between workspaces, below every query: what is read while a request of one workspace is answered shows
-- rows of that workspace alone. Without a request, and inside verbs, nothing is set and every row is there.
ALTER TABLE gate_command ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE gate_command FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON gate_command
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
--;
ALTER TABLE gate_vote ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE gate_vote FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON gate_vote USING (
  COALESCE(current_setting('failgate.workspace', true), '') = ''
  OR EXISTS (SELECT 1 FROM gate_command WHERE gate_command.id = gate_vote.command_id)
)
--;
ALTER TABLE report ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE report FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON report
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
--;
ALTER TABLE report_artifact ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE report_artifact FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON report_artifact
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
--;
ALTER TABLE artifact ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE artifact FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON artifact
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
