"""Tables as comma-separated values, and names as text that cannot hide anything. Pure.

Sources: RFC 4180; OWASP, CSV Injection.
"""

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

# What makes a spreadsheet take a text for a formula; the wide forms are taken for the narrow ones by some.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # categories of characters that are not seen
_FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")


def csv_of(rows: Iterable[Sequence[object]]) -> str:
    """Return `rows` as CSV (RFC 4180); a text that a spreadsheet would take for a formula begins with an apostrophe."""
    target = io.StringIO()
    csv.writer(target, lineterminator="\r\n").writerows([_inert(cell) for cell in row] for row in rows)
    return target.getvalue()


def seen(text: str) -> str:
    """Return `text` in one line, where what is not seen or turns the reading direction stands as `⟨U+202E⟩`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"⟨U+{ord(one):04X}⟩" if _is_hidden(one) else one for one in text)


def _inert(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN or character in _FILLERS
