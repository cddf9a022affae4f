"""How pages write times, sizes, durations and the output of programs. Pure.

Output of programs is shown as text without escapes (`failure/plain.py`), and every character that is invisible or could
turn the reading direction is written by its code point.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

MICROSECONDS: Final = 1_000_000
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as pages show it: `relative` in the text, `exact` on hover, `iso` for programs."""

    us: int
    iso: str
    exact: str
    relative: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of characters; `is_unusual` when it stands for something that would not be seen or does not belong."""

    text: str
    is_unusual: bool = False


def moment(us: int, now_us: int) -> Moment:
    """Return the time `us` (microseconds since 1970) as seen at `now_us`."""
    at = datetime.fromtimestamp(us / MICROSECONDS, UTC)
    exact = f"{at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M:%S} UTC"
    return Moment(us, at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), exact, relative(us, now_us))


def moment_of(text: str, now_us: int) -> Moment:
    """Return the RFC 3339 time `text` as seen at `now_us`."""
    return moment(microseconds(text), now_us)


def microseconds(text: str) -> int:
    """Return the RFC 3339 time `text` as microseconds since 1970."""
    at = datetime.fromisoformat(text)
    whole = at.replace(microsecond=0)
    return int(whole.timestamp()) * MICROSECONDS + at.microsecond


def relative(us: int, now_us: int) -> str:
    """Return how long ago `us` is, or how far ahead: `14 s ago`, `in 2 h`; beyond a month the date."""
    seconds = abs(now_us - us) // MICROSECONDS
    if seconds < 3:
        return "just now"
    if seconds >= 30 * 86_400:
        at = datetime.fromtimestamp(us / MICROSECONDS, UTC)
        return f"{at.day} {_MONTHS[at.month - 1]} {at.year}"
    said = span(seconds)
    return f"{said} ago" if us <= now_us else f"in {said}"


def span(seconds: int) -> str:
    """Return a span of whole seconds in its largest fitting unit: `41 s`, `5 min`, `3 h`, `12 d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size * (2 if unit == "min" else 1):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def left(expires_us: int, now_us: int) -> str:
    """Return the time until `expires_us` as a clock: `0:19`, `4:05`, `2:00:00`; `0:00` when it went by."""
    seconds = max(0, -((now_us - expires_us) // MICROSECONDS))
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def duration(milliseconds: int) -> str:
    """Return a measured duration: `420 ms`, `12.4 s`, `3 min 07 s`."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    seconds = milliseconds // 1000
    return (
        f"{seconds // 60} min {seconds % 60:02} s"
        if seconds < 3600
        else f"{seconds // 3600} h {seconds // 60 % 60:02} min"
    )


def size(size_bytes: int) -> str:
    """Return a size in bytes with a unit of 1024: `812 B`, `14.2 KiB`."""
    if size_bytes < 1024:
        return f"{size_bytes} B"
    amount = float(size_bytes)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        amount /= 1024
        if amount < 1024 or unit == "TiB":
            break
    return f"{amount:.1f} {unit}"


_FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")


def pieces(line: str) -> tuple[Piece, ...]:
    """Return `line` in pieces, where invisible and direction-turning characters are written as `⟨U+202E⟩`."""
    if line.isascii() and line.isprintable():
        return (Piece(line),) if line else ()
    found: list[Piece] = []
    plain: list[str] = []
    for character in line.expandtabs(4):
        if _is_hidden(character):
            if plain:
                found.append(Piece("".join(plain)))
                plain.clear()
            found.append(Piece(f"⟨U+{ord(character):04X}⟩", is_unusual=True))
        else:
            plain.append(character)
    return (*found, Piece("".join(plain))) if plain else tuple(found)


def _is_hidden(character: str) -> bool:
    if character == " ":
        return False
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"} or character in _FILLERS


def initials(name: str) -> str:
    """Return one or two plain letters that stand for `name`."""
    words = [word for word in re.split(r"[^A-Za-z0-9]+", name) if word]
    letters: Sequence[str] = [word[0] for word in words[:2]] if len(words) > 1 else list("".join(words)[:2])
    return "".join(letters).upper() or "?"
