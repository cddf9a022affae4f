"""The object store on Azure Blob Storage, as Microsoft's emulator speaks it. F3 F16 E16."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from failgate_objectstore import ObjectStoreSettings, plugin

from failgate.base.clock import SystemClock
from failgate.base.ids import new_id
from failgate.plugin import Duration, Secret, StartRefused, StorageUnavailable
from failgate.testing import StoreContract, host_at, opened
from tests.peers.azurite.peer import ACCOUNT, KEY, Azurite, running
from tests.peers.relay import Relay

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


async def sent(store, mib: int) -> str:
    async with store.put(key := new_id()) as incoming:
        for _ in range(mib):
            await incoming.write(bytes(MIB))
        await incoming.commit()
    return key


async def test_a_store_that_breaks_off_in_the_middle_is_unavailable_and_nothing_is_visible(azurite, tmp_path):
    async with Relay(azurite.endpoint).listening() as relay:
        endpoint = f"{relay.endpoint}/{ACCOUNT}"
        async with store_of(azurite.settings(CONTAINER, new_id(), endpoint=endpoint, retries=1), tmp_path) as store:
            relay.breaks_after = 7 * MIB
            with pytest.raises(StorageUnavailable) as refused:
                await sent(store, 20)
            assert relay.endpoint not in str(refused.value)
            assert await store.health() is not None
            relay.breaks_after = None
            listing = store.keys()
            assert [one async for one in listing] == []
            key = await sent(store, 12)
            relay.breaks_after = 0
            with pytest.raises(StorageUnavailable):
                [piece async for piece in store.open(key)]


async def test_a_store_that_falls_silent_is_given_up(azurite, tmp_path):
    async with Relay(azurite.endpoint).listening() as relay:
        endpoint, wait = f"{relay.endpoint}/{ACCOUNT}", Duration("1s")
        settings = azurite.settings(CONTAINER, new_id(), endpoint=endpoint, retries=1, timeout=wait)
        async with store_of(settings, tmp_path) as store:
            relay.is_speaking.clear()
            with pytest.raises(StorageUnavailable):
                async with asyncio.timeout(60):
                    await sent(store, 1)
