-- A key of 256 bits for what a plugin seals in its own database; `id` is its instance, a slash and the key's name.
-- `sealed` is base64.
CREATE TABLE plugin_key (
  id TEXT PRIMARY KEY,
  sealed TEXT NOT NULL
)
