-- Provisioning by SCIM 2.0. A vote is found by its voter, whose deactivation takes it away.
CREATE INDEX gate_vote_account ON gate_vote (account_id)
