-- Backups that were made, and the one that this database was restored from: how old is the newest?
CREATE TABLE backup_made (
    id TEXT PRIMARY KEY,
    made_us BIGINT NOT NULL,
    manifest TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    artifacts BIGINT NOT NULL
)
