"""Ceph's RADOS gateway as a plain process tree: a real S3 store that checks signatures and keeps parts."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from failgate_objectstore import ObjectStoreSettings
from failgate_objectstore.leftovers import Leftovers

from failgate.base.clock import FrozenClock
from failgate.plugin import Secret
from failgate.testing import host_at

ACCESS_KEY = "AKIDFAILGATE00000001"
SECRET_KEY = "secretsecretsecretsecretsecretsecret0001"
PROGRAMS = ("radosgw", "radosgw-admin", "ceph-mon", "ceph-osd", "ceph", "monmaptool")


@dataclass(frozen=True)
class CephRgw:
    """A running gateway at `endpoint`."""

    endpoint: str

    def settings(self, bucket: str, prefix: str = "", **changes: object) -> ObjectStoreSettings:
        """Return the plugin's settings for a bucket of this gateway."""
        given: dict[str, object] = {
            "url": f"s3://{bucket}/{prefix}",
            "endpoint": self.endpoint,
            "region": "us-east-1",
            "access_key": Secret(ACCESS_KEY),
            "secret_key": Secret(SECRET_KEY),
        }
        return ObjectStoreSettings(**(given | changes))

    def make_bucket(self, bucket: str) -> None:
        """Make a bucket that does not exist."""
        status, body = self.ask("PUT", f"/{bucket}")
        assert status == 200, body

    def unfinished(self, bucket: str, prefix: str) -> int:
        """Return how many multipart uploads below the prefix are unfinished."""
        status, body = self.ask("GET", f"/{bucket}", f"prefix={quote(prefix, safe='')}&uploads=")
        assert status == 200, body
        return body.count("<Upload>")

    def ask(self, method: str, path: str, query: str = "") -> tuple[int, str]:
        """Send a signed request without body; return status and body."""
        clock = FrozenClock(int(datetime.now(UTC).timestamp() * 1_000_000))
        signer = Leftovers(self.settings("signed"), host_at(Path("/nonexistent"), clock=clock))
        url = f"{self.endpoint}{path}{'?' + query if query else ''}"
        request = urllib.request.Request(url, method=method, headers=signer._signed(method, path, query))
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()


@contextlib.contextmanager
def running() -> Iterator[CephRgw]:
    """Run a gateway on free ports until left; skip when its packages are missing."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"Ceph is not installed ({', '.join(missing)}); apt-get install radosgw ceph-mon ceph-osd")
    for _ in range(2):  # a machine under load may take a port in between
        folder = Path(tempfile.mkdtemp(prefix="rgw"))  # a short path: sockets lie in it
        try:
            endpoint = _start(folder)
            if endpoint is None:
                continue
            yield CephRgw(endpoint)
        finally:
            _end(folder)
            shutil.rmtree(folder, ignore_errors=True)
        return
    pytest.fail("Ceph did not come up in two tries")


def _start(folder: Path) -> str | None:
    """Start it; return its address, or None when it did not come up."""
    gateway, monitor = _free_port(), _free_port()
    script = [str(Path(__file__).with_name("start.sh")), str(folder), str(gateway), str(monitor)]
    try:
        subprocess.run(
            script,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=180,
            start_new_session=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    endpoint = f"http://127.0.0.1:{gateway}"
    return endpoint if _is_up(endpoint) else None


def _is_up(endpoint: str) -> bool:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(endpoint, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return True
    return False


def _end(folder: Path) -> None:
    pids = [int(file.read_text()) for file in folder.glob("*.pid")]
    for pid in pids:  # nothing of it is kept, so nothing has to end well
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() and not _is_zombie(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _free_port() -> int:
    """Return a free port below those that connections take as their own end: Ceph binds it only seconds later."""
    for _ in range(100):
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port below 32000")
