from pathlib import Path

import pytest

from failgate.base.errors import StartRefused
from failgate.base.migrate import core_migrations, migrate, pending_migrations
from failgate.base.open_database import open_database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "migrations"
    place.mkdir()
    (place / "0001_first.sql").write_text(
        "-- a comment\nCREATE TABLE a (x BIGINT, y {BYTES});\n--;\nCREATE INDEX ax ON a (x);\n"
    )
    (place / "0001_first.sqlite.sql").write_text("CREATE TABLE only_sqlite (x BIGINT)")
    (place / "0001_first.postgres.sql").write_text("CREATE TABLE only_postgres (x BIGINT)")
    return place


async def test_migrations_run_once_and_in_order(empty_database_url: str, folder: Path) -> None:
    database = await open_database(empty_database_url)
    assert await migrate(database, folder) == ["0001_first"]
    (folder / "0002_second.sql").write_text("ALTER TABLE a ADD COLUMN z TEXT")
    assert await migrate(database, folder) == ["0002_second"]
    assert await migrate(database, folder) == []
    await database.fetch(f"SELECT x, y, z FROM a, only_{database.dialect}".replace("SELECT x", "SELECT a.x"))
    await database.close()


async def test_a_database_of_a_newer_version_is_refused(empty_database_url: str, folder: Path) -> None:
    database = await open_database(empty_database_url)
    (folder / "0009_future.sql").write_text("CREATE TABLE f (x BIGINT)")
    await migrate(database, folder)
    (folder / "0009_future.sql").unlink()
    with pytest.raises(StartRefused, match="newer version: it has 0009_future, this program knows up to 0001_first"):
        await pending_migrations(database, folder)
    await database.close()


async def test_a_migration_changed_after_it_was_applied_is_refused(empty_database_url: str, folder: Path) -> None:
    database = await open_database(empty_database_url)
    await migrate(database, folder)
    (folder / "0001_first.sql").write_text("CREATE TABLE a (x BIGINT, changed TEXT)")
    with pytest.raises(StartRefused, match="differs"):
        await migrate(database, folder)
    await database.close()


async def test_a_failing_migration_leaves_nothing_half_done(empty_database_url: str, folder: Path) -> None:
    database = await open_database(empty_database_url)
    (folder / "0002_broken.sql").write_text("CREATE TABLE b (x BIGINT);\n--;\nCREATE TABLE b (x BIGINT);")
    with pytest.raises(Exception, match="already exists"):
        await migrate(database, folder)
    (folder / "0002_broken.sql").write_text("CREATE TABLE b (x BIGINT)")
    assert await migrate(database, folder) == ["0002_broken"]
    await database.close()


async def test_the_core_history_runs_from_empty_and_matches_the_tables(empty_database_url: str) -> None:
    from tests.conftest import core_tables

    database = await open_database(empty_database_url, tables=core_tables())
    await migrate(database, core_migrations())
    for table in core_tables():
        declared = {column._meta.db_column_name for column in table._meta.columns}
        if database.dialect == "sqlite":
            found = {
                row["name"]
                for row in await database.fetch(f"SELECT name FROM pragma_table_info('{table._meta.tablename}')")
            }
        else:
            found = {
                row["column_name"]
                for row in await database.fetch(
                    "SELECT column_name FROM information_schema.columns WHERE table_name = $1", table._meta.tablename
                )
            }
        assert declared == found, table._meta.tablename
    await database.close()


async def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(StartRefused, match="mysql"):
        await open_database("mysql://x/y")


async def test_an_unreachable_postgres_is_a_clear_refusal() -> None:
    with pytest.raises(StartRefused, match="cannot be reached"):
        await open_database("postgresql://nobody@127.0.0.1:1/none")


async def test_a_second_server_on_one_postgres_database_is_refused(postgres_server) -> None:
    url = await postgres_server.empty()
    first = await open_database(url)
    with pytest.raises(StartRefused, match="Another Failgate server"):
        await open_database(url)
    await first.close()
    await (await open_database(url)).close()
    await postgres_server.drop(url)
