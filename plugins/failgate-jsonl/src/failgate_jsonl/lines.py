"""A file of JSON lines that only grows: whole lines, each record once, durable when `deliver` returns."""

import asyncio
import contextlib
import fcntl
import json
import os
import re
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TypeVar

from failgate.plugin import ExportedRecord, StartRefused, StorageUnavailable
from failgate_jsonl.rotation import Rotation, newest_before

T = TypeVar("T")
_OPENING = b'{"log":'
_HEAD = re.compile(rb'\{"log":("(?:[^"\\]|\\.)*"),"seq":([0-9]+),(?:"body":\{[^{}]*\},)?"record":')
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class LinesFile:
    """An `AuditExporter` that appends to the file at `path`. Making one touches nothing.

    The file stays open and locked. Before each batch it is looked at again: when it was moved away, by somebody else or
    by `rotation`, a new one begins.
    """

    def __init__(self, path: Path, rotation: Rotation | None = None) -> None:
        self.path = path
        self._rotation = rotation
        self._began: bytes | None = None  # the first line of the file
        self._stream: IO[bytes] | None = None
        self._last: dict[str, int] = {}  # the last number of each log that is in the file
        self._durable: tuple[int, int] | None = None  # inode, and how many of its bytes are known to be safe
        self._turn = asyncio.Lock()
        self._failure: str | None = None

    async def prepare(self) -> None:
        """Open the file, remove a line that was cut off, learn what is in it.

        While another process holds the file this leaves it alone: `deliver` tries again.

        Raises: StartRefused (no folder, not writable, not a file of ours), naming the mend.
        """
        try:
            await self._in_thread(self._open)
        except StorageUnavailable as error:
            self._failure = error.sentence
        except OSError as error:
            raise StartRefused(
                f"The audit file {self.path} cannot be written: {error.strerror}.",
                hint="Make its folder, and let the account of Failgate write there; or name another path.",
            ) from error

    async def deliver(self, batch: Sequence[ExportedRecord]) -> None:
        """Return when every record of `batch` is in the file and on the disk; what is there already is left out.

        Raises: StorageUnavailable; then nothing of the batch stays in the file.
        """
        try:
            await self._in_thread(lambda: self._append(batch))
        except OSError as error:
            self._failure = f"The audit file {self.path} does not take records: {error.strerror}."
            raise StorageUnavailable(self._failure, hint="They are delivered again.") from error
        except (StorageUnavailable, StartRefused) as error:
            self._failure = error.sentence
            raise StorageUnavailable(error.sentence, hint=error.hint) from error
        self._failure = None

    async def health(self) -> str | None:
        """Return None, or why the last batch was not taken."""
        return self._failure

    async def close(self) -> None:
        """Release the file."""
        await self._in_thread(self._release)

    def _append(self, batch: Sequence[ExportedRecord]) -> None:
        lines, last = self._lines_of(batch)
        stream = self._current()
        fresh = b"".join(line for log, seq, line in lines if seq > self._last.get(log, -1))
        if not fresh:
            return
        before = os.fstat(stream.fileno()).st_size
        if self._began is None:
            self._began = fresh[: fresh.index(b"\n")]
        try:
            rest = memoryview(fresh)
            while rest:
                rest = rest[os.write(stream.fileno(), rest) :]
            os.fsync(stream.fileno())
        except OSError:
            # What fsync refused may still look written: take it back, so that it is written again.
            with contextlib.suppress(OSError):
                os.ftruncate(stream.fileno(), before)
            self._release()
            raise
        self._durable = (os.fstat(stream.fileno()).st_ino, before + len(fresh))
        for log, seq in last.items():
            self._last[log] = max(seq, self._last.get(log, -1))

    @staticmethod
    def _lines_of(batch: Sequence[ExportedRecord]) -> tuple[list[tuple[str, int, bytes]], dict[str, int]]:
        """Return `(log, seq, line)` of each record, without repetitions, and the last number of each log."""
        lines: list[tuple[str, int, bytes]] = []
        last: dict[str, int] = {}
        for record in batch:
            if b"\n" in record.leaf:
                raise StorageUnavailable(f"Record {record.seq} of {record.log} is not canonical: it has a line break.")
            if record.seq > last.get(record.log, -1):
                head = f'{{"log":{json.dumps(record.log)},"seq":{record.seq},'.encode()
                beside = b"" if record.body is None else b'"body":' + record.body + b","
                lines.append((record.log, record.seq, head + beside + b'"record":' + record.leaf + b"}\n"))
                last[record.log] = record.seq
        return lines, last

    def _current(self) -> IO[bytes]:
        """Return the open file; a new one when the path leads elsewhere by now."""
        if self._stream is not None:
            try:
                is_same = os.path.samestat(os.fstat(self._stream.fileno()), self.path.lstat())
            except FileNotFoundError:
                is_same = False
            if is_same and not self._is_due(self._stream):
                return self._stream
            if is_same and self._rotation is not None:
                self._rotation.move(self.path)  # every byte of it is on the disk already
            self._release()
        return self._open()

    def _is_due(self, stream: IO[bytes]) -> bool:
        size = os.fstat(stream.fileno()).st_size
        return self._rotation is not None and size > 0 and self._rotation.is_due(size, self._began)

    def _open(self) -> IO[bytes]:
        is_new = not self.path.exists()
        stream = os.fdopen(os.open(self.path, _FLAGS, 0o600), "r+b", buffering=0)
        try:
            self._lock(stream)
            found = os.fstat(stream.fileno())
            if self._durable is not None and self._durable[0] == found.st_ino and self._durable[1] < found.st_size:
                os.ftruncate(stream.fileno(), self._durable[1])
            if self._rotation is not None:
                self._learn(newest_before(self.path))
            for log, seq in self._scan(stream).items():
                self._last[log] = max(seq, self._last.get(log, -1))
            os.fsync(stream.fileno())
            if is_new:
                _fsync_folder(self.path.parent)
        except BaseException:
            stream.close()
            raise
        found = os.fstat(stream.fileno())
        self._durable = (found.st_ino, found.st_size)
        self._stream = stream
        return stream

    def _lock(self, stream: IO[bytes]) -> None:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise StartRefused(f"The audit file {self.path} is not a regular file.", hint="Name another path.")
        try:
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageUnavailable(
                f"The audit file {self.path} is written by another process.", hint="Give each server a file of its own."
            ) from None

    def _learn(self, before: Path | None) -> None:
        """Know what is in the file that was moved away last: a batch that comes again is not written again."""
        if before is not None:
            with contextlib.suppress(OSError), before.open("rb") as reader:
                for line in reader:
                    if head := _HEAD.match(line):
                        log, seq = json.loads(head[1]), int(head[2])
                        self._last[log] = max(seq, self._last.get(log, -1))

    def _scan(self, stream: IO[bytes]) -> dict[str, int]:
        """Return the last number of each log in the file; a last line that was cut off is removed.

        Raises: StartRefused for a line that this exporter does not write: then it is somebody else's file.
        """
        last: dict[str, int] = {}
        position = 0
        self._began = None
        with os.fdopen(os.dup(stream.fileno()), "rb", buffering=1 << 20) as reader:
            reader.seek(0)
            for number, line in enumerate(reader, 1):
                head = _HEAD.match(line)
                if line.endswith(b"}\n") and head:
                    last[json.loads(head[1])] = int(head[2])
                    self._began = self._began or line
                    position += len(line)
                elif line.endswith(b"\n") or not (line.startswith(_OPENING) or _OPENING.startswith(line)):
                    raise StartRefused(
                        f"The audit file {self.path} holds something else: line {number} is not an exported record.",
                        hint="Name another path, or move that file away.",
                    )
                else:
                    os.ftruncate(stream.fileno(), position)
        return last

    def _release(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    async def _in_thread(self, call: Callable[[], T]) -> T:
        """Run `call` off the loop, one at a time. A cancelled caller waits for its end."""
        async with self._turn:
            task = asyncio.ensure_future(asyncio.to_thread(call))
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                await asyncio.wait([task])
                if not task.cancelled():
                    task.exception()  # looked at, so that it is not reported as never retrieved
                raise


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
