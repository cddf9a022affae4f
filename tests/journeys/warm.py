"""Servers and commands that begin warm: one process loads what `failgate serve` loads and does nothing; each is a copy.

To load it is nine tenths of a start, 0.8 s of a busy core, and the journeys start some three hundred servers and as many
commands. What a copy does from its first line on is what `python -m failgate` does: it is a process and a session of its
own, with its own arguments, environment, folder, input and output. Linux only; elsewhere, and where Python reads at its
start another environment than the one in which was loaded, it begins cold, as everything of `tests/cli/test_server.py`
and the demo of `test_trunk.py` does.
"""

import atexit
import gc
import json
import os
import re
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import IO

_LOADED = (
    "failgate.cli.main",
    "failgate.cli.commands",
    "failgate.cli.server",
    "failgate.loader.finding",
    "failgate.base.log",
    "failgate.administration.administration",
    "failgate.assembly",
    "failgate.web.control",
    "failgate.web.serve",
    "uvloop",
    "failgate.cli.audit",
    "failgate.cli.backup",
    "failgate.client.run",
)
_READ_WHEN_ASKED = re.compile(
    r"PYTEST_CURRENT_TEST|HOME|PATH|XDG_RUNTIME_DIR|FAILGATE_\w+"
)  # variables that say nothing to Python
PATIENCE_AFTER_ITS_LAST_WORD = 60.0  # seconds
_MESSAGE_BYTES = 100_000  # of one message between the two; a command with longer words begins cold


class WarmProcess:
    """A process that the loaded one began: what the journeys use of `subprocess.Popen`."""

    def __init__(self, source: "_Source", arguments: list[str], pid: int, stdout: IO[str], stderr: IO[str]) -> None:
        self._source = source
        self._pidfd = os.pidfd_open(pid)
        self.args = arguments
        self.pid = pid
        self.stdout = stdout
        self.stderr = stderr
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return how it ended, as `subprocess` says it; None while it runs."""
        return self._ended_within(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, at most `timeout` seconds; return how.

        Raises: subprocess.TimeoutExpired.
        """
        code = self._ended_within(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Read what it says to its end, at most `timeout` seconds; return its output and its errors.

        Raises: subprocess.TimeoutExpired, of a process that is ended by then.
        """
        said = ["", ""]

        def read(which: int, stream: IO[str]) -> None:
            with stream:
                said[which] = stream.read()

        readers = [
            threading.Thread(target=read, args=one, daemon=True) for one in enumerate((self.stdout, self.stderr))
        ]
        until = time.monotonic() + timeout
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(max(0.0, until - time.monotonic()))
        if any(reader.is_alive() for reader in readers):
            self.kill()
            raise subprocess.TimeoutExpired(self.args, timeout)
        self.wait(PATIENCE_AFTER_ITS_LAST_WORD)
        return said[0], said[1]

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._pidfd, sig)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _ended_within(self, seconds: float | None) -> int | None:
        if self.returncode is None:
            waiting = select.poll()  # select() knows no descriptor above a thousand
            waiting.register(self._pidfd, select.POLLIN)
            if waiting.poll(None if seconds is None else seconds * 1000):
                self.returncode = self._source.code_of(self.pid)
                os.close(self._pidfd)
        return self.returncode


class _Source:
    """The loaded process, as the tests see it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                env=environment, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),), start_new_session=True,
            )  # fmt: skip
        atexit.register(self.close)

    def begin(self, order: bytes, arguments: list[str], stdin: int | None) -> WarmProcess:
        """Begin `python -m failgate` as `order` says, with the descriptor `stdin` for its input, or none."""
        pipes = [os.pipe(), os.pipe()]
        try:
            pid = self._ask(order, [*(write for _, write in pipes), *([] if stdin is None else [stdin])])
        finally:
            for _, write in pipes:
                os.close(write)
        return WarmProcess(self, arguments, pid, *(os.fdopen(read, encoding="utf-8") for read, _ in pipes))

    def code_of(self, pid: int) -> int:
        """Return how a process that has ended ended."""
        return self._ask(json.dumps({"ended": pid}).encode(), [])

    def close(self) -> None:
        """Let go of it: it ends."""
        self._control.close()
        self._process.wait(60)

    def _ask(self, order: bytes, descriptors: list[int]) -> int:
        with self._lock:
            socket.send_fds(self._control, [order], descriptors)
            said = self._control.recv(_MESSAGE_BYTES)
        assert said, f"the process from which servers begin ended with {self._process.wait(10)}"
        return int(said)


_source: list[_Source] = []


def begin(
    arguments: list[str], environment: dict[str, str], *, folder: Path | None = None, stdin: int | None = None
) -> WarmProcess | None:
    """Begin `python -m failgate` with `arguments` in `folder`; None where that cannot be done from what is loaded.

    `stdin` is the descriptor of its input; without one it has none.
    """
    if not hasattr(os, "pidfd_open"):
        return None
    if not _source:
        _source.append(_Source(environment))
    told = {"arguments": arguments, "environment": environment, "folder": str(folder or Path.cwd())}
    order = json.dumps(told).encode()
    changed = {name for name, _ in _source[0].environment.items() ^ environment.items()}
    if len(order) > _MESSAGE_BYTES or not all(map(_READ_WHEN_ASKED.fullmatch, changed)):
        return None
    return _source[0].begin(order, arguments, stdin)


def _serve(control: socket.socket) -> None:
    """Load, then copy this process at each order; return in the copy, end when nobody can order any more."""
    gc.disable()
    sys.path[0] = str(Path.cwd())
    for name in _LOADED:
        import_module(name)
    gc.freeze()
    while True:
        said, descriptors, _, _ = socket.recv_fds(control, _MESSAGE_BYTES, 3)
        if not said:
            control.close()
            sys.exit(0)
        order = json.loads(said)
        if "ended" in order:
            _, status = os.waitpid(order["ended"], 0)
            control.send(str(os.waitstatus_to_exitcode(status)).encode())
            continue
        pid = os.fork()
        if pid == 0:
            control.close()
            _become(order, descriptors)
            return
        for each in descriptors:
            os.close(each)
        control.send(str(pid).encode())


def _become(order: dict, descriptors: list[int]) -> None:
    os.setsid()
    for each, standard in zip(descriptors, (1, 2, 0), strict=False):  # without an input it has that of the source: none
        os.dup2(each, standard)
        os.close(each)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    sys.path[0] = order["folder"]
    sys.argv[1:] = order["arguments"]
    gc.enable()


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("failgate", run_name="__main__", alter_sys=True)
