"""PostgreSQL: the second wall between workspaces, row level security, and the way to it. F4 F5 ASVS 13.2.1"""

import asyncio
import os
import struct
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest

from failgate.base.db import Database, Row, Transaction, workspace_scope
from failgate.base.errors import StartRefused, StorageUnavailable
from failgate.base.ids import new_id
from failgate.base.open_database import open_database
from failgate.base.postgres import open_postgres
from failgate.base.secret import Secret
from failgate.config.secret_sources import secret_from
from failgate.reports.reading import COLUMNS
from failgate.reports.search import ReportFilter, page_query
from tests.peers import tls_postgres
from tests.peers.tls_postgres import TlsPostgres
from tests.web.authority import CLIENT, Authority, issue

WALLED = {
    "gate_command", "gate_vote", "report", "report_artifact", "artifact", "share", "share_view", "artifact_review",
    "sharing_stop", "artifact_key", "redaction_rule", "redaction_set", "gate_run", "gate_run_command",
    "recording", "recording_chunk", "recording_mark",
}  # fmt: skip
ALSO_WALLED = {
    "report_group",
    "report_group_day",
    "usage_day",
    "workspace_retention",
    "recording_scan",
    "workspace_deletion",
    "gate_absence",
    "gate_familiar",
    "gate_rule_proposal",
    "gate_rule_terms",
    "gate_observing",
    "gate_mute",
    "gate_glass",
    "notification",
    "notify_destination",
    "saved_view",
    "device_key",
    "key_manifest",
    "sealed_command",
    "sealed_rules",
    "sealed_run",
    "sealed_decision",
}
# They name a workspace and stay open to reads of other workspaces' requests, which find out by them who somebody is.
OF_PEOPLE = {
    "agent", "agent_certificate", "gate_known_rule", "invitation", "membership", "sso_connection", "sso_membership",
    "token", "ingest_key", "workspace_limit", "notify_preference", "notify_cursor",
}  # fmt: skip


# Its index of words works outside of the wall alone; each search shows rows of `report`.
OF_SEARCH = {"report_text"}


@pytest.fixture
async def postgres(postgres_server) -> AsyncIterator[Database]:
    url = await postgres_server.migrated()
    database = await open_database(url)
    yield database
    await database.close()
    await postgres_server.drop(url)


async def fill(database: Database, workspace_id: str) -> None:
    command_id, report_id, artifact_id = new_id(), new_id(), new_id()

    async def verb(tx: Transaction) -> None:
        await insert(tx, "gate_command", id=command_id, workspace_id=workspace_id, state="denied")
        await insert(tx, "gate_vote", id=new_id(), command_id=command_id, decision="deny")
        await insert(tx, "gate_run", id=report_id, workspace_id=workspace_id)
        await insert(tx, "gate_run_command", command_id=command_id, run_id=report_id)
        await insert(tx, "artifact", id=artifact_id, workspace_id=workspace_id)
        await insert(tx, "artifact_key", workspace_id=workspace_id)
        await insert(tx, "report", id=report_id, workspace_id=workspace_id)
        await insert(tx, "redaction_rule", id=new_id(), workspace_id=workspace_id)
        await insert(tx, "redaction_set", workspace_id=workspace_id)
        await insert(tx, "report_artifact", report_id=report_id, workspace_id=workspace_id, artifact_id=artifact_id)
        await insert(tx, "share", id=report_id, workspace_id=workspace_id, token_sha256=report_id)
        await insert(tx, "share_view", id=new_id(), share_id=report_id)
        await insert(tx, "artifact_review", report_id=report_id, workspace_id=workspace_id)
        await insert(tx, "sharing_stop", workspace_id=workspace_id)
        named = {"recording_id": report_id, "workspace_id": workspace_id}
        await insert(tx, "recording", id=report_id, workspace_id=workspace_id)
        await insert(tx, "recording_chunk", **named, artifact_id=artifact_id)
        await insert(tx, "recording_mark", **named)

    await database.write(verb)


async def insert(tx: Transaction, table: str, **given: object) -> None:
    """Insert a row; what is demanded and not given gets some value of its type."""
    columns = await tx.fetch(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = $1"
        " AND is_nullable = 'NO' AND column_default IS NULL",
        table,
    )
    values = {c["column_name"]: 0 if c["data_type"] in {"bigint", "integer"} else "{}" for c in columns} | given
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    await tx.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})", *values.values())


@pytest.mark.parametrize("table", sorted(WALLED))
async def test_a_request_of_one_workspace_reads_no_row_of_another_even_when_the_query_forgets_to_say_so(
    postgres: Database, table: str
) -> None:
    ours, theirs = new_id(), new_id()
    await fill(postgres, ours)
    await fill(postgres, theirs)
    query = f"SELECT count(*) AS number FROM {table}"

    async def seen(scope: str | None) -> int:
        workspace_scope.set(scope)
        row = await postgres.fetch_one(query)
        assert row is not None
        return row["number"]

    counts = await asyncio.gather(*(asyncio.create_task(seen(scope)) for scope in (None, ours, theirs, new_id()) * 5))
    assert counts == [2, 1, 1, 0] * 5  # connections of the pool take nothing along


async def test_every_table_of_a_workspace_is_walled_or_known_to_be_of_people(postgres: Database) -> None:
    named = await postgres.fetch(
        "SELECT table_name AS name FROM information_schema.columns WHERE column_name = 'workspace_id'"
    )
    walled = await postgres.fetch("SELECT relname AS name FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")
    assert {row["name"] for row in walled} == WALLED | ALSO_WALLED
    assert {row["name"] for row in named} - WALLED - ALSO_WALLED <= OF_PEOPLE | OF_SEARCH


async def test_a_search_that_forgot_to_say_where_shows_nothing_of_another_workspace_and_uses_the_index_of_words(
    postgres: Database,
) -> None:
    ours, theirs = new_id(), new_id()

    async def keep(tx: Transaction) -> None:
        for workspace_id in (ours, theirs):
            report_id = new_id()
            await insert(tx, "report", id=report_id, workspace_id=workspace_id, state="sealed")
            await tx.execute(
                "INSERT INTO report_text (workspace_id, report_id, words) VALUES ($1, $2, 'konto'::tsvector)",
                workspace_id, report_id,
            )  # fmt: skip

    await postgres.write(keep)
    query = page_query(
        COLUMNS, ReportFilter(text="konto"), "postgres", workspace_id=ours, reader_id=ours, after=None, count=51
    )
    forgetful = query.sql.replace("WHERE report_text.workspace_id = $1", "WHERE $1::text <> ''")
    forgetful_args = [*query.args[:-1], "'konto'"]  # without the term of the workspace too
    assert forgetful != query.sql
    token = workspace_scope.set(ours)
    try:
        rows = await postgres.fetch(forgetful, *forgetful_args)
        assert [row["workspace_id"] for row in rows] == [ours]
    finally:
        workspace_scope.reset(token)
    assert len(await postgres.fetch(forgetful, *forgetful_args)) == 2

    async def planned(tx: Transaction) -> list[Row]:
        await tx.execute("SET LOCAL enable_seqscan = off")
        return await tx.fetch("EXPLAIN SELECT report_id FROM report_text WHERE words @@ 'konto'::tsquery")

    plan = [row["QUERY PLAN"] for row in await postgres.write(planned)]
    assert any("Bitmap Index Scan on report_text_words" in line for line in plan), plan


@pytest.mark.parametrize(("mode", "goes_on"), [("require", False), ("prefer", True)])
async def test_a_database_without_tls_hears_no_word_where_tls_is_demanded(mode: str, goes_on: bool) -> None:
    """`prefer` is the driver's own default, which falls back: the config refuses it for another machine."""
    heard: list[bytes] = []
    is_over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(8)
        if first == struct.pack("!ii", 8, 80877103):  # SSLRequest, PostgreSQL manual 54.2.10
            writer.write(b"N")
            await writer.drain()
            first = await reader.read(1024)
        heard.append(first)
        writer.close()
        await writer.wait_closed()
        is_over.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        with pytest.raises(StartRefused, match="PostgreSQL cannot be reached"):
            await open_postgres(f"postgresql://me:hunter2@127.0.0.1:{port}/db?sslmode={mode}")
        await asyncio.wait_for(is_over.wait(), 10)
    finally:
        server.close()
        await server.wait_closed()
    assert bool(b"".join(heard)) == goes_on


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Acme databases")


@pytest.fixture(scope="module")
def with_tls(authority: Authority) -> Iterator[TlsPostgres]:
    with tls_postgres.running(authority.server(), authority.pair) as peer:
        yield peer


async def use(database: Database) -> str:
    """Change something, read something; return who the database says this is."""

    async def verb(tx: Transaction) -> str:
        await tx.execute("CREATE TABLE IF NOT EXISTS kept (number BIGINT)")
        await tx.execute("INSERT INTO kept VALUES (1)")
        [row] = await tx.fetch("SELECT current_user::text AS name")
        return str(row["name"])

    name = await database.write(verb)
    assert await asyncio.gather(*(database.fetch("SELECT 1 AS one FROM kept LIMIT 1") for _ in range(8)))
    return name


async def assert_out(database: Database) -> None:
    """What is refused at a new connection is kept by nobody and said without a failure of ours."""
    for _ in range(2):  # the first finds the old connections ended
        with pytest.raises(StorageUnavailable):
            await database.fetch("SELECT 1 AS one")
        with pytest.raises(StorageUnavailable):
            await use(database)
    assert not database.is_healthy()


async def comes_back(database: Database) -> str:
    """Return who it is once it is well again: at once, apart from connections that learn of their end only now."""
    for _ in range(6):
        try:
            return await use(database)
        except StorageUnavailable:
            continue
    return await use(database)


async def test_a_database_that_demands_a_certificate_lets_its_holder_in_and_takes_a_rotated_one_without_a_restart(
    with_tls: TlsPostgres, authority: Authority, tmp_path: Path
) -> None:
    await with_tls.sql("CREATE ROLE holder LOGIN", "CREATE DATABASE holder OWNER holder")
    (tmp_path / "root.pem").write_bytes(authority.pair.pem)
    certificate, key = issue("holder", authority.pair, purposes=CLIENT).write(tmp_path, "client")
    url = with_tls.url("holder", sslrootcert=tmp_path / "root.pem")
    own = f"{url}&sslcert={certificate}&sslkey={key}"
    with pytest.raises(StartRefused, match="certificate"):
        await open_postgres(url)
    other, other_key = issue("somebody", authority.pair, purposes=CLIENT).write(tmp_path, "other")
    with pytest.raises(StartRefused, match="certificate authentication failed"):
        await open_postgres(f"{url}&sslcert={other}&sslkey={other_key}")
    with pytest.raises(StartRefused, match="PostgreSQL cannot be reached"):
        await open_postgres(own.replace("client.pem", "missing.pem"))
    database = await open_postgres(own)
    try:
        assert await use(database) == "holder"
        renewing = Authority("Acme databases, next year")
        await with_tls.trust(renewing.pair)
        await with_tls.end_connections()
        await assert_out(database)
        issue("holder", renewing.pair, purposes=CLIENT).write(tmp_path, "client")
        assert await comes_back(database) == "holder"
    finally:
        await database.close()
        await with_tls.trust(authority.pair)


@pytest.mark.parametrize("place", ["file", "command"])
async def test_a_password_that_changes_while_the_server_runs_is_asked_for_at_each_new_connection(
    with_tls: TlsPostgres, authority: Authority, tmp_path: Path, place: str
) -> None:
    await with_tls.sql(
        "DROP DATABASE IF EXISTS renewed", "DROP ROLE IF EXISTS renewed", "CREATE ROLE renewed LOGIN PASSWORD 'first'",
        "CREATE DATABASE renewed OWNER renewed",
    )  # fmt: skip
    (tmp_path / "root.pem").write_bytes(authority.pair.pem)
    kept = tmp_path / "password"
    kept.write_text("first\n")
    source = {"file": {"file": str(kept)}, "command": {"command": ["cat", str(kept)]}}[place]
    read = partial(secret_from, source, os.environ, tmp_path)
    url = with_tls.url("renewed", sslrootcert=tmp_path / "root.pem")
    with pytest.raises(StartRefused, match="password authentication failed"):
        await open_postgres(url, password=Secret("another"))
    database = await open_postgres(url, password=Secret(read(), read))
    try:
        assert await use(database) == "renewed"
        await with_tls.sql("ALTER ROLE renewed PASSWORD 'second'")
        assert await use(database) == "renewed"  # what is open stays open
        await with_tls.end_connections()
        await assert_out(database)
        kept.unlink()
        await assert_out(database)
        kept.write_text("second\n")
        assert await comes_back(database) == "renewed"
    finally:
        await database.close()
