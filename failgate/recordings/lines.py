"""What a chunk says: its lines of asciicast v2, read strictly. Pure.

Only output, sizes and markers are taken: what was typed is not recorded, for it may be a password.
Source: docs.asciinema.org/manual/asciicast/v2.
"""

import re
from typing import Any, Final, NamedTuple, get_args

import msgspec

from failgate.base.errors import Unprocessable
from failgate.base.ids import is_id
from failgate.wire.recordings import BeginRecording, MarkKind

_MOST_SECONDS: Final = 365 * 24 * 3600.0
_MOST_MARKS: Final = 1000  # of one chunk
_SIZE: Final = re.compile(r"[1-9][0-9]{0,4}x[1-9][0-9]{0,4}", re.ASCII)
_MARK: Final = re.compile(rf"({'|'.join(get_args(MarkKind))}) ([0-9a-f-]{{36}})(?: |$)", re.ASCII)
_HINT: Final = "A chunk is whole lines of asciicast v2: output, sizes and markers in the order of their times."
_decode_header = msgspec.json.Decoder(dict[str, Any]).decode
_decode_events = msgspec.json.Decoder(tuple[float, str, str]).decode_lines


class Mark(NamedTuple):
    """A marker about a command: when, in milliseconds since the beginning, and what became of it."""

    at_ms: int
    kind: str
    command_id: str


class Lines(NamedTuple):
    """What a chunk holds: the times of its first and last event in milliseconds, marks, and all that was shown."""

    from_ms: int
    to_ms: int
    marks: list[Mark]
    shown: bytes


def read_lines(content: bytes, begun: BeginRecording, *, is_first: bool, after_ms: int) -> Lines:
    """Return what the chunk `content` says; no event of it is before `after_ms`.

    Raises: Unprocessable (not whole lines of a recording that was `begun` so).
    """
    if not content.endswith(b"\n"):
        raise _refused("it does not end with a line's end")
    if is_first:
        head, _, content = content.partition(b"\n")
        _check_header(head, begun)
    try:
        events = _decode_events(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused("a line of it is no event") from error
    first, last, marks, shown = after_ms, after_ms, list[Mark](), list[str]()
    for place, (at, code, text) in enumerate(events):
        at_ms = _milliseconds(at)
        if at_ms < last:
            raise _refused("an event is before the one that it follows")
        first = at_ms if place == 0 else first
        last = at_ms
        if code == "o":
            shown.append(text)
        elif code == "m":
            shown.append(f"\n{text}\n")
            marks += _marks_in(at_ms, text)
        elif code != "r" or not _SIZE.fullmatch(text):
            raise _refused("it holds an event that is neither output nor a size nor a marker")
    if len(marks) > _MOST_MARKS:
        raise _refused(f"it has more than {_MOST_MARKS} markers")
    return Lines(first, last, marks, "".join(shown).encode("utf-8", "surrogatepass"))


def _check_header(line: bytes, begun: BeginRecording) -> None:
    try:
        header = _decode_header(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused("its first line is no header") from error
    if (header.get("version"), header.get("width"), header.get("height")) != (2, begun.width, begun.height):
        raise _refused("its header is another one than was begun")


def _marks_in(at_ms: int, text: str) -> list[Mark]:
    found = _MARK.match(text)
    return [Mark(at_ms, found[1], found[2])] if found is not None and is_id(found[2]) else []


def _milliseconds(at: float) -> int:
    if not 0 <= at <= _MOST_SECONDS:  # false for NaN too
        raise _refused("an event is at no possible time")
    return int(at * 1000)


def _refused(why: str) -> Unprocessable:
    return Unprocessable(f"The chunk is not taken: {why}.", hint=_HINT)
