-- Deletion of a workspace: an owner asks, another one confirms, then it is closed at once and emptied behind.
-- From `closed_us` on a workspace answers as one that is not there.
ALTER TABLE workspace ADD COLUMN closed_us BIGINT
--;
-- An owner's word that waits for a second one; one at a time.
CREATE TABLE workspace_deletion (
  workspace_id TEXT NOT NULL PRIMARY KEY REFERENCES workspace (id),
  id TEXT NOT NULL UNIQUE,
  asked_by TEXT NOT NULL,
  asked_us BIGINT NOT NULL,
  expires_us BIGINT NOT NULL
)
--;
-- What is left of a workspace: whose word it was, what was removed so far (JSON: rows by table, and bytes), the receipt.
-- `slug` is not given again. `owners` are the accounts that owned it, as JSON: they may read the receipt.
CREATE TABLE deleted_workspace (
  id TEXT NOT NULL PRIMARY KEY,
  slug TEXT NOT NULL UNIQUE,
  owners TEXT NOT NULL,
  asked_by TEXT NOT NULL,
  asked_us BIGINT NOT NULL,
  confirmed_by TEXT NOT NULL,
  closed_us BIGINT NOT NULL,
  removed TEXT NOT NULL,
  emptied_us BIGINT,
  receipt TEXT,
  record BIGINT
)
