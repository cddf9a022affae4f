"""A real server in a process of its own, a real command line, a real browser."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from threading import Thread

import pytest

from tests.journeys import warm
from tests.journeys.warm import WarmProcess
from tests.peers.starting import PATIENCE_SECONDS

# The shell draws pages and nothing around them, neither a window nor a tab for each: a third of the work.
CHROMIUM, SHELL = Path("/usr/bin/chromium"), Path("/usr/bin/chromium-headless-shell")
NewDatabase = Callable[[], str | None]
# A test of a module's server that says nothing about its database: the doors it walks through are tested on both.
on_sqlite = pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize("new_database", ["postgres"], indirect=True)
BROWSER_OPTIONS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]


def clean_environment(**extra: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FAILGATE_")}
    return {**kept, "NO_COLOR": "1", "PYTHONWARNINGS": "error", **extra}


def failgate(
    *arguments: str,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    timeout: float = PATIENCE_SECONDS,
    is_warm: bool = True,
) -> "subprocess.CompletedProcess[str]":
    """Run the command line to its end; `is_warm`: begun from what is loaded already."""
    environment = clean_environment(**(env or {}))
    with TemporaryFile() as told:
        told.write((stdin or "").encode())
        told.seek(0)
        process = warm.begin([*arguments], environment, folder=cwd, stdin=told.fileno()) if is_warm else None
    if process is not None:
        said, heard = process.communicate(timeout)
        return subprocess.CompletedProcess(process.args, process.wait(), said, heard)
    return subprocess.run(
        [sys.executable, "-m", "failgate", *arguments],
        env=environment,
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def with_optional_factor(config: str) -> str:
    """Let people of tests do without a second factor, unless the config says otherwise."""
    return _with("accounts", "second_factor", '"optional"', config)


def with_hasty_people(config: str) -> str:
    """Let people of tests approve as fast as programs click, unless the config says otherwise."""
    return _with("gate", "read_for", '"0s"', config)


def with_any_host(config: str) -> str:
    """Let tests name any host as a webhook, and put little space by, unless the config says otherwise."""
    return _with("database", "reserve", '"64KiB"', _with("server", "outbound_hosts", '["*"]', config))


def _with(section: str, key: str, value: str, config: str) -> str:
    if key in config:
        return config
    head, setting = f"[{section}]\n", f"{key} = {value}\n"
    return config.replace(head, head + setting) if head in config else head + setting + config


def old_path(link: str) -> str:
    """Return the path at which `link` (`/link#TOKEN`) works with its token in the address."""
    token = link.strip().rpartition("#")[2]
    kinds = {"fg_inv_": "/invite?token=", "fg_rst_": "/reset/new?token=", "fg_shr_": "/s/", "setup.": "/setup?token="}
    return next(place + token.removeprefix("setup.") for kind, place in kinds.items() if token.startswith(kind))


class Server:
    """`failgate serve` on a free port of the loopback address; `is_warm`: begun from what is loaded already."""

    def __init__(
        self,
        data: Path,
        *,
        database_url: str | None = None,
        config: str = "",
        arguments: tuple[str, ...] = (),
        is_warm: bool = True,
    ) -> None:
        self.data = data
        self.config = data.parent / f"{data.name}.toml"
        text = config
        if database_url is not None and database_url.startswith("postgresql"):
            text = f'[database]\nurl = "{database_url}"\n{config}'
        self.config.write_text(with_optional_factor(text))
        self.arguments = arguments
        self.lines: list[str] = []
        self.logs: list[str] = []
        self.url = ""
        self.is_warm = is_warm
        self.process: subprocess.Popen[str] | WarmProcess | None = None

    def start(self, timeout: float = PATIENCE_SECONDS) -> "Server":
        self.config.write_text(with_hasty_people(with_any_host(self.config.read_text())))
        arguments = ["serve", "--config", str(self.config), "--data", str(self.data), "--listen", "127.0.0.1:0"]
        self.process = self._begun([*arguments, *self.arguments], clean_environment())
        self.lines, self.logs = [], []
        for stream, kept in ((self.process.stdout, self.lines), (self.process.stderr, self.logs)):
            Thread(target=_read_to_end, args=(stream, kept), daemon=True).start()
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            found = [m[1] for line in list(self.lines) if (m := re.search(r"listening on (http\S+)", line))]
            if found:
                self.url = found[0]
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError("the server did not start:\n" + "".join(self.lines + self.logs))

    def _begun(self, arguments: list[str], environment: dict[str, str]) -> "subprocess.Popen[str] | WarmProcess":
        return (warm.begin(arguments, environment) if self.is_warm else None) or subprocess.Popen(
            [sys.executable, "-m", "failgate", *arguments],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def line(self, pattern: str, timeout: float = 60) -> re.Match[str]:
        """Wait for a printed line that matches."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for line in list(self.lines):
                if match := re.search(pattern, line):
                    return match
            time.sleep(0.01)
        raise AssertionError(f"no line like {pattern!r} in\n" + "".join(self.lines))

    def logged(self, event: str, timeout: float = 60, **members: object) -> dict:
        """Wait until the log says `event` with these members, and return that entry: another thread reads the log."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for line in [line for line in list(self.logs) if event in line]:
                entry = json.loads(line)
                if entry["event"] == event and members.items() <= entry.items():
                    return entry
            time.sleep(0.01)
        raise AssertionError(f"no {event!r} with {members} in\n" + "".join(self.logs))

    def stop(self, sig: int = signal.SIGTERM, timeout: float = 30) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            code = self.process.wait(timeout)
            if code != 0:
                sys.stderr.write(f"the server ended with {code}:\n" + "".join(self.logs[-50:]))
            return code
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise

    def kill(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(60)

    def admin(self, *arguments: str, stdin: str | None = None) -> dict:
        end = arguments.index("--") if "--" in arguments else len(arguments)
        place = ("--json", "--data", str(self.data), "--config", str(self.config))
        result = failgate("admin", *arguments[:end], *place, *arguments[end:], stdin=stdin)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def verify(self, *arguments: str):
        return failgate("audit", "verify", *arguments, "--data", str(self.data), "--config", str(self.config))


def _read_to_end(stream, kept: list[str]) -> None:
    with stream:
        for line in stream:
            kept.append(line)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def at_port(server: Server, more: str = "", *, host: str = "127.0.0.1") -> Server:
    """Have `server` listen at an address that is known before it starts, as who leads back to us must know it.

    `more` are further settings of `[server]`.
    """
    port = free_port()
    server.config.write_text(
        f'[server]\npublic_url = "http://{host}:{port}"\nallow_loopback = true\n{more}\n{server.config.read_text()}'
    )
    server.arguments = (*server.arguments, "--listen", f"127.0.0.1:{port}")
    return server


@contextmanager
def running(server: Server):
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def browser(*options: str, is_whole: bool = False):
    """A Chromium with more `options` of its command line; skip where there is none.

    `is_whole`: not its shell, which shows no notifications.
    """
    named = os.environ.get("FAILGATE_CHROMIUM")
    program = Path(named) if named else SHELL if SHELL.exists() and not is_whole else CHROMIUM
    if not program.exists():
        pytest.skip(f"Chromium is missing at {program}: install the package `chromium`, or set FAILGATE_CHROMIUM")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)  # ms; of five seconds a busy machine takes four to draw a page
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=str(program), args=[*BROWSER_OPTIONS, *options], timeout=PATIENCE_SECONDS * 1000
        )
        try:
            yield chromium
        finally:
            chromium.close()
