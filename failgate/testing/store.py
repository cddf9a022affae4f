"""The contract of artifact stores as tests."""

import asyncio
import contextlib
import hashlib
import re
from pathlib import Path
from typing import ClassVar

import pytest

from failgate.artifacts.store import ArtifactStore
from failgate.base.errors import FailgateError, NotFound
from failgate.base.ids import new_id

MIB = 1024 * 1024
MEMORY_MIB = 16  # what a stream of any size may add to the memory of a server


class StoreContract:
    """What every artifact store keeps. Override the fixture `store` with an empty one.

    `stream_mib` and `listed` are how much is streamed and how many objects are listed: less for a slow emulator.
    """

    pytestmark = pytest.mark.asyncio
    stream_mib: ClassVar[int] = 256
    listed: ClassVar[int] = 2500

    @pytest.fixture
    def store(self) -> ArtifactStore:
        """Give an empty store."""
        pytest.fail("override the fixture `store`")

    async def test_a_committed_object_reads_back_byte_for_byte(self, store: ArtifactStore) -> None:
        """All 256 byte values survive, over several writes."""
        key, content = new_id(), bytes(range(256)) * 1000
        await _put(store, key, content, chunk=777)
        assert await _read(store, key) == content
        assert await store.size(key) == len(content)
        assert await _keys(store) == [key]

    async def test_an_object_of_several_megabytes_arrives_in_pieces(self, store: ArtifactStore) -> None:
        """No piece is larger than 4 MiB, so that a server's memory does not grow with the object."""
        key, content = new_id(), hashlib.sha256(b"seed").digest() * (5 * 32 * 1024 + 1)
        await _put(store, key, content, chunk=1024 * 1024)
        pieces = [piece async for piece in store.open(key)]
        assert b"".join(pieces) == content
        assert max(map(len, pieces)) <= 4 * 1024 * 1024

    async def test_an_empty_object_is_an_object(self, store: ArtifactStore) -> None:
        """Zero bytes are kept, listed and read."""
        key = new_id()
        await _put(store, key, b"")
        assert await store.size(key) == 0
        assert await _read(store, key) == b""
        assert await _keys(store) == [key]

    async def test_nothing_is_visible_before_the_commit(self, store: ArtifactStore) -> None:
        """While it is written an object cannot be sized, read or listed."""
        key = new_id()
        async with store.put(key) as incoming:
            await incoming.write(b"half")
            await _assert_absent(store, key)
            await incoming.write(b" done")
            await incoming.commit()
            assert await _read(store, key) == b"half done"
        assert await _read(store, key) == b"half done"

    async def test_leaving_without_commit_leaves_nothing(self, store: ArtifactStore) -> None:
        """The key is as if it had never been used, and may be put again."""
        key = new_id()
        async with store.put(key) as incoming:
            await incoming.write(b"x" * 100_000)
        await _assert_absent(store, key)
        await _put(store, key, b"second")
        assert await _read(store, key) == b"second"

    async def test_an_error_while_writing_leaves_nothing_and_is_not_swallowed(self, store: ArtifactStore) -> None:
        """The writer's own exception comes out again."""
        key = new_id()

        async def upload() -> None:
            async with store.put(key) as incoming:
                await incoming.write(b"half")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await upload()
        await _assert_absent(store, key)

    async def test_a_cancelled_writer_leaves_nothing(self, store: ArtifactStore) -> None:
        """A connection that breaks in the middle of an upload leaves no partial object."""
        key, has_written = new_id(), asyncio.Event()

        async def upload() -> None:
            async with store.put(key) as incoming:
                await incoming.write(b"half")
                has_written.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(upload())
        await has_written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await _assert_absent(store, key)

    async def test_objects_written_at_the_same_time_do_not_mix(self, store: ArtifactStore) -> None:
        """Twenty writers, each in pieces, each reads back its own."""
        contents = {new_id(): hashlib.sha256(str(number).encode()).digest() * 2000 for number in range(20)}
        await asyncio.gather(*(_put(store, key, content, chunk=4096) for key, content in contents.items()))
        assert {key: await _read(store, key) for key in contents} == contents
        assert sorted(await _keys(store)) == sorted(contents)

    async def test_a_visible_object_is_never_overwritten(self, store: ArtifactStore) -> None:
        """Putting the same key again is refused or without effect: what is sealed stays what it is."""
        key = new_id()
        await _put(store, key, b"first")
        with pytest.raises(FailgateError):
            await _put(store, key, b"second")
        assert await _read(store, key) == b"first"

    @pytest.mark.parametrize(
        ("start", "stop"), [(0, None), (0, 0), (3, 7), (5, 5), (9, 10), (9, 99), (10, None), (50, 60), (4, None)]
    )
    async def test_a_range_has_exactly_its_bytes(self, store: ArtifactStore, start: int, stop: int | None) -> None:
        """`stop` is exclusive; what lies beyond the end is empty, not an error."""
        key, content = new_id(), b"0123456789"
        await _put(store, key, content)
        assert await _read(store, key, start, stop) == content[start:stop]

    async def test_what_is_absent_is_not_found(self, store: ArtifactStore) -> None:
        """Every verb says so in its own way."""
        await _assert_absent(store, new_id())
        assert await store.unlink(new_id()) is False

    async def test_an_unlinked_object_is_gone(self, store: ArtifactStore) -> None:
        """The first unlink answers True, the next one False; others stay."""
        gone, stays = new_id(), new_id()
        await _put(store, gone, b"gone")
        await _put(store, stays, b"stays")
        assert await store.unlink(gone) is True
        assert await store.unlink(gone) is False
        await _assert_absent(store, gone)
        assert await _read(store, stays) == b"stays"

    async def test_a_long_stream_does_not_grow_the_memory(self, store: ArtifactStore) -> None:
        """Neither writing nor reading holds more than a few pieces, and every byte arrives."""
        key, piece, written, read = new_id(), hashlib.sha256(b"piece").digest() * (MIB // 32), 0, 0
        digests = hashlib.sha256(), hashlib.sha256()
        await _put(store, new_id(), piece * 12, chunk=MIB)  # what is made once is there before
        before = _peak_from_now_mib()
        async with store.put(key) as incoming:
            for number in range(self.stream_mib):
                chunk = number.to_bytes(4, "big") + piece[4:]
                digests[0].update(chunk)
                await incoming.write(chunk)
                written += len(chunk)
            await incoming.commit()
        async for part in store.open(key):
            digests[1].update(part)
            read += len(part)
        assert read == written
        assert digests[0].digest() == digests[1].digest()
        assert _peak_mib() - before <= MEMORY_MIB

    async def test_a_large_object_that_is_left_without_commit_leaves_nothing(self, store: ArtifactStore) -> None:
        """Also when parts of it were sent already; the key may be put again."""
        key = new_id()
        async with store.put(key) as incoming:
            for _ in range(20):
                await incoming.write(bytes(MIB))
            await _assert_absent(store, key)
        await _assert_absent(store, key)
        await _put(store, key, b"second")
        assert await _read(store, key) == b"second"

    async def test_a_large_object_whose_writer_is_cancelled_leaves_nothing(self, store: ArtifactStore) -> None:
        """At whatever point of the stream the connection breaks."""
        key, has_written = new_id(), asyncio.Event()

        async def upload() -> None:
            async with store.put(key) as incoming:
                for number in range(10_000):
                    await incoming.write(bytes(MIB))
                    if number == 12:
                        has_written.set()

        task = asyncio.create_task(upload())
        await has_written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await _assert_absent(store, key)

    async def test_of_two_that_put_one_key_at_once_at_least_one_object_is_whole(self, store: ArtifactStore) -> None:
        """One of them wins or both are refused; what is read is never a mixture."""
        key, contents = new_id(), (b"a" * 3 * MIB, b"b" * 3 * MIB)
        outcomes = await asyncio.gather(*(_put(store, key, one, chunk=MIB) for one in contents), return_exceptions=True)
        assert all(one is None or isinstance(one, FailgateError) for one in outcomes), outcomes
        if None in outcomes:
            assert await _read(store, key) in contents
        else:
            await _assert_absent(store, key)

    @pytest.mark.parametrize("size", [0, 1, 12 * MIB + 1])
    async def test_ranges_at_the_edges(self, store: ArtifactStore, size: int) -> None:
        """The first byte, the last one, across pieces, beyond the end: of an empty, a tiny and a large object."""
        key, content = new_id(), (hashlib.sha256(b"edge").digest() * (12 * MIB // 32 + 1))[:size]
        await _put(store, key, content, chunk=MIB)
        edges = [
            (0, 1),
            (0, None),
            (size - 1, size),
            (size - 1, None),
            (size, None),
            (size, size + 9),
            (size + 9, None),
        ]
        if size > 8 * MIB:
            edges += [(MIB - 1, MIB + 1), (5 * MIB - 1, 5 * MIB + 1), (2 * MIB, 8 * MIB), (size - 3 * MIB, size + MIB)]
        for start, stop in edges:
            if start >= 0:
                assert await _read(store, key, start, stop) == content[start:stop], (start, stop)

    async def test_many_objects_are_all_listed_once(self, store: ArtifactStore) -> None:
        """More than any service lists in one answer."""
        keys = [new_id() for _ in range(self.listed)]
        turns = asyncio.Semaphore(32)

        async def put(key: str) -> None:
            async with turns:
                await _put(store, key, b"x")

        await asyncio.gather(*map(put, keys))
        assert sorted(await _keys(store)) == sorted(keys)

    async def test_a_reader_that_leaves_early_leaves_the_store_usable(self, store: ArtifactStore) -> None:
        """A browser that closes its download costs nothing later."""
        key = new_id()
        await _put(store, key, bytes(9 * MIB), chunk=MIB)
        async for piece in store.open(key):
            assert piece
            break
        assert await _read(store, key, 9 * MIB - 1) == b"\0"

    @pytest.mark.parametrize("key", ["", ".", "..", "../" * 11 + "etc", "/etc/passwd", "a" * 36, "\0" * 36, "é" * 36])
    async def test_a_text_that_is_no_key_reaches_nothing(self, store: ArtifactStore, key: str) -> None:
        """No path, no name of another object can be smuggled in as a key."""
        with pytest.raises(FailgateError):
            await _put(store, key, b"x")
        with pytest.raises(FailgateError):
            await _read(store, key)
        with pytest.raises(FailgateError):
            await store.size(key)
        assert await _keys(store) == []


def _peak_from_now_mib() -> float:
    """Let the peak begin now, without what this process needed before; return what it holds. Source: proc(5)."""
    refs = Path("/proc/self/clear_refs")
    with contextlib.suppress(OSError):  # elsewhere than on Linux nothing is measured
        refs.write_text("5")
    return _peak_mib()


def _peak_mib() -> float:
    """Return the largest memory that this process held so far, in MiB; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else 0.0


async def _put(store: ArtifactStore, key: str, content: bytes, chunk: int = 65536) -> None:
    async with store.put(key) as incoming:
        for start in range(0, len(content), chunk):
            await incoming.write(content[start : start + chunk])
            await asyncio.sleep(0)
        await incoming.commit()


async def _read(store: ArtifactStore, key: str, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join([piece async for piece in store.open(key, start, stop)])


async def _keys(store: ArtifactStore) -> list[str]:
    found = store.keys()
    return [key async for key in found]


async def _assert_absent(store: ArtifactStore, key: str) -> None:
    with pytest.raises(NotFound):
        await store.size(key)
    with pytest.raises(NotFound):
        await _read(store, key)
    assert key not in await _keys(store)
