-- What is searched by is noted once in 1,024 records instead of 256: see failgate/audit/blocks.py. The notes of four
-- blocks become those of one; of the last ones, where they are fewer than four, the records are the open block now.
CREATE TABLE audit_block_of_1024 (
  what TEXT NOT NULL,
  block BIGINT NOT NULL,
  CONSTRAINT audit_block_of_1024_pkey PRIMARY KEY (what, block)
)
--;
INSERT INTO audit_block_of_1024 (what, block)
SELECT DISTINCT b.what, b.block >> 2
FROM audit_block b JOIN audit_head h ON h.number = b.block >> 32
WHERE (b.block & 4294967295) >> 2 < h.size >> 10
--;
DROP TABLE audit_block
--;
ALTER TABLE audit_block_of_1024 RENAME TO audit_block
--;
ALTER TABLE audit_block RENAME CONSTRAINT audit_block_of_1024_pkey TO audit_block_pkey
--;
CREATE TRIGGER audit_block_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_block
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
