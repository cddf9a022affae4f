"""The doors of documents: an SDK that speaks Sentry's protocol, and whoever posts a document of an enabled format.

An SDK understands few statuses: 400 and 413 (it drops the event), 401 and 403 (its key), 429 (it waits). It never gets
a 5xx for what it sent, and when the storage does not take a change it is told to wait.
Source: develop.sentry.dev, SDK development: envelopes, rate limiting, authentication.
"""

import json
import re
from typing import Any, cast

from litestar import Request, Response
from litestar.params import FromPath

from failgate.base.errors import BadInput, StorageUnavailable, TooManyRequests, Unprocessable
from failgate.web.asgi import Scope
from failgate.web.compressed import decompressed
from failgate.web.context import services_of, visit_of
from failgate.web.errors import OtherStatus
from failgate.web.forms import whole_body
from failgate.web.headers import header
from failgate.web.strict_query import single_values
from failgate.wire.reports import TakenDocument

BODY_BYTES = 20 * 1024 * 1024
DOCUMENT_BYTES = 64 * 1024 * 1024
_SENTRY = "sentry"
_KEY = re.compile(r"(?:^|[\s,])sentry_key=([0-9A-Za-z]{1,64})(?:[\s,]|$)", re.ASCII)
_WAIT_SECONDS = 30


async def envelope(request: Request[Any, Any, Any], project: FromPath[str]) -> Response[bytes]:
    """Take an envelope of a Sentry SDK: its events become reports, everything else is counted and dropped."""
    ingestion = services_of(request).report_room.ingestion
    try:
        key = await ingestion.admit(project, _key_of(request), _SENTRY)
        async with whole_body(request, BODY_BYTES) as body:
            packed = _packed(request)
            await ingestion.take(key.principal, key.workspace_id, _SENTRY, body, key.project, unpack=packed.open)
    except Unprocessable as error:
        raise BadInput(error.sentence, hint=error.hint) from error
    except (TooManyRequests, StorageUnavailable) as error:
        wait = error.retry_after_seconds if isinstance(error, TooManyRequests) else _WAIT_SECONDS
        headers = {"retry-after": str(wait), "x-sentry-rate-limits": f"{wait}::key"}
        raise OtherStatus(429, error.sentence, headers) from error
    answer = json.dumps({"id": _event_id(packed.head)}).encode()
    return Response(
        answer, status_code=200, media_type="application/json", headers={"access-control-allow-origin": "*"}
    )


async def document(request: Request[Any, Any, Any], format: FromPath[str]) -> TakenDocument:  # noqa: A002 - the path's word
    """Take a document of an enabled format as raw bytes; what failed in it is redacted and kept as reports."""
    visit, ingestion = visit_of(request), services_of(request).report_room.ingestion
    ingestion.format_of(format)
    async with whole_body(request, BODY_BYTES) as body:
        unpack = _packed(request).open
        taken = await ingestion.take(visit.principal, visit.here().id, format, body, unpack=unpack)
    return TakenDocument(list(taken.reports))


class _Packed:
    """How a body was compressed; it is unpacked when its turn has come, and `head` is its first line then."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self.head = b""

    def open(self, body: bytes) -> bytes:
        """Return `body` decompressed. Raises: BadInput, TooLarge."""
        document = decompressed(body, self._encoding, DOCUMENT_BYTES)
        self.head = document.partition(b"\n")[0]
        return document


def _packed(request: Request[Any, Any, Any]) -> _Packed:
    return _Packed(header(cast("Scope", request.scope), b"content-encoding") or "")


def _key_of(request: Request[Any, Any, Any]) -> str | None:
    """Return the public key: from `X-Sentry-Auth`, or where the config takes it from the query, as browsers send it."""
    scope = cast("Scope", request.scope)
    found = _KEY.search(header(scope, b"x-sentry-auth") or "")
    if found is not None or not services_of(request).config.server.tokens_in_addresses:
        return found[1] if found is not None else None
    return single_values(scope["query_string"]).get("sentry_key")


def _event_id(head: bytes) -> str | None:
    """Return the `event_id` of the envelope's header, which was read before."""
    named: object = json.loads(head).get("event_id")
    return named if isinstance(named, str) else None
