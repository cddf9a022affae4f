"""A form with files, read from its whole body: part for part, as browsers write them and in no other way. Pure.

Sources: RFC 7578 section 4; RFC 2046 section 5.1; WHATWG HTML, "Multipart form data" (how names are escaped).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_MOST_HEADER_BYTES: Final = 4_096  # of one part
_BOUNDARY: Final = re.compile(r"multipart/form-data; *boundary=(\"?)([0-9A-Za-z'()+_,./:=?-]{1,70})\1", re.ASCII)
_HEADER: Final = re.compile(r"([A-Za-z0-9-]{1,64}): *(.*)")
_DISPOSITION: Final = re.compile(r'form-data; *name="([^"]*)"(?:; *filename="([^"]*)")?')
_ESCAPED: Final = (("%0D", "\r"), ("%0A", "\n"), ("%22", '"'))


class Malformed(ValueError):
    """It is no form as browsers write them, or it ends too early."""


@dataclass(frozen=True, slots=True)
class Part:
    """A field, or a file where `filename` is not None: a stranger's text, empty where no file was chosen."""

    name: str
    filename: str | None
    content: memoryview


def boundary_in(content_type: str) -> bytes:
    """Return the boundary that the header `content_type` names. Raises: Malformed."""
    found = _BOUNDARY.fullmatch(content_type.strip())
    if found is None:
        raise Malformed
    return found[2].encode()


def parts_of(body: bytearray, boundary: bytes) -> Iterator[Part]:
    """Yield the parts of `body`, which begins with the first boundary and ends behind the last.

    The contents are views of `body`. Raises: Malformed.
    """
    mark = b"--" + boundary
    whole, at = memoryview(body), len(mark)
    if not body.startswith(mark):
        raise Malformed
    while body.startswith(b"\r\n", at):
        ends = body.find(b"\r\n\r\n", at, at + _MOST_HEADER_BYTES)
        closes = body.find(b"\r\n" + mark, ends + 4) if ends >= 0 else -1
        if closes < 0:
            raise Malformed
        name, filename = _names_in(body[at + 2 : ends])
        yield Part(name, filename, whole[ends + 4 : closes])
        at = closes + 2 + len(mark)
    if bytes(body[at : at + 5]) not in {b"--", b"--\r\n"}:
        raise Malformed


def _names_in(head: bytearray) -> tuple[str, str | None]:
    try:
        lines = head.decode("utf-8").split("\r\n")
    except UnicodeDecodeError:
        raise Malformed from None
    headers = [found.groups() for line in lines if (found := _HEADER.fullmatch(line))]
    said = [value for name, value in headers if name.lower() == "content-disposition"]
    found = _DISPOSITION.fullmatch(said[0].strip()) if len(said) == 1 and len(headers) == len(lines) else None
    if found is None:
        raise Malformed
    name, filename = found.groups()
    return _unescaped(name), None if filename is None else _unescaped(filename)


def _unescaped(text: str) -> str:
    for written, meant in _ESCAPED:
        text = text.replace(written, meant)
    return text
