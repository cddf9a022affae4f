"""The object store and the locked audit log against a real S3, Ceph's RADOS gateway, and as Google has it. F3 F16 E16 B11"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import obstore
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from failgate_objectstore import ObjectStoreSettings, plugin
from failgate_objectstore.leftovers import Leftovers

from failgate.base.clock import SystemClock
from failgate.base.ids import new_id
from failgate.plugin import Conflict, Duration, ExportedRecord, ExportFailed, Secret, StartRefused, StorageUnavailable
from failgate.testing import ExporterContract, StoreContract, exported, host_at, opened
from tests.peers import google
from tests.peers.ceph_rgw import ACCESS_KEY, SECRET_KEY, CephRgw, running
from tests.peers.relay import Relay

MIB = 1024 * 1024
BUCKET = "failgate-tests"
VAULT = "vault"


@pytest.fixture(scope="module")
def rgw() -> Iterator[CephRgw]:
    with running() as peer:
        peer.make_bucket(BUCKET)
        peer.make_bucket(VAULT, locks=True)
        yield peer


@contextlib.asynccontextmanager
async def store_of(settings: ObjectStoreSettings, folder: Path) -> AsyncIterator:
    async with opened(plugin, settings, host_at(folder, clock=SystemClock(), allow_loopback=True)) as provides:
        yield provides.artifact_store


class TestOnCeph(StoreContract):
    stream_mib = 96
    listed = 1100  # S3 lists a thousand in one answer

    @pytest.fixture
    async def store(self, rgw: CephRgw, tmp_path: Path) -> AsyncIterator:
        prefix = f"contract/{new_id()}"
        async with store_of(rgw.settings(BUCKET, prefix), tmp_path) as store:
            yield store
        assert rgw.unfinished(BUCKET, prefix) == 0


@pytest.fixture
def prefix() -> str:
    return new_id()


@pytest.fixture
async def store(rgw: CephRgw, prefix: str, tmp_path: Path) -> AsyncIterator:
    async with store_of(rgw.settings(BUCKET, prefix), tmp_path) as store:
        yield store


async def put(store, key: str, mib: int) -> None:
    async with store.put(key) as incoming:
        for _ in range(mib):
            await incoming.write(bytes(MIB))
        await incoming.commit()


async def visible(store) -> list[str]:
    listing = store.keys()
    return [key async for key in listing]


async def test_an_upload_in_parts_that_is_abandoned_leaves_no_part(store, rgw, prefix):
    with pytest.raises(ZeroDivisionError):
        async with store.put(new_id()) as incoming:
            for _ in range(17):
                await incoming.write(bytes(MIB))
            assert rgw.unfinished(BUCKET, prefix) == 1  # parts were sent while they came
            raise ZeroDivisionError
    assert rgw.unfinished(BUCKET, prefix) == 0
    assert await visible(store) == []


async def test_what_a_killed_process_left_is_swept_after_a_day_and_not_before(rgw, prefix, tmp_path):
    script = f"""
    import asyncio, sys
    from pathlib import Path
    from failgate.base.clock import SystemClock
    from failgate.base.ids import new_id
    from failgate.plugin import Secret
    from failgate.testing import host_at, opened
    from failgate_objectstore import ObjectStoreSettings, plugin

    async def main():
        settings = ObjectStoreSettings(url="s3://{BUCKET}/{prefix}", endpoint="{rgw.endpoint}", region="us-east-1",
            access_key=Secret("{ACCESS_KEY}"), secret_key=Secret("{SECRET_KEY}"))
        host = host_at(Path("{tmp_path}"), clock=SystemClock(), allow_loopback=True)
        async with opened(plugin, settings, host) as provides, provides.artifact_store.put(new_id()) as incoming:
            for _ in range(12):
                await incoming.write(bytes(1 << 20))
            print("sent", flush=True)
            await asyncio.Event().wait()

    asyncio.run(main())
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"sent\n"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    settings = rgw.settings(BUCKET, prefix)
    async with store_of(settings, tmp_path) as store:
        assert await visible(store) == []
    assert rgw.unfinished(BUCKET, prefix) == 1
    leftovers = Leftovers(settings, host_at(tmp_path, clock=SystemClock(), allow_loopback=True))
    now_us = SystemClock().now_us()
    assert await leftovers.sweep(now_us) == 0
    elsewhere = Leftovers(rgw.settings(BUCKET, "other"), host_at(tmp_path, clock=SystemClock(), allow_loopback=True))
    assert await elsewhere.sweep(now_us + 25 * 3600 * 1_000_000) == 0
    assert await leftovers.sweep(now_us + 25 * 3600 * 1_000_000) == 1
    assert rgw.unfinished(BUCKET, prefix) == 0


async def test_an_object_of_which_bytes_are_missing_is_refused_and_not_cut_silently(store, monkeypatch):
    await put(store, key := new_id(), 1)

    async def short(*_: object, **__: object) -> bytes:
        return b"short"

    monkeypatch.setattr(obstore, "get_range_async", short)
    with pytest.raises(StorageUnavailable):
        [piece async for piece in store.open(key)]


async def test_a_store_that_fails_in_the_middle_is_unavailable_and_nothing_is_visible(rgw, prefix, tmp_path):
    async with Relay(rgw.endpoint).listening() as relay:
        settings = rgw.settings(BUCKET, prefix, endpoint=relay.endpoint, retries=1)
        async with store_of(settings, tmp_path) as store:
            relay.breaks_after = 8 * MIB
            with pytest.raises(StorageUnavailable) as refused:
                await put(store, new_id(), 30)
            assert relay.endpoint not in str(refused.value)
            assert await store.health() is not None
            relay.breaks_after = None
            assert await store.health() is None
            assert await visible(store) == []
            await put(store, key := new_id(), 12)
            assert await store.size(key) == 12 * MIB
            relay.breaks_after = 0
            with pytest.raises(StorageUnavailable):
                [piece async for piece in store.open(key)]
            relay.breaks_after = None
    leftovers = Leftovers(rgw.settings(BUCKET, prefix), host_at(tmp_path, clock=SystemClock(), allow_loopback=True))
    await leftovers.sweep(SystemClock().now_us() + 25 * 3600 * 1_000_000)
    assert rgw.unfinished(BUCKET, prefix) == 0


async def test_a_silent_store_is_given_up_in_time(rgw, tmp_path):
    async with Relay(rgw.endpoint).listening() as relay:
        settings = rgw.settings(BUCKET, new_id(), endpoint=relay.endpoint, retries=1, timeout=Duration("1s"))
        async with store_of(settings, tmp_path) as store:
            relay.is_speaking.clear()
            began = time.monotonic()
            with pytest.raises(StorageUnavailable):
                await put(store, new_id(), 1)
            assert time.monotonic() - began < 10


async def test_wrong_credentials_and_a_missing_bucket_refuse_the_start(rgw, tmp_path):
    with pytest.raises(StartRefused, match="credentials") as refused:
        async with store_of(rgw.settings(BUCKET, secret_key=Secret("s" * 40)), tmp_path):
            pass
    assert "s" * 40 not in str(refused.value)
    with pytest.raises(StartRefused, match="no bucket nowhere"):
        async with store_of(rgw.settings("nowhere"), tmp_path):
            pass


async def test_credentials_of_the_environment_and_its_proxy_are_not_used(rgw, tmp_path, monkeypatch):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDWRONG",
        "AWS_SECRET_ACCESS_KEY": "wrong",
        "AWS_SESSION_TOKEN": "wrong",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    async with store_of(rgw.settings(BUCKET, new_id(), retries=0), tmp_path) as store:
        await put(store, key := new_id(), 1)
        assert await store.size(key) == MIB


def versions(rgw: CephRgw, prefix: str) -> list[tuple[str, str]]:
    """Return key and version of every object below the prefix, those first that came first."""
    status, body = rgw.ask("GET", f"/{VAULT}", f"prefix={quote(prefix, safe='')}&versions=")
    assert status == 200, body
    found = []
    for one in re.findall(r"<Version>(.*?)</Version>", body.decode(), re.DOTALL):
        key, version, at = (re.search(f"<{tag}>([^<]+)<", one)[1] for tag in ("Key", "VersionId", "LastModified"))
        found.append((at, key, version))
    return [(key, version) for _, key, version in sorted(found)]


def settings_of(rgw: CephRgw, prefix: str, bucket: str = VAULT, **more: object) -> ObjectStoreSettings:
    return rgw.settings(bucket, prefix, lock="compliance", lock_for=Duration("2d"), **more)


@contextlib.asynccontextmanager
async def exporter_of(settings: ObjectStoreSettings, folder: Path):
    async with opened(plugin, settings, host_at(folder, clock=SystemClock(), allow_loopback=True)) as provides:
        assert provides.audit_exporter is not None
        yield provides.audit_exporter


def read(rgw: CephRgw, prefix: str) -> list[ExportedRecord]:
    found = []
    for key, version in versions(rgw, prefix):
        status, body = rgw.ask("GET", f"/{VAULT}/{key}", f"versionId={quote(version, safe='')}")
        assert status == 200
        for line in body.splitlines():
            value = json.loads(line)
            found.append(ExportedRecord(value["log"], value["seq"], line.split(b'"record":', 1)[1][:-1]))
    return found


class TestAuditLogOnCeph(ExporterContract):
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
    for more in ({}, {"x-amz-bypass-governance-retention": "true"}):
        status, body = rgw.ask("DELETE", f"/{VAULT}/{key}", f"versionId={quote(version, safe='')}", more)
        assert status == 403
        assert b"AccessDenied" in body
    assert read(rgw, prefix) == exported(0, 5)


async def test_a_bucket_without_object_lock_takes_nothing(rgw, prefix, tmp_path) -> None:
    async with exporter_of(settings_of(rgw, prefix, BUCKET), tmp_path) as exporter:
        with pytest.raises(ExportFailed, match=r"object store"):
            await exporter.deliver(exported(0, 2))


@pytest.fixture(scope="module")
def gcs(rgw: CephRgw) -> Iterator[google.Google]:
    with google.before(rgw) as front:
        front.make_bucket("google")
        yield front


class TestAsOnGoogle(StoreContract):
    stream_mib = 24
    listed = 100  # more than one answer holds is judged on S3

    @pytest.fixture
    async def store(self, rgw: CephRgw, gcs: google.Google, tmp_path: Path) -> AsyncIterator:
        prefix = f"contract/{new_id()}"
        async with store_of(gcs.settings("google", prefix), tmp_path) as store:
            yield store
        assert rgw.unfinished("google", prefix) == 0
        assert gcs.refused == []


async def test_google_is_asked_to_keep_no_object_over_another(gcs, prefix, tmp_path) -> None:
    async with store_of(gcs.settings("google", prefix), tmp_path) as store:
        key = new_id()
        async with store.put(key) as late:
            await late.write(b"late")
            async with store.put(key) as first:
                await first.write(b"first")
                await first.commit()
            with pytest.raises(Conflict):
                await late.commit()
        assert [piece async for piece in store.open(key)] == [b"first"]


async def test_what_a_killed_process_left_on_google_is_swept_after_a_day(rgw, gcs, prefix, tmp_path) -> None:
    for name in (f"{prefix}/{new_id()}", "elsewhere/notes.txt", f"{prefix}/notes.txt"):
        assert rgw.ask("POST", f"/google/{name}", "uploads=")[0] == 200
    leftovers = Leftovers(gcs.settings("google", prefix), host_at(tmp_path, clock=SystemClock(), allow_loopback=True))
    now_us = SystemClock().now_us()
    assert await leftovers.sweep(now_us) == 0
    assert await leftovers.sweep(now_us + 25 * 3600 * 1_000_000) == 1
    assert (rgw.unfinished("google", prefix), rgw.unfinished("google", "elsewhere")) == (1, 1)
    assert gcs.refused == []


async def test_another_key_of_the_service_account_refuses_the_start(gcs, tmp_path) -> None:
    other = gcs.service_account(rsa.generate_private_key(65537, 2048))
    with pytest.raises(StartRefused, match="credentials") as refused:
        async with store_of(gcs.settings("google", service_account=Secret(other)), tmp_path):
            pass
    assert "PRIVATE" not in str(refused.value)
    gcs.refused.clear()
    with pytest.raises(StartRefused, match="no bucket nowhere"):
        async with store_of(gcs.settings("nowhere"), tmp_path):
            pass
