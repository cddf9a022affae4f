-- Proposals are read by requests of their own workspace alone.
ALTER TABLE gate_rule_proposal ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE gate_rule_proposal FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON gate_rule_proposal
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
--;
ALTER TABLE gate_rule_terms ENABLE ROW LEVEL SECURITY
--;
ALTER TABLE gate_rule_terms FORCE ROW LEVEL SECURITY
--;
CREATE POLICY of_workspace ON gate_rule_terms
USING (COALESCE(current_setting('failgate.workspace', true), '') IN ('', workspace_id))
