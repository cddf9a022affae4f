"""Space that is put by for denials: given in steps to what may take it, taken back when there is room. P2"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from failgate.base.db import Database, Transaction
from failgate.base.errors import StorageUnavailable
from failgate.base.open_database import open_database
from failgate.base.reserve import STEP_BYTES, Reserve, from_the_reserve


def test_it_is_given_in_steps_until_nothing_is_left_and_taken_back_whole(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve", 2 * STEP_BYTES + 1)
    assert (reserve.held_bytes, reserve.is_given) == (2 * STEP_BYTES + 1, False)
    held = []
    while reserve.give():
        held.append(reserve.held_bytes)
    assert held == [STEP_BYTES + 1, 1, 0]
    assert reserve.wanted_bytes == 2 * (2 * STEP_BYTES + 1)
    assert reserve.is_given
    assert reserve.take_back()
    assert (reserve.held_bytes, reserve.is_given) == (2 * STEP_BYTES + 1, False)
    reserve.close()
    assert (tmp_path / "reserve").stat().st_mode & 0o777 == 0o600


def test_one_that_was_larger_is_cut_at_the_start(tmp_path: Path) -> None:
    Reserve(tmp_path / "reserve", 3 * STEP_BYTES).close()
    reserve = Reserve(tmp_path / "reserve", STEP_BYTES)
    assert reserve.held_bytes == STEP_BYTES
    reserve.close()


def test_a_disk_without_room_keeps_what_was_given(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve", 1 << 50)  # a pebibyte: no disk of a test has that
    assert reserve.held_bytes == 0
    assert not reserve.take_back()
    reserve.close()


@pytest.fixture
async def numbers(tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_database(f"sqlite://{tmp_path / 'numbers.sqlite'}")

    async def begin(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE number (value BLOB)")

    await database.write(begin)
    yield database
    await database.close()


def insert(value: bytes):
    async def verb(tx: Transaction) -> int:
        return await tx.execute("INSERT INTO number (value) VALUES ($1)", value)

    return verb


async def test_of_one_group_that_finds_the_disk_full_only_what_may_take_from_the_reserve_is_kept(
    numbers: Database, tmp_path: Path
) -> None:
    """The limit of pages is SQLite's own full disk: it answers SQLITE_FULL as the system's does."""
    reserve = Reserve(tmp_path / "reserve", 2 * STEP_BYTES)
    numbers.keep_reserve(reserve)
    connection: sqlite3.Connection = numbers._writer._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    given = reserve.give

    def give() -> bool:
        connection.execute(f"PRAGMA max_page_count={pages + 100}")
        return given()

    reserve.give = give
    reserve.take_back = lambda: False  # the disk stays full
    ordinary = [numbers.put(insert(b"o" * 9000)) for _ in range(3)]
    with from_the_reserve():
        denial = numbers.put(insert(b"d" * 9000))
    with from_the_reserve(is_allowed=False):
        approval = numbers.put(insert(b"a" * 9000))
    results = await asyncio.gather(*ordinary, approval, denial, return_exceptions=True)
    assert all(isinstance(one, StorageUnavailable) for one in results[:4])
    assert results[4] == 1
    assert len(await numbers.fetch("SELECT value FROM number")) == 1
    with pytest.raises(StorageUnavailable) as refused:  # there are pages, and they are not for this
        await numbers.write(insert(b"o"))
    assert "at least 2 MiB of space" in (refused.value.hint or "")
    assert (numbers.is_healthy(), numbers.failure) == (False, "the disk is full")
    del reserve.take_back
    assert numbers.is_healthy()
    assert await numbers.write(insert(b"o")) == 1


async def test_a_denial_that_no_step_helps_is_refused(numbers: Database, tmp_path: Path) -> None:
    """As under a quota: the disk has room, so what was given is taken back each time."""
    reserve = Reserve(tmp_path / "reserve", 2 * STEP_BYTES)
    numbers.keep_reserve(reserve)
    connection: sqlite3.Connection = numbers._writer._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    with from_the_reserve(), pytest.raises(StorageUnavailable):
        await numbers.write(insert(b"d" * 9000))
    assert numbers.failure == "OperationalError: database or disk is full"
    connection.execute("PRAGMA max_page_count=4294967294")
    with from_the_reserve():
        assert await numbers.write(insert(b"d" * 9000)) == 1
