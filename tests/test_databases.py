"""A database that a test gives back: the next one sees nothing of it. It is emptied, or dropped when rows are not all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from failgate.base.migrate import core_migrations, migrate
from failgate.base.open_database import open_database
from tests.postgres import PostgresServer, name_of

# What a database holds, whatever it is: each schema, table, column, trigger, policy, rule, index, function and setting.
STATE = """
SELECT 'class' AS kind, (oid, relname, relowner, relkind, relacl, relrowsecurity, relforcerowsecurity, reloptions)::text
  AS what FROM pg_class
UNION ALL SELECT 'attribute', (attrelid, attname, atttypid, attnotnull, attacl)::text FROM pg_attribute
UNION ALL SELECT 'trigger', (oid, tgname, tgrelid, tgenabled)::text FROM pg_trigger
UNION ALL SELECT 'policy', (oid, polname, polqual)::text FROM pg_policy
UNION ALL SELECT 'constraint', (oid, conname, convalidated)::text FROM pg_constraint
UNION ALL SELECT 'function', (oid, proname, prosrc)::text FROM pg_proc
UNION ALL SELECT 'schema', (oid, nspname, nspacl)::text FROM pg_namespace
UNION ALL SELECT 'setting', (name, setting)::text FROM pg_settings WHERE source NOT IN ('session', 'client')
UNION ALL SELECT 'comment', description FROM pg_description WHERE objoid >= 16384
UNION ALL SELECT 'comment', description FROM pg_shdescription JOIN pg_database ON oid = objoid
  WHERE datname = current_database()
UNION ALL SELECT 'lock', objid::text FROM pg_locks WHERE locktype = 'advisory' AND database =
  (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL SELECT 'session', pid::text FROM pg_stat_activity WHERE datname = current_database()
  AND pid <> pg_backend_pid()
UNION ALL SELECT 'statistics', (starelid, staattnum)::text FROM pg_statistic WHERE starelid >= 16384
UNION ALL SELECT 'object', oid::text FROM pg_largeobject_metadata
UNION ALL SELECT 'file', (oid, pg_relation_size(oid))::text FROM pg_class WHERE relkind = 'r' AND oid >= 16384
"""
TABLES = (
    "SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
)


@asynccontextmanager
async def connected(url: str, **settings: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url, server_settings=settings)
    try:
        yield connection
    finally:
        await connection.close()


def as_superuser(server: PostgresServer, url: str) -> str:
    return url.replace("failgate_owner@", server._uri.partition("//")[2].partition("@")[0] + "@")


async def state(server: PostgresServer, url: str) -> set[tuple[str, str]]:
    async with connected(as_superuser(server, url)) as connection:
        found = {(row["kind"], row["what"]) for row in await connection.fetch(STATE)}
        for row in await connection.fetch(TABLES):
            rows = await connection.fetch(f"SELECT t::text AS what FROM {row['name']} t")
            found |= {(row["name"], each["what"]) for each in rows}
        return found


VALUES = {"bigint": "1", "integer": "1", "smallint": "1", "bytea": "'\\x00'", "ARRAY": "'{}'", "tsvector": "'a'"}
CHECKED = {
    "gate_command.state": "'denied'",
    "gate_vote.decision": "'deny'",
    "gate_mute.what": "'same'",
    "report_group.state": "'open'",
    "gate_glass.review": "'open'",
    "device_key.purpose": "'asking'",
    "sealed_command.state": "'denied'",
    "sealed_decision.decision": "'deny'",
    "audit_body.erased_us": "1",
    "audit_erasure.kind": "'account'",
}


async def fill_every_table(server: PostgresServer, url: str) -> None:
    """Put a row into every table, as a superuser can: without foreign keys."""
    async with connected(as_superuser(server, url), session_replication_role="replica") as connection:
        for table in [row["name"] for row in await connection.fetch(TABLES)]:
            columns = {
                row["name"]: CHECKED.get(f"{table}.{row['name']}", VALUES.get(row["type"], "'{}'"))
                for row in await connection.fetch(
                    "SELECT column_name AS name, data_type AS type FROM information_schema.columns"
                    " WHERE table_name = $1 AND is_nullable = 'NO' AND column_default IS NULL",
                    table,
                )
            } | {name: value for at, value in CHECKED.items() for of, name in [at.split(".")] if of == table}
            await connection.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(columns.values())})"
                if table != "schema_migration"
                else "SELECT 1"
            )


async def oid(url: str) -> int:
    async with connected(url) as connection:
        return await connection.fetchval("SELECT oid FROM pg_database WHERE datname = current_database()")


async def test_a_database_with_a_row_in_every_table_is_emptied_and_handed_out_under_another_name(
    postgres_server: PostgresServer,
) -> None:
    first = await postgres_server.migrated()
    before = await state(postgres_server, first)
    await fill_every_table(postgres_server, first)
    async with connected(first) as connection:
        filled = [row["name"] for row in await connection.fetch(TABLES)]
        assert all([await connection.fetchval(f"SELECT count(*) FROM {table}") for table in filled])
        await connection.execute("DELETE FROM usage_day")  # which leaves its row in the file
    was = await oid(first)
    await postgres_server.drop(first)
    second = await postgres_server.migrated()
    try:
        assert second != first
        assert await oid(second) == was
        assert await state(postgres_server, second) ^ before == set()
    finally:
        await postgres_server.drop(second)


async def test_what_a_test_left_connected_is_ended_with_its_locks_and_finds_no_way_back(
    postgres_server: PostgresServer,
) -> None:
    first = await postgres_server.migrated()
    before = await state(postgres_server, first)
    was = await oid(first)
    left = await asyncpg.connect(first)
    await left.execute("SELECT pg_advisory_lock(7), set_config('failgate.workspace', 'x', false)")
    await left.execute("BEGIN")
    await left.execute("INSERT INTO audit_node (position, hash) VALUES (1, 'x')")
    await postgres_server.drop(first)
    second = await postgres_server.migrated()
    try:
        assert await oid(second) == was
        assert await state(postgres_server, second) ^ before == set()
        with pytest.raises((asyncpg.InterfaceError, asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError)):
            await left.execute("COMMIT")
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await asyncpg.connect(first)
    finally:
        await postgres_server.drop(second)
        left.terminate()


# A statement of the owner, and what takes it back so that the next one is seen by itself.
CHANGES = {
    "CREATE TABLE more (x BIGINT)": "DROP TABLE more",
    "ALTER TABLE account ADD COLUMN more TEXT": "ALTER TABLE account DROP COLUMN more",
    "DROP TABLE usage_day": "",
    "CREATE INDEX more ON account (id)": "DROP INDEX more",
    "DROP INDEX audit_record_obj": "",
    "ALTER TABLE audit_record DISABLE TRIGGER ALL": "",
    "DROP TRIGGER audit_node_stays ON audit_node": "",
    "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'": "",
    "ALTER TABLE report DISABLE ROW LEVEL SECURITY": "",
    "ALTER POLICY of_workspace ON report USING (true)": "",
    "DROP POLICY of_workspace ON report": "",
    "CREATE SCHEMA more": "DROP SCHEMA more",
    "CREATE VIEW more AS SELECT 1 AS x": "DROP VIEW more",
    "CREATE TEMPORARY TABLE more (x BIGINT)": "",
    "GRANT SELECT ON account TO PUBLIC": "",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC": "",
    "COMMENT ON TABLE account IS 'x'": "",
    "UPDATE schema_migration SET sha256 = 'x' || sha256": "UPDATE schema_migration SET sha256 = substr(sha256, 2)",
    "INSERT INTO schema_migration VALUES ('9999_more', 'x', 1)": "DELETE FROM schema_migration WHERE name = '9999_more'",
    "SELECT lo_create(7)": "SELECT lo_unlink(7)",
    "ALTER DATABASE {name} SET work_mem = '1MB'": "ALTER DATABASE {name} RESET ALL",
    "ALTER ROLE failgate_owner SET work_mem = '1MB'": "ALTER ROLE failgate_owner RESET ALL",
    "ALTER ROLE failgate_owner IN DATABASE {name} SET work_mem = '1MB'": "ALTER ROLE failgate_owner IN DATABASE {name} RESET ALL",
    "COMMENT ON DATABASE {name} IS 'x'": "COMMENT ON DATABASE {name} IS NULL",
    "ANALYZE schema_migration": "",
    "CREATE SEQUENCE more; SELECT setval('more', 3)": "",
}


async def test_whatever_is_done_to_more_than_rows_keeps_a_database_from_being_handed_out_again(
    postgres_server: PostgresServer,
) -> None:
    url = await postgres_server.migrated()
    name = name_of(url)

    async def is_kept() -> bool:
        return await postgres_server._apart(postgres_server._emptied(name))

    missed = []
    for change, undo in CHANGES.items():
        async with connected(as_superuser(postgres_server, url)) as superuser:
            assert await is_kept(), change
            async with connected(url) as owner:
                await owner.execute(change.format(name=name))
                if await is_kept():
                    missed.append(change)
                if undo:
                    await owner.execute(undo.format(name=name))
            await superuser.execute("DELETE FROM pool.change; DELETE FROM pg_statistic WHERE starelid >= 16384")
    await postgres_server.drop(url)
    assert missed == []


async def test_a_database_that_was_changed_is_replaced_by_a_new_one(postgres_server: PostgresServer) -> None:
    first = await postgres_server.migrated()
    was = await oid(first)
    before = await state(postgres_server, first)
    async with connected(first) as connection:
        await connection.execute("CREATE TABLE more (x BIGINT); INSERT INTO more VALUES (1)")
        await connection.execute(f"ALTER DATABASE {name_of(first)} SET work_mem = '1MB'")
        await connection.execute("ALTER ROLE failgate_owner SET work_mem = '2MB'")
        await connection.execute(f"GRANT CONNECT ON DATABASE {name_of(first)} TO PUBLIC")
    await postgres_server.drop(first)
    second = await postgres_server.migrated()
    try:
        assert await oid(second) != was
        assert await state(postgres_server, second) ^ before == set()
    finally:
        await postgres_server.drop(second)


async def test_a_server_that_finds_its_history_complete_has_changed_nothing(postgres_server: PostgresServer) -> None:
    url = await postgres_server.migrated()
    was = await oid(url)
    database = await open_database(url)
    assert await migrate(database, core_migrations()) == []
    await database.close()
    await postgres_server.drop(url)
    again = await postgres_server.migrated()
    try:
        assert await oid(again) == was
    finally:
        await postgres_server.drop(again)
