"""What makes two failures the same: command, end, last error and top frame, without what differs between two runs.

Escapes, numbers, addresses, identifiers, folders, names of temporary files, tags of redacted secrets are no part of it.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from failgate.failure.decisive import Decisive, decisive
from failgate.failure.plain import without_escapes

_LONGEST: Final = 400
_LONGEST_COMMAND: Final = 4000
_TOKENS: Final = 200
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_PATH: Final = re.compile(r"(?<![\w.~@+/\\-])(?:[A-Za-z]:)?[\w.~@+-]*(?:[/\\]+[\w.~@+-]+)+")
_NEUTRAL: Final = (
    (re.compile(r"\[redacted:[a-z0-9-]{1,40}:[0-9a-f]{8}\]"), "<secret>"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<id>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<hex>"),
    (re.compile(r"\b(?=[a-f]{0,63}[0-9])(?=[0-9]{0,63}[a-f])[0-9a-f]{7,64}\b"), "<hex>"),
    (re.compile(r"\btmp[._-]?(?=[a-z]{0,63}[0-9A-Z_])\w{6,64}\b"), "<tmp>"),
    (re.compile(r"[0-9]+(?:\.[0-9]+)*"), "<n>"),
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
    ended = f"signal {signal}" if signal else f"exit {exit_code}"
    if found is None:
        return Fingerprint(command_of(argv), ended, "", "")
    return Fingerprint(command_of(argv), ended, normalized(found.text), frame_of(found))


def command_of(argv: Sequence[str]) -> str:
    """Return the command, normalised: the program by its base name and without the number of its version."""
    program = normalized(_base_name(argv[0])) if argv else ""
    program = program.removesuffix(".exe").removesuffix("<n>") or program
    return " ".join([program, *(normalized(token) for token in argv[1:_TOKENS])])[:_LONGEST_COMMAND]


def frame_of(found: Decisive) -> str:
    """Return the file, by its base name, and the function of the place that an error names, else an empty text."""
    name = _base_name(found.file or "")
    return normalized(f"{name} {found.function}" if found.function else name)


def normalized(text: str) -> str:
    """Return `text` as one line without what differs between two runs of the same thing; twice changes nothing more."""
    line = " ".join(_CONTROL.sub(" ", without_escapes(text[: 4 * _LONGEST])).split())
    line = _PATH.sub(lambda found: _base_name(found[0]), line)
    for pattern, neutral in _NEUTRAL:
        line = pattern.sub(neutral, line)
    return line[:_LONGEST].rstrip()


def _base_name(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2] or path
