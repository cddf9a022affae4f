"""A recording as asciicast v3: intervals in place of times. Pure.

Source: docs.asciinema.org/manual/asciicast/v3.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

import msgspec

_decode_header = msgspec.json.Decoder(dict[str, Any]).decode
_decode_event = msgspec.json.Decoder(tuple[float, str, str]).decode
_encode = msgspec.json.Encoder().encode
_MICROSECONDS: Final = 1_000_000


async def as_version_3(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the recording of `pieces`, which is of version 2, as version 3."""
    held, is_begun, last_us = b"", False, 0
    async for piece in pieces:
        *lines, held = (held + piece).split(b"\n")
        made: list[bytes] = []
        for line in lines:
            if not is_begun:
                made.append(_header(_decode_header(line)))
                is_begun = True
                continue
            at, code, text = _decode_event(line)
            at_us = round(at * _MICROSECONDS)
            made.append(_encode([(at_us - last_us) / _MICROSECONDS, code, text]))
            last_us = at_us
        if made:
            yield b"\n".join([*made, b""])


def _header(header: dict[str, Any]) -> bytes:
    rest = {name: value for name, value in header.items() if name not in {"version", "width", "height"}}
    return _encode({"version": 3, "term": {"cols": header["width"], "rows": header["height"]}, **rest})
