"""Fixtures of the journeys: a browser, a server on each database."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.journeys.harness import NewDatabase, Server, browser
from tests.journeys.sso import MockProvider, NameServer, mock_provider, name_server
from tests.journeys.team import apart
from tests.peers.oidc_provider.peer import OidcProvider, provider


@pytest.fixture
def chromium(server: Server) -> Iterator[object]:
    """A browser. Its own loop occupies this thread, so it opens after every asynchronous fixture and closes before."""
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def new_database(request: pytest.FixtureRequest) -> Iterator[NewDatabase]:
    """Makes a database of each engine, for a server that a module shares: its URL, None for a file of the server's own."""
    if request.param == "sqlite":
        yield lambda: None
        return
    postgres = request.getfixturevalue("postgres_server")
    with ExitStack() as stack:

        def make() -> str:
            url = apart(postgres.migrated())
            stack.callback(lambda: apart(postgres.drop(url)))
            return url

        yield make


@pytest.fixture(scope="module")
def peer() -> Iterator[OidcProvider]:
    """The certified OpenID provider."""
    with provider() as running:
        yield running


@pytest.fixture(scope="module")
def second() -> Iterator[MockProvider]:
    """A second OpenID provider, which says of itself and of people what a test wants."""
    with mock_provider() as running:
        yield running


@pytest.fixture(scope="module")
def names() -> Iterator[NameServer]:
    with name_server() as running:
        yield running


@pytest.fixture
def width(database_url: str) -> int:
    """A desk on one engine and a phone on the other: a journey of a minute looks at each width once, in pixels."""
    return 1280 if database_url.startswith("sqlite") else 390


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Server]:
    """A server that is not started yet, on a migrated database of each engine."""
    made = Server(tmp_path / "data", database_url=database_url)
    yield made
    if made.process is not None:
        made.kill()
