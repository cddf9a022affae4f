-- Which acts and actors stand in which block of 256 records, in place of the two indexes of 0050, which cost every
-- decision more than a tenth of its time. See failgate/audit/blocks.py.
CREATE TABLE audit_block (
  what TEXT NOT NULL,
  block BIGINT NOT NULL,
  PRIMARY KEY (what, block)
)
--;
INSERT INTO audit_block (what, block)
SELECT DISTINCT 'act ' || split_part(encode(substring(r.leaf FROM 9 FOR 80), 'escape'), '"', 1), r.position >> 8
FROM audit_record r JOIN audit_head h ON h.number = r.position >> 40
WHERE (r.position & 1099511627775) >> 8 < h.size >> 8
--;
INSERT INTO audit_block (what, block)
SELECT DISTINCT 'actor ' || split_part(split_part(encode(substring(r.leaf FROM 1 FOR 1024), 'escape'), '"id":"', 2), '"', 1), r.position >> 8
FROM audit_record r JOIN audit_head h ON h.number = r.position >> 40
WHERE (r.position & 1099511627775) >> 8 < h.size >> 8
ON CONFLICT DO NOTHING
--;
DROP INDEX audit_record_act
--;
DROP INDEX audit_record_actor
--;
CREATE TRIGGER audit_block_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_block
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
