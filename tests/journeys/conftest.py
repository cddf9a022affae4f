"""Fixtures of the journeys: a browser, a server on each database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.harness import Server, browser


@pytest.fixture
def chromium(server: Server) -> Iterator[object]:
    """A browser. Its own loop occupies this thread, so it opens after every asynchronous fixture and closes before."""
    with browser() as opened:
        yield opened


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Server]:
    """A server that is not started yet, on a migrated database of each engine."""
    made = Server(tmp_path / "data", database_url=database_url)
    yield made
    if made.process is not None:
        made.kill()
