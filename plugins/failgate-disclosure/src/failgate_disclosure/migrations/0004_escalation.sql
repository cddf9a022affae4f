-- When the platform's people were told that half of the 48 hours is over, and that all of it is.
ALTER TABLE report ADD COLUMN reminded_us INTEGER
--;
ALTER TABLE report ADD COLUMN escalated_us INTEGER
