-- The rules of a workspace and the key of its tags are read by its own requests alone.
ALTER TABLE redaction_rule ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE redaction_rule FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON redaction_rule
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
--;
ALTER TABLE redaction_set ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE redaction_set FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON redaction_set
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
