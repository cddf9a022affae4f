"""Values with units: how long, how large. A bare number is refused, because nobody knows what it counts."""

import re
from functools import total_ordering
from typing import final

_SPANS_US = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000}
_SIZES = {"TiB": 1 << 40, "GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}
DURATION_PATTERN = r"^(?=[0-9])(?:[0-9]{1,9}d)?(?:[0-9]{1,9}h)?(?:[0-9]{1,9}m(?!s))?(?:[0-9]{1,9}s)?(?:[0-9]{1,9}ms)?$"
SIZE_PATTERN = r"^[0-9]{1,9}(?:B|KiB|MiB|GiB|TiB)$"
_DURATION = re.compile(DURATION_PATTERN.replace("$", r"\Z"), re.ASCII)
_SIZE = re.compile(SIZE_PATTERN.replace("$", r"\Z"), re.ASCII)
_PART = re.compile(r"([0-9]+)([a-zA-Z]+)", re.ASCII)
_BARE = re.compile(r"[0-9]{1,9}\Z", re.ASCII)
_BARE_LAST = re.compile(r".*[0-9]\Z", re.ASCII | re.DOTALL)


@final
@total_ordering
class Duration:
    """A length of time with its units: `15m`, `24h`, `1h30m`, `250ms`. Units d, h, m, s, ms, the largest first."""

    __slots__ = ("_text", "_us")

    def __init__(self, text: str) -> None:
        """Read `text`.

        Raises: ValueError, its text being what is accepted.
        """
        if not _DURATION.match(text):
            raise ValueError(_duration_mend(text))
        self._text = text
        self._us: int = sum(int(n) * _SPANS_US[unit] for n, unit in _PART.findall(text))

    @property
    def us(self) -> int:
        """Return the length in microseconds."""
        return self._us

    @property
    def seconds(self) -> float:
        """Return the length in seconds."""
        return self.us / 1_000_000

    def __lt__(self, other: object) -> bool:
        """Tell whether this is shorter."""
        return self._us < other._us if isinstance(other, Duration) else NotImplemented

    def __eq__(self, other: object) -> bool:
        """Tell whether this is the same length, however it was written."""
        return isinstance(other, Duration) and self._us == other._us

    def __hash__(self) -> int:
        """Return a hash of the value."""
        return hash(self._us)

    def __str__(self) -> str:
        """Return the text that this was read from."""
        return self._text

    def __repr__(self) -> str:
        """Return the text as it would be constructed."""
        return f"Duration({self._text!r})"


@final
@total_ordering
class Size:
    """A number of bytes with its unit: `64KiB`, `1MiB`, `20GiB`. Units B, KiB, MiB, GiB, TiB (powers of 1024)."""

    __slots__ = ("_bytes", "_text")

    def __init__(self, text: str) -> None:
        """Read `text`.

        Raises: ValueError, its text being what is accepted.
        """
        if not _SIZE.match(text):
            raise ValueError(_size_mend(text))
        [(count, unit)] = _PART.findall(text)
        self._text = text
        self._bytes: int = int(count) * _SIZES[unit]

    @property
    def bytes(self) -> int:
        """Return the number of bytes."""
        return self._bytes

    def __lt__(self, other: object) -> bool:
        """Tell whether this is smaller."""
        return self._bytes < other._bytes if isinstance(other, Size) else NotImplemented

    def __eq__(self, other: object) -> bool:
        """Tell whether this is the same number of bytes, however it was written."""
        return isinstance(other, Size) and self._bytes == other._bytes

    def __hash__(self) -> int:
        """Return a hash of the value."""
        return hash(self._bytes)

    def __str__(self) -> str:
        """Return the text that this was read from."""
        return self._text

    def __repr__(self) -> str:
        """Return the text as it would be constructed."""
        return f"Size({self._text!r})"


def _duration_mend(text: str) -> str:
    if _BARE.match(text):
        return f'a duration carries its unit: say "{text}s" for seconds or "{text}m" for minutes'
    if _BARE_LAST.match(text) and _PART.match(text):
        return 'the last number has no unit: say "90m" or "1h30m" (units d, h, m, s, ms)'
    return 'not a duration: say "60s", "15m" or "1h30m" (whole numbers; units d, h, m, s, ms, the largest first)'


def _size_mend(text: str) -> str:
    if _BARE.match(text):
        return f'a size carries its unit: say "{text}KiB", "{text}MiB" or "{text}B"'
    decimal = re.match(r"([0-9]{1,9})([kKmMgGtT])[bB]?\Z", text, re.ASCII)
    if decimal:
        return f'not a size: say "{decimal[1]}{decimal[2].upper()}iB" (units B, KiB, MiB, GiB, TiB: powers of 1024)'
    return 'not a size: say "512KiB", "1MiB" or "20GiB" (whole numbers; units B, KiB, MiB, GiB, TiB)'
