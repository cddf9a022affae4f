from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from failgate.base.clock import FrozenClock
from tests.backup.installation import Installation, Place, installed
from tests.postgres import PostgresServer


@pytest.fixture
async def installation(database_url: str, tmp_path: Path, clock: FrozenClock) -> AsyncIterator[Installation]:
    (tmp_path / "here").mkdir()
    async with installed(Place(tmp_path / "here", database_url), clock) as there:
        yield there


@pytest.fixture
async def elsewhere(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """Another machine: an empty folder and an empty database of the same kind."""
    (tmp_path / "elsewhere").mkdir()
    if database_url.startswith("sqlite"):
        yield Place(tmp_path / "elsewhere", f"sqlite://{tmp_path / 'elsewhere' / 'failgate.db'}")
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = await server.empty()
    yield Place(tmp_path / "elsewhere", url)
    await server.drop(url)
