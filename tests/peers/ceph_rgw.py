"""Ceph's RADOS gateway as three plain processes: a real S3 store that checks signatures, keeps parts and locks objects.

One monitor, one OSD that keeps everything in memory, one gateway. It is up in two seconds, because nothing is asked of
the monitor that can be written into the map it begins with. The daemons are told everything by their config: one that
asked a monitor first would begin without the cluster's id, and refuse itself on a busy machine.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest
from failgate_objectstore import ObjectStoreSettings
from failgate_objectstore.signature import signed_headers

from failgate.base.clock import SystemClock
from failgate.plugin import Secret
from tests.peers.starting import PATIENCE_SECONDS, listens, wait_until_up

ACCESS_KEY = "AKIDFAILGATE00000001"
SECRET_KEY = "secretsecretsecretsecretsecretsecret0001"
PROGRAMS = ("radosgw", "radosgw-admin", "ceph-mon", "ceph-osd", "monmaptool", "osdmaptool")
_CONFIG = """
[global]
fsid = {cluster}
mon host = v1:127.0.0.1:{monitor}
ms bind msgr2 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
mon data = {folder}/mon
mon data avail crit = 1
mon allow pool size one = true
mon max pg per osd = 1000
paxos propose interval = 0.02
paxos min wait = 0.01
objecter tick interval = 0.5
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 2147483648
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
run dir = {folder}
admin socket =
pid file =
log file =
log to stderr = true
debug mon = 0/0
debug osd = 0/0
debug rgw = 0/0
debug ms = 0/0
debug rocksdb = 0/0
rgw frontends = beast endpoint=127.0.0.1:{gateway}
rgw dns name = 127.0.0.1
"""


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

    def make_bucket(self, bucket: str, *, locks: bool = False) -> None:
        """Make a bucket that does not exist, with object lock when it `locks`."""
        more = {"x-amz-bucket-object-lock-enabled": "true"} if locks else {}
        status, body = self.ask("PUT", f"/{bucket}", more=more)
        assert status == 200, body

    def unfinished(self, bucket: str, prefix: str) -> int:
        """Return how many multipart uploads below the prefix are unfinished."""
        status, body = self.ask("GET", f"/{bucket}", f"prefix={quote(prefix, safe='')}&uploads=")
        assert status == 200, body
        return body.count(b"<Upload>")

    def ask(self, method: str, path: str, query: str = "", more: dict[str, str] | None = None) -> tuple[int, bytes]:
        """Send a signed request without body, with `more` headers; return status and body."""
        netloc, now_us = self.endpoint.removeprefix("http://"), SystemClock().now_us()
        headers = signed_headers(self.settings("signed"), netloc, now_us, method, path, query, b"", more)
        url = f"{self.endpoint}{path}{'?' + query if query else ''}"
        request = urllib.request.Request(url, method=method, headers=headers | {"Accept": "application/xml"})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()


@contextlib.contextmanager
def running() -> Iterator[CephRgw]:
    """Run a gateway on free ports until left; skip when its packages are missing."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"Ceph is missing ({', '.join(missing)}): install Debian's radosgw, ceph-mon and ceph-osd")
    with (
        tempfile.TemporaryDirectory(prefix="rgw", ignore_cleanup_errors=True) as name,
        contextlib.ExitStack() as ending,
    ):
        daemons = Daemons(Path(name), free_port(), free_port())
        ending.callback(daemons.end)
        try:
            daemons.start()
        except AssertionError:  # somebody may have taken a port in between
            daemons.end()
            daemons = Daemons(Path(name) / "again", free_port(), free_port())
            ending.callback(daemons.end)
            daemons.start()
        yield CephRgw(daemons.endpoint)


@dataclass
class Daemons:
    """The three processes, with what they keep in `folder`; the gateway is started last."""

    folder: Path
    monitor: int
    gateway: int
    _running: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.gateway}"

    def start(self) -> None:
        """Raises: AssertionError with what the daemon that did not come up said."""
        for name in ("mon", "osd"):
            (self.folder / name).mkdir(parents=True)
        cluster = str(uuid4())
        config = _CONFIG.format(cluster=cluster, folder=self.folder, monitor=self.monitor, gateway=self.gateway)
        (self.folder / "ceph.conf").write_text(config)
        monitors, osds = str(self.folder / "monmap"), str(self.folder / "osdmap")
        address = f"[v1:127.0.0.1:{self.monitor}]"
        self._run("monmaptool", "--create", "--fsid", cluster, "--addv", "a", address, monitors)
        self._run("osdmaptool", "--createsimple", "1", osds)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monitors, "--osdmap", osds)
        self._run("ceph-osd", "--no-mon-config", "--mkfs", "-i", "0", "--osd-uuid", str(uuid4()))
        monitor = self._spawn("ceph-mon", "-f", "-i", "a")
        # Who asks before it listens asks again only seconds later.
        wait_until_up(monitor, self.folder / "ceph-mon.said", lambda: listens(self.monitor))
        self._spawn("ceph-osd", "-f", "--no-mon-config", "-i", "0")
        user = ["--uid=failgate", "--display-name=failgate", f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}"]
        self._run("radosgw-admin", "--no-mon-config", "user", "create", *user)
        self.start_gateway()

    def start_gateway(self) -> None:
        """Start the gateway, which keeps nothing itself. Raises: AssertionError, as `start`."""
        gateway = self._spawn("radosgw", "-f", "--no-mon-config", "-n", "client.rgw")
        wait_until_up(gateway, self.folder / "radosgw.said", self._answers)

    def signal_gateway(self, sig: signal.Signals) -> None:
        self._running[-1].send_signal(sig)

    def kill_gateway(self) -> None:
        gateway = self._running.pop()
        gateway.kill()
        gateway.wait(PATIENCE_SECONDS)

    def end(self) -> None:
        """Nothing of it is kept, so nothing has to end well."""
        for process in self._running:
            process.kill()
        for process in self._running:
            process.wait(PATIENCE_SECONDS)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(self.endpoint, timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "CEPH_CONF": str(self.folder / "ceph.conf")}

    def _run(self, *command: str) -> None:
        heard, environment = subprocess.PIPE, self._environment()
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=heard, stderr=subprocess.STDOUT, env=environment,
                timeout=PATIENCE_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"{command} has not ended, and the daemons said:\n{self._said()}") from late
        assert done.returncode == 0, f"{command} said:\n{done.stdout.decode(errors='replace')}\n{self._said()}"

    def _spawn(self, *command: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{command[0]}.said").open("wb") as heard:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=heard, stderr=heard, cwd=self.folder, env=self._environment()
            )
        self._running.append(process)
        return process

    def _said(self) -> str:
        return "\n".join(f"{file.name}: {file.read_text(errors='replace')}" for file in self.folder.glob("*.said"))


def free_port() -> int:
    """Return a free port below those that connections take as their own end: Ceph binds it only moments later."""
    for _ in range(100):
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port below 32000")
