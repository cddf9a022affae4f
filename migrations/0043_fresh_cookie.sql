-- The SHA-256 of the cookie that went out with what was last shown in a session. Sessions that are open keep NULL: they
-- are asked anew before anything that wants a fresh proof.
ALTER TABLE session ADD COLUMN fresh_sha256 TEXT
