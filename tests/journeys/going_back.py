"""A machine whose database goes back: to what it held at a moment, with the heads of the log that are kept beside it."""

import sqlite3
from collections.abc import Callable

import pytest

from tests.journeys.harness import Server
from tests.journeys.team import apart
from tests.postgres import PostgresServer

HEADS = "audit.heads.json"


def kept(server: Server, database_url: str, request: pytest.FixtureRequest) -> Callable[[], None]:
    """Keep what `server`, which has stopped, holds now; return what puts all of it back, once, when it does not run."""
    heads = (server.data / HEADS).read_bytes()
    if database_url.startswith("postgresql"):
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        copy = apart(postgres.keep(database_url))

        def put_back() -> None:
            apart(postgres.put_back(database_url, copy))
            (server.data / HEADS).write_bytes(heads)

        return put_back
    file = server.data / "failgate.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = file.read_bytes()

    def write_back() -> None:
        file.write_bytes(content)
        (server.data / HEADS).write_bytes(heads)
        for leftover in server.data.glob("failgate.sqlite-*"):
            leftover.unlink()

    return write_back
