"""What makes two failures the same: command, end, last error and top frame, without what differs between two runs.

Times, numbers, addresses, identifiers, folders and the tags of redacted secrets are no part of it.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from failgate.failure.decisive import decisive

_LONGEST: Final = 400
_NEUTRAL: Final = (
    (re.compile(r"\[redacted:[a-z0-9-]{1,40}:[0-9a-f]{8}\]"), "<secret>"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<hex>"),
    (re.compile(r"\b(?=[0-9a-f]{0,63}[0-9])(?=[0-9a-f]{0,63}[a-f])[0-9a-f]{7,64}\b"), "<hex>"),
    (re.compile(r"(?<![\w.>])(?:[A-Za-z]:)?(?:[/\\][^\s/\\:'\"()<>|]+)+(?=[/\\])"), "<path>"),
    (re.compile(r"\d+(?:\.\d+)*"), "<n>"),
    (re.compile(r"\s+"), " "),
)


class Fingerprint(NamedTuple):
    """The parts, normalised. `error` and `frame` are empty where the output names none."""

    command: str
    ended: str
    error: str
    frame: str

    @property
    def digest(self) -> str:
        """Return SHA-256 over the parts, in hex."""
        return hashlib.sha256("\0".join(self).encode("utf-8", "surrogatepass")).hexdigest()


def fingerprint(argv: Sequence[str], exit_code: int, signal: int | None, lines: Sequence[str]) -> Fingerprint:
    """Return the fingerprint of a failure whose output is `lines` (plain text, `plain.lines_of`)."""
    found = decisive(lines)
    program = argv[0].rpartition("/")[2] if argv else ""
    command = normalized(" ".join([program, *argv[1:]]))
    ended = f"signal {signal}" if signal else f"exit {exit_code}"
    if found is None:
        return Fingerprint(command, ended, "", "")
    name = (found.file or "").replace("\\", "/").rpartition("/")[2]
    frame = f"{name} {found.function}" if found.function else name
    return Fingerprint(command, ended, normalized(found.text), normalized(frame))


def normalized(text: str) -> str:
    """Return `text` without what differs between two runs of the same thing."""
    text = text[: 4 * _LONGEST]
    for pattern, neutral in _NEUTRAL:
        text = pattern.sub(neutral, text)
    return text.strip()[:_LONGEST]
