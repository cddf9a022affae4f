"""Data keys: one for each workspace, wrapped outside the database, rotated, destroyed. E16."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator

import pytest
from failgate_filesystem import FolderStore

from failgate.artifacts.artifacts import Artifacts
from failgate.artifacts.encrypting import Encrypting
from failgate.artifacts.keys import ArtifactKeys, WrappingKeys
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER
from failgate.base.clock import FrozenClock
from failgate.base.db import Database
from failgate.base.errors import Conflict, NotFound, StartRefused, StorageUnavailable
from failgate.base.ids import new_id
from failgate.base.secret import Secret
from tests.artifacts.conftest import wrapping_key

HERE, THERE = new_id(), new_id()


class House:
    """Artifacts over one database and one store, opened with other keys again and again."""

    def __init__(self, database: Database, audit: AuditLog, clock: FrozenClock, store: FolderStore) -> None:
        self.database, self.audit, self.clock, self.store = database, audit, clock, store

    def keys(self, current: int | None = None, *previous: int) -> ArtifactKeys:
        secret = wrapping_key(current) if current is not None else None
        wrapping = WrappingKeys(secret, [wrapping_key(number) for number in previous])
        return ArtifactKeys(self.database, self.audit, self.clock, wrapping)

    def artifacts(self, keys: ArtifactKeys | None) -> Artifacts:
        return Artifacts(self.database, self.store, self.clock, None, keys)

    def encrypting(self, keys: ArtifactKeys) -> Encrypting:
        return Encrypting(self.database, self.audit, self.store, self.artifacts(keys), keys)

    def on_disk(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.store.folder.rglob("*") if path.is_file())

    async def acts(self, workspace: str = HERE) -> list[str]:
        return [stored.record["act"] for stored in await self.audit.records(workspace)]


@pytest.fixture
def house(database: Database, audit: AuditLog, clock: FrozenClock, store: FolderStore) -> House:
    return House(database, audit, clock, store)


async def stream(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 50_000):
        yield content[start : start + 50_000]


async def keep(artifacts: Artifacts, content: bytes, workspace: str = HERE) -> None:
    await artifacts.receive(workspace, hashlib.sha256(content).hexdigest(), len(content), stream(content))


async def read(artifacts: Artifacts, content: bytes, *bounds: int, workspace: str = HERE) -> bytes:
    pieces = artifacts.open(workspace, hashlib.sha256(content).hexdigest(), *bounds)
    return b"".join([piece async for piece in pieces])


async def test_what_is_kept_is_sealed_and_read_back_in_any_range(house):
    artifacts = house.artifacts(house.keys(1))
    content = b"a planted secret " * 100_000
    await keep(artifacts, content)
    assert b"planted" not in house.on_disk()
    assert await read(artifacts, content) == content
    for start, stop in [(0, 1), (5, 5), (262_143, 262_145), (1_699_999, 1_700_000), (300_000, 1_000_000)]:
        assert await read(artifacts, content, start, stop) == content[start:stop]
    await keep(artifacts, b"")
    assert await read(artifacts, b"") == b""


async def test_the_same_content_of_two_workspaces_lies_under_two_keys(house):
    artifacts = house.artifacts(house.keys(1))
    for workspace in (HERE, THERE):
        await keep(artifacts, b"the same", workspace)
    rows = await house.database.fetch("SELECT wrapped FROM artifact_key")
    assert len({row["wrapped"] for row in rows}) == 2
    assert await read(artifacts, b"the same", workspace=THERE) == b"the same"


async def test_many_first_artifacts_at_once_make_one_key(house):
    artifacts = house.artifacts(house.keys(1))
    contents = [os.urandom(1000) for _ in range(8)]
    await asyncio.gather(*(keep(artifacts, content) for content in contents))
    again = house.artifacts(house.keys(1))
    assert [await read(again, content) for content in contents] == contents
    assert len(await house.database.fetch("SELECT 1 AS one FROM artifact_key")) == 1


async def test_plain_and_sealed_artifacts_lie_side_by_side(house):
    await keep(house.artifacts(None), b"from before")
    artifacts = house.artifacts(house.keys(1))
    await keep(artifacts, b"from after")
    assert await read(artifacts, b"from before") == b"from before"
    off = house.keys(None, 1)
    await off.check()
    await keep(house.artifacts(off), b"plain again")
    assert await read(house.artifacts(off), b"from after") == b"from after"
    assert b"plain again" in house.on_disk()


@pytest.mark.parametrize("config", [(), (2,), (2, 3), (None, 2)])
async def test_without_the_key_that_sealed_something_the_start_is_refused(house, config):
    await house.keys(*config).check()  # nothing is sealed yet
    await keep(house.artifacts(house.keys(1)), b"x")
    with pytest.raises(StartRefused, match="1 workspaces are sealed under the key") as refused:
        await house.keys(*config).check()
    assert "previous" in (refused.value.hint or "")
    await house.keys(1).check()
    await house.keys(2, 1).check()


async def test_a_changed_row_refuses_the_start_and_opens_nothing(house):
    await keep(house.artifacts(house.keys(1)), b"x")
    await keep(house.artifacts(house.keys(1)), b"y", THERE)
    rows = {
        row["workspace_id"]: row["wrapped"]
        for row in await house.database.fetch("SELECT workspace_id, wrapped FROM artifact_key")
    }

    async def swap(tx):
        for one, other in ((HERE, THERE), (THERE, HERE)):
            await tx.execute("UPDATE artifact_key SET wrapped = $1 WHERE workspace_id = $2", rows[other], one)

    await house.database.write(swap)
    with pytest.raises(StartRefused, match="row was changed"):
        await house.keys(1).check()
    with pytest.raises(StorageUnavailable):
        await read(house.artifacts(house.keys(1)), b"x")


async def test_rotation_wraps_anew_and_the_old_key_is_not_needed_any_more(house):
    await keep(house.artifacts(house.keys(1)), b"x")
    await keep(house.artifacts(house.keys(1)), b"y", THERE)
    both = house.keys(2, 1)
    assert await both.rotate(SERVER) == 2
    assert await both.rotate(SERVER) == 0
    only_new = house.keys(2)
    await only_new.check()
    assert await read(house.artifacts(only_new), b"x") == b"x"
    with pytest.raises(StartRefused):
        await house.keys(1).check()
    with pytest.raises(Conflict):
        await house.keys(None, 2).rotate(SERVER)
    assert await house.acts() == ["artifact_key.created", "artifact_key.rotated"]


async def test_a_destroyed_key_makes_its_artifacts_unreadable_at_once_and_for_ever(house):
    keys = house.keys(1)
    artifacts = house.artifacts(keys)
    await keep(artifacts, b"gone")
    await keep(artifacts, b"stays", THERE)
    assert await read(artifacts, b"gone") == b"gone"
    assert await house.database.write(lambda tx: keys.destroy(tx, HERE, SERVER)) is True
    assert await house.database.write(lambda tx: keys.destroy(tx, HERE, SERVER)) is False
    for one in (artifacts, house.artifacts(house.keys(1))):
        with pytest.raises(NotFound):
            await read(one, b"gone")
        with pytest.raises(Conflict):
            await keep(one, b"more")
        assert await read(one, b"stays", workspace=THERE) == b"stays"
    assert (await house.acts())[-1] == "artifact_key.destroyed"
    await house.keys(1).check()


async def test_old_artifacts_are_sealed_one_by_one_and_stay_readable(house):
    contents = [os.urandom(400_000) + b"planted" for _ in range(4)]
    plain = house.artifacts(None)
    for content in contents:
        await keep(plain, content)
    keys = house.keys(1)
    first = await house.encrypting(keys).run(SERVER, 0)
    assert (first.sealed, first.left) == (0, 4)
    done = await house.encrypting(keys).run(SERVER, 60)
    assert (done.sealed, done.failed, done.left) == (4, 0, 0)
    assert (await house.acts()).count("artifact.encrypted") == 4
    assert b"planted" not in house.on_disk()
    artifacts = house.artifacts(keys)
    assert [await read(artifacts, content) for content in contents] == contents
    assert await artifacts.sweep_orphans() == 0
    house.clock._now_us += 400 * 24 * 3600 * 1_000_000
    assert await artifacts.sweep_orphans() == 0
    assert [await read(artifacts, content) for content in contents] == contents


async def test_a_break_while_sealing_loses_nothing_and_leaves_an_orphan_at_most(house, monkeypatch):
    content = os.urandom(100_000)
    await keep(house.artifacts(None), content)
    keys = house.keys(1)
    await keys.sealing_key(HERE)

    async def lost(verb: object) -> None:
        raise StorageUnavailable("killed here")

    monkeypatch.setattr(house.database, "write", lost)
    assert (await house.encrypting(keys).run(SERVER, 60)).failed == 1
    monkeypatch.undo()
    artifacts = house.artifacts(keys)
    assert await read(artifacts, content) == content
    house.clock._now_us += 400 * 24 * 3600 * 1_000_000
    assert await artifacts.sweep_orphans() in {0, 1}
    assert (await house.encrypting(keys).run(SERVER, 60)).left == 0
    assert await read(artifacts, content) == content


async def test_a_reader_that_began_before_the_sealing_finds_the_new_object(house, monkeypatch):
    content = os.urandom(100_000)
    await keep(house.artifacts(None), content)
    keys = house.keys(1)
    artifacts = house.artifacts(keys)
    stale = await artifacts.find(HERE, hashlib.sha256(content).hexdigest())
    await house.encrypting(keys).run(SERVER, 60)
    real, answers = artifacts.find, [stale]

    async def find(*words: str) -> object:
        return answers.pop() if answers else await real(*words)

    monkeypatch.setattr(artifacts, "find", find)
    assert await read(artifacts, content) == content


async def test_an_object_that_was_changed_in_the_store_is_not_sealed_over(house):
    content = os.urandom(1000)
    await keep(house.artifacts(None), content)
    [file] = [path for path in house.store.folder.rglob("*") if path.is_file()]
    file.write_bytes(bytes(1000))
    done = await house.encrypting(house.keys(1)).run(SERVER, 60)
    assert (done.sealed, done.failed, done.left) == (0, 1, 1)
    assert file.exists()


async def test_a_sealed_object_that_was_changed_or_moved_does_not_open(house):
    artifacts = house.artifacts(house.keys(1))
    await keep(artifacts, b"one" * 1000)
    await keep(artifacts, b"two" * 1000)
    one, two = (path for path in house.store.folder.rglob("*") if path.is_file())
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    for content in (b"one" * 1000, b"two" * 1000):
        with pytest.raises(StorageUnavailable):
            await read(artifacts, content)


@pytest.mark.parametrize("text", ["", "x", "a" * 43, "A" * 42 + "==", "é"])
def test_a_key_that_is_not_32_bytes_of_base64_is_refused_without_showing_it(text):
    with pytest.raises(ValueError, match="openssl rand -base64 32") as refused:
        WrappingKeys(Secret(text))
    assert not text or text not in str(refused.value).replace("openssl rand -base64 32", "")
