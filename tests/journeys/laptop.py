"""A machine of a developer: its reports, its command line, and the line to the server that it has."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from failgate.base.ids import new_id
from failgate.client.report_folder import ReportWriter
from failgate.wire.reports import ArtifactKind, EnvironmentSummary, Manifest, Redaction
from tests.journeys.harness import Server, clean_environment

LARGE_BYTES = 24 << 20


class Line:
    """A line to the server that is cut after so many bytes, as often as it is told, and slow when it is told."""

    def __init__(self, server: Server) -> None:
        self._target = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut_after: list[int] = []
        self.carried = 0
        self.pause_seconds = 0.0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        with near, suppress(OSError), socket.create_connection(self._target) as far:
            threading.Thread(target=self._back, args=(far, near), daemon=True).start()
            carried = 0
            while piece := _received(near):
                carried += len(piece)
                self.carried += len(piece)
                far.sendall(piece)
                time.sleep(self.pause_seconds)
                if self.cut_after and carried > self.cut_after[0]:
                    self.cut_after.pop(0)
                    near.shutdown(socket.SHUT_RDWR)
                    far.shutdown(socket.SHUT_RDWR)
                    return

    def _back(self, far: socket.socket, near: socket.socket) -> None:
        while piece := _received(far):
            try:
                near.sendall(piece)
            except OSError:
                return


def _received(link: socket.socket) -> bytes:
    try:
        return link.recv(1 << 16)
    except OSError:
        return b""


class Laptop:
    """A machine with a report of a small and a large artifact."""

    def __init__(self, folder: Path, key: str, line: Line) -> None:
        self.folder, self.line = folder, line
        self.environment = clean_environment(
            FAILGATE_HOME=str(folder / "home"), FAILGATE_TOKEN=key, FAILGATE_WORKSPACE="acme", FAILGATE_URL=line.url
        )

    def report(self, size_bytes: int = LARGE_BYTES) -> str:
        with ReportWriter(self.folder, new_id()) as writer:
            with writer.adding("output.txt", "output", "text/plain") as file:
                file.write(f"1 failed of {new_id()}\n".encode())
            with writer.adding("core.bin", "file", "application/octet-stream") as file:
                for _ in range(size_bytes >> 16):
                    file.write(b"\0" + os.urandom((1 << 16) - 1))
            nothing = EnvironmentSummary(names=[], values={}, platform="Linux")
            made = Manifest(
                1, writer.report_id, "2026-01-02T03:04:05.000000Z", ["make"], "/w", "h", 2, 5, nothing, writer.artifacts,
                [], "1",
            )  # fmt: skip
            return writer.finish(made).manifest.id

    def holding(self, redactions: list[Redaction], **contents: tuple[str, ArtifactKind, bytes]) -> str:
        """Make a report of these artifacts, each with its name; return its id."""
        with ReportWriter(self.folder, new_id()) as writer:
            for name, kind, content in contents.values():
                with writer.adding(name, kind, "text/plain") as file:
                    file.write(content)
            summary = EnvironmentSummary(names=["HOME", "LANG"], values={"LANG": "C.UTF-8"}, platform="Linux 6.1")
            made = Manifest(
                1, writer.report_id, "2026-11-20T03:04:05.000000Z", ["pytest", "-q", "tests/test_cart.py"], "/src/shop",
                "laptop", 1, 2310, summary, writer.artifacts, redactions, "3",
            )  # fmt: skip
            return writer.finish(made).manifest.id

    @contextmanager
    def reviewing(self, *arguments: str) -> Iterator["Reviewing"]:
        """Review a report in the browser, without one being opened."""
        process = self.start("review", "--browser", "--no-open", *arguments)
        going = Reviewing(process)
        try:
            yield going.begun()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            going.ended()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "failgate", "report", *arguments],
            env=self.environment, cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip

    def run(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        process = self.start(*arguments)
        said, heard = process.communicate(stdin, timeout=120)
        return process.returncode, said, heard


class Reviewing:
    """A review in the browser: its process, its link, what the terminal said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []
        self.printed = ""
        self.link = self.origin = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)

    def begun(self, seconds: float = 60) -> "Reviewing":
        """Wait for the link."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            if found := re.search(r"(http://127\.0\.0\.1:\d+)/\S+", "".join(list(self.said))):
                self.link, self.origin = found[0], found[1]
                return self
            time.sleep(0.02)
        raise AssertionError("no link:\n" + "".join(self.said))

    def ended(self, seconds: float = 30) -> int:
        """Wait for the end; return the exit code."""
        code = self.process.wait(seconds)
        self._reader.join(seconds)
        if self.process.stdout is not None and not self.process.stdout.closed:
            self.printed = self.process.stdout.read()
            for stream in (self.process.stdout, self.process.stderr, self.process.stdin):
                if stream is not None:
                    stream.close()
        return code
