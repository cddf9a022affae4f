-- The wall between workspaces around what is kept of share links; see 0018_row_security.postgres.sql.
ALTER TABLE share ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE share FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON share
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
--;
ALTER TABLE share_view ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE share_view FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON share_view
USING (
  COALESCE(current_setting('failgate.workspace', true), '') = ''
  OR EXISTS (SELECT 1 FROM share WHERE share.id = share_view.share_id)
)
--;
ALTER TABLE artifact_review ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE artifact_review FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON artifact_review
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
--;
ALTER TABLE sharing_stop ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE sharing_stop FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON sharing_stop
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
