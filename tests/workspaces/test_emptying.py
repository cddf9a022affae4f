"""A deleted workspace is emptied: nothing of it stays in any table nor in the store, and its log and receipt prove it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from failgate.audit import erasing
from failgate.audit.beside import bodies_of
from failgate.audit.checkpoint import read_unverified
from failgate.audit.record import Act, Actor, Event
from failgate.audit.verification import verify_logs
from failgate.base.canonical import digest_of
from failgate.base.clock import FrozenClock, SystemClock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import StorageUnavailable
from failgate.base.ids import new_id
from failgate.core_database import ROWS_OF_WORKSPACE
from failgate.gate.verification import verify_gate
from failgate.workspaces import emptying
from tests.workspaces.closing import OPERATOR, RULE, House, furnished, opened, submission

ROOT = Path(__file__).parents[2]
# Tables of the log, of the installation and of accounts: what they hold of a workspace ends with its connections.
NOT_OF_WORKSPACES = {
    "account", "workspace", "deleted_workspace", "audit_record", "audit_block", "audit_body", "audit_node", "audit_head",
    "audit_cursor", "audit_exporter", "audit_put_aside", "audit_cosignature", "session", "login", "device_request", "report_words",
}  # fmt: skip


@pytest.fixture
async def house(database_url: str, tmp_path: Path, clock: FrozenClock) -> AsyncIterator[House]:
    async with opened(tmp_path, database_url, clock) as services:
        yield await furnished(services, clock)


async def columns_of(database: Database) -> dict[str, list[Row]]:
    """Every table with its columns: name, whether a value is demanded, whether it is a number."""
    if database.dialect == "sqlite":
        query = (
            'SELECT m.name AS "table", p.name AS name, p."notnull" = 1 AND p.dflt_value IS NULL AND'
            " NOT (p.pk = 1 AND p.type = 'INTEGER') AS demanded, p.type NOT IN ('TEXT', 'BLOB') AS is_number,"
            " p.type = 'BLOB' AS is_bytes FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS p"
            " WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE 'report_words_%'"
        )
    else:
        query = (
            "SELECT table_name AS \"table\", column_name AS name, is_nullable = 'NO' AND column_default IS NULL AS"
            " demanded, data_type NOT IN ('text', 'bytea', 'tsvector') AS is_number, data_type = 'bytea' AS is_bytes"
            " FROM information_schema.columns WHERE table_schema = 'public'"
        )
    tables: dict[str, list[Row]] = {}
    for row in await database.fetch(query):
        tables.setdefault(row["table"], []).append(row)
    return tables


CHOSEN = {
    "gate_command": {"state": "denied"}, "gate_vote": {"decision": "deny"}, "gate_mute": {"what": "same"}, "report_group": {"state": "open"},
    "device_key": {"purpose": "asking", "revoked_us": 1}, "sealed_command": {"state": "denied"}, "sealed_decision": {"decision": "deny"},
    "sso_connection": {"removed_us": 1}, "gate_observing": {"denials": 1}, "saved_view": {"is_shared": 1}, "gate_glass": {"review": "open"},
    "scim_member": {"group_id": "resource_id", "user_id": "resource_id"}, "sso_enforcement": {"id": "workspace_id"},
}  # fmt: skip
PARENTS = {
    "agent": "agent_id", "sso_connection": "connection_id", "gate_command": "command_id", "artifact": "artifact_id",
    "report": "report_id", "share": "share_id", "scim_resource": "resource_id", "report_group": "group_id",
    "gate_run": "run_id",
    "recording": "recording_id",
}  # fmt: skip


async def fill(house: House, workspace_id: str, account_id: str) -> dict[str, str]:
    """Put a row into every table that names something of the workspace; return the ids of what it names."""
    database = house.services.db
    tables = await columns_of(database)
    known = {column: new_id() for column in PARENTS.values()}
    known |= {"workspace_id": workspace_id, "account_id": account_id, "break_glass_account_id": account_id}
    own = {"workspace_id", *PARENTS.values()}

    def is_of(table: str) -> bool:
        names = {column["name"] for column in tables[table]}
        return table not in NOT_OF_WORKSPACES and (bool(names & own) or table in CHOSEN)

    async def verb(tx: Transaction) -> None:
        for table in [*PARENTS, *sorted(set(tables) - set(PARENTS))]:
            if not is_of(table):
                continue
            values: dict[str, object] = {}
            for column in tables[table]:
                name = column["name"]
                if name in CHOSEN.get(table, {}):
                    chosen = CHOSEN[table][name]
                    values[name] = known.get(chosen, chosen)
                elif name == "id":
                    values[name] = known[PARENTS[table]] if table in PARENTS else new_id()
                elif name in known:
                    values[name] = known[name]
                elif column["demanded"]:
                    values[name] = 7 if column["is_number"] else b"x" if column["is_bytes"] else new_id()
            if table == "artifact":
                values["findings"] = "{}"
            if table == "ingest_key":
                values["number"] = int(workspace_id[-6:], 16)
            names, places = ", ".join(values), ", ".join(f"${number}" for number in range(1, len(values) + 1))
            await tx.execute(
                f"INSERT INTO {table} ({names}) VALUES ({places}) ON CONFLICT DO NOTHING", *values.values()
            )

    await database.write(verb)
    return {name: value for name, value in known.items() if name in own}


async def rows_with(database: Database, ids: set[str]) -> list[str]:
    """Every row of every table that holds one of `ids`, as text that names its table."""
    found: list[str] = []
    for table in await columns_of(database):
        if table.startswith("audit_") or table in {"deleted_workspace", "report_words"}:
            continue
        rows = await database.fetch(f"SELECT * FROM {table}")
        found += [f"{table} {sorted(row.items())}" for row in rows if ids & {str(value) for value in row.values()}]
    return sorted(found)


async def test_nothing_is_left_of_it_in_any_table_and_others_are_untouched(house: House) -> None:
    services = house.services
    theirs = await fill(house, house.other, house.dev.id)
    ours = await fill(house, house.acme, house.ann.id)
    before = await rows_with(services.db, set(theirs.values()))
    named = {line.partition(" ")[0] for line in await rows_with(services.db, set(ours.values()))}
    demanded = {table for table, columns in (await columns_of(services.db)).items()
                if "workspace_id" in {one["name"] for one in columns}}  # fmt: skip
    assert demanded - named == set()
    assert {table for rows in ROWS_OF_WORKSPACE for table in rows.tables} <= named
    await house.confirmed()
    assert await services.emptying.run_once() == 1
    assert await rows_with(services.db, set(ours.values())) == []
    assert await rows_with(services.db, set(theirs.values())) == before


async def test_nothing_is_left_in_the_store_nor_in_the_rulebook_and_the_receipt_counts_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = house.services
    monkeypatch.setattr(emptying, "BATCH", 2)
    eve = (await services.workspaces.members(house.other))[0].account_id
    kept = await house.report(house.other, type(house.ann)(kind="user", account_id=eve), b"kept\n")
    contents = [f"zebra {number}\n".encode() for number in range(5)]
    for content in contents:
        await house.report(house.acme, house.ann, content)
    await services.rules.create(type(OPERATOR)("user", house.ann.id), house.acme, RULE)
    await services.rules.create(type(OPERATOR)("user", eve), house.other, RULE)
    assert len(house.objects()) == 6
    await house.confirmed()
    assert await services.emptying.run_once() == 1
    assert len(house.objects()) == 1
    assert [await services.reports.view(type(house.ann)(kind="user", account_id=eve), house.other, kept)] != []
    assert services.plugins.rulebook is not None
    assert [row[0] for row in await services.plugins.rulebook.stored()] == [house.other]
    if services.db.dialect == "sqlite":
        words = "SELECT count(*) AS n FROM report_words WHERE report_words MATCH 'zebra'"
        assert (await services.db.fetch(words))[0]["n"] == 0

    [left] = await house.deletion.deleted_of(house.bob.id)
    receipt = left.receipt
    assert receipt is not None
    assert left.state == "deleted"
    assert (receipt.reports, receipt.artifacts, receipt.size_bytes) == (5, 5, sum(map(len, contents)))
    assert (receipt.asked_by, receipt.confirmed_by) == (house.ann.id, house.bob.id)
    assert receipt.rows["report_text"] == receipt.rows["report_artifact"] == 5
    assert (await house.last(house.acme))["data"] == {"reports": 5, "artifacts": 5, "size_bytes": receipt.size_bytes}
    assert left.record is not None
    record = (await services.audit.record_at("system", left.record)).record
    assert (record["act"], record["obj"]["id"]) == ("workspace.deleted", house.acme)
    assert record["data"]["receipt"] == digest_of(msgspec.to_builtins(receipt))
    assert record["data"]["log_root"] == receipt.log_root == (await services.audit.root(house.acme)).hex()
    head = read_unverified(receipt.checkpoint)
    assert (head.size, head.root.hex()) == (receipt.log_size, receipt.log_root)
    assert await services.emptying.run_once() == 0

    verified = await verify_logs(services.db, services.data_dir, against=[("receipt", receipt.checkpoint)])
    assert (verified.state, [one.first_bad for one in verified.verdicts]) == ("intact", [None] * 3)
    assert await verify_gate(services.db, services.audit, services.plugins.rulebook) == []


async def test_the_addresses_beside_the_records_of_its_log_are_erased_and_no_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those of a log that takes several batches; who deleted it stays in the log `system`."""
    services = house.services
    monkeypatch.setattr(erasing, "RECORDS_AT_ONCE", 16)
    facts = {"kind": "x", "first": 0, "last": 0, "size": 1}
    sizes = {}
    for log in (house.acme, house.other, "system"):
        done = Event(Act.AUDIT_EXPORTED, log, "log", log, Actor("user", house.ann.id), facts, ip="192.0.2.7")
        await services.db.write(partial(services.audit.append_all, log=log, events=[(done, None)] * 40))
        sizes[log] = await services.audit.size(log)
    await house.confirmed()
    assert await services.emptying.run_once() == 1
    for log, size in sizes.items():
        bodies = await bodies_of(services.db, log, range(size))
        said = {body.body for body in bodies.values()}
        assert (len(bodies) >= 40, said) == (True, {None} if log == house.acme else {b'{"ip":"192.0.2.7"}'})
    own = [one.record for one in await services.audit.newest(house.acme, limit=10)]
    assert own[0]["act"] == "workspace.emptied"
    assert {(one["act"], one["data"].get("reason")) for one in own[1:4]} == {("body.erased", "deleted")}
    assert (await verify_logs(services.db, services.data_dir)).state == "intact"


async def test_a_store_that_lets_nothing_go_is_asked_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    services = house.services
    await house.report(house.acme, house.ann, b"output\n")
    await house.confirmed()
    store = services.plugins.artifact_store
    unlink = store.unlink

    async def stuck(key: str) -> bool:
        raise StorageUnavailable("The store does not answer.")

    monkeypatch.setattr(store, "unlink", stuck)
    assert await services.emptying.run_once() == 0
    assert (len(house.objects()), (await house.deletion.deleted())[0].state) == (1, "emptying")
    monkeypatch.setattr(store, "unlink", unlink)
    assert (await services.emptying.run_once(), house.objects()) == (1, [])


async def test_a_proof_in_the_middle_misses_nothing_that_was_removed(house: House) -> None:
    services = house.services
    agent = await services.agents.create(house.acme, "builder", house.dev.id, OPERATOR)
    token = await services.tokens.mint("agt", agent.id, house.acme, "x", actor=OPERATOR)
    asking = await services.tokens.resolve(token)
    assert asking is not None
    command = await services.gate.submit(asking, house.acme, submission())
    await house.confirmed()
    assert await verify_gate(services.db, services.audit, services.plugins.rulebook) == []
    await services.db.write(lambda tx: tx.execute("DELETE FROM gate_command WHERE id = $1", command.id))
    assert await verify_gate(services.db, services.audit, services.plugins.rulebook) == []


async def test_what_comes_in_between_is_removed_before_the_receipt(house: House) -> None:
    services = house.services
    await house.confirmed()
    real, calls = services.rules.forget, 0

    async def forget(workspace_id: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:  # everything was looked at once
            await services.db.write(lambda tx: tx.execute(
                "INSERT INTO usage_day (workspace_id, day) VALUES ($1, $2)", workspace_id, 1
            ))  # fmt: skip
        await real(workspace_id)

    other = emptying.Emptying(
        services.db, services.audit, house.clock,
        rows=ROWS_OF_WORKSPACE, remove_objects=services.artifacts.remove_objects, forget_rules=forget,
        erase_bodies=services.evidence.erasing.erase_log,
    )  # fmt: skip
    assert (await other.run_once(), await other.run_once(), calls) == (0, 1, 4)
    query = "SELECT count(*) AS n FROM usage_day WHERE workspace_id = $1"
    assert (await services.db.fetch(query, house.acme))[0]["n"] == 0


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.workspaces.closing import opened
from failgate.workspaces import emptying
emptying.BATCH = 2
async def main():
    async with opened(Path(sys.argv[1]), sys.argv[2]) as services:
        store, left = services.plugins.artifact_store, [int(sys.argv[3])]
        unlink = store.unlink
        async def counted(key):
            gone = await unlink(key)
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return gone
        store.unlink = counted
        await services.emptying.run_once()
asyncio.run(main())
"""


async def test_a_kill_in_the_middle_is_gone_on_from(database_url: str, tmp_path: Path) -> None:
    clock = SystemClock()
    async with opened(tmp_path, database_url) as services:
        house = await furnished(services, clock)  # type: ignore[arg-type]  # nobody advances it here
        for number in range(6):
            await house.report(house.acme, house.ann, f"output {number}\n".encode())
        await house.confirmed()
    path = os.pathsep.join(filter(None, [str(ROOT), *sys.path]))
    killed = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", KILLED, str(tmp_path), database_url, "3"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr[-2000:]
    async with opened(tmp_path, database_url) as services:
        house.services = services
        assert len(house.objects()) == 3
        rows = await services.db.fetch("SELECT id FROM artifact WHERE workspace_id = $1", house.acme)
        assert len(rows) == 4  # the row of the third object, which is gone, still leads to it
        assert await services.workspaces.by_slug("acme") is None
        assert await services.emptying.run_once() == 1
        [left] = await house.deletion.deleted()
        assert left.receipt is not None
        assert (house.objects(), left.receipt.artifacts, left.receipt.reports) == ([], 6, 6)
        verified = await verify_logs(services.db, services.data_dir, against=[("receipt", left.receipt.checkpoint)])
        assert verified.state == "intact"
