"""Processes that sweep chunks of a large log beside the walk. `python -m failgate.audit.sweepers` is one of them.

They are started afresh, never forked from a server with its threads and open databases, and load little. What they find
is only believed when it is clean; a process that is lost, or cannot start, leaves its chunks to the walk.
"""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import msgspec

from failgate.audit.sweep import SqlitePages, Swept, sweep_chunk

MOST_PROCESSES = 8
PATIENCE_SECONDS = 30.0  # for a chunk, which takes a tenth of one
_HOME = str(Path(__file__).resolve().parent)


class _Job(msgspec.Struct):
    """What a process is told first. `home` is the folder of this module: another one would verify by other rules."""

    home: str
    path: str
    log: str
    number: int


class Sweepers:
    """Sweeps the first `chunks` chunks of one log, in this process and `beside` others."""

    def __init__(self, path: Path, log: str, number: int, chunks: int, *, beside: int) -> None:
        """Start the other processes."""
        self._job = _Job(_HOME, str(path), log, number)
        self._chunks = chunks
        self._next = 0
        self._found: dict[int, Swept | None] = {}
        self._changed = threading.Condition()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []
        for _ in range(min(beside, chunks)):
            with contextlib.suppress(OSError):
                self._start()

    def _start(self) -> None:
        command = [sys.executable, "-P", "-m", "failgate.audit.sweepers"]
        process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        thread = threading.Thread(target=self._feed, args=(process,), name="audit-sweeper", daemon=True)
        self._processes.append(process)
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        """End the processes; what they were about to find is lost."""
        with self._changed:
            self._next = self._chunks
        for process in self._processes:
            process.kill()
        for thread in self._threads:
            thread.join()
        for process in self._processes:
            with contextlib.suppress(OSError):
                process.communicate()

    def take(self, chunk: int, pages: SqlitePages) -> Swept | None:
        """Return what was found of `chunk`; while that is on its way, sweep others here."""
        while True:
            with self._changed:
                if chunk in self._found:
                    return self._found.pop(chunk)
            other = self._claim()
            if other is not None:
                self._put(other, self._sweep(pages, other))
                continue
            with self._changed:
                if not self._changed.wait_for(lambda: chunk in self._found, PATIENCE_SECONDS):
                    return None

    def _sweep(self, pages: SqlitePages, chunk: int) -> Swept | None:
        try:
            return sweep_chunk(pages, self._job.log, self._job.number, chunk)
        except sqlite3.Error:  # the walk meets it too, when all records before are known to be good
            return None

    def _claim(self) -> int | None:
        with self._changed:
            if self._next == self._chunks:
                return None
            self._next += 1
            return self._next - 1

    def _put(self, chunk: int, swept: Swept | None) -> None:
        with self._changed:
            self._found[chunk] = swept
            self._changed.notify_all()

    def _feed(self, process: "subprocess.Popen[bytes]") -> None:
        """Give one process a chunk after the other."""
        told, heard = process.stdin, process.stdout
        assert told is not None
        assert heard is not None
        told_first = _encode(self._job) + b"\n"
        while (chunk := self._claim()) is not None:
            swept = None
            try:
                told.write(told_first + b"%d\n" % chunk)
                told.flush()
                told_first = b""
                answer = heard.readline()
                swept = _decode_answer(answer) if answer else None
            except (OSError, ValueError, msgspec.DecodeError):
                answer = b""
            finally:
                self._put(chunk, swept)
            if not answer:
                return


def processes_beside() -> int:
    """Return how many processes may run beside this one."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, MOST_PROCESSES) - 1


_encode = msgspec.json.Encoder().encode
_decode_answer = msgspec.json.Decoder(Swept | None).decode


def sweep_as_told(told: BinaryIO, put: BinaryIO) -> None:
    """Read the job and then numbers of chunks from `told`, a line each; write what is found, a line each."""
    job = msgspec.json.decode(told.readline(), type=_Job)
    if job.home != _HOME:
        return
    with SqlitePages(Path(job.path)) as pages:
        for line in told:
            put.write(_encode(sweep_chunk(pages, job.log, job.number, int(line))) + b"\n")
            put.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that was interrupted ends this one
    sweep_as_told(sys.stdin.buffer, sys.stdout.buffer)
