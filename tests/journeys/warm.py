"""Servers that begin warm: one process loads what `failgate serve` loads and does nothing; each server is a copy of it.

To load it is nine tenths of a start, 0.8 s of a busy core, and the journeys start some three hundred servers. What a
copy does from its first line on is what `python -m failgate serve` does: it is a process and a session of its own, with
its own arguments, environment, folder and output. Linux only; elsewhere, and where the environment is another than the
one in which was loaded, servers begin cold, as those of `tests/cli/test_server.py` and the demo of `test_trunk.py` do.
"""

import atexit
import gc
import json
import os
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
)
_OF_EACH_TEST = {"PYTEST_CURRENT_TEST"}  # variables that say nothing to Python
_MESSAGE_BYTES = 1 << 20


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

    def begin(self, arguments: list[str], environment: dict[str, str]) -> WarmProcess:
        """Begin `python -m failgate` with `arguments`."""
        pipes = [os.pipe(), os.pipe()]
        order = {"arguments": arguments, "environment": environment, "folder": str(Path.cwd())}
        try:
            pid = self._ask(order, [write for _, write in pipes])
        finally:
            for _, write in pipes:
                os.close(write)
        return WarmProcess(self, arguments, pid, *(os.fdopen(read, encoding="utf-8") for read, _ in pipes))

    def code_of(self, pid: int) -> int:
        """Return how a process that has ended ended."""
        return self._ask({"ended": pid}, [])

    def close(self) -> None:
        """Let go of it: it ends."""
        self._control.close()
        self._process.wait(60)

    def _ask(self, order: dict, descriptors: list[int]) -> int:
        with self._lock:
            socket.send_fds(self._control, [json.dumps(order).encode()], descriptors)
            said = self._control.recv(_MESSAGE_BYTES)
        assert said, f"the process from which servers begin ended with {self._process.wait(10)}"
        return int(said)


_source: list[_Source] = []


def begin(arguments: list[str], environment: dict[str, str]) -> WarmProcess | None:
    """Begin `python -m failgate` with `arguments`; None where that cannot be done from what is loaded."""
    if not hasattr(os, "pidfd_open"):
        return None
    if not _source:
        _source.append(_Source(environment))
    changed = {name for name, _ in _source[0].environment.items() ^ environment.items()}
    return _source[0].begin(arguments, environment) if changed <= _OF_EACH_TEST else None


def _serve(control: socket.socket) -> None:
    """Load, then copy this process at each order; return in the copy, end when nobody can order any more."""
    gc.disable()
    sys.path[0] = str(Path.cwd())
    for name in _LOADED:
        import_module(name)
    gc.freeze()
    while True:
        said, descriptors, _, _ = socket.recv_fds(control, _MESSAGE_BYTES, 2)
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
    for each, standard in zip(descriptors, (1, 2), strict=True):
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
