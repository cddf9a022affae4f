"""Recordings: what a terminal showed and when, as asciicast v2 (docs.asciinema.org/manual/asciicast/v2).

A recording keeps the escape sequences of the program, dangerous ones too (titles, clipboard, device control): it is
evidence. Whoever plays one strips them; our viewer does.
"""

import codecs
from collections.abc import Callable, Mapping

import msgspec

MEDIA_TYPE = "application/x-asciicast"


class CastWriter:
    """Writes one recording, event by event. Characters are never cut in two; bytes that are no UTF-8 become U+FFFD.

    The texts of all `o` events together are the decoded output. Where no terminal made the line ends (`is_terminal` is
    false), each LF becomes CR LF, as a terminal would have shown it.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        *,
        size: tuple[int, int],
        timestamp: int,
        title: str | None = None,
        environment: Mapping[str, str] | None = None,
        is_terminal: bool = True,
    ) -> None:
        """Write the header: `size` is columns and rows, `timestamp` seconds since 1970."""
        self._write = write
        self._is_terminal = is_terminal
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._at_us = 0
        header: dict[str, object] = {"version": 2, "width": size[0], "height": size[1], "timestamp": timestamp}
        if title:
            header["title"] = title
        if environment:
            header["env"] = dict(environment)
        self._line(header)

    def write(self, at_us: int, content: bytes) -> None:
        """Add output that came `at_us` microseconds after the start. Times never go back."""
        self._at_us = max(self._at_us, at_us)
        self._event(self._decoder.decode(content))

    def resize(self, at_us: int, columns: int, rows: int) -> None:
        """Add that the terminal has another size now."""
        self._at_us = max(self._at_us, at_us)
        self._line([self._at_us / 1e6, "r", f"{columns}x{rows}"])

    def mark(self, at_us: int, text: str) -> None:
        """Add a marker, for players and for whoever reads what happened."""
        self._at_us = max(self._at_us, at_us)
        self._line([self._at_us / 1e6, "m", text])

    def note(self, text: str) -> None:
        """Add a line of our own, after what the program began."""
        self.finish()
        self._event(f"\n{text}\n" if not self._is_terminal else f"\r\n{text}\r\n")

    def finish(self) -> None:
        """Write what is left of a character that never ended."""
        self._event(self._decoder.decode(b"", final=True))
        self._decoder.reset()

    def _event(self, text: str) -> None:
        if text:
            shown = text if self._is_terminal else text.replace("\n", "\r\n")
            self._line([self._at_us / 1e6, "o", shown])

    def _line(self, value: object) -> None:
        self._write(msgspec.json.encode(value) + b"\n")
