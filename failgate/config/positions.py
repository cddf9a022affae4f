"""Where each key and value of a TOML document stands. The standard library's reader tells what, this tells where.

Only for documents that `tomllib` has accepted: it skips over values and finds names, it judges nothing.

Source: TOML 1.0.0, https://toml.io/en/v1.0.0.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRINGS = (
    re.compile(r'"""(?:\\.|[^\\])*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"(?:\\.|[^"\\\n])*"'),
    re.compile(r"'[^'\n]*'"),
)
_SPACED_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[^\s,\]}#]*")
_BARE_VALUE = re.compile(r"[^\s,\]}#]+")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one line: `line` from 1, `column` from 0, `width` in characters."""

    line: int
    column: int
    width: int


@dataclass(frozen=True, slots=True)
class Positions:
    """The place of every key (a table's own name included) and every value, by path; items of arrays by their index."""

    keys: Mapping[KeyPath, Span]
    values: Mapping[KeyPath, Span]


def locate(document: str) -> Positions:
    """Return where everything in `document` stands; `tomllib` has read it, and no line ends in a carriage return."""
    scanner = _Scanner(document)
    scanner.read_document()
    return Positions(scanner.keys, scanner.values)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.keys: dict[KeyPath, Span] = {}
        self.values: dict[KeyPath, Span] = {}
        self.last_index: dict[KeyPath, int] = {}  # of arrays of tables
        self.starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def read_document(self) -> None:
        table: KeyPath = ()
        self.skip_blank()
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self.read_header()
            else:
                self.read_pair(table)
            self.skip_blank()

    def read_header(self) -> KeyPath:
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        parts = self.read_key()
        self.at += 2 if is_array else 1
        path: KeyPath = ()
        for place, (name, span) in enumerate(parts):
            path = (*path, name)
            self.keys.setdefault(path, span)
            if is_array and place == len(parts) - 1:
                self.last_index[path] = self.last_index.get(path, -1) + 1
            if path in self.last_index:
                path = (*path, self.last_index[path])
                self.keys.setdefault(path, span)
        return path

    def read_pair(self, table: KeyPath) -> None:
        path = table
        for name, span in self.read_key():
            path = (*path, name)
            self.keys.setdefault(path, span)
        self.at += 1  # the equals sign
        self.skip_blank()
        self.read_value(path)

    def read_key(self) -> list[tuple[str, Span]]:
        parts: list[tuple[str, Span]] = []
        while True:
            self.skip_blank()
            start = self.at
            bare = _BARE_KEY.match(self.text, self.at)
            if bare:
                self.at = bare.end()
                name = bare[0]
            else:
                self.skip_string()
                name = tomllib.loads(f"name = {self.text[start : self.at]}")["name"]
            parts.append((name, self.span(start, self.at)))
            self.skip_blank()
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def read_value(self, path: KeyPath) -> None:
        start = self.at
        opening = self.text[start]
        if opening == "[":
            self.read_array(path)
        elif opening == "{":
            self.read_inline_table(path)
        elif opening in "\"'":
            self.skip_string()
        else:
            bare = _SPACED_TIME.match(self.text, start) or _BARE_VALUE.match(self.text, start)
            self.at = bare.end() if bare else start + 1
        self.values[path] = self.span(start, self.at)

    def read_array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        while True:
            self.skip_blank()
            if self.text[self.at] == "]":
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self.read_value((*path, index))
            index += 1

    def read_inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while True:
            self.skip_blank()
            if self.text[self.at] == "}":
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self.read_pair(path)

    def skip_string(self) -> None:
        for pattern in _STRINGS:
            found = pattern.match(self.text, self.at)
            if found:
                self.at = found.end()
                return
        raise ValueError("not a document that tomllib has read")

    def skip_blank(self) -> None:
        blank = _BLANK.match(self.text, self.at)
        self.at = blank.end() if blank else self.at

    def span(self, start: int, stop: int) -> Span:
        """Return where `start` to `stop` stands, ending with its first line."""
        line = bisect_right(self.starts, start)
        ends = self.text.find("\n", start, stop)
        return Span(line, start - self.starts[line - 1], (stop if ends < 0 else ends) - start)
