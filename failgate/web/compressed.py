"""Bodies that were compressed: decompressed as far as they stay in proportion, and never further."""

import zlib
from io import BytesIO

from failgate.base.errors import BadInput, TooLarge

LARGEST_RATIO = 100
FREE_BYTES = 1024 * 1024
"""So much may come of any body: small ones compress better than the ratio without harm."""
_GZIP, _ZLIB, _RAW = 31, 15, -15
_FED_BYTES, _GIVEN_BYTES = 256 * 1024, 1024 * 1024
"""Of Brotli at a time: what is fed, and about what comes of it (its buffer grows by doubling, so up to twice that)."""


def decompressed(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    """Return what `body` is under the content coding `encoding`: `gzip`, `deflate`, `br` or `identity`.

    Raises: BadInput (another coding, broken, cut off, with something behind it), TooLarge (over `limit_bytes`, or over
    100 times the body).
    Source: RFC 9110 section 8.4.1, RFC 7932; `deflate` without the zlib header is taken too, as senders write it.
    """
    most = min(limit_bytes, max(FREE_BYTES, LARGEST_RATIO * len(body)))
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _inflated(body, _GZIP, most)
        case "deflate":
            is_zlib = len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
            return _inflated(body, _ZLIB if is_zlib else _RAW, most)
        case "br":
            return _unpacked_by_brotli(body, most)
        case _:
            raise BadInput("The body's content coding is not known.", hint="Use gzip, deflate, br, or none.")


def _inflated(body: bytes, windows: int, most: int) -> bytes:
    inflating = zlib.decompressobj(windows)
    try:
        found = inflating.decompress(body, most + 1)
    except zlib.error:
        raise _broken() from None
    if len(found) > most:
        raise _too_large(most)
    if not inflating.eof or inflating.unused_data:
        raise _cut_off()
    return found


def _unpacked_by_brotli(body: bytes, most: int) -> bytes:
    """Return `body` unpacked, piece by piece: asked for all at once, the library gives nearly twice of what it may."""
    import brotli  # no start and no client waits for it

    unpacking, found = brotli.Decompressor(), BytesIO()
    try:
        for begin in range(0, len(body), _FED_BYTES):
            fed = body[begin : begin + _FED_BYTES]
            while True:
                piece = unpacking.process(fed, output_buffer_limit=_GIVEN_BYTES)
                found.write(piece)
                if found.tell() > most:
                    raise _too_large(most)
                fed = b""
                # What it holds back is asked for by feeding nothing; at its end it takes not even that.
                if unpacking.is_finished() or (not piece and unpacking.can_accept_more_data()):
                    break
    except brotli.error:  # broken, or something stands behind the end
        raise _broken() from None
    if not unpacking.is_finished():
        raise _cut_off()
    return found.getvalue()


def _broken() -> BadInput:
    return BadInput("The body cannot be decompressed.", hint="Send it anew.")


def _cut_off() -> BadInput:
    return BadInput("The compressed body is cut off, or something stands behind it.", hint="Send it anew.")


def _too_large(most: int) -> TooLarge:
    return TooLarge("The body is too large when it is decompressed.", hint=f"At most {most} bytes are taken.")
