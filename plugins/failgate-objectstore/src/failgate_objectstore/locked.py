"""The audit log as locked objects: a batch of a log is an object of lines that nobody can delete for a time.

The key says which records are in it, and the beginning of the digest of its bytes: what comes again is the same object,
or another one that overlaps. That the store keeps the lock is asked after each object: one that takes it and forgets
the lock has not taken it.

Source: Amazon S3 API reference, PutObject (x-amz-object-lock-mode, Content-MD5) and GetObjectRetention.
"""

import base64
import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlsplit

from failgate.plugin import Answer, ExportedRecord, ExportFailed, Host, OutboundRefused, formatted
from failgate_objectstore.settings import ObjectStoreSettings
from failgate_objectstore.signature import signed_headers

ANSWER_BYTES: Final = 65_536
LARGEST_OBJECT: Final = 8 * 1024 * 1024  # bytes; a batch that has more becomes several
_UNTIL: Final = re.compile(r"<RetainUntilDate>([^<]{1,40})</RetainUntilDate>")
_MODE: Final = re.compile(r"<Mode>([A-Z]{1,20})</Mode>")


class LockedObjects:
    """An `AuditExporter` that puts objects with a retention into one bucket below one prefix."""

    def __init__(self, config: ObjectStoreSettings, host: Host) -> None:
        path = f"/{config.bucket}" if config.path_style else ""
        self._config = config
        self._host = host
        self._base = urlsplit(config.service_url + path)
        self._prefix = f"{config.prefix}/" if config.prefix else ""

    async def deliver(self, batch: Sequence[ExportedRecord]) -> None:
        """Return when every record is in an object that the store says it keeps.

        Raises: ExportFailed (no answer, refused credentials, a bucket without object lock), RecordsRefused.
        """
        for log, records in itertools.groupby(batch, key=lambda record: record.log):
            for part in _parts(list(records), self._config):
                await self._put(log, *part)

    async def _put(self, log: str, first: int, last: int, body: bytes) -> None:
        digest = hashlib.sha256(body).hexdigest()
        key = f"{self._prefix}{log}/{first:012d}-{last:012d}-{digest[:16]}.{_SUFFIXES[self._config.format]}"
        until = _until(self._host.clock.now_us(), self._config)
        more = {
            "content-md5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(),
            "content-type": "application/octet-stream",
            "x-amz-object-lock-mode": self._config.lock_mode,
            "x-amz-object-lock-retain-until-date": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        answer = await self._ask("PUT", key, "", body, more)
        if answer.status not in {200, 201, 204}:
            raise _refused(answer.status, "to lock an object")
        answer = await self._ask("GET", key, "retention=", b"", {})
        if answer.status not in {200, 404}:
            raise _refused(answer.status, "to say how long it keeps the object")
        document = answer.body.decode("utf-8", "replace")
        kept, mode = _UNTIL.search(document), _MODE.search(document)
        if kept is None or mode is None or mode[1] != self._config.lock_mode or _moment(kept[1]) < until:
            raise ExportFailed("The object store took the records and keeps no lock on them: is it on for the bucket?")

    async def _ask(self, method: str, key: str, query: str, body: bytes, more: dict[str, str]) -> Answer:
        target = quote(f"{self._base.path}/{key}", safe="/-_.~")
        url = f"{self._base.scheme}://{self._base.netloc}{target}{f'?{query}' if query else ''}"
        now_us = self._host.clock.now_us()
        headers = signed_headers(self._config, self._base.netloc, now_us, method, target, query, body, more)
        headers["Accept"] = "application/xml"  # Ceph writes JSON for who says that they read it
        outbound, seconds = self._host.outbound, self._config.timeout.seconds
        try:
            if method == "PUT":
                return await outbound.put(url, body, headers=headers, max_bytes=ANSWER_BYTES, seconds=seconds)
            return await outbound.get(url, headers=headers, max_bytes=ANSWER_BYTES, seconds=seconds)
        except OutboundRefused as refused:
            raise ExportFailed(refused.sentence, hint=refused.hint) from None


_SUFFIXES: Final = {"json": "jsonl", "ocsf": "ocsf.jsonl", "cef": "cef"}


def _parts(records: Sequence[ExportedRecord], config: ObjectStoreSettings) -> Iterator[tuple[int, int, bytes]]:
    """Yield first number, last number and lines of each object."""
    held: list[bytes] = []
    first, last, size = 0, 0, 0
    for record in records:
        line = formatted(record, config.format) + b"\n"
        if held and (size + len(line) > LARGEST_OBJECT or record.seq <= last):
            yield first, last, b"".join(held)
            held, size = [], 0
        if not held:
            first = record.seq
        held.append(line)
        last, size = record.seq, size + len(line)
    if held:
        yield first, last, b"".join(held)


def _until(now_us: int, config: ObjectStoreSettings) -> datetime:
    """Return until when an object of now is kept, in whole seconds."""
    assert config.lock_for is not None, "settings with a lock say for how long"
    return datetime.fromtimestamp((now_us + config.lock_for.us) // 1_000_000, UTC)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _refused(status: int, what: str) -> ExportFailed:
    if status in {401, 403}:
        return ExportFailed("The object store refuses the credentials, or they may not lock objects.")
    if status in {301, 404}:
        return ExportFailed("The object store has no such bucket here.")
    sentence = f"The object store answered {status} when it was asked {what}."
    return ExportFailed(sentence, hint="Is object lock on for the bucket?")
