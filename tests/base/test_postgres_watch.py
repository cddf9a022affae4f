"""PostgreSQL that ends, falls silent, loses the answer to a commit, or is another one. P1 G3."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from contrib.campaigns.postgres import Line
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base import postgres, postgres_watch
from failgate.base.db import Database, Transaction
from failgate.base.errors import OutcomeUnknown, StartRefused, StorageUnavailable
from failgate.base.open_database import open_database

END_MYSELF = "SELECT pg_terminate_backend(pg_backend_pid())"
ADD = "INSERT INTO idempotency (id, request_digest, created_us) VALUES ($1, 'd', 1)"
COUNT = "SELECT count(*) AS number FROM idempotency"


@pytest.fixture
async def url(postgres_server) -> AsyncIterator[str]:
    made = await postgres_server.migrated()
    yield made
    await postgres_server.drop(made)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (postgres, postgres_watch):
        monkeypatch.setattr(module, "SILENT_SECONDS", 0.4)
    monkeypatch.setattr(postgres_watch, "LOOK_SECONDS", 0.05)


@asynccontextmanager
async def by_line(url: str) -> AsyncIterator[tuple[Line, Database]]:
    """The database at `url` at the other end of a line that the test cuts."""
    found = re.fullmatch(r"postgresql://(\w+)@/(\w+)\?host=(.*)", url)
    assert found is not None, url
    role, name, folder = found.groups()
    async with Line(f"{folder}/.s.PGSQL.5432").laid() as line:
        database = await open_database(f"postgresql://{role}@127.0.0.1:{line.port}/{name}?sslmode=disable")
        try:
            yield line, database
        finally:
            await database.close()


async def add(database: Database, key: str) -> None:
    async def verb(tx: Transaction) -> None:
        await tx.execute(ADD, key)

    await database.write(verb)


async def count(database: Database) -> int:
    row = await database.fetch_one(COUNT)
    assert row is not None
    return row["number"]


async def test_a_change_during_which_the_server_ends_was_not_kept_and_the_next_one_is(url: str) -> None:
    database = await open_database(url)

    async def verb(tx: Transaction) -> None:
        await tx.execute(ADD, "a")
        await tx.fetch(END_MYSELF)

    with pytest.raises(StorageUnavailable, match="nothing was kept"):
        await database.write(verb)
    await add(database, "b")
    assert await count(database) == 1
    await database.close()


async def test_a_read_during_which_the_server_ends_is_unavailable_and_the_next_one_is_answered(url: str) -> None:
    database = await open_database(url)
    with pytest.raises(StorageUnavailable, match="cannot be reached"):
        await database.fetch(END_MYSELF)
    assert await count(database) == 0
    await database.close()


@pytest.mark.parametrize(("how", "kept"), [("after", 1), ("before", 0)])
async def test_a_commit_whose_answer_is_lost_is_called_neither_kept_nor_lost(url: str, how: str, kept: int) -> None:
    async with by_line(url) as (line, database):
        line.lose_commit = how
        with pytest.raises(OutcomeUnknown, match="not known") as refused:
            await add(database, "a")
        assert "Idempotency-Key" in str(refused.value)
        assert await count(database) == kept
        await add(database, "b")
        assert await count(database) == kept + 1


async def test_a_transaction_that_postgresql_ends_otherwise_than_asked_was_not_kept(url: str) -> None:
    database = await open_database(url)

    async def verb(tx: Transaction) -> None:
        await tx.execute(ADD, "a")
        with pytest.raises(Exception, match="syntax"):  # who swallows it has a transaction that cannot be committed
            await tx.execute("NONSENSE")

    with pytest.raises(StorageUnavailable, match="nothing was kept"):
        await database.write(verb)
    assert await count(database) == 0
    await database.close()


@pytest.mark.usefixtures("hurried")
async def test_a_line_that_falls_silent_is_given_up_and_the_lock_of_the_session_behind_it_is_taken_over(
    url: str,
) -> None:
    async with by_line(url) as (line, database):
        await add(database, "a")
        silence = asyncio.create_task(line.silence(1.5))
        await asyncio.sleep(0)
        began = time.monotonic()
        answers = await asyncio.gather(add(database, "b"), count(database), return_exceptions=True)
        assert [type(one) for one in answers] == [StorageUnavailable, StorageUnavailable]
        assert time.monotonic() - began < 30
        await silence
        await add(database, "c")  # the server still waits for the one before, which holds the lock
        assert await count(database) == 2


@pytest.mark.usefixtures("hurried")
async def test_a_statement_that_takes_long_is_waited_for_while_the_server_works_for_it(url: str) -> None:
    database = await open_database(url)

    async def verb(tx: Transaction) -> None:
        await tx.fetch("SELECT pg_sleep(1.5)")
        await tx.execute(ADD, "a")

    await asyncio.gather(database.write(verb), database.fetch("SELECT pg_sleep(1.5)"))
    assert await count(database) == 1
    await database.close()


async def test_somebody_elses_lock_is_not_taken_over(url: str) -> None:
    database = await open_database(url)
    try:
        with pytest.raises(StartRefused, match="Another Failgate server"):
            await open_database(url)
        await add(database, "a")
    finally:
        await database.close()


async def test_a_database_that_lacks_what_was_acknowledged_is_neither_read_nor_written(
    postgres_server, url: str, clock, tmp_path: Path
) -> None:
    database = await open_database(url)
    audit = AuditLog(database, clock, tmp_path)
    await audit.open()
    await audit.record(
        Event(Act.CLOCK_STEP, "system", "log", "system", Actor("system", "x"), {"from_us": 1, "to_us": 2})
    )
    superuser = await postgres_server._apart(postgres_server._inside(url.partition("?")[0].rsplit("/", 1)[-1]))

    async def sql(statement: str, *args: object):
        return await postgres_server._apart(superuser.fetch(statement, *args))

    async def end_all() -> None:
        await sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    try:
        [newest] = await sql("DELETE FROM audit_record RETURNING position, leaf, leaf_hash, obj_id")
        await end_all()
        for _ in range(2):
            with pytest.raises(StorageUnavailable, match=r"lacks what this server has acknowledged|did not take"):
                await add(database, "a")
            with pytest.raises(StorageUnavailable, match=r"lacks what this server has acknowledged|cannot be reached"):
                await count(database)
        await sql("INSERT INTO audit_record (position, leaf, leaf_hash, obj_id) VALUES ($1, $2, $3, $4)", *newest)
        await add(database, "b")
        assert await count(database) == 1

        await sql("ALTER TABLE audit_record RENAME TO audit_before")
        await end_all()
        for _ in range(2):
            with pytest.raises(StorageUnavailable):
                await add(database, "c")
            with pytest.raises(StorageUnavailable):
                await count(database)
        await sql("ALTER TABLE audit_before RENAME TO audit_record")
        assert await count(database) == 1
    finally:
        await postgres_server._apart(superuser.close())
        await audit.close()
        await database.close()
