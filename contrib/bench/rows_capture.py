"""Row 26: what a capture adds to a command. Row 17: a recording of 8 MB through a pseudo-terminal."""

import os
import pty
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness import Absent, Measure, Row, Sample, Side
from server import BIN, WORKSPACE, clean_environment, serving

FLOOD = 256 << 20
SHOWN = 8_000_000


def _throughput(command: Sequence[str], size: int, code: int) -> Measure:
    """Measure the bytes a second that a reader of the command's output gets, whole process."""

    def measure() -> Sample:
        with tempfile.TemporaryDirectory() as folder:
            environment = clean_environment(HOME=folder, FAILGATE_HOME=folder)
            started = time.perf_counter()
            child = subprocess.Popen(
                command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            assert child.stdout is not None
            read = 0
            while piece := os.read(child.stdout.fileno(), 1 << 20):
                read += len(piece)
            child.stdout.close()
            ended = child.wait()
            seconds = time.perf_counter() - started
        if (read, ended) != (size, code):
            raise RuntimeError(f"{command} gave {read} bytes and ended with {ended}")
        return Sample(size / seconds / 1e6)

    return measure


def _start(command: Sequence[str], number: int) -> Measure:
    def measure() -> Sample:
        seconds = []
        with tempfile.TemporaryDirectory() as folder:
            environment = clean_environment(HOME=folder, FAILGATE_HOME=folder)
            for _ in range(number):
                started = time.perf_counter()
                subprocess.run(command, env=environment, cwd=folder, check=True)
                seconds.append(time.perf_counter() - started)
        return Sample(statistics.median(seconds) * 1000)

    return measure


def _terminal(command: Sequence[str], size: int, **variables: str) -> Measure:
    """Measure the same on a terminal of 80 by 24, where the command gets one of its own."""

    def measure() -> Sample:
        with tempfile.TemporaryDirectory() as folder:
            environment = clean_environment(HOME=folder, FAILGATE_HOME=folder, TERM="xterm", **variables)
            started = time.perf_counter()
            pid, terminal = pty.fork()
            if pid == 0:
                os.chdir(folder)
                os.execve(command[0], list(command), environment)
            read = 0
            while True:
                try:
                    piece = os.read(terminal, 1 << 16)
                except OSError:
                    break
                read += len(piece)
            os.waitpid(pid, 0)
            os.close(terminal)
            seconds = time.perf_counter() - started
        if read < size:
            raise RuntimeError(f"{command} showed {read} bytes")
        return Sample(size / seconds / 1e6)

    return measure


def _side(name: str, measure: Measure) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        yield measure

    return Side(name, opened)


@contextmanager
def _recorded(cat: str, size: int) -> Iterator[Measure]:
    """Measure a recording that a server of our own has to the end, with its last link, before the process ends."""
    script = str(Path(__file__).with_name("recording.py"))
    with serving("recording") as server:
        yield _terminal(
            [sys.executable, script, "/bin/sh", "-c", cat], size,
            FAILGATE_URL=server.origin, FAILGATE_TOKEN=server.token, FAILGATE_WORKSPACE=WORKSPACE,
        )  # fmt: skip


def _peer(name: str, program: str, arguments: Sequence[str], size: int) -> Side:
    @contextmanager
    def opened() -> Iterator[Measure]:
        found = shutil.which(program)
        if found is None:
            raise Absent(f"not installed; apt-get install {program}")
        yield _terminal([found, *arguments], size)

    return Side(name, opened)


def rows(*, is_quick: bool) -> list[Row]:
    """Return rows 17 and 26."""
    flood = FLOOD >> 5 if is_quick else FLOOD
    shown = SHOWN >> 4 if is_quick else SHOWN
    number = 3 if is_quick else 15
    failgate = str(BIN / "failgate")
    writing = f"head -c {flood} /dev/zero"
    cat = f"yes 'a line of the log of a build, as long as most' | head -c {shown}"
    return [
        Row(
            17, "record 8 MB through a pseudo-terminal, redacted, streamed in chained chunks", "MB/s",
            Side("the recorder of failgate shell", lambda: _recorded(cat, shown)),
            _side("floor: the bare command", _terminal(["/bin/sh", "-c", cat], shown)),
            peers=(
                _side("failgate capture --pty", _terminal([failgate, "capture", "--", "sh", "-c", cat], shown)),
                _peer("asciinema", "asciinema", ["rec", "-q", "-c", cat, "out.cast"], shown),
                _peer("script", "script", ["-q", "-c", cat, "out"], shown),
            ),
            notes=("whole processes: ours ends when the server keeps the last chunk; row 26 b has a start alone",),
        ),
        Row(
            26, "capture overhead: 256 MiB through pipes, kept, not failed", "MB/s",
            _side("failgate capture", _throughput([failgate, "capture", "--", "sh", "-c", writing], flood, 0)),
            _side("floor: the bare command", _throughput(["sh", "-c", writing], flood, 0)), label="26 a",
        ),
        Row(
            26, "capture overhead: whole process of `true`", "median ms",
            _side("failgate capture", _start([failgate, "capture", "--", "true"], number)),
            _side("floor: python -I -S -c pass", _start([sys.executable, "-I", "-S", "-c", "pass"], number)),
            higher_is_better=False, absolute=120.0, label="26 b",
            peers=(_side("the bare command", _start(["true"], number)),),
        ),
    ]  # fmt: skip
