-- How a reviewer decided in the last weeks is read by voter and time; who is deactivated is found by it as well.
CREATE INDEX gate_vote_voter ON gate_vote (account_id, at_us)
--;
DROP INDEX gate_vote_account
