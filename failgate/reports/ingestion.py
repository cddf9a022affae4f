"""Documents that arrive whole and unredacted: read by a format, cleaned, kept as reports, in that order.

Nothing of a document is stored before it is clean. Whoever enabled the format and gave out the key consented for the
project; each report says so (`standing`), and its audit record too.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import msgspec

from failgate.access.principal import Principal
from failgate.base.canonical import canonical
from failgate.base.clock import Clock, to_rfc3339
from failgate.base.errors import Conflict, Forbidden, NotFound, NotSignedIn, TooManyRequests
from failgate.base.ids import new_id
from failgate.drafts import Clean, DocumentFormat, Draft, clean
from failgate.reports.ingest_keys import IngestKey, IngestKeys
from failgate.reports.inspection import ScannerOf
from failgate.reports.reports import Reports
from failgate.wire.reports import BeginReport, Consent

WINDOW_SECONDS = 60
AT_ONCE = 2  # documents that are read at the same time, each of which may fill its limit
_KEYS_COUNTED = 10_000


class Taken(NamedTuple):
    """What became of a document: the ids of its reports, in its order; one that was there already has its old id."""

    reports: tuple[str, ...]


class Ingestion:
    """Takes documents."""

    def __init__(
        self,
        reports: Reports,
        keys: IngestKeys,
        clock: Clock,
        *,
        formats: Mapping[str, DocumentFormat],
        scanner_of: ScannerOf,
        per_minute: int,
    ) -> None:
        """Keep the parts; `formats` by name; a key may send `per_minute` documents in each minute."""
        self.keys = keys
        self.passed_over: Counter[str] = Counter()
        self._reports = reports
        self._clock = clock
        self._formats = formats
        self._scanner_of = scanner_of
        self._per_minute = per_minute
        self._sent: Counter[str] = Counter()
        self._window = 0.0
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def admit(self, number: str, key_text: str | None, format_name: str) -> IngestKey:
        """Return the key that may send to project `number`, and count this document.

        Raises: NotSignedIn (no key), Forbidden (unknown, revoked, of another project: the same answer), NotFound (the
        format is not enabled), TooManyRequests.
        """
        self.format_of(format_name)
        if not key_text:
            raise NotSignedIn("The request names no key.", hint="Send it as the SDK does: X-Sentry-Auth, sentry_key=….")
        key = await self.keys.resolve(key_text)
        if key is None or str(key.number) != number:
            raise Forbidden("This key may not send to this project.", hint="See: failgate admin ingest-key list")
        now = self._clock.monotonic()
        if now - self._window >= WINDOW_SECONDS or len(self._sent) > _KEYS_COUNTED:
            self._window = now
            self._sent.clear()
        self._sent[key.id] += 1
        if self._sent[key.id] > self._per_minute:
            wait = max(1, round(WINDOW_SECONDS - (now - self._window)))
            raise TooManyRequests("This key sent too much in this minute.", retry_after_seconds=wait)
        return key

    def format_of(self, name: str) -> DocumentFormat:
        """Return the enabled format `name`. Raises: NotFound."""
        reader = self._formats.get(name)
        if reader is None:
            raise NotFound("No such format is enabled.")
        return reader

    async def take(
        self,
        principal: Principal,
        workspace_id: str,
        format_name: str,
        document: bytes,
        project: str | None = None,
        *,
        unpack: Callable[[bytes], bytes] | None = None,
    ) -> Taken:
        """Keep what failed in `document`, as reports of `principal` in the workspace.

        `unpack` makes the document of what came, in its turn and in a thread: what waits is as small as it came. The
        same document gives the same reports when its format knows ids of its own.

        Raises: NotFound (the format is not enabled), what `unpack`, the format and `Reports` raise.
        """
        reader = self.format_of(format_name)
        async with self._turns:
            if unpack is not None:
                document = await asyncio.to_thread(unpack, document)
            reading = await asyncio.to_thread(reader.drafts, document)
            scanner = await self._scanner_of(workspace_id)
            self.passed_over.update(reading.passed_over)
            taken: list[str] = []
            for draft in reading.drafts:
                ours = replace(draft, project=project) if project is not None else draft
                cleaned = await asyncio.to_thread(clean, ours, scanner, new_id(), self._clock.now_us())
                taken.append(await self._keep(principal, workspace_id, ours, cleaned))
        return Taken(tuple(taken))

    async def _keep(self, principal: Principal, workspace_id: str, draft: Draft, cleaned: Clean) -> str:
        manifest = msgspec.to_builtins(cleaned.manifest)
        digest = hashlib.sha256(canonical(manifest)).hexdigest()
        consent = Consent(digest, "standing", to_rfc3339(self._clock.now_us()))
        try:
            begun = await self._reports.begin(principal, workspace_id, BeginReport(manifest, consent))
        except Conflict:
            if draft.id is None:
                raise
            return draft.id  # the event came before, and was read otherwise then: the first one stands
        contents = {
            one.sha256: content for one, content in zip(cleaned.manifest.artifacts, cleaned.contents, strict=True)
        }
        state = begun.state
        for sha256 in begun.missing:
            if state != "begun":
                break
            progress = await self._reports.put_artifact(
                principal, workspace_id, begun.id, sha256, _pieces(contents[sha256])
            )
            state = progress.state
        if state == "begun":
            await self._reports.seal(principal, workspace_id, begun.id)
        return begun.id


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 64 * 1024):
        yield content[at : at + 64 * 1024]
