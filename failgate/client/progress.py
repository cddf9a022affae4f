"""How far an upload is: one line that is written over on a terminal, a line for each artifact elsewhere."""

import shutil
import sys
import time
from typing import TextIO

from failgate.client.messages import inert

_BAR = 24
_EVERY_SECONDS = 0.1
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class Progress:
    """Says how many of `total_bytes` are gone, and how fast. Silent when `is_silent`."""

    def __init__(
        self,
        total_bytes: int,
        *,
        stream: TextIO | None = None,
        is_terminal: bool | None = None,
        is_silent: bool = False,
    ) -> None:
        """Begin at nothing; write to `stream` (default: stderr)."""
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty() if is_terminal is None else is_terminal
        self._is_silent = is_silent
        self._total = total_bytes
        self._sent = self._before = 0
        self._name = ""
        self._began = time.monotonic()
        self._shown = 0.0

    def begin(self, name: str, left_bytes: int) -> None:
        """Say that artifact `name` goes now, and that with it `left_bytes` are still to go."""
        self._name = inert(name)
        self._sent = self._before = max(0, self._total - left_bytes)
        self._show(is_due=True)

    def sent(self, count: int) -> None:
        """Count bytes that went."""
        self._sent += count
        self._show()

    def done(self, size_bytes: int) -> None:
        """Say that the artifact is there."""
        self._sent = self._before + size_bytes
        if not self._is_terminal and not self._is_silent:
            self._stream.write(f"failgate: {self._name} is uploaded, {size_text(size_bytes)}\n")
        self._show(is_due=True)

    def again(self, seconds: float, why: str) -> None:
        """Say that the upload goes on after a break."""
        if self._is_silent:
            return
        self._clear()
        self._stream.write(f"failgate: {inert(why)} Trying again in {seconds:.0f} s; what arrived stays.\n")
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
        share = min(1.0, self._sent / self._total) if self._total else 1.0
        pace = self._sent / max(now - self._began, 0.001)
        full = round(share * _BAR)
        line = (
            f"{'█' * full}{'░' * (_BAR - full)} {share:4.0%}  {size_text(self._sent)} of {size_text(self._total)}  "
            f"{size_text(round(pace))}/s  {self._name}"
        )
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r{line[:width]}\x1b[K")
        self._stream.flush()


def size_text(size_bytes: int) -> str:
    """Return a size with a unit of 1024: `812 B`, `14.2 KiB`."""
    amount, unit = float(size_bytes), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{size_bytes} B" if unit == 0 else f"{amount:.1f} {_UNITS[unit]}"
