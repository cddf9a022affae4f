"""A recording played back: a terminal emulator turns asciicast v2 into frames of inert text, within limits.

What a browser gets is text and the names of a few fixed classes; no escape sequence reaches it. Strings that a
terminal would obey outside of its screen (OSC, DCS, SOS, PM, APC: titles, clipboard, device control) are dropped
before the emulator, combining characters too, which could grow one cell without end.

Source: docs.asciinema.org/manual/asciicast/v2; ECMA-48 section 5.6.
"""

import hashlib
import json
import re
import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

MOST_BYTES: Final = 2 * 1024 * 1024  # of a recording that are played
MOST_CHARACTERS: Final = 512 * 1024  # given to the emulator
MOST_SECONDS: Final = 2.0  # of work
MOST_FRAMES: Final = 600
MOST_MARKS: Final = 2000
MOST_RUNS: Final = 60_000  # pieces of text in all frames together
MOST_COLUMNS, MOST_ROWS = 200, 60
_PIECE: Final = 64  # the clock is looked at after each: one sequence may paint the whole screen
_FRAME_SECONDS: Final = 1 / 15
_LONGEST_PAUSE: Final = 2.0
_STRING_BEGINS: Final = re.compile("\x1b[\\]PX^_]|[\x90\x98\x9d\x9e\x9f]")
_STRING_ENDS: Final = re.compile("\x07|\x1b\\\\|[\x9c\x18\x1a]")
_COLOURS: Final = {
    name: number
    for number, name in enumerate(
        ("black", "red", "green", "brown", "blue", "magenta", "cyan", "white",
         "brightblack", "brightred", "brightgreen", "brightbrown", "brightblue", "brightmagenta", "brightcyan",
         "brightwhite")
    )
}  # fmt: skip
_SHADES: Final = (
    (0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229),
    (127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0), (92, 92, 255), (255, 0, 255), (0, 255, 255),
    (255, 255, 255),
)  # fmt: skip

# The emulator grows a cell by some of them, and forgets the rest of a text behind the others.
_UNSHOWN: Final = frozenset({"Mn", "Me", "Mc", "Cf", "Cs", "Co", "Zl", "Zp"})
_IDENTIFIER: Final = re.compile(r" [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_MOST_KEPT: Final = 8
_lock = threading.Lock()
PLAYERS: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="playback")
"""Plays one recording at a time: each takes a core."""

Run = tuple[str, str]
"""A text and its classes: `f0` to `f15`, `b0` to `b15`, `bold`, `dim`, `italic`, `under`; empty is the default."""


class Mark(NamedTuple):
    """A marker of the recording: when, and its text."""

    at_ms: int
    text: str


class Frame(NamedTuple):
    """The rows that changed at `at_ms`, each by its number from 0."""

    at_ms: int
    rows: dict[int, list[Run]]


@dataclass(frozen=True, slots=True)
class Playback:
    """Frames in order; the last screen; whether something of the recording is not played."""

    columns: int
    rows: int
    frames: tuple[Frame, ...]
    screen: tuple[tuple[Run, ...], ...]
    is_cut: bool
    marks: tuple[Mark, ...] = ()

    @property
    def duration_ms(self) -> int:
        """Return when the last frame comes."""
        return self.frames[-1].at_ms if self.frames else 0

    def document(self) -> bytes:
        """Return it as the page's script reads it."""
        return frames_document(self.frames, columns=self.columns, rows=self.rows)


def frames_document(frames: Iterable[Frame], **members: object) -> bytes:
    """Return frames, and what else is to be said, as JSON for the page's script."""
    listed = [[frame.at_ms, {str(number): runs for number, runs in frame.rows.items()}] for frame in frames]
    return json.dumps({**members, "frames": listed}, ensure_ascii=False, separators=(",", ":")).encode()


_kept: "OrderedDict[bytes, Playback | None]" = OrderedDict()


class _Event(NamedTuple):
    at: float
    kind: str
    text: str


def play(content: bytes, *, is_whole: bool = True, is_at_pace: bool = False, begin_ms: int = 0) -> Playback | None:
    """Return the playback of a recording; None when it is none. `is_whole`: `content` is all of it.

    Long pauses are shortened unless it is `is_at_pace`: then times are those of the recording less `begin_ms`.
    CPU-heavy: call it in a thread. It ends after `MOST_SECONDS`.
    """
    lines = content[:MOST_BYTES].split(b"\n")
    size = _size(_decoded(lines[0]))
    if size is None:
        return None
    stage = _Stage(size.columns, size.rows)
    is_cut = not is_whole or len(content) > MOST_BYTES
    pause = None if is_at_pace else _LONGEST_PAUSE
    for event in _events(lines[1:], is_interval=size.version == 3, longest_pause=pause, begin=begin_ms / 1000):
        if not stage.take(event):
            is_cut = True
            break
    return stage.playback(is_cut=is_cut)


class LivePlayback:
    """A recording played while it goes on: what is fed comes back as frames. CPU-heavy: feed it in a thread."""

    def __init__(self, columns: int, rows: int) -> None:
        """Begin with an empty screen."""
        self.columns, self.rows = _bounded(columns, MOST_COLUMNS, 80), _bounded(rows, MOST_ROWS, 24)
        self._stage = _Stage(self.columns, self.rows)

    def feed(self, content: bytes) -> tuple[Frame, ...]:
        """Return the frames of `content`: whole lines of asciicast v2, without the header. Each has limits anew."""
        self._stage.renew()
        for event in _events(content.split(b"\n"), is_interval=False, longest_pause=None):
            if not self._stage.take(event):
                break
        return self._stage.drawn()


def kept_play(content: bytes, *, is_whole: bool, is_at_pace: bool = False, begin_ms: int = 0) -> Playback | None:
    """Return what `play` does; that of the latest recordings is kept."""
    key = hashlib.sha256(content).digest() + bytes([is_whole, is_at_pace]) + begin_ms.to_bytes(8, "big")
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
        played = _kept[key] = play(content, is_whole=is_whole, is_at_pace=is_at_pace, begin_ms=begin_ms)
        while len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
        return played


def _bounded(value: object, most: int, otherwise: int) -> int:
    return min(max(value, 2), most) if isinstance(value, int) else otherwise


def _decoded(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


class _Size(NamedTuple):
    version: int
    columns: int
    rows: int


def _size(header: object) -> _Size | None:
    """Return version and size of a recording, None for another header. v3 has its size in `term`."""
    if not isinstance(header, dict):
        return None
    named = cast("dict[str, object]", header)
    if named.get("version") == 2:
        width, height = named.get("width"), named.get("height")
    elif named.get("version") == 3 and isinstance(term := named.get("term"), dict):
        width, height = (cast("dict[str, object]", term).get(name) for name in ("cols", "rows"))
    else:
        return None
    version = 2 if named.get("version") == 2 else 3
    return _Size(version, _bounded(width, MOST_COLUMNS, 80), _bounded(height, MOST_ROWS, 24))


def _events(
    lines: list[bytes], *, is_interval: bool, longest_pause: float | None, begin: float = 0.0
) -> Iterator[_Event]:
    """Yield the events that can be read, with times from `begin` on.

    Times never go back, and a pause is at most `longest_pause` seconds.
    """
    now, last = 0.0, begin
    for line in lines:
        found = _decoded(line)
        if not isinstance(found, list):
            continue
        event = cast("list[object]", found)
        if len(event) < 3 or not isinstance(event[0], int | float) or not isinstance(event[2], str):
            continue
        said = float(event[0]) if 0 <= event[0] < 1e9 else (0.0 if is_interval else last)
        at = last + said if is_interval else said
        pause = max(0.0, at - last)
        now += pause if longest_pause is None else min(pause, longest_pause)
        last = max(last, at)
        yield _Event(now, str(event[1]), event[2])


class _Stage:
    """The emulator and what was seen of it."""

    def __init__(self, columns: int, rows: int) -> None:
        import pyte

        self._screen = pyte.Screen(columns, rows)
        self._screen.set_mode(20)  # LNM: a recording without a terminal has bare line feeds
        self._screen.alignment_display = _nothing  # type: ignore[method-assign]  # three bytes that paint every cell
        self._stream = pyte.Stream(self._screen)
        self._columns, self._rows = columns, rows
        self._until = time.monotonic() + MOST_SECONDS
        self._left = MOST_CHARACTERS
        self._runs_left = MOST_RUNS
        self._is_in_string = False
        self._held = ""
        self._frames: list[Frame] = []
        self._shown: dict[int, list[Run]] = {}
        self._marks: list[Mark] = []
        self._has_drawn = False
        self._drawn_at: float | None = None
        self._now = 0.0

    def take(self, event: _Event) -> bool:
        """Play `event`; False when a limit is reached."""
        if event.kind == "r":
            return True  # the screen keeps its first size: a browser's does
        if event.kind == "m" and len(self._marks) < MOST_MARKS:
            self._marks.append(Mark(round(event.at * 1000), _legible(_IDENTIFIER.sub("", event.text[:500], count=1))))
        if event.kind != "o":
            return True
        if self._drawn_at is not None and event.at - self._drawn_at >= _FRAME_SECONDS and not self._draw():
            return False
        self._drawn_at = event.at if self._drawn_at is None else self._drawn_at
        self._now = event.at
        for start in range(0, len(event.text), _PIECE):
            piece = self._without_strings(event.text[start : start + _PIECE])
            self._left -= min(len(event.text), _PIECE)
            if self._left < 0 or time.monotonic() > self._until:
                return False
            self._feed(piece)
        return True

    def playback(self, *, is_cut: bool) -> Playback:
        self._draw(is_last=True)
        screen = tuple(tuple(self._row(number)) for number in range(self._rows))
        return Playback(self._columns, self._rows, tuple(self._frames), screen, is_cut, tuple(self._marks))

    def renew(self) -> None:
        """Have the limits anew."""
        self._until = time.monotonic() + MOST_SECONDS
        self._left, self._runs_left = MOST_CHARACTERS, MOST_RUNS

    def drawn(self) -> tuple[Frame, ...]:
        """Draw what is not drawn yet; return the frames since the last call."""
        self._draw(is_last=True)
        frames, self._frames = tuple(self._frames), []
        return frames

    def _feed(self, text: str) -> None:
        import pyte

        text = unicodedata.normalize("NFC", text)
        if not text.isascii():
            text = "".join(one for one in text if unicodedata.category(one) not in _UNSHOWN)
        try:
            self._stream.feed(text)
        except Exception:  # noqa: BLE001  # whatever a hostile sequence makes of the emulator, the playback goes on
            self._stream = pyte.Stream(self._screen)
        if (self._screen.columns, self._screen.lines) != (self._columns, self._rows):
            self._screen.resize(self._rows, self._columns)

    def _without_strings(self, text: str) -> str:
        text, self._held = self._held + text, ""
        if text.endswith("\x1b"):
            text, self._held = text[:-1], "\x1b"
        kept: list[str] = []
        at = 0
        while at < len(text):
            if self._is_in_string:
                end = _STRING_ENDS.search(text, at)
                if end is None:
                    return "".join(kept)
                at, self._is_in_string = end.end(), False
            begin = _STRING_BEGINS.search(text, at)
            if begin is None:
                kept.append(text[at:])
                break
            kept.append(text[at : begin.start()])
            at, self._is_in_string = begin.end(), True
        return "".join(kept)

    def _draw(self, *, is_last: bool = False) -> bool:
        """Keep a frame of what changed since the one before; False when there are enough."""
        rows: dict[int, list[Run]] = {}
        for number in self._screen.dirty if self._has_drawn else range(self._rows):
            if 0 <= number < self._rows:
                row = self._row(number)
                if self._shown.get(number, []) != row:
                    rows[number] = self._shown[number] = row
        self._screen.dirty.clear()
        self._has_drawn = True
        if rows:
            self._frames.append(Frame(round(self._now * 1000), rows))
            self._runs_left -= sum(len(row) for row in rows.values())
        self._drawn_at = None
        return is_last or (len(self._frames) < MOST_FRAMES and self._runs_left > 0)

    def _row(self, number: int) -> list[Run]:
        """Return the row in runs of one style, without the blanks at its end."""
        cells: dict[int, Any] = self._screen.buffer[number]
        runs: list[Run] = []
        for column in range(min(self._columns, max(cells, default=-1) + 1)):
            cell = cells[column]
            text, style = _inert(cell.data), _style(cell)
            if runs and runs[-1][1] == style:
                runs[-1] = (runs[-1][0] + text, style)
            else:
                runs.append((text, style))
        while runs and not runs[-1][1] and not runs[-1][0].rstrip():
            runs.pop()
        if runs and not runs[-1][1]:
            runs[-1] = (runs[-1][0].rstrip(), "")
        return runs


def _nothing() -> None:
    """Do nothing: a test pattern for the adjustment of tubes."""


def _inert(text: str) -> str:
    """Return a cell's character or a replacement for what would not be seen; behind a wide one it is empty."""
    return text if not text or text == " " or text.isprintable() else "\ufffd"


def _legible(text: str) -> str:
    return "".join(one if one == " " or one.isprintable() else "\ufffd" for one in text)


def _style(cell: Any) -> str:
    front, back = (cell.bg, cell.fg) if cell.reverse else (cell.fg, cell.bg)
    names = [f"f{number}" for number in (_colour(front),) if number is not None]
    if cell.reverse and front == "default":
        names.append("front")
    names += [f"b{number}" for number in (_colour(back),) if number is not None]
    if cell.reverse and back == "default":
        names.append("back")
    kinds = (("bold", cell.bold), ("italic", cell.italics), ("under", cell.underscore), ("strike", cell.strikethrough))
    return " ".join([*names, *(name for name, is_set in kinds if is_set)])


def _colour(name: str) -> int | None:
    """Return the nearest of the sixteen colours, None for the default."""
    if name in _COLOURS:
        return _COLOURS[name]
    if len(name) != 6:
        return None
    try:
        red, green, blue = (int(name[at : at + 2], 16) for at in (0, 2, 4))
    except ValueError:
        return None
    distances = [(red - r) ** 2 + (green - g) ** 2 + (blue - b) ** 2 for r, g, b in _SHADES]
    return distances.index(min(distances))
