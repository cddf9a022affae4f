-- Which acts and actors stand in which block of 256 records, in place of the two indexes of 0050, which cost every
-- decision more than a tenth of its time. See failgate/audit/blocks.py.
CREATE TABLE audit_block (
  what TEXT NOT NULL,
  block BIGINT NOT NULL,
  PRIMARY KEY (what, block)
) WITHOUT ROWID
--;
INSERT OR IGNORE INTO audit_block (what, block)
SELECT 'act ' || CAST(substr(r.leaf, 9, instr(substr(r.leaf, 9, 80), X'22') - 1) AS TEXT), r.position >> 8
FROM audit_record r JOIN audit_head h ON h.number = r.position >> 40
WHERE (r.position & 1099511627775) >> 8 < h.size >> 8
--;
INSERT OR IGNORE INTO audit_block (what, block)
SELECT 'actor ' || CAST(substr(r.leaf, instr(r.leaf, X'226964223A22') + 6, instr(substr(r.leaf, instr(r.leaf, X'226964223A22') + 6, 160), X'22') - 1) AS TEXT), r.position >> 8
FROM audit_record r JOIN audit_head h ON h.number = r.position >> 40
WHERE (r.position & 1099511627775) >> 8 < h.size >> 8
--;
DROP INDEX audit_record_act
--;
DROP INDEX audit_record_actor
--;
CREATE TRIGGER audit_block_stays BEFORE UPDATE ON audit_block
BEGIN SELECT RAISE(ABORT, 'audit blocks are never changed'); END
--;
CREATE TRIGGER audit_block_is_kept BEFORE DELETE ON audit_block
BEGIN SELECT RAISE(ABORT, 'audit blocks are never deleted'); END
