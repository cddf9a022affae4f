-- What is searched by is noted once in 1,024 records instead of 256: see failgate/audit/blocks.py. The notes of four
-- blocks become those of one; of the last ones, where they are fewer than four, the records are the open block now.
CREATE TABLE audit_block_of_1024 (
  what TEXT NOT NULL,
  block BIGINT NOT NULL,
  PRIMARY KEY (what, block)
) WITHOUT ROWID
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
CREATE TRIGGER audit_block_stays BEFORE UPDATE ON audit_block
BEGIN SELECT RAISE(ABORT, 'audit blocks are never changed'); END
--;
CREATE TRIGGER audit_block_is_kept BEFORE DELETE ON audit_block
BEGIN SELECT RAISE(ABORT, 'audit blocks are never deleted'); END
