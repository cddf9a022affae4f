"""The audit log as locked objects: bad input, and a store that loses what it took; Ceph: `test_ceph.py`. B11"""

import asyncio
import contextlib
import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from failgate_objectstore import ObjectStoreSettings, plugin
from failgate_objectstore.locked import LockedObjects

from failgate.base.clock import FrozenClock, SystemClock
from failgate.config.errors import ConfigRefused
from failgate.plugin import Duration, ExportedRecord, ExportFailed, Secret
from failgate.testing import PLANTED, exported, host_at, opened, settings_from

SECRET = "hunter2" * 6


@dataclass
class Store:
    """What an S3 with object lock answers, as far as it is asked. It checks no signature."""

    port: int = 0
    objects: dict[str, tuple[bytes, dict[str, str]]] = field(default_factory=dict)
    behaves: str = "well"

    def put(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        if self.behaves in {"403", "404", "400", "500"}:
            return int(self.behaves), PLANTED.encode()
        self.objects[path] = (body, headers)
        return 200, b""

    def retention(self, path: str) -> tuple[int, bytes]:
        if self.behaves == "loses" or path not in self.objects:
            return 404, b"<Error><Code>NoSuchObjectLockConfiguration</Code></Error>"
        headers = self.objects[path][1]
        mode, until = headers["x-amz-object-lock-mode"], headers["x-amz-object-lock-retain-until-date"]
        mode = "GOVERNANCE" if self.behaves == "weakens" else mode
        until = "2001-01-01T00:00:00Z" if self.behaves == "shortens" else until
        return 200, f"<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>".encode()

    def settings(self, **more) -> ObjectStoreSettings:
        given = {
            "url": "s3://vault/failgate", "endpoint": f"http://127.0.0.1:{self.port}", "region": "us-east-1",
            "access_key": Secret("AKID"), "secret_key": Secret(SECRET), "lock": "compliance",
            "lock_for": Duration("3650d"), "timeout": Duration("5s"),
        }  # fmt: skip
        return ObjectStoreSettings(**(given | more))


@contextlib.contextmanager
def running() -> Iterator[Store]:
    store = Store()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            self._answer(*store.put(self.path, body, headers))

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            listing = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
            self._answer(*(store.retention(path) if query == "retention=" else (200, listing)))

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    store.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def store() -> Iterator[Store]:
    with running() as one:
        yield one


def exporter_of(settings: ObjectStoreSettings, folder: Path) -> LockedObjects:
    return LockedObjects(settings, host_at(folder, clock=SystemClock(), allow_loopback=True))


async def test_an_object_names_its_records_and_is_locked_for_the_time(tmp_path, store) -> None:
    exporter = LockedObjects(store.settings(), host_at(tmp_path, clock=FrozenClock(), allow_loopback=True))
    await exporter.deliver(exported(3, 8))
    [(path, (body, headers))] = store.objects.items()
    digest = hashlib.sha256(body).hexdigest()[:16]
    assert path == f"/vault/failgate/system/000000000003-000000000007-{digest}.jsonl"
    assert headers["x-amz-object-lock-mode"] == "COMPLIANCE"
    assert headers["x-amz-object-lock-retain-until-date"] == "2033-11-11T22:13:20Z"
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/")
    for name in ("content-md5", "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"):
        assert name in headers["authorization"], "what is signed cannot be changed on the way"


async def test_the_same_batch_is_the_same_object(tmp_path, store) -> None:
    for _ in range(2):
        await exporter_of(store.settings(), tmp_path).deliver(exported(0, 5))
    assert len(store.objects) == 1


async def test_logs_have_objects_of_their_own_and_a_large_batch_has_several(tmp_path, store) -> None:
    large = [ExportedRecord("system", seq, b'{"text":"' + b"x" * 60_000 + b'"}') for seq in range(300)]
    await exporter_of(store.settings(), tmp_path).deliver([*large, *exported(0, 2, log="other")])
    keys = [re.sub(r"-[0-9a-f]{16}", "", path) for path in store.objects]
    assert len([key for key in keys if "/system/" in key]) == 3
    assert keys[-1] == "/vault/failgate/other/000000000000-000000000001.jsonl"
    assert max(len(body) for body, _ in store.objects.values()) <= 8 * 1024 * 1024


@pytest.mark.parametrize(
    ("behaves", "says"), [("loses", "no lock"), ("weakens", "keeps no lock"), ("shortens", "keeps no lock")]
)
async def test_a_store_that_takes_the_object_and_not_the_lock_has_not_taken_it(tmp_path, store, behaves, says) -> None:
    store.behaves = behaves
    with pytest.raises(ExportFailed, match=says):
        await exporter_of(store.settings(), tmp_path).deliver(exported(0, 2))


@pytest.mark.parametrize(
    ("behaves", "says"),
    [("403", "refuses the credentials"), ("404", "no such bucket"), ("400", "answered 400"), ("500", "answered 500")],
)
async def test_what_the_store_answers_is_told_without_its_words(tmp_path, store, behaves, says) -> None:
    store.behaves = behaves
    with pytest.raises(ExportFailed, match=says) as failed:
        await exporter_of(store.settings(), tmp_path).deliver(exported(0, 2))
    for secret in (PLANTED, SECRET):
        assert secret not in str(failed.value)
    store.behaves = "well"
    await exporter_of(store.settings(), tmp_path).deliver(exported(0, 2))


async def test_a_store_that_hangs_is_given_up_and_one_that_is_gone_is_named(tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = Store(silent.getsockname()[1]).settings(timeout=Duration("1s"))
        async with asyncio.timeout(10):
            with pytest.raises(ExportFailed, match="did not answer"):
                await exporter_of(settings, tmp_path).deliver(exported(0, 1))
    with pytest.raises(ExportFailed, match="cannot be reached"):
        await exporter_of(settings, tmp_path).deliver(exported(0, 1))


async def test_without_a_lock_it_is_no_exporter(tmp_path, store) -> None:
    host = host_at(tmp_path, clock=SystemClock(), allow_loopback=True)
    for lock, is_exporter in ((None, False), ("governance", True)):
        length = Duration("1d") if lock else None
        async with opened(plugin, store.settings(lock=lock, lock_for=length), host) as provides:
            assert (provides.audit_exporter is not None) == is_exporter


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('url = "s3://bucket"\nregion = "r"\nlock = "compliance"', "lock and lock_for are set together"),
        (
            'url = "az://bucket"\naccount = "abc"\naccount_key = { env = "A" }\nlock = "compliance"\nlock_for = "1d"',
            "only s3",
        ),
        ('url = "s3://bucket"\nregion = "r"\nlock = "forever"\nlock_for = "1d"', "governance"),
        ('url = "s3://bucket"\nregion = "r"\nlock = "compliance"\nlock_for = "1h"', "lock_for"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(toml: str, says: str) -> None:
    keys = '\naccess_key = { env = "A" }\nsecret_key = { env = "A" }' if "s3" in toml else ""
    with pytest.raises(ConfigRefused, match=says):
        settings_from(plugin, toml + keys, {"A": "x"})
