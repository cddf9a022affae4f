"""The chain over the chunks of a recording: each link covers the one before, the chunk's number and its digest.

Whoever knows the last link knows that no chunk before it was changed, left out or put elsewhere. The same code runs on
the machine that records and on the server. Pure.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from failgate.base.canonical import canonical

LINK_BYTES: Final = 32
_FIRST: Final = b"failgate recording\n"
_NEXT: Final = b"failgate recording chunk\n"


def first_link(recording_id: str, begun: Mapping[str, Any]) -> bytes:
    """Return the link before the first chunk: it covers the id, and what was said when the recording began.

    `begun` is the document of `POST recordings`, as plain JSON values without members that are null.
    """
    return hashlib.sha256(_FIRST + recording_id.encode() + b"\n" + canonical(begun)).digest()


def next_link(before: bytes, number: int, content_sha256: bytes) -> bytes:
    """Return the link of chunk `number` (from 0), whose bytes have the digest `content_sha256`, after `before`."""
    return hashlib.sha256(_NEXT + before + number.to_bytes(8, "big") + content_sha256).digest()
