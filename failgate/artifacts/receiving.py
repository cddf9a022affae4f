"""The bytes of one artifact on their way in: gathered, hashed and scanned, handed on; all at once for different pieces.

```text
the stream ─► gathered to 1 MiB ─► hashed and scanned in a thread ─► the store
```

Each arrow holds one piece at most, so little memory is taken however large the artifact is.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from contextlib import aclosing
from typing import Final, Protocol

from failgate.base.errors import TooLarge, Unprocessable

PIECE_BYTES: Final = 1024 * 1024  # hashed and handed on at once; smaller pieces cost more than they weigh
INLINE_BYTES: Final = 128 * 1024  # so few bytes are hashed sooner than a thread takes them over


class Inspection(Protocol):
    """Watches the bytes of one artifact while they arrive."""

    async def feed(self, piece: bytes) -> None:
        """See the next piece."""
        ...

    async def finish(self) -> tuple[Mapping[str, int], str]:
        """Return the counts by rule, and the name of the rule set (empty when nothing was scanned)."""
        ...


async def received(
    stream: AsyncIterable[bytes], sha256: str, size_bytes: int, limit_bytes: int, inspection: Inspection | None
) -> AsyncGenerator[bytes, None]:
    """Yield `stream` in pieces of at least 1 MiB; the last one only when size and digest are as expected.

    Raises: TooLarge (over the limit, as soon as it is), Unprocessable (another size or digest).
    """
    async with (
        aclosing(_ahead(_gathered(stream, size_bytes, limit_bytes))) as pieces,
        aclosing(_ahead(_checked(pieces, sha256, size_bytes, inspection))) as checked,
    ):
        async for piece in checked:
            yield piece


def too_large(limit_bytes: int) -> TooLarge:
    """Return the refusal of an artifact over `limit_bytes`."""
    return TooLarge(
        "The artifact is too large.", hint=f"At most {limit_bytes} bytes are taken.", limit_bytes=limit_bytes
    )


async def _gathered(stream: AsyncIterable[bytes], size_bytes: int, limit_bytes: int) -> AsyncGenerator[bytes, None]:
    """Yield `stream` in pieces of at least 1 MiB. The last one may be smaller, and is empty for an empty stream."""
    total = 0
    held: list[bytes] = []
    held_bytes = 0
    async for chunk in stream:
        total += len(chunk)
        if total > limit_bytes:
            raise too_large(limit_bytes)
        if total > size_bytes:
            raise Unprocessable(
                f"The artifact has more than the {size_bytes} bytes that its manifest says.", hint="Capture it again."
            )
        held.append(chunk)
        held_bytes += len(chunk)
        if held_bytes >= PIECE_BYTES and total < size_bytes:
            piece = b"".join(held)
            held, held_bytes = [], 0
            yield piece
    if total != size_bytes:
        raise Unprocessable(
            f"The artifact has {total} bytes; its manifest says {size_bytes}.", hint="Send the whole file again."
        )
    yield b"".join(held)


async def _checked(
    pieces: AsyncGenerator[bytes, None], sha256: str, size_bytes: int, inspection: Inspection | None
) -> AsyncGenerator[bytes, None]:
    """Yield `pieces` when they are hashed and inspected; the last one only when the digest is as expected."""
    digest, total = hashlib.sha256(), 0
    async for piece in pieces:
        if len(piece) > INLINE_BYTES:
            await asyncio.to_thread(digest.update, piece)
        else:
            digest.update(piece)
        total += len(piece)
        if total == size_bytes and digest.hexdigest() != sha256:
            raise Unprocessable(
                "The artifact's bytes have another SHA-256 than its manifest says.", hint="Send it again."
            )
        if inspection is not None:
            await inspection.feed(piece)
        yield piece


async def _ahead(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield `pieces`, while the next one is made already; whoever leaves ends that too."""
    coming = asyncio.ensure_future(anext(pieces, None))
    try:
        while (piece := await coming) is not None:
            coming = asyncio.ensure_future(anext(pieces, None))
            yield piece
    finally:
        coming.cancel()
        await asyncio.wait([coming])
        if not coming.cancelled():
            coming.exception()  # looked at, so that it is not reported as never retrieved
        await pieces.aclose()
