"""How far an upload or a download is: one line, written over, on a terminal, else a line for each artifact."""

import shutil
import sys
import time
from typing import TextIO

from failgate.client.messages import inert

_BAR = 24
_EVERY_SECONDS = 0.1
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class Tally:
    """How far it is, for whoever looks: what is gone of `total_bytes`, what goes now, why it waits."""

    def __init__(self, total_bytes: int) -> None:
        """Begin at nothing."""
        self.total_bytes = total_bytes
        self.sent_bytes = 0
        self.name = ""
        self.note = ""
        self._before = 0

    def begin(self, name: str, left_bytes: int) -> None:
        """Say that artifact `name` goes now, and that with it `left_bytes` are still to go."""
        self.name, self.note = inert(name), ""
        self.sent_bytes = self._before = max(0, self.total_bytes - left_bytes)

    def sent(self, count: int) -> None:
        """Count bytes that went."""
        self.sent_bytes += count

    def done(self, size_bytes: int) -> None:
        """Say that the artifact is there."""
        self.sent_bytes = self._before = self._before + size_bytes

    def again(self, seconds: float, why: str) -> None:
        """Say that it goes on after a break."""
        self.note = f"{inert(why)} Trying again in {seconds:.0f} s; what arrived stays."

    def close(self) -> None:
        """Say that no more goes."""


class Progress(Tally):
    """Says it on a terminal as it goes. Silent when `is_silent`."""

    def __init__(
        self,
        total_bytes: int,
        *,
        stream: TextIO | None = None,
        is_terminal: bool | None = None,
        is_silent: bool = False,
        done: str = "uploaded",
    ) -> None:
        """Begin at nothing; write to `stream` (default: stderr). `done` is what becomes of each artifact."""
        super().__init__(total_bytes)
        self._done = done
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty() if is_terminal is None else is_terminal
        self._is_silent = is_silent
        self._began = time.monotonic()
        self._shown = 0.0

    def begin(self, name: str, left_bytes: int) -> None:
        """Say so at once."""
        super().begin(name, left_bytes)
        self._show(is_due=True)

    def sent(self, count: int) -> None:
        """Say so ten times a second at most."""
        super().sent(count)
        self._show()

    def done(self, size_bytes: int) -> None:
        """Say so, where nothing is written over in a line of its own."""
        super().done(size_bytes)
        if not self._is_terminal and not self._is_silent:
            self._stream.write(f"failgate: {self.name} is {self._done}, {size_text(size_bytes)}\n")
        self._show(is_due=True)

    def again(self, seconds: float, why: str) -> None:
        """Say so in a line of its own."""
        super().again(seconds, why)
        if self._is_silent:
            return
        self._clear()
        self._stream.write(f"failgate: {self.note}\n")
        self._stream.flush()

    def close(self) -> None:
        """Leave no half line behind."""
        if not self._is_silent:
            self._clear()

    def _clear(self) -> None:
        if self._is_terminal and self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _show(self, *, is_due: bool = False) -> None:
        now = time.monotonic()
        if self._is_silent or not self._is_terminal or not (is_due or now - self._shown >= _EVERY_SECONDS):
            return
        self._shown = now
        share = min(1.0, self.sent_bytes / self.total_bytes) if self.total_bytes else 1.0
        pace = self.sent_bytes / max(now - self._began, 0.001)
        full = round(share * _BAR)
        of = f"{size_text(self.sent_bytes)} of {size_text(self.total_bytes)}"
        line = f"{'█' * full}{'░' * (_BAR - full)} {share:4.0%}  {of}  {size_text(round(pace))}/s  {self.name}"
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r{line[:width]}\x1b[K")
        self._stream.flush()


def size_text(size_bytes: int) -> str:
    """Return a size with a unit of 1024: `812 B`, `14.2 KiB`."""
    amount, unit = float(size_bytes), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{size_bytes} B" if unit == 0 else f"{amount:.1f} {_UNITS[unit]}"
