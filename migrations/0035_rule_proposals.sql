-- Rules that wait for other people's word, and how many others a workspace wants. `rules` is a JSON list of rules,
-- `digest` stands in the audit record too; `approvals` is a JSON list of accounts.
CREATE TABLE gate_rule_proposal (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  rules TEXT NOT NULL,
  digest TEXT NOT NULL,
  need INTEGER NOT NULL,
  proposed_by TEXT NOT NULL,
  account_id TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  approvals TEXT NOT NULL
)
--;
CREATE INDEX gate_rule_proposal_place ON gate_rule_proposal (workspace_id)
--;
CREATE TABLE gate_rule_terms (
  workspace_id TEXT PRIMARY KEY,
  approvers INTEGER NOT NULL
)
