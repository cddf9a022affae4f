"""What makes two failures the same: command, end, last error and top frame, without what differs between two runs.

Escapes, numbers, addresses, identifiers, folders, names of temporary files, tags of redacted secrets are no part of it.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from failgate.failure.decisive import Decisive, decisive
from failgate.failure.plain import without_escapes

_LONGEST: Final = 400
_LONGEST_COMMAND: Final = 4000
_TOKENS: Final = 200
_PIECE: Final = 2000  # characters of arguments that are looked at together
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
# The folders of a path: all of it up to the last separator that a name follows.
_FOLDERS: Final = re.compile(r"(?<![\w.~@+/\\-])(?:[A-Za-z]:)?[\w.~@+/\\-]*[/\\](?=[\w.~@+-])")
_NAMES: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.~@+-"  # of ASCII, in a path
_NO_NAME: Final = re.compile(r"/(?![\w.~@+/-])", re.ASCII)  # a separator that no name follows
_DIGIT, _LETTER = b"\x01", b"\x02"  # no line holds these
_KINDS: Final = bytes.maketrans(b"0123456789abcdef", _DIGIT * 10 + _LETTER * 6)
_DIGITS: Final = bytes.maketrans(b"0123456789abcdefABCDEF", _DIGIT * 22)
_INSIDE_ID: Final = (b"-" + _DIGIT * 4) * 3 + b"-"


def _octets(lines: str) -> bytes:
    """Return UTF-8: its octets below 128 are ASCII itself, and they are translated in a tenth of a text's time."""
    return lines.encode("utf-8", "surrogatepass")


def _may_hold_hex(lines: str) -> bool:
    """Tell whether a digit and a letter of hexadecimal stand side by side: `_hex_of` leaves all else."""
    kinds = _octets(lines).translate(_KINDS)
    return _DIGIT + _LETTER in kinds or _LETTER + _DIGIT in kinds


# Each with what is true of every text in which it changes anything: that it is not is known sooner than by a search.
# What begins with a set of characters is searched several times as fast as what begins with `\b`: `(?<!\w.)` behind the
# first character says the same.
_NEUTRAL: Final[tuple[tuple[Callable[[str], bool], re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]] = (
    (lambda lines: "[redacted:" in lines, re.compile(r"\[redacted:[a-z0-9-]{1,40}:[0-9a-f]{8}\]"), "<secret>"),
    (
        lambda lines: "-" in lines and _INSIDE_ID in _octets(lines).translate(_DIGITS),
        re.compile(r"[0-9a-fA-F](?<!\w.)[0-9a-fA-F]{7}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"),
        "<id>",
    ),
    (lambda lines: "0x" in lines, re.compile(r"\b0x[0-9a-fA-F]+\b"), "<hex>"),
    (_may_hold_hex, re.compile(r"[0-9a-f](?<!\w.)[0-9a-f]{6,63}\b"), lambda found: _hex_of(found[0])),
    (lambda lines: "tmp" in lines, re.compile(r"\btmp[._-]?(?=[a-z]{0,63}[0-9A-Z_])\w{6,64}\b"), "<tmp>"),
    (lambda _lines: True, re.compile(r"[0-9]+(?:\.[0-9]+)*"), "<n>"),
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
    found = [_known_program(argv[0]) if argv else ""]
    length, first, last = len(found[0]), 1, min(len(argv), _TOKENS)
    while first < last and length < _LONGEST_COMMAND:  # what comes later is no part of it
        end, raw = first, 0
        while end < last and raw < _PIECE:
            raw += len(argv[end])
            end += 1
        tokens = _all_normalized(argv[first:end])
        found += tokens
        length += sum(map(len, tokens)) + len(tokens)
        first = end
    return " ".join(found)[:_LONGEST_COMMAND]


def _known_program(path: str) -> str:
    return _remembered_program(path) if len(path) <= _LONGEST else _program(path)


@lru_cache(maxsize=512)
def _remembered_program(path: str) -> str:
    return _program(path)


def _program(path: str) -> str:
    program = normalized(_base_name(path))
    return program.removesuffix(".exe").removesuffix("<n>") or program


def frame_of(found: Decisive) -> str:
    """Return the file, by its base name, and the function of the place that an error names, else an empty text."""
    name = _base_name(found.file or "")
    return normalized(f"{name} {found.function}" if found.function else name)


def normalized(text: str) -> str:
    """Return `text` as one line without what differs between two runs of the same thing; twice changes nothing more."""
    return _all_normalized([text])[0] if text else ""


def _all_normalized(texts: Sequence[str]) -> list[str]:
    """Give each text normalised. They are searched as lines of one text: a search for each costs six times as much."""
    lines = _lines(texts)
    for may_hold, pattern, neutral in _NEUTRAL:
        if may_hold(lines):
            lines = pattern.sub(neutral, lines)
    found = lines.split("\n")
    if " " not in lines and max(map(len, found)) <= _LONGEST:
        return found
    return [line[:_LONGEST].rstrip() for line in found]


def _hex_of(digits: str) -> str:
    """Return what stands for a run of hexadecimal digits: a word or a number alone is none."""
    return digits if digits.isdigit() or digits.isalpha() else "<hex>"


def _lines(texts: Sequence[str]) -> str:
    """Return each text as `_line` does, a line each; of most there is nothing but paths to look at."""
    whole = "".join(texts)
    if not whole.isprintable() or " " in whole or max(map(len, texts)) > 4 * _LONGEST:
        return "\n".join([_line(text) for text in texts])
    lines = "\n".join(texts)
    if "/" not in whole and "\\" not in whole:
        return lines
    if (cut := _cut(lines)) is not None:
        return cut
    paths = [text for text in texts if "/" in text or "\\" in text]
    names = iter(_with_base_names("\n".join(paths)).split("\n"))
    return "\n".join([next(names) if "/" in text or "\\" in text else text for text in texts])


def _line(text: str) -> str:
    """Return the beginning of `text` as one line, with the base name of each path."""
    line = text[: 4 * _LONGEST]
    if not line.isprintable():  # then it holds nothing that a terminal would obey, and no white space but blanks
        line = _CONTROL.sub(" ", without_escapes(line))
    if " " in line or not line.isprintable():
        line = " ".join(line.split())
    return _with_base_names(line) if "/" in line or "\\" in line else line


def _with_base_names(line: str) -> str:
    cut = _cut(line)
    return cut if cut is not None else _FOLDERS.sub("", line)


def _cut(lines: str) -> str | None:
    """Return `lines` without folders, a tenth of the search for them; None where that has to be made.

    Of a path that ends with a name all goes that stands before a separator and is part of a name.
    """
    if "\\" in lines or not lines.isascii() or _NO_NAME.search(lines) is not None:
        return None
    *folders, last = lines.split("/")
    before = "\0".join([*[folder.rstrip(_NAMES) for folder in folders], last])
    return None if ":\0" in before else before.replace("\0", "")  # before a colon a drive may stand


def _base_name(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2] or path
