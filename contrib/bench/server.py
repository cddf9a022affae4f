"""Ours: a real `failgate serve` on SQLite in a folder on a real disk, with its real plugins, people and tokens."""

import asyncio
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from harness import scratch

HOST = "127.0.0.1"
WORKSPACE = "bench"
OWNER = "owner@bench.example"
REVIEWER = "reviewer@bench.example"
PASSWORD = "a long sentence that only this bench knows"
BIN = Path(sys.executable).parent
_CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')


def clean_environment(**more: str) -> dict[str, str]:
    """Return this environment without settings of ours, plus `more`."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FAILGATE_")} | more


def free_port() -> int:
    """Return a port of the loopback address that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_for_200(port: int, path: str, seconds: float, process: subprocess.Popen[bytes]) -> None:
    """Return when `path` answers 200. Raises: RuntimeError when the process ends or the time does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection(HOST, port, timeout=seconds)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.003)
    raise RuntimeError(f"nothing answered 200 at port {port} within {seconds} s")


class Server:
    """One `failgate serve`. `profile` names a file for cProfile's figures, which slow it down.

    `under` is a command that runs it, in the same process in the end.
    """

    def __init__(self, data: Path, *, profile: Path | None = None, config: str = "", under: Sequence[str] = ()) -> None:
        self.data = data
        self._under = under
        # A program that votes reads nothing.
        self._config = config if "[gate]" in config else f'[gate]\nread_for = "0s"\nasked_per_agent = 0\n{config}'
        self.port = 0
        self.token = ""
        self._profile = profile
        self._log = data.with_name(data.name + ".log")
        self.process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self.process.pid

    @property
    def origin(self) -> str:
        """The address as browsers name it."""
        return f"http://{HOST}:{self.port}"

    def start(self, seconds: float = 60) -> "Server":
        """Start it and return when it is ready."""
        self.port = free_port()
        command = (
            [str(BIN / "failgate")]
            if self._profile is None
            else [sys.executable, "-m", "cProfile", "-o", str(self._profile), "-m", "failgate"]
        )
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *self._under,
                    *command,
                    "serve",
                    *self._configured(),
                    "--data",
                    str(self.data),
                    "--listen",
                    f"{HOST}:{self.port}",
                ],
                env=clean_environment(),
                stdout=log,
                stderr=log,
                cwd=self.data.parent,
                start_new_session=True,
            )
        try:
            wait_for_200(self.port, "/readyz", seconds, self.process)
        except RuntimeError as error:
            self.stop()
            raise RuntimeError(f"{error}; its log ends:\n{self._log.read_text(errors='replace')[-2000:]}") from None
        return self

    def _configured(self) -> list[str]:
        if not self._config:
            return []
        place = self.data.with_name(self.data.name + ".toml")
        place.write_text(self._config)
        return ["--config", str(place)]

    def stop(self) -> None:
        """Stop it as an operator would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)

    def admin(self, verb: str, **arguments: object) -> dict:
        """Carry out an administrative verb through the control socket, as `failgate admin` does."""
        from failgate.cli.control import ask_server

        answer = asyncio.run(ask_server(verb, arguments, self.data))
        if answer is None:
            raise RuntimeError("the server has no control socket")
        return answer

    def found(self) -> None:
        """Make the owner, the workspace and one agent, whose token becomes `token`."""
        self.admin("bootstrap", email=OWNER, password=PASSWORD, workspace=WORKSPACE)
        self.token = self.new_agent("agent-0")

    def new_agent(self, name: str) -> str:
        """Make an agent; return its token."""
        return str(self.admin("agent.create", workspace=WORKSPACE, name=name)["token"])

    def allow(self, argv: Sequence[str]) -> None:
        """Add an exact rule."""
        self.admin("allow.add", workspace=WORKSPACE, argv=list(argv))

    def sign_in_reviewer(self) -> str:
        """Make a reviewer with a second factor, sign in over HTTP as a browser would; return the `Cookie` header."""
        import pyotp

        secret = self.admin("user.create", email=REVIEWER, password=PASSWORD, with_totp=True)["totp_secret"]
        self.admin("workspace.add_member", workspace=WORKSPACE, email=REVIEWER, role="reviewer")
        browser = Browser(self.port, self.origin)
        browser.send_form("/signin", email=REVIEWER, password=PASSWORD)
        browser.send_form("/signin/code", code=pyotp.TOTP(secret).now())
        return browser.cookie


class Browser:
    """As much of a browser as signing in needs: cookies, and the token of the form."""

    def __init__(self, port: int, origin: str) -> None:
        self._port, self._origin = port, origin
        self._cookies: dict[str, str] = {}

    @property
    def cookie(self) -> str:
        """The `Cookie` header of the visits so far."""
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def form_token(self, path: str) -> str:
        """Visit `path`; return the token of its form, which fits the cookie."""
        _, page = self._ask("GET", path)
        found = _CSRF.search(page)
        if found is None:
            raise RuntimeError(f"{path} has no form")
        return found[1]

    def page(self, path: str) -> str:
        """Visit `path`; return what is shown."""
        return self._ask("GET", path)[1]

    def send_form(self, path: str, **fields: str) -> None:
        """Fill in the form at `path` and send it."""
        token = self.form_token(path)
        status, page = self._ask("POST", path, urlencode({"csrf_token": token, "next": "/", **fields}))
        if status != 303:
            raise RuntimeError(f"{path} answered {status}: {re.sub('<[^>]+>', ' ', page)[:300]}")

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=30)
        headers = {"Cookie": self.cookie} if self._cookies else {}
        if body is not None:
            headers |= {
                "Content-Type": "application/x-www-form-urlencoded",
                "Origin": self._origin,
                "Sec-Fetch-Site": "same-origin",
            }
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        for line in answer.headers.get_all("set-cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name] = value
        text = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, text


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """Yield an empty folder on the real disk, gone afterwards."""
    place = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=scratch()))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def serving(name: str, profile: Path | None = None, config: str = "", under: Sequence[str] = ()) -> Iterator[Server]:
    """Yield a fresh server with an owner, a workspace and an agent."""
    with scratch_folder(name) as folder:
        server = Server(folder / "data", profile=profile, config=config, under=under).start()
        try:
            server.found()
            yield server
        finally:
            server.stop()


class Floor:
    """A process of `floors.py` of one kind, durable in `folder` when its kind is."""

    def __init__(self, kind: str, folder: Path | None = None) -> None:
        self.port = free_port()
        arguments = [kind, str(self.port), *([str(folder / "floor.sqlite")] if folder else [])]
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("floors.py")), *arguments], env=clean_environment()
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def wait(self) -> "Floor":
        """Return when it listens."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex((HOST, self.port)) == 0:
                    return self
            time.sleep(0.005)
        raise RuntimeError("the floor did not start")

    def stop(self) -> None:
        """Stop it."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)


@contextmanager
def floor(kind: str, *, is_durable: bool = False) -> Iterator[Floor]:
    """Yield a running floor."""
    with scratch_folder(f"floor-{kind}") as folder:
        standing = Floor(kind, folder if is_durable else None)
        try:
            yield standing.wait()
        finally:
            standing.stop()
