"""One config file as it was read: its text, the place of everything in it, and how a mistake in it is shown."""

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from failgate.config.errors import ConfigRefused, Mistake
from failgate.config.positions import KeyPath, Positions, Span, locate

MASK = "********"
_SECRET_NAME = re.compile(r"passw|passphrase|pwd|secret|token|credential|private|auth|cookie|key", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(?<=://)([^/@\s\"']*:)([^@\s\"']+)(?=@)")
_QUOTED = re.compile(r"[\"'].*", re.DOTALL)
_PLACE = re.compile(r" \((?:at line (?P<line>[0-9]+), column (?P<column>[0-9]+)|at end of document)\)\Z")
_WIDEST = 120
_DEFAULTS = "the built-in defaults"


@dataclass(frozen=True, slots=True)
class Source:
    """Where settings came from. Relative paths start at `folder`; `{ env = … }` is looked up in `env`."""

    name: str
    folder: Path
    env: Mapping[str, str] = field(repr=False)
    lines: tuple[str, ...] = field(default=(), repr=False)
    positions: Positions = field(default=Positions({}, {}), repr=False)

    def mistake(
        self,
        path: KeyPath,
        sentence: str,
        *,
        at: Literal["key", "value"] = "key",
        hint: str = "",
        hides_value: bool = False,
    ) -> Mistake:
        """Return the mistake at `path`, or at its nearest enclosing table; `hides_value` masks what is in quotes."""
        span = self._find(path, at)
        dotted = dotted_path(path)
        if span is None:
            return Mistake(file=self.name, line=0, path=dotted, sentence=sentence, hint=hint)
        line = self.lines[span.line - 1]
        hides_value = hides_value or bool(_SECRET_NAME.search(dotted) or _SECRET_NAME.search(line))
        excerpt, column, width = show(line, span, hides_value=hides_value)
        return Mistake(self.name, span.line, dotted, sentence, excerpt, column, width, hint)

    def has(self, path: KeyPath) -> bool:
        """Tell whether the file itself says something at `path`."""
        return path in self.positions.keys

    def _find(self, path: KeyPath, at: Literal["key", "value"]) -> Span | None:
        if at == "value" and path in self.positions.values:
            return self.positions.values[path]
        while path:
            found = self.positions.keys.get(path) or self.positions.values.get(path)
            if found:
                return found
            path = path[:-1]
        return None


def read_source(path: Path | None, env: Mapping[str, str]) -> tuple[dict[str, Any], Source]:
    """Return the tables of the file at `path` and where they stand; without a path, no tables.

    Raises: ConfigRefused (no such file, not readable, not UTF-8, not TOML).
    """
    if path is None:
        return {}, Source(name=_DEFAULTS, folder=Path.cwd(), env=env)
    return parse_source(_read_text(path), path.name, path.absolute().parent, env)


def parse_source(text: str, name: str, folder: Path, env: Mapping[str, str]) -> tuple[dict[str, Any], Source]:
    """Return the tables of the document `text` and where they stand.

    Raises: ConfigRefused with the place of the first thing that is not TOML.
    """
    document = text.removeprefix("\ufeff").replace("\r\n", "\n")
    lines = tuple(document.split("\n"))
    try:
        tables = tomllib.loads(document)
        return tables, Source(name, folder, env, lines, locate(document))
    except tomllib.TOMLDecodeError as error:
        raise ConfigRefused([_syntax_mistake(str(error), name, lines)]) from None
    except RecursionError:
        sentence = "arrays or tables are nested too deeply to be read"
        raise ConfigRefused([Mistake(file=name, line=0, path="", sentence=sentence)]) from None


def dotted_path(path: KeyPath) -> str:
    """Return `path` as a TOML key would be written, with `[2]` for the third item of an array."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else '"' + "".join(map(_inert, part)) + '"'
            text += f".{name}" if text else name
    return text


def show(line: str, span: Span, *, hides_value: bool) -> tuple[str, int, int]:
    """Return `line` made harmless to print, and column and width (in terminal cells) of `span` in it.

    Passwords in URLs, and with `hides_value` everything from the first quote on, are masked; a long line is cut.
    """
    before, marked, after = (
        line[: span.column],
        line[span.column : span.column + span.width],
        line[span.column + span.width :],
    )
    before, marked, after = (_masked(part, hides_value=hides_value) for part in (before, marked, after))
    if len(before) > _WIDEST // 2:
        before = "…" + before[-(_WIDEST // 2) :]
    indent = len(before) - len(before.lstrip())
    before = before[indent:]
    marked = marked if len(marked) <= _WIDEST else marked[:_WIDEST] + "…"
    after = after if len(after) <= _WIDEST // 2 else after[: _WIDEST // 2] + "…"
    before, marked, after = ("".join(map(_inert, part)) for part in (before, marked, after))
    return (before + marked + after).rstrip(), _cells(before), max(_cells(marked), 1)


def _masked(text: str, *, hides_value: bool) -> str:
    text = _URL_PASSWORD.sub(rf"\1{MASK}", text)
    return _QUOTED.sub(f'"{MASK}"', text) if hides_value else text


def _inert(character: str) -> str:
    if character == "\t":
        return " "
    return character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"


def _cells(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        hint = "name an existing file with --config or FAILGATE_CONFIG, or make one with `failgate init`"
        sentence = f"this config file cannot be read: {error.strerror}"
        raise ConfigRefused([Mistake(file=str(path), line=0, path="", sentence=sentence, hint=hint)]) from None
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        sentence = f"byte 0x{content[error.start]:02x} is not UTF-8, and a TOML file is"
        raise ConfigRefused([Mistake(file=path.name, line=line, path="", sentence=sentence)]) from None


def _syntax_mistake(message: str, name: str, lines: tuple[str, ...]) -> Mistake:
    place = _PLACE.search(message)
    sentence = "not TOML: " + (message[: place.start()] if place else message)
    sentence = "".join(map(_inert, sentence))
    if place and place["line"]:
        span = Span(int(place["line"]), int(place["column"]) - 1, 1)
    else:
        number = max((count for count, line in enumerate(lines, 1) if line.strip()), default=1)
        span = Span(number, len(lines[number - 1]), 1)
    line = lines[span.line - 1]
    if _SECRET_NAME.search(line) or _URL_PASSWORD.search(line):  # nobody knows where in it the secret begins
        return Mistake(name, span.line, "", sentence)
    excerpt, column, width = show(line, span, hides_value=False)
    return Mistake(name, span.line, "", sentence, excerpt, column, width)
