"""Bugsink installed and run: by uv, once, into the cache where the tests keep their peers, each run in an empty folder.

Set up as its authors describe for one server: gunicorn with four workers, `snappea` digesting behind it, SQLite. Its
maxima of events are raised, since a full quota would be fast. Needs uv and a Python 3.12 or later that uv finds;
`FAILGATE_BENCH_PYTHON` names one. Source: https://www.bugsink.com/docs/.
"""

import fcntl
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness import Absent
from server import HOST, clean_environment, free_port, scratch_folder

VERSION = "2.6.2"
INSTALLING_SECONDS = 600
STARTING_SECONDS = 60
_SETTINGS = """
SECURE_PROXY_SSL_HEADER = None
USE_X_REAL_IP = False
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = False
BUGSINK |= {"BASE_URL": "http://%s:%d", "PHONEHOME": False}
ALLOWED_HOSTS = ["*"]
for _reach in ("5_MINUTES", "HOUR", "MONTH"):
    BUGSINK |= {"MAX_EVENTS_PER_" + _reach: 10**9, "MAX_EVENTS_PER_PROJECT_PER_" + _reach: 10**9}
"""
_PROJECT = """
from projects.models import Project
made = Project.objects.create(name="bench")
print("project", made.id, made.sentry_key.hex)
"""


@contextmanager
def running() -> Iterator[tuple[str, str]]:
    """Yield the DSN of a Bugsink of this run, and the file of its database. Raises: Absent."""
    programs = _installed()
    with scratch_folder("bugsink") as folder, ExitStack() as stack:
        port = free_port()
        environment = clean_environment(
            DJANGO_SETTINGS_MODULE="bugsink_conf", PYTHONPATH=str(folder), PATH=f"{programs}:{os.environ['PATH']}"
        )
        _run(programs, folder, environment, "bugsink-create-conf", "--template=singleserver", f"--base-dir={folder}")
        with (folder / "bugsink_conf.py").open("a") as settings:
            settings.write(_SETTINGS % (HOST, port))
        _run(programs, folder, environment, "bugsink-manage", "migrate")
        _run(programs, folder, environment, "bugsink-manage", "migrate", "snappea", "--database=snappea")
        said = _run(programs, folder, environment, "bugsink-manage", "shell", "-c", _PROJECT)
        found = re.search(r"^project (\d+) ([0-9a-f]+)$", said, re.MULTILINE)
        if found is None:
            raise Absent(f"installed, but makes no project: {said[-300:]}")
        stack.enter_context(_process(programs, folder, environment, "bugsink-runsnappea"))
        server = ("gunicorn", "--workers=4", f"--bind={HOST}:{port}", "bugsink.wsgi")
        process = stack.enter_context(_process(programs, folder, environment, *server))
        _wait(port, process, folder)
        yield f"http://{found[2]}@{HOST}:{port}/{found[1]}", str(folder / "db.sqlite3")


def _installed() -> Path:
    """Return the folder of its programs, installed at the first use. Raises: Absent."""
    if shutil.which("uv") is None:
        raise Absent("not installed: it is fetched by uv, which is not here; or set FAILGATE_BENCH_BUGSINK.")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "failgate-peers"
    place = cache / f"bugsink-{VERSION}"
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "installed").exists():
            print(f"installing Bugsink {VERSION} into {place} …", file=sys.stderr, flush=True)
            overrides = place / "overrides.txt"
            overrides.write_text("certifi>=2025\n")  # what it pins is older than what its own libraries ask for
            python = os.environ.get("FAILGATE_BENCH_PYTHON", ">=3.12")
            _uv("venv", "--allow-existing", "--python", python, str(place / "venv"))
            _uv(
                "pip", "install", "--python", str(place / "venv"), "--override", str(overrides), f"bugsink=={VERSION}"
            )  # fmt: skip
            (place / "installed").touch()
    return place / "venv" / "bin"


def _uv(*arguments: str) -> None:
    try:
        done = subprocess.run(
            ["uv", *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=INSTALLING_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise Absent(f"not installed: uv {arguments[0]} took over {INSTALLING_SECONDS} s.") from error
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:]
        raise Absent(
            f"not installed: uv {arguments[0]} says {' '.join(reason)!r}; it needs Python 3.12, which "
            "FAILGATE_BENCH_PYTHON may name."
        )


def _run(programs: Path, folder: Path, environment: Mapping[str, str], *command: str) -> str:
    done = subprocess.run(
        [str(programs / command[0]), *command[1:]], cwd=folder, env=environment, check=False, capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    if done.returncode != 0:
        raise Absent(f"installed, but {command[0]} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout


@contextmanager
def _process(
    programs: Path, folder: Path, environment: Mapping[str, str], *command: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of its processes with its children, and end all of them."""
    with (folder / f"{command[0]}.log").open("wb") as log:
        process = subprocess.Popen(
            [str(programs / command[0]), *command[1:]], cwd=folder, env=environment, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        for word in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, word)
                process.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def _wait(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection(HOST, port, timeout=STARTING_SECONDS)
        try:
            connection.request("GET", "/health/ready")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
    raise Absent(f"installed, but it did not start: {(folder / 'gunicorn.log').read_text()[-300:]}")
