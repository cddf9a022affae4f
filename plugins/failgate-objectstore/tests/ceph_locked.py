"""The audit log as locked objects in a real store, Ceph's RADOS gateway: kept, and not to be deleted. B11

Run it by its name, as `ceph_bucket.py`.
"""

import contextlib
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest
from failgate_objectstore import ObjectStoreSettings, plugin
from failgate_objectstore.signature import signed_headers

from failgate.base.clock import SystemClock
from failgate.plugin import Duration, ExportedRecord, ExportFailed, Secret
from failgate.testing import ExporterContract, exported, host_at, opened
from tests.peers.ceph_rgw.peer import CephRgw, running

BUCKET = "vault"


def ask(rgw: CephRgw, method: str, path: str, query: str = "", more: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Send a signed request without body; return status and body."""
    settings = rgw.settings("signed")
    netloc = rgw.endpoint.removeprefix("http://")
    headers = signed_headers(settings, netloc, SystemClock().now_us(), method, path, query, b"", more)
    url = f"{rgw.endpoint}{path}{'?' + query if query else ''}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method, headers=headers), timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def versions(rgw: CephRgw, prefix: str) -> list[tuple[str, str]]:
    """Return key and version of every object below the prefix, those first that came first."""
    status, body = ask(rgw, "GET", f"/{BUCKET}", f"prefix={quote(prefix, safe='')}&versions=")
    assert status == 200, body
    found = []
    for one in re.findall(r"<Version>(.*?)</Version>", body.decode(), re.DOTALL):
        key, version, at = (re.search(f"<{tag}>([^<]+)<", one)[1] for tag in ("Key", "VersionId", "LastModified"))
        found.append((at, key, version))
    return [(key, version) for _, key, version in sorted(found)]


@pytest.fixture(scope="module")
def rgw() -> Iterator[CephRgw]:
    with running() as peer:
        status, body = ask(peer, "PUT", f"/{BUCKET}", more={"x-amz-bucket-object-lock-enabled": "true"})
        assert status == 200, body
        peer.make_bucket("unlocked")
        yield peer


@pytest.fixture
def prefix() -> str:
    return uuid4().hex


def settings_of(rgw: CephRgw, prefix: str, bucket: str = BUCKET, **more: object) -> ObjectStoreSettings:
    return rgw.settings(bucket, prefix, lock="compliance", lock_for=Duration("2d"), **more)


@contextlib.asynccontextmanager
async def exporter_of(settings: ObjectStoreSettings, folder: Path):
    async with opened(plugin, settings, host_at(folder, clock=SystemClock(), allow_loopback=True)) as provides:
        assert provides.audit_exporter is not None
        yield provides.audit_exporter


def read(rgw: CephRgw, prefix: str) -> list[ExportedRecord]:
    found = []
    for key, version in versions(rgw, prefix):
        status, body = ask(rgw, "GET", f"/{BUCKET}/{key}", f"versionId={quote(version, safe='')}")
        assert status == 200
        for line in body.splitlines():
            value = json.loads(line)
            found.append(ExportedRecord(value["log"], value["seq"], line.split(b'"record":', 1)[1][:-1]))
    return found


class TestOnCeph(ExporterContract):
    @pytest.fixture
    def open_exporter(self, rgw: CephRgw, prefix: str, tmp_path: Path):
        return lambda: exporter_of(settings_of(rgw, prefix), tmp_path)

    @pytest.fixture
    def read_delivered(self, rgw: CephRgw, prefix: str):
        async def of_prefix():
            return read(rgw, prefix)

        return of_prefix


async def test_what_was_delivered_cannot_be_deleted(rgw, prefix, tmp_path) -> None:
    async with exporter_of(settings_of(rgw, prefix), tmp_path) as exporter:
        await exporter.deliver(exported(0, 5))
    [(key, version)] = versions(rgw, prefix)
    status, body = ask(rgw, "DELETE", f"/{BUCKET}/{key}", f"versionId={quote(version, safe='')}")
    assert status == 403, body
    bypass = {"x-amz-bypass-governance-retention": "true"}
    assert ask(rgw, "DELETE", f"/{BUCKET}/{key}", f"versionId={quote(version, safe='')}", bypass)[0] == 403
    assert read(rgw, prefix) == exported(0, 5)


async def test_a_bucket_without_object_lock_takes_nothing(rgw, prefix, tmp_path) -> None:
    async with exporter_of(settings_of(rgw, prefix, "unlocked"), tmp_path) as exporter:
        with pytest.raises(ExportFailed, match=r"object store"):
            await exporter.deliver(exported(0, 2))


async def test_a_wrong_secret_is_refused_at_the_start(rgw, prefix, tmp_path) -> None:
    from failgate.plugin import StartRefused

    with pytest.raises(StartRefused, match="credentials"):
        async with exporter_of(settings_of(rgw, prefix, secret_key=Secret("s" * 40)), tmp_path):
            pass
