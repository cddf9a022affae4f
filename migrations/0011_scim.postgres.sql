-- Compared by code point, as SQLite does: the same filter finds and sorts the same on both engines.
ALTER TABLE scim_value ALTER COLUMN value TYPE TEXT COLLATE "C"
--;
ALTER TABLE scim_value ALTER COLUMN brief TYPE TEXT COLLATE "C"
--;
ALTER TABLE scim_resource ALTER COLUMN name TYPE TEXT COLLATE "C"
