ALTER TABLE recording ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE recording FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON recording
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
--;
ALTER TABLE recording_chunk ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE recording_chunk FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON recording_chunk
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
--;
ALTER TABLE recording_mark ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE recording_mark FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON recording_mark
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
