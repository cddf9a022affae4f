ALTER TABLE workspace_deletion ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE workspace_deletion FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON workspace_deletion
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
