"""The object store on Azure Blob Storage, as Microsoft's emulator speaks it. F3 F16 E16."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from failgate_objectstore import ObjectStoreSettings, plugin

from failgate.base.clock import SystemClock
from failgate.base.ids import new_id
from failgate.plugin import Secret, StartRefused
from failgate.testing import StoreContract, host_at, opened
from tests.peers.azurite.peer import KEY, Azurite, running

MIB = 1024 * 1024
CONTAINER = "failgate-tests"


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with running(tmp_path_factory.mktemp("azurite")) as peer:
        peer.make_container(CONTAINER)
        yield peer


@contextlib.asynccontextmanager
async def store_of(settings: ObjectStoreSettings, folder: Path) -> AsyncIterator:
    async with opened(plugin, settings, host_at(folder, clock=SystemClock(), allow_loopback=True)) as provides:
        yield provides.artifact_store


class TestOnAzure(StoreContract):
    stream_mib = 24  # an emulator in JavaScript; memory and long streams are judged on the other stores
    listed = 300

    @pytest.fixture
    async def store(self, azurite: Azurite, tmp_path: Path) -> AsyncIterator:
        async with store_of(azurite.settings(CONTAINER, f"contract/{new_id()}"), tmp_path) as store:
            yield store


async def test_a_large_object_is_sent_in_blocks_and_an_abandoned_one_is_not_visible(azurite, tmp_path):
    async with store_of(azurite.settings(CONTAINER, new_id()), tmp_path) as store:
        async with store.put(key := new_id()) as incoming:
            for _ in range(12):
                await incoming.write(bytes(MIB))
            await incoming.commit()
        with pytest.raises(ZeroDivisionError):
            async with store.put(new_id()) as incoming:
                for _ in range(12):
                    await incoming.write(bytes(MIB))
                raise ZeroDivisionError
        listing = store.keys()
        assert [one async for one in listing] == [key]
        assert await store.size(key) == 12 * MIB


async def test_wrong_credentials_and_a_missing_container_refuse_the_start(azurite, tmp_path):
    wrong = "d3JvbmcgYWNjb3VudCBrZXk="
    assert wrong != KEY
    with pytest.raises(StartRefused, match="credentials") as refused:
        async with store_of(azurite.settings(CONTAINER, account_key=Secret(wrong)), tmp_path):
            pass
    assert wrong not in str(refused.value)
    with pytest.raises(StartRefused, match="no bucket nowhere"):
        async with store_of(azurite.settings("nowhere"), tmp_path):
            pass
