-- Views are read by requests of their workspace alone; see 0018_row_security.postgres.sql.
ALTER TABLE saved_view ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE saved_view FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON saved_view
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
