-- Which subject alternative name of a client certificate is which agent; a name may stand for one agent in each workspace.
CREATE TABLE agent_certificate (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    agent_id TEXT NOT NULL REFERENCES agent (id),
    san TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    revoked_us BIGINT
)
--;
CREATE UNIQUE INDEX agent_certificate_in_force ON agent_certificate (san, workspace_id) WHERE revoked_us IS NULL
--;
CREATE INDEX agent_certificate_agent ON agent_certificate (agent_id)
