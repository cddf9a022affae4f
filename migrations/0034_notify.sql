-- Where a workspace is told of what happens. `sealed_address` is the URL, `shown` what may be shown of it. `events` is JSON.
-- `since` is the number of the audit record that made it: nothing older is told. `previous` is good until `previous_until_us`.
CREATE TABLE notify_destination (
  id TEXT NOT NULL PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  notifier TEXT NOT NULL,
  name TEXT NOT NULL,
  shown TEXT NOT NULL,
  sealed_address TEXT NOT NULL,
  sealed_secret TEXT,
  sealed_previous TEXT,
  previous_until_us BIGINT,
  events TEXT NOT NULL,
  is_detailed BIGINT NOT NULL,
  is_enabled BIGINT NOT NULL,
  since BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  created_us BIGINT NOT NULL
)
--;
CREATE INDEX notify_destination_by_workspace ON notify_destination (workspace_id)
--;
-- What a member wants to be told of in person; without a row, the default.
CREATE TABLE notify_preference (
  workspace_id TEXT NOT NULL,
  account_id TEXT NOT NULL,
  events TEXT NOT NULL,
  changed_us BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, account_id)
)
--;
-- How far a workspace's audit log was read for what is to be told; without a row nobody there wants to be told anything.
CREATE TABLE notify_cursor (
  workspace_id TEXT NOT NULL PRIMARY KEY,
  seq BIGINT NOT NULL
)
--;
-- What is to be told, to whom, and how that went: the outbox and the log of deliveries. `target` is a destination or an
-- account; `place` the number of the audit record that caused it, which is the order of delivery.
CREATE TABLE notification (
  id TEXT NOT NULL PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  target TEXT NOT NULL,
  is_member BIGINT NOT NULL,
  notifier TEXT NOT NULL,
  place BIGINT NOT NULL,
  event TEXT NOT NULL,
  body TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  next_us BIGINT NOT NULL,
  created_us BIGINT NOT NULL,
  ended_us BIGINT,
  outcome TEXT
)
--;
CREATE UNIQUE INDEX notification_once ON notification (workspace_id, target, notifier, place)
--;
CREATE INDEX notification_waiting ON notification (target, notifier, place) WHERE state = 'waiting'
