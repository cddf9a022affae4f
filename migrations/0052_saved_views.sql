-- Filters of the audit page that somebody named. `query` is the page's address behind the `?`; `is_shared` is 1 when all
-- who may read the log see it.
CREATE TABLE saved_view (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  account_id TEXT NOT NULL,
  name TEXT NOT NULL,
  query TEXT NOT NULL,
  is_shared INTEGER NOT NULL CHECK (is_shared IN (0, 1)),
  created_us BIGINT NOT NULL
)
--;
CREATE INDEX saved_view_place ON saved_view (workspace_id, account_id)
