-- A report's row says nothing twice: its command, and why it failed, are in its manifest. A group counts the reports
-- that name it, in the change that it makes for each of them anyway; an index was asked for no more than whether one does.
ALTER TABLE report_group ADD COLUMN kept BIGINT NOT NULL DEFAULT 0
--;
UPDATE report_group SET kept =
  (SELECT COUNT(*) FROM report WHERE report.workspace_id = report_group.workspace_id AND report.group_id = report_group.id)
--;
DROP INDEX report_by_group
--;
ALTER TABLE report DROP COLUMN command
--;
ALTER TABLE report DROP COLUMN cause
