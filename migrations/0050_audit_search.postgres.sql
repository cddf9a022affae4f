-- What the audit page filters by, out of the bytes that are hashed: nothing is stored twice, so nothing can differ.
-- The expressions stand in failgate/audit/search.py too: else no query uses the index. They never fail, whatever the
-- bytes are: a leaf begins with {"act":"…","actor":{"auth":[…],"id":"…".
CREATE INDEX audit_record_act ON audit_record (split_part(encode(substring(leaf FROM 9 FOR 80), 'escape'), '"', 1), position)
--;
CREATE INDEX audit_record_actor ON audit_record (split_part(split_part(encode(substring(leaf FROM 1 FOR 1024), 'escape'), '"id":"', 2), '"', 1), position)
