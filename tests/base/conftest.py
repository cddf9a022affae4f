"""A database with one table of numbers, on both engines."""

from collections.abc import AsyncIterator

import pytest

from failgate.base.db import Database, Transaction
from failgate.base.open_database import open_database


@pytest.fixture
async def number_table(empty_database_url: str) -> AsyncIterator[Database]:
    database = await open_database(empty_database_url)

    async def make(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE number (n BIGINT PRIMARY KEY, label TEXT)")

    await database.write(make)
    yield database
    await database.close()
