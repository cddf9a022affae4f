-- Which built-in rules last looked through what is stored. Empty: those of a version that did not say.
ALTER TABLE redaction_set ADD COLUMN rules_version TEXT NOT NULL DEFAULT ''
