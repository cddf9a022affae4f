-- When the password, or the sign-in at the identity provider, was last shown in a session. Sessions that are open keep
-- NULL: they are asked anew before anything that wants all factors.
ALTER TABLE session ADD COLUMN first_factor_us BIGINT
