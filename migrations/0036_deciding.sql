-- What people were asked about is found again: `alike` is the same for the same words, folder and host, `program` for the
-- same program. Both are NULL for what a policy decided, and for rows from before. `wants_changes`: a denial that asks
-- for the command in another form.
ALTER TABLE gate_command ADD COLUMN alike TEXT
--;
ALTER TABLE gate_command ADD COLUMN program TEXT
--;
ALTER TABLE gate_command ADD COLUMN wants_changes INTEGER NOT NULL DEFAULT 0
--;
CREATE INDEX gate_command_alike ON gate_command (workspace_id, alike, id) WHERE alike IS NOT NULL
--;
CREATE INDEX gate_command_program ON gate_command (workspace_id, program, id) WHERE program IS NOT NULL
