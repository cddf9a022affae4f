-- When it was put on record that nobody had acknowledged the report in 48 hours.
ALTER TABLE report ADD COLUMN overdue_us INTEGER
