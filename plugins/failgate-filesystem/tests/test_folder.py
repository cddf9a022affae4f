"""The folder store: durable before visible, nothing left behind, nothing readable by others. F3 F16."""

import asyncio
import errno
import fcntl
import os
import stat
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from failgate_filesystem import FilesystemSettings, FolderStore, plugin

from failgate.plugin import Conflict, NotFound, StartRefused, StorageUnavailable, Unprocessable
from failgate.testing import StoreContract, host_at, opened

MIB = 1024 * 1024


def key() -> str:
    return str(uuid.uuid4())


@pytest.fixture
async def store(tmp_path: Path) -> FolderStore:
    return await FolderStore.opened(tmp_path / "objects")


class TestFolderStore(StoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[FolderStore]:
        async with opened(plugin, FilesystemSettings(), host_at(tmp_path)) as provides:
            assert await provides.health() is None
            yield provides.artifact_store


async def put(store: FolderStore, name: str, *chunks: bytes) -> None:
    async with store.put(name) as incoming:
        for chunk in chunks:
            await incoming.write(chunk)
        await incoming.commit()


async def read(store: FolderStore, name: str, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join([piece async for piece in store.open(name, start, stop)])


async def visible(store: FolderStore) -> list[str]:
    listing = store.keys()
    return [name async for name in listing]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_what_was_committed_is_read_back_in_any_range(store):
    name = key()
    content = os.urandom(3 * MIB + 5)
    await put(store, name, content[:10], content[10 : 2 * MIB], content[2 * MIB :])
    assert await read(store, name) == content
    assert await read(store, name, 7, 7) == b""
    assert await read(store, name, MIB - 1, 2 * MIB + 1) == content[MIB - 1 : 2 * MIB + 1]
    assert await read(store, name, len(content) - 1) == content[-1:]
    assert await read(store, name, len(content) + 9) == b""
    assert await store.size(name) == len(content)
    assert await visible(store) == [name]


async def test_pieces_are_at_most_one_mebibyte(store):
    name = key()
    await put(store, name, bytes(2 * MIB + 1))
    assert [len(piece) async for piece in store.open(name)] == [MIB, MIB, 1]


async def test_an_empty_object_exists(store):
    name = key()
    await put(store, name)
    assert await read(store, name) == b""
    assert await store.size(name) == 0


async def test_leaving_without_commit_leaves_no_trace(store):
    async with store.put(key()) as incoming:
        await incoming.write(b"half")
        assert files(store.folder)
    assert files(store.folder) == []
    assert await visible(store) == []


async def test_a_failing_sender_leaves_no_trace(store):
    with pytest.raises(RuntimeError):
        async with store.put(key()) as incoming:
            await incoming.write(b"half")
            raise RuntimeError
    assert files(store.folder) == []


async def test_a_cancelled_sender_leaves_no_trace(store):
    started = asyncio.Event()

    async def send() -> None:
        async with store.put(key()) as incoming:
            started.set()
            while True:
                await incoming.write(bytes(MIB))

    task = asyncio.create_task(send())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files(store.folder) == []


async def test_an_object_is_invisible_until_its_commit(store):
    name = key()
    async with store.put(name) as incoming:
        await incoming.write(b"x")
        with pytest.raises(NotFound):
            await store.size(name)
        await incoming.commit()
        assert await store.size(name) == 1


async def test_a_missing_object_is_not_found(store):
    with pytest.raises(NotFound):
        await read(store, key())
    with pytest.raises(NotFound):
        await store.size(key())
    assert await store.unlink(key()) is False


async def test_an_unlinked_object_is_gone(store):
    name = key()
    await put(store, name, b"x")
    assert await store.unlink(name) is True
    with pytest.raises(NotFound):
        await read(store, name)
    assert files(store.folder) == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../../../../etc/passwd",
        "a/b",
        "0190A0A0-0000-7000-8000-000000000001",
        "x" * 36,
        "0190a0a0-0000-7000-8000-000000000001\n",
        "0190a0a0-0000-7000-8000-000000000001\0",
    ],
)
async def test_what_is_not_a_key_is_refused_everywhere(store, name):
    with pytest.raises(Unprocessable):
        async with store.put(name):
            pass
    for call in (store.size, store.unlink):
        with pytest.raises(Unprocessable):
            await call(name)
    with pytest.raises(Unprocessable):
        await read(store, name)


async def test_a_key_is_never_used_twice(store):
    name = key()
    await put(store, name, b"first")
    with pytest.raises(Conflict):
        await put(store, name, b"second")
    assert await read(store, name) == b"first"
    other = key()
    async with store.put(other):
        with pytest.raises(Conflict):
            await put(store, other, b"second")


async def test_folders_and_files_are_private(store):
    old = os.umask(0)
    try:
        await put(store, key(), b"x")
    finally:
        os.umask(old)
    for path in [store.folder, *store.folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


async def test_files_are_spread_by_the_random_end_of_the_key(store):
    name = "0190a0a0-0000-7000-8000-00000000ab1c"
    await put(store, name, b"x")
    assert (store.folder / "ab" / "1c" / name).is_file()


async def test_a_symbolic_link_is_not_followed(store, tmp_path):
    name = key()
    secret = tmp_path / "secret"
    secret.write_text("s")
    store.make_shard(store.path(name).parent)
    store.path(name).symlink_to(secret)
    with pytest.raises(NotFound):
        await read(store, name)


async def test_leftovers_are_swept_at_the_next_start_and_running_uploads_are_not(tmp_path):
    store = await FolderStore.opened(tmp_path / "objects")
    left, running = key(), key()
    (store.incoming / left).write_bytes(b"left by a process that was killed")
    # Another process holds its upload open meanwhile.
    script = (
        "import fcntl,os,sys\n"
        "fd=os.open(sys.argv[1],os.O_WRONLY|os.O_CREAT,0o600)\n"
        "fcntl.flock(fd,fcntl.LOCK_EX);print('locked',flush=True);sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(store.incoming / running)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert other.stdout.readline() == b"locked\n"
        await FolderStore.opened(tmp_path / "objects")
        assert sorted(path.name for path in store.incoming.iterdir()) == [running]
    finally:
        other.communicate()
    await FolderStore.opened(tmp_path / "objects")
    assert list(store.incoming.iterdir()) == []


async def test_an_upload_that_was_swept_under_a_race_is_refused_and_not_lost_silently(store, monkeypatch):
    real = fcntl.flock

    def swept_first(descriptor: int, mode: int) -> None:
        for path in store.incoming.iterdir():
            path.unlink()
        real(descriptor, mode)

    monkeypatch.setattr(fcntl, "flock", swept_first)
    with pytest.raises(StorageUnavailable):
        await put(store, key(), b"x")


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
async def test_a_full_disk_gives_storage_unavailable_and_leaves_nothing(store, monkeypatch, call):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if call == "rename":
        monkeypatch.setattr(Path, "rename", full)
    else:
        monkeypatch.setattr(os, call, full)
    with pytest.raises(StorageUnavailable) as refused:
        await put(store, key(), b"x")
    monkeypatch.undo()
    assert "No space left" in refused.value.sentence
    assert str(store.folder) not in str(refused.value)
    assert files(store.folder) == []


async def test_a_folder_that_cannot_be_synced_keeps_nothing(store, monkeypatch):
    name = key()
    store.make_shard(store.path(name).parent)
    real, calls = os.fsync, []

    def second_fails(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", second_fails)
    with pytest.raises(StorageUnavailable):
        await put(store, name, b"x")
    assert files(store.folder) == []


async def test_the_file_is_synced_before_it_becomes_visible(store, monkeypatch):
    order = []
    real_sync, real_rename = os.fsync, Path.rename

    def sync(descriptor: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_sync(descriptor)

    def rename(self: Path, target: Path) -> Path:
        order.append("rename")
        return real_rename(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "rename", rename)
    await put(store, key(), b"x")
    assert order == ["file", "folder", "folder", "rename", "folder"]


async def test_less_space_than_the_reserve_refuses_an_upload_and_shows_in_health(tmp_path):
    store = await FolderStore.opened(tmp_path / "objects", reserve_bytes=1 << 60)
    with pytest.raises(StorageUnavailable):
        await put(store, key(), b"x")
    assert "reserve" in (await store.health() or "")
    assert await FolderStore(store.folder).health() is None


async def test_a_path_that_cannot_be_a_folder_refuses_the_start(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StartRefused, match=str(tmp_path)):
        await FolderStore.opened(tmp_path / "file" / "objects")


async def test_a_folder_that_others_may_enter_refuses_the_start_unless_it_is_empty(tmp_path):
    empty, used = tmp_path / "empty", tmp_path / "used"
    empty.mkdir(mode=0o755)
    used.mkdir(mode=0o755)
    (used / "something").write_text("")
    await FolderStore.opened(empty)
    assert stat.S_IMODE(empty.stat().st_mode) == 0o700
    with pytest.raises(StartRefused, match="chmod 700"):
        await FolderStore.opened(used)
    assert stat.S_IMODE(used.stat().st_mode) == 0o755


async def test_foreign_files_in_the_folder_are_no_keys(store):
    await put(store, name := key(), b"x")
    (store.path(name).parent / "README").write_text("")
    (store.folder / "zz").mkdir()
    assert await visible(store) == [name]


def test_a_relative_folder_is_refused_in_the_config():
    with pytest.raises(ValueError, match="whole path"):
        FilesystemSettings(folder="objects")
    assert plugin.name == "filesystem"
