"""What every room may keep: answers to requests that carried an idempotency key, and which backups were made."""

from piccolo.columns import BigInt, Text
from piccolo.table import Table


class IdempotencyRow(Table, tablename="idempotency"):
    """A request that carried a key: `id` digests route, principal and key, `request_digest` its body.

    `answer` is the text of what was answered, null while the request is under way.
    """

    id = Text(primary_key=True, default="")
    request_digest = Text()
    answer = Text(null=True, default=None)
    created_us = BigInt()


class BackupRow(Table, tablename="backup_made"):
    """A backup of this installation: of which moment, its manifest's SHA-256 in hex, how much is in it."""

    id = Text(primary_key=True, default="")
    made_us = BigInt()
    manifest = Text()
    size_bytes = BigInt()
    artifacts = BigInt()
