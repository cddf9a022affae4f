-- Walled as in 0018: what is read while a request of one workspace is answered shows its own key alone.
ALTER TABLE artifact_key ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE artifact_key FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON artifact_key
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
