-- What is searched: words and terms of each sealed report.
CREATE TABLE report_text (
  workspace_id TEXT NOT NULL,
  report_id TEXT NOT NULL,
  words TSVECTOR NOT NULL,
  PRIMARY KEY (workspace_id, report_id)
)
--;
CREATE INDEX report_text_words ON report_text USING gin (words) WITH (fastupdate = on)
--;
ALTER TABLE report_group ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE report_group FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON report_group
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
--;
ALTER TABLE report_group_day ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE report_group_day FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON report_group_day
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
--;
ALTER TABLE report_text ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE report_text FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON report_text
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
--;
ALTER TABLE usage_day ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE usage_day FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON usage_day
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
--;
ALTER TABLE workspace_retention ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE workspace_retention FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON workspace_retention
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
