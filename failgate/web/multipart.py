"""A form with files, part for part as it arrives: as browsers write them and in no other way. Pure.

Sources: RFC 7578 section 4; RFC 2046 section 5.1; WHATWG HTML, "Multipart form data" (how names are escaped).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError

_MOST_HEADERS: Final = 8  # of one part
_MOST_HEADER_BYTES: Final = 4_096
_BOUNDARY: Final = re.compile(r"multipart/form-data; *boundary=(\"?)([0-9A-Za-z'()+_,./:=?-]{1,70})\1", re.ASCII)
_DISPOSITION: Final = re.compile(r'form-data; *name="([^"]*)"(?:; *filename="([^"]*)")?')
_ESCAPED: Final = (("%0D", "\r"), ("%0A", "\n"), ("%22", '"'))


class Malformed(ValueError):
    """It is no form as browsers write them, or it ends too early."""


@dataclass(frozen=True, slots=True)
class Part:
    """A field, or a file where `filename` is not None: a stranger's text, empty where no file was chosen."""

    name: str
    filename: str | None
    content: bytes


def boundary_in(content_type: str) -> bytes:
    """Return the boundary that the header `content_type` names. Raises: Malformed."""
    found = _BOUNDARY.fullmatch(content_type.strip())
    if found is None:
        raise Malformed
    return found[2].encode()


class FormReader:
    """Reads a form from the pieces of its body, and hands each part to `take` when it is whole."""

    def __init__(self, boundary: bytes, take: Callable[[Part], None]) -> None:
        """Begin before the first piece; what `take` raises ends the reading."""
        self._take = take
        self._names: tuple[str, str | None] | None = None
        self._field, self._value, self._content = bytearray(), bytearray(), bytearray()
        self._is_over = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._must_be_named,
                "on_part_data": lambda data, start, end: self._content.extend(data[start:end]),
                "on_part_end": self._end,
                "on_end": self._end_all,
            },
            max_header_count=_MOST_HEADERS,
            max_header_size=_MOST_HEADER_BYTES,
        )

    def read(self, piece: bytes) -> None:
        """Go on with the next piece. Raises: Malformed, whatever `take` raises."""
        try:
            self._parser.write(piece)
        except FormParserError:
            raise Malformed from None

    def finish(self) -> None:
        """Refuse a form that is not over. Raises: Malformed."""
        if not self._is_over:
            raise Malformed

    def _begin(self) -> None:
        self._names, self._content = None, bytearray()

    def _end_header(self) -> None:
        try:
            field, value = self._field.decode("ascii").lower(), self._value.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise Malformed from None
        self._field, self._value = bytearray(), bytearray()
        if field != "content-disposition":
            return
        found = _DISPOSITION.fullmatch(value)
        if found is None or self._names is not None:
            raise Malformed
        name, filename = found.groups()
        self._names = _unescaped(name), None if filename is None else _unescaped(filename)

    def _must_be_named(self) -> None:
        if self._names is None:
            raise Malformed

    def _end(self) -> None:
        if self._names is None:
            raise Malformed
        self._take(Part(*self._names, bytes(self._content)))

    def _end_all(self) -> None:
        self._is_over = True


def _unescaped(text: str) -> str:
    for written, meant in _ESCAPED:
        text = text.replace(written, meant)
    return text
