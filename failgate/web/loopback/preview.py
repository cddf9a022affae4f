"""What a page shows of an artifact: text or hex alone, as it would leave, nothing in it obeyed, findings marked.

Escape sequences of terminals stand there as text, HTML and SVG are text, what is no text is hex. What a person selects
on such a page is taken back to what the artifact holds: `selected`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from failgate.client.review import member_names
from failgate.client.words import LEAST, Words
from failgate.web.pages.text import pieces

PART_BYTES: Final = 128 * 1024
HEX_BYTES: Final = 4 * 1024
NAMES: Final = 2_000
_ROW: Final = 16
_LONGEST_SHIFT: Final = 16 * 1024
_TAG: Final = r"\[redacted:[a-z0-9-]{1,40}(?::[0-9a-f]{8})?\]"
_SEQUENCE: Final = "(?:\x1b\\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]"  # ECMA-48 section 5.4
_PARTS: Final = re.compile(f"({_TAG}|{_SEQUENCE}|\t)")
_WRITTEN: Final = re.compile(f"⟨ESC[^⟩]*⟩|{_TAG}")
_NAMED: Final = re.compile(r"⟨U\+([0-9A-F]{4,6})⟩")


@dataclass(frozen=True, slots=True)
class Shown:
    """A run of characters; `kind`: nothing, `unusual` (would not be seen), `finding` (by a rule), `hand`."""

    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line; `number` counts from 1 and is None where it is not known."""

    number: str | None
    parts: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """A part of an artifact. `how` says what the rows are: `text`, `hex`, `names`. Parts count from 1."""

    how: str
    rows: tuple[Row, ...]
    part: int
    parts: int


def preview_of(stream: BinaryIO, size_bytes: int, kind: str, words: Words, part: int) -> Preview:
    """Return part `part` of an artifact of this `kind`; a part that is not there is the last one."""
    if kind == "snapshot":
        rows = tuple(Row(None, shown(line)) for line in member_names(stream, NAMES))
        return Preview("names", rows, 1, 1)
    is_text = b"\0" not in stream.read(8192)
    length = PART_BYTES if is_text and kind != "bundle" else HEX_BYTES
    parts = max(1, -(-size_bytes // length))
    part = min(max(part, 1), parts)
    start, end = (part - 1) * length, min(part * length, size_bytes)
    if length == HEX_BYTES:
        stream.seek(start)
        return Preview("hex", tuple(_hex_rows(stream.read(end - start), start)), part, parts)
    start, end = _line_start(stream, start, size_bytes), _line_start(stream, end, size_bytes)
    stream.seek(start)
    content = b"".join(words.clean_bytes([stream.read(end - start)], _uncounted))
    lines = content.decode("utf-8", "replace").split("\n")
    if lines[-1] == "" and len(lines) > 1:
        lines.pop()
    return Preview("text", tuple(_rows(lines, is_first=part == 1)), part, parts)


def shown(line: str) -> tuple[Shown, ...]:
    """Return a line in runs; what a terminal would obey and what would not be seen is written out."""
    found: list[Shown] = []
    for place, text in enumerate(_PARTS.split(line)):
        if place % 2 and text == "\t":
            found.append(Shown(text))
        elif place % 2 and text.startswith("["):
            found.append(Shown(text, "hand" if text.startswith("[redacted:by-hand") else "finding"))
        elif place % 2:
            found.append(Shown(f"⟨ESC{text.removeprefix(chr(0x1B)).replace(chr(0x9B), '[')}⟩", "unusual"))
        elif text:
            found += [Shown(one.text, "unusual" if one.is_unusual else "") for one in pieces(text)]
    return tuple(found)


def selected(text: str) -> list[str]:
    """Return the words of the artifact that a selection on the page stands for, line by line.

    What was replaced already and escape sequences, which no word is looked for in, divide nothing but themselves:
    the first ends a word, the second is passed over. What is too short to be replaced everywhere is left out.
    """
    found: list[str] = []
    for line in text.splitlines():
        apart = _WRITTEN.sub(lambda match: "\n" if match[0].startswith("[") else "", line)
        found += (_NAMED.sub(_character, one).strip() for one in apart.split("\n"))
    return [one for one in found if len(one) >= LEAST]


def _character(match: "re.Match[str]") -> str:
    code = int(match[1], 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else match[0]


def _rows(lines: list[str], *, is_first: bool) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        yield Row(str(number) if is_first else None, shown(line.removesuffix("\r")))


def _hex_rows(content: bytes, start: int) -> Iterator[Row]:
    for at in range(0, len(content), _ROW):
        row = content[at : at + _ROW]
        octets = " ".join(f"{octet:02x}" for octet in row)
        text = "".join(chr(octet) if 0x20 <= octet < 0x7F else "." for octet in row)
        yield Row(f"{start + at:08x}", (Shown(f"{octets:<{3 * _ROW}} {text}"),))


def _line_start(stream: BinaryIO, offset: int, size_bytes: int) -> int:
    """Return where the first line at or behind `offset` begins, so that no line and no word is cut between parts."""
    if offset <= 0 or offset >= size_bytes:
        return min(max(offset, 0), size_bytes)
    stream.seek(offset - 1)
    found = stream.read(_LONGEST_SHIFT).find(b"\n")
    return offset + found if found >= 0 else offset


def _uncounted(_number: int) -> None:
    """Count nothing: what words would do to the whole is counted elsewhere."""
