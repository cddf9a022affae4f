ALTER TABLE notify_destination ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE notify_destination FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON notify_destination
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
--;
ALTER TABLE notification ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE notification FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON notification
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
