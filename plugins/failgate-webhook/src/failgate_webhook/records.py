"""The audit log as signed webhooks: a batch is lines, one record each, signed as a whole.

A receiver that answers 2xx has every line of the body. The same lines have the same `webhook-id` at each try; `log` and
`seq` name a record for good, whatever request it comes in.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from failgate.plugin import Clock, ExportedRecord, Outbound, RecordFormat, Secret, formatted, post_records
from failgate_webhook.signature import headers_of

LARGEST_BODY: Final = 512 * 1024  # bytes; a single record is smaller
_MEDIA: Final = {"json": "application/x-ndjson", "ocsf": "application/x-ndjson", "cef": "text/plain; charset=utf-8"}


class RecordWebhook:
    """An `AuditExporter` that posts lines to `url`, signed with each of `secrets`."""

    def __init__(
        self,
        outbound: Outbound,
        clock: Clock,
        url: str,
        secrets: Sequence[Secret],
        *,
        as_format: RecordFormat = "json",
        timeout_seconds: float = 20,
    ) -> None:
        self._outbound = outbound
        self._clock = clock
        self._url = url
        self._secrets = tuple(secrets)
        self._format: RecordFormat = as_format
        self._timeout_seconds = timeout_seconds

    async def deliver(self, batch: Sequence[ExportedRecord]) -> None:
        """Return when the other side has answered 2xx to every line.

        Raises: RecordsRefused (400, 413, 415, 422), ExportFailed.
        """
        for body in _bodies([formatted(record, self._format) + b"\n" for record in batch]):
            message_id = f"audit_{hashlib.sha256(body).hexdigest()[:32]}"
            signed = headers_of(message_id, self._clock.now_us() // 1_000_000, body, self._secrets)
            headers = {"Content-Type": _MEDIA[self._format], **signed}
            await post_records(self._outbound, self._url, body, headers, seconds=self._timeout_seconds)


def _bodies(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the lines in order, as many together as a body takes."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        if held and size + len(line) > LARGEST_BODY:
            yield b"".join(held)
            held, size = [], 0
        held.append(line)
        size += len(line)
    if held:
        yield b"".join(held)
