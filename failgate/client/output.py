"""What a program wrote, bounded: its beginning and its end are kept with their times, the middle is counted.

What is kept lies in memory; when the limits ask for more than `MEMORY_BYTES`, in a file without a name that only this
process can read and that is gone with it. It is not redacted yet: nothing is worth redacting before the program failed.
"""

from __future__ import annotations

import os
import time
from array import array
from bisect import bisect_right

from failgate.base.quick import NamedTuple

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD_BYTES = 256 * 1024
TAIL_BYTES = 1024 * 1024
MEMORY_BYTES = 4 * 1024 * 1024
STDOUT, STDERR = 1, 2
_LONGEST_LINE = 4096
_LONGEST_KEY = 64 * 1024
_KEY_ENDS = b"PRIVATE KEY"
_PIECE = 64 * 1024
_SAME_MOMENT_US = 1000
_MOST_MARKS = 50_000


class Piece(NamedTuple):
    """Bytes that came together: microseconds since the start, `STDOUT` or `STDERR`, the bytes."""

    at_us: int
    stream: int
    content: bytes


class Gap(NamedTuple):
    """Here `dropped` bytes are left out."""

    dropped: int


class _Marks:
    """From which offset on which stream wrote at which time; ascending offsets."""

    def __init__(self) -> None:
        self.offsets = array("Q", [0])
        self.times = array("Q", [0])
        self.streams = array("B", [STDOUT])
        self._most = _MOST_MARKS

    def add(self, offset: int, at_us: int, stream: int) -> None:
        if self.offsets[-1] == offset:
            self.times[-1], self.streams[-1] = at_us, stream
        elif self.streams[-1] != stream or at_us - self.times[-1] >= _SAME_MOMENT_US:
            self.offsets.append(offset)
            self.times.append(at_us)
            self.streams.append(stream)
            if len(self.offsets) > self._most:
                self._thin()

    def forget(self, offset: int) -> None:
        """Drop what only says something of bytes before `offset`."""
        gone = bisect_right(self.offsets, offset) - 1
        if gone > 0:
            del self.offsets[:gone], self.times[:gone], self.streams[:gone]

    def _thin(self) -> None:
        """Halve the resolution of times; which stream wrote what stays exact while there are not too many changes."""
        number = len(self.offsets)
        is_exact = number < 4 * _MOST_MARKS
        keep = [at for at in range(number) if at % 2 == 0 or (is_exact and self.streams[at] != self.streams[at - 1])]
        for column in (self.offsets, self.times, self.streams):
            column[:] = array(column.typecode, [column[at] for at in keep])
        self._most = max(_MOST_MARKS, 2 * len(keep))


class _Store:
    """Bytes by offset: a bytearray, or a file without a name."""

    def __init__(self, size: int, folder: str) -> None:
        self.size = size
        self._file = _anonymous(folder, size) if size > MEMORY_BYTES else None
        self._memory = bytearray()

    @property
    def is_kept(self) -> bool:
        return self._file is not None or self.size <= MEMORY_BYTES

    def put(self, at: int, content: bytes) -> None:
        if self._file is not None:
            view = memoryview(content)
            while view:
                done = os.pwrite(self._file, view, at)
                view, at = view[done:], at + done
        else:
            self._memory.extend(bytes(max(0, at - len(self._memory))))  # beyond its end a slice would move to the end
            self._memory[at : at + len(content)] = content

    def read(self, at: int, size: int) -> bytes:
        if self._file is not None:
            return os.pread(self._file, size, at)
        return bytes(self._memory[at : at + size])

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._memory.clear()


class Output:
    """Takes pieces; keeps the first `head` and the last `tail` bytes and when they came.

    `is_terminal` says that a terminal made its line ends; `size` is that terminal's columns and rows, `resizes` its
    changes as (microseconds, columns, rows).
    """

    def __init__(self, head: int = HEAD_BYTES, tail: int = TAIL_BYTES, folder: str = ".") -> None:
        """Start empty, now. A disk without room for the limits keeps what memory may hold."""
        self._tail = _Store(tail, folder)
        if not self._tail.is_kept:
            self._tail = _Store(min(tail, MEMORY_BYTES // 2), folder)
        self._head = _Store(head, folder)
        if not self._head.is_kept:
            self._head = _Store(min(head, MEMORY_BYTES // 2), folder)
        self._limits = (self._head.size, self._tail.size)
        self._began_us = time.monotonic_ns() // 1000
        self._head_marks, self._tail_marks = _Marks(), _Marks()
        self._size = 0
        self.is_terminal = False
        self.size: tuple[int, int] = (80, 24)
        self.resizes: list[tuple[int, int, int]] = []

    def write(self, piece: bytes, stream: int = STDOUT, at_us: int | None = None) -> None:
        """Take `piece`, which came now, or `at_us` microseconds after the start."""
        at_us = self.now_us() if at_us is None else at_us
        head, tail = self._limits
        room = head - self._size
        if room > 0:
            self._head_marks.add(self._size, at_us, stream)
            self._head.put(self._size, piece[:room])
            self._size += min(room, len(piece))
            piece = piece[room:]
            if not piece:
                return
        self._tail_marks.add(self._size, at_us, stream)
        at = self._size - head
        self._size += len(piece)
        if len(piece) > tail:
            at += len(piece) - tail
            piece = piece[-tail:] if tail else b""
        while piece:
            place = at % tail
            part = piece[: tail - place]
            self._tail.put(place, part)
            at += len(part)
            piece = piece[len(part) :]
        if len(self._tail_marks.offsets) % 64 == 0:
            self._tail_marks.forget(self._size - tail)

    def resized(self, columns: int, rows: int) -> None:
        """Note that the terminal has another size from now on."""
        if len(self.resizes) < _MOST_MARKS:
            self.resizes.append((self.now_us(), columns, rows))

    def now_us(self) -> int:
        """Return the microseconds since the start."""
        return time.monotonic_ns() // 1000 - self._began_us

    @property
    def dropped(self) -> int:
        """Return how many bytes `pieces` leaves out."""
        cut, start = self._cut()
        return start - cut

    def pieces(self) -> Iterator[Piece | Gap]:
        """Yield what is kept, in order, in pieces of at most 64 KiB; where the middle is missing, a `Gap`.

        A cut never leaves half of a line (half of a secret would escape the rules), nor the end of a private key.
        """
        cut, start = self._cut()
        head = min(self._size, self._limits[0])
        yield from self._between(0, min(cut, head), self._head_marks)
        if start > cut:
            yield Gap(start - cut)
        yield from self._between(max(start, head), self._size, self._tail_marks)

    def close(self) -> None:
        """Forget everything."""
        self._head.close()
        self._tail.close()

    def _between(self, start: int, end: int, marks: _Marks) -> Iterator[Piece]:
        at = bisect_right(marks.offsets, start) - 1
        while start < end:
            following = marks.offsets[at + 1] if at + 1 < len(marks.offsets) else end
            upto = min(end, following)
            while start < upto:
                content = self._read(start, min(upto - start, _PIECE))
                yield Piece(marks.times[at], marks.streams[at], content)
                start += len(content)
            at += 1

    def _read(self, start: int, size: int) -> bytes:
        head, tail = self._limits
        if start < head:
            return self._head.read(start, min(size, head - start))
        place = (start - head) % tail
        return self._tail.read(place, min(size, tail - place))

    def _read_up_to(self, start: int, end: int) -> bytes:
        pieces: list[bytes] = []
        while start < end:
            pieces.append(self._read(start, end - start))
            start += len(pieces[-1])
        return b"".join(pieces)

    def _cut(self) -> tuple[int, int]:
        """Return where the head ends and where the tail begins, as offsets in the whole output."""
        head, tail = self._limits
        if self._size <= head + tail:
            return min(self._size, head), min(self._size, head)
        low = max(0, head - _LONGEST_LINE)
        cut = low + (self._read_up_to(low, head).rfind(b"\n") + 1)
        begin = self._size - tail
        first = self._read_up_to(begin, min(self._size, begin + _LONGEST_KEY))
        start = first.find(b"\n", 0, _LONGEST_LINE) + 1 or min(tail, _LONGEST_LINE)
        end_of_key = first.find(b"-----END ", start)
        if (
            end_of_key >= 0
            and _KEY_ENDS in first[end_of_key : end_of_key + 60]
            and first.find(b"-----BEGIN ", start, end_of_key) < 0
        ):
            start = first.find(b"\n", end_of_key) + 1 or len(first)
        return cut, begin + start


def _anonymous(folder: str, size: int) -> int | None:
    """Return a new file of `size` bytes that has no name, 0600; None where there is no room or no such thing."""
    for place in (folder, os.environ.get("TMPDIR") or "/tmp"):  # noqa: S108  # the file has no name to guess
        try:
            descriptor = os.open(place, os.O_RDWR | os.O_TMPFILE | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError:
            continue
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError:
            os.close(descriptor)
            continue
        return descriptor
    return None
