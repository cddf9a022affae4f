-- What the audit page filters by, out of the bytes that are hashed: nothing is stored twice, so nothing can differ.
-- The expressions stand in failgate/audit/search.py too, letter by letter: else no query uses the index. They never
-- fail, whatever the bytes are: a leaf begins with {"act":"…","actor":{"auth":[…],"id":"…", and X'22' is a quote.
CREATE INDEX audit_record_act ON audit_record (CAST(substr(leaf, 9, instr(substr(leaf, 9, 80), X'22') - 1) AS TEXT))
--;
CREATE INDEX audit_record_actor ON audit_record (CAST(substr(leaf, instr(leaf, X'226964223A22') + 6, instr(substr(leaf, instr(leaf, X'226964223A22') + 6, 160), X'22') - 1) AS TEXT))
