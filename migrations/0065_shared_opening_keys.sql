-- Copies of an opening key that several devices of one person share, each sealed to the key of one of them and signed:
-- canonical JSON, {thumbprint of that key: copy}. The server opens none.
ALTER TABLE device_key ADD COLUMN copies TEXT
