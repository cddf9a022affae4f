"""Private bytes: received whole or not at all, once per workspace, swept when nobody owns them. F3 F16."""

import asyncio
import hashlib
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from failgate_filesystem import FolderStore
from failgate_filesystem.folder import IncomingFile

from failgate.artifacts.artifact import Artifact
from failgate.artifacts.artifacts import ArtifactLimits, Artifacts
from failgate.base.clock import FrozenClock
from failgate.base.db import Database, Transaction
from failgate.base.errors import Conflict, NotFound, StorageUnavailable, TooLarge, Unprocessable
from failgate.base.ids import new_id

WORKSPACE, OTHER = new_id(), new_id()
DAY_US = 24 * 3600 * 1_000_000


@pytest.fixture
def artifacts(database: Database, store: FolderStore, clock: FrozenClock) -> Artifacts:
    return Artifacts(database, store, clock, ArtifactLimits(artifact_bytes=8 << 20))


async def chunks(content: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def keep(artifacts: Artifacts, content: bytes, workspace_id: str = WORKSPACE) -> Artifact:
    return await artifacts.receive(workspace_id, sha256(content), len(content), chunks(content))


async def read(artifacts: Artifacts, content: bytes, *bounds: int, workspace_id: str = WORKSPACE) -> bytes:
    return b"".join([piece async for piece in artifacts.open(workspace_id, sha256(content), *bounds)])


async def visible(store: FolderStore) -> list[str]:
    listing = store.keys()
    return [key async for key in listing]


def files(store: FolderStore) -> list[Path]:
    return [path for path in store.folder.rglob("*") if path.is_file()]


async def test_what_was_received_is_read_back_in_any_range(artifacts):
    content = os.urandom((3 << 20) + 7)
    kept = await keep(artifacts, content)
    assert kept.size_bytes == len(content)
    assert await read(artifacts, content) == content
    assert await read(artifacts, content, 5, 2 << 20) == content[5 : 2 << 20]


async def test_an_empty_artifact_is_kept(artifacts):
    await keep(artifacts, b"")
    assert await read(artifacts, b"") == b""


async def test_pieces_reach_the_store_by_the_mebibyte(artifacts, monkeypatch):
    sizes = []
    write = IncomingFile.write

    async def counted(incoming: IncomingFile, chunk: bytes) -> None:
        sizes.append(len(chunk))
        await write(incoming, chunk)

    monkeypatch.setattr(IncomingFile, "write", counted)
    content = os.urandom((2 << 20) + 100_000)
    await artifacts.receive(WORKSPACE, sha256(content), len(content), chunks(content, 1000))
    assert sum(sizes) == len(content)
    assert all(size >= 1 << 20 for size in sizes[:-1])


@pytest.mark.parametrize("length", [10, 3 << 20])
@pytest.mark.parametrize("change", ["other bytes", "short", "long", "cut off"])
async def test_a_stream_that_is_not_as_announced_leaves_nothing_behind(artifacts, store, length, change):
    content = os.urandom(length)
    sent = {
        "other bytes": bytes([content[0] ^ 1]) + content[1:],
        "short": content[:-1],
        "long": content + b"x",
        "cut off": content,
    }[change]

    async def stream() -> AsyncIterator[bytes]:
        async for chunk in chunks(sent):
            yield chunk
        if change == "cut off":
            raise ConnectionError

    with pytest.raises(ConnectionError if change == "cut off" else Unprocessable):
        await artifacts.receive(WORKSPACE, sha256(content), length, stream())
    assert files(store) == []
    assert await artifacts.find(WORKSPACE, sha256(content)) is None


async def test_a_too_large_artifact_is_refused_before_and_while_it_streams(artifacts, store):
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1 << 20
            yield bytes(1 << 20)

    with pytest.raises(TooLarge):
        await artifacts.receive(WORKSPACE, sha256(b""), 1 << 40, endless())
    assert taken == 0
    with pytest.raises(Unprocessable):
        await artifacts.receive(WORKSPACE, sha256(b""), 100, endless())
    assert taken == 1 << 20
    artifacts.limits = ArtifactLimits(artifact_bytes=1000)
    with pytest.raises(TooLarge):
        await artifacts.receive(WORKSPACE, sha256(b""), 1000, endless())
    assert files(store) == []


async def test_the_same_content_is_one_object_in_a_workspace_and_another_in_the_next(artifacts, store):
    first = await keep(artifacts, b"same")
    assert (await keep(artifacts, b"same")).id == first.id
    assert len(await visible(store)) == 1
    assert (await keep(artifacts, b"same", OTHER)).id != first.id
    assert len(await visible(store)) == 2


async def test_known_content_has_to_be_sent_truly_all_the_same(artifacts):
    await keep(artifacts, b"known")
    with pytest.raises(Unprocessable):
        await artifacts.receive(WORKSPACE, sha256(b"known"), 5, chunks(b"other"))


async def test_two_senders_of_one_content_at_once_leave_one_object(artifacts, store):
    content = os.urandom(1 << 20)
    kept = await asyncio.gather(*(keep(artifacts, content) for _ in range(5)))
    assert len({one.id for one in kept}) == 1
    assert await visible(store) == [kept[0].id]
    assert await read(artifacts, content) == content


async def test_another_workspaces_artifact_is_not_found_like_a_missing_one(artifacts):
    await keep(artifacts, b"mine")
    with pytest.raises(NotFound) as foreign:
        await read(artifacts, b"mine", workspace_id=OTHER)
    with pytest.raises(NotFound) as missing:
        await read(artifacts, b"never")
    assert str(foreign.value) == str(missing.value)


async def test_object_keys_reveal_nothing(artifacts, store):
    kept = await keep(artifacts, b"x")
    assert uuid.UUID(kept.id).version == 7
    names = " ".join(str(path.relative_to(store.folder)) for path in files(store))
    assert WORKSPACE not in names
    assert sha256(b"x") not in names


async def test_a_refused_attachment_leaves_neither_row_nor_object(artifacts, store):
    async def refuse(tx: Transaction, artifact: Artifact) -> None:
        raise Conflict("no")

    with pytest.raises(Conflict):
        await artifacts.receive(WORKSPACE, sha256(b"x"), 1, chunks(b"x"), attach=refuse)
    assert await artifacts.find(WORKSPACE, sha256(b"x")) is None
    assert files(store) == []


async def test_a_kill_between_store_and_row_leaves_an_orphan_that_nobody_reads_and_the_sweep_removes(
    artifacts, database, store, clock, monkeypatch
):
    async def lost(verb: object) -> None:
        raise StorageUnavailable("killed here")

    monkeypatch.setattr(database, "write", lost)
    with pytest.raises(StorageUnavailable):
        await keep(artifacts, b"x")
    monkeypatch.undo()
    [orphan] = await visible(store)
    assert await artifacts.find(WORKSPACE, sha256(b"x")) is None
    clock._now_us = made_us(orphan)
    assert await artifacts.sweep_orphans() == 0
    clock._now_us += DAY_US + 2000
    assert await artifacts.sweep_orphans() == 1
    assert await visible(store) == []
    await keep(artifacts, b"x")  # the sender comes again


def made_us(key: str) -> int:
    return (uuid.UUID(key).int >> 80) * 1000


async def test_the_sweep_keeps_what_has_a_row_and_what_is_not_ours(artifacts, store, clock):
    kept = await keep(artifacts, b"x")
    foreign = str(uuid.uuid4())
    async with store.put(foreign) as incoming:
        await incoming.commit()
    clock._now_us = made_us(kept.id) + 400 * DAY_US
    assert await artifacts.sweep_orphans() == 0
    assert sorted(await visible(store)) == sorted([kept.id, foreign])


async def test_unlinking_spares_what_is_referenced(artifacts, database, store):
    kept, gone = await keep(artifacts, b"kept"), await keep(artifacts, b"gone")

    async def is_referenced(tx: Transaction, artifact_id: str) -> bool:
        return artifact_id == kept.id

    async def is_another_referenced(tx: Transaction, artifact_id: str) -> bool:
        return False

    artifacts.keep_while(is_referenced)
    artifacts.keep_while(is_another_referenced)  # one of several is enough
    digests = [kept.sha256, gone.sha256, gone.sha256, sha256(b"never")]
    removed = await database.write(lambda tx: artifacts.unlink(tx, WORKSPACE, digests))
    assert [one.id for one in removed] == [gone.id]
    assert len(await visible(store)) == 2  # the object goes after the commit
    assert await artifacts.discard(removed) == 0
    assert await visible(store) == [kept.id]


async def test_an_object_that_the_store_does_not_let_go_is_counted_and_not_readable(
    artifacts, database, store, monkeypatch
):
    gone = await keep(artifacts, b"gone")

    async def stuck(key: str) -> bool:
        raise StorageUnavailable("no")

    removed = await database.write(lambda tx: artifacts.unlink(tx, WORKSPACE, [gone.sha256]))
    monkeypatch.setattr(store, "unlink", stuck)
    assert await artifacts.discard(removed) == 1
    with pytest.raises(NotFound):
        await read(artifacts, b"gone")
