"""A real `failgate serve` in a process of its own, killed at will; with a fault planted when a control asks for one."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PASSWORD = "a long sentence that only this campaign knows"
CONFIG = """
[accounts]
second_factor = "optional"
[gate]
waiting_per_agent = 20000
asked_per_agent = 0
read_for = "0s"
[limits]
sockets_per_person = 20000
sockets_per_agent = 20000
"""


def clean_environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("FAILGATE_")} | more


class Server:
    """One data folder and the process over it. `fault` names a function of `faults.py`."""

    def __init__(self, folder: Path, *, fault: str | None = None, config: str = "") -> None:
        self.data = folder / "data"
        self._config = folder / "failgate.toml"
        self._config.write_text(CONFIG + config)
        self.fault = fault
        self._log = folder / "server.log"
        self.port = 0
        self.start_seconds = 0.0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Return when it listens. Raises: RuntimeError with its log."""
        program = ["-m", "failgate"] if self.fault is None else [str(HERE / "faults.py"), self.fault]
        started = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *program, "serve", *self.where(), "--listen", "127.0.0.1:0"],
                env=clean_environment(), stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.search(r"listening on http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                self.start_seconds = time.monotonic() - started
                return
        raise RuntimeError(f"the server did not start:\n{self._log.read_text()[-2000:]}")

    def admin(self, *words: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "failgate", "admin", *words, *self.where(), "--json"],
            env=clean_environment(), input=PASSWORD, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def migrate(self) -> None:
        """Bring a PostgreSQL database up to date; SQLite is, by itself."""
        subprocess.run(
            [sys.executable, "-m", "failgate", "migrate", *self.where()],
            env=clean_environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip

    def where(self) -> tuple[str, ...]:
        return "--data", str(self.data), "--config", str(self._config)

    @property
    def pid(self) -> int:
        """Return the process's number."""
        assert self._process is not None
        return self._process.pid

    def is_running(self) -> bool:
        """Tell whether it has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    def end(self, sig: int = signal.SIGKILL) -> int:
        """Send the signal and wait for the end."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, sig)
        code = self._process.wait(30)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code


_founded: dict[str, tuple[str, str]] = {}  # folder of the data that each server begins with -> key and token


@contextlib.contextmanager
def founded(folder: Path, *, fault: str | None = None, config: str = "") -> Iterator[tuple[Server, str, str]]:
    """Yield a server with a workspace, an owner's key and an agent's token; nothing of it runs afterwards."""
    server = Server(folder, fault=fault, config=config)
    for source, words in _founded.items():
        if Path(source).exists():
            shutil.copytree(source, server.data)
            key, token = words
            break
    else:
        key = server.admin("bootstrap", "--email", "o@acme.example", "--workspace", "acme", "--password-stdin")[
            "api_key"
        ]
        token = server.admin("agent", "create", "--workspace", "acme", "--name", "worker")["token"]
        source = str(folder / "founded")
        shutil.copytree(server.data, source)
        _founded[source] = key, token
    server.start()
    try:
        yield server, key, token
    finally:
        server.end()


class Connection:
    """One HTTP connection that stays open. A broken one raises ConnectionError or EOFError."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(
        self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Return status and answer."""
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        content = json.dumps(body).encode()
        more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n{more}\r\n"
        )
        self._writer.write(head.encode() + content)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        size = re.search(r"(?i)^content-length: (\d+)", answer, re.MULTILINE)
        text = await self._reader.readexactly(int(size[1])) if size else b""
        return int(answer.split(" ", 2)[1]), json.loads(text) if text else {}

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
