"""Bodies that were compressed: decompressed as far as they stay in proportion, and never further."""

import zlib

from failgate.base.errors import BadInput, TooLarge

LARGEST_RATIO = 100
FREE_BYTES = 1024 * 1024
"""So much may come of any body: small ones compress better than the ratio without harm."""
_GZIP, _ZLIB, _RAW = 31, 15, -15


def decompressed(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    """Return what `body` is under the content coding `encoding`: `gzip`, `deflate` or `identity`.

    Raises: BadInput (another coding, broken, cut off, with something behind it), TooLarge (over `limit_bytes`, or over
    100 times the body).
    Source: RFC 9110 section 8.4.1; `deflate` without the zlib header is taken too, as senders write it.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            windows = _GZIP
        case "deflate":
            is_zlib = len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
            windows = _ZLIB if is_zlib else _RAW
        case _:
            raise BadInput("The body's content coding is not known.", hint="Use gzip, deflate, or none.")
    most = min(limit_bytes, max(FREE_BYTES, LARGEST_RATIO * len(body)))
    inflating = zlib.decompressobj(windows)
    try:
        found = inflating.decompress(body, most + 1)
    except zlib.error:
        raise BadInput("The body cannot be decompressed.", hint="Send it anew.") from None
    if len(found) > most:
        raise TooLarge("The body is too large when it is decompressed.", hint=f"At most {most} bytes are taken.")
    if not inflating.eof or inflating.unused_data:
        raise BadInput("The compressed body is cut off, or something stands behind it.", hint="Send it anew.")
    return found
