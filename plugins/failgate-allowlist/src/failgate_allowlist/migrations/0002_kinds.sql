-- Rules of other kinds than exact. `members` is JSON of what a rule says besides the columns; NULL in an exact rule.
ALTER TABLE rule ADD COLUMN kind TEXT NOT NULL DEFAULT 'exact'
--;
ALTER TABLE rule ADD COLUMN members TEXT
--;
ALTER TABLE rule ADD COLUMN last_used_us BIGINT
