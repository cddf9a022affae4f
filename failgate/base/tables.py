"""What every room may keep: the answers to requests that carried an idempotency key."""

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
