"""A person at a terminal: a shell with job control on a pseudo-terminal, keys typed, what shows awaited."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

SECONDS = 30.0
PROMPT = b"seat> "


class Seat:
    """`bash` with job control; `failgate` is a function that runs ours."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = dict(environment) | {"TERM": "xterm", "PS1": PROMPT.decode(), "HISTFILE": ""}
        self._folder = folder
        self.shown = b""
        self._seen = 0

    def __enter__(self) -> Self:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(self._folder)
            os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], self._environment)
        self.resize(100, 30)
        self.wait_for(PROMPT)
        self.type(f'failgate() {{ {sys.executable} -m failgate "$@"; }}; stty -tostop\n')
        self.wait_for(PROMPT)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        os.waitpid(self.pid, 0)

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait_for(self, text: bytes) -> bytes:
        """Return what showed since the last wait, up to and with `text`."""
        until = time.monotonic() + SECONDS
        while (at := self.shown.find(text, self._seen)) < 0:
            ready, _, _ = select.select([self.fd], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"{text!r} never showed; there is {self.shown[self._seen :]!r}"
            self.shown += os.read(self.fd, 65536)
        found = self.shown[self._seen : at + len(text)]
        self._seen = at + len(text)
        return found

    def run(self, line: str) -> bytes:
        """Type a line and return what showed until the next prompt."""
        self.type(line + "\n")
        self.wait_for(line.encode() + b"\r\n")
        return self.wait_for(PROMPT)

    @property
    def is_cooked(self) -> bool:
        """Tell whether the terminal echoes and makes signals of keys, as a shell gives it to a program."""
        modes = termios.tcgetattr(self.fd)
        wanted = termios.ECHO | termios.ICANON | termios.ISIG
        return bool(modes[3] & wanted == wanted and modes[1] & termios.OPOST)
