-- A request that a reviewer answered by approving another form of it: `edited` says which, as JSON, on the one that was
-- asked; `edits` on the other names the request that was asked. Null: nobody edited it, and nobody edited another into it.
ALTER TABLE gate_command ADD COLUMN edited TEXT
--;
ALTER TABLE gate_command ADD COLUMN edits TEXT
