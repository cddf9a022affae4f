"""The log of logs: heads that `system` records, and a log that is not as it was recorded. P2 B10"""

import asyncio

import pytest

from failgate.assembly import open_services
from failgate.audit.bundle import Head, Period, files_of
from failgate.audit.checkpoint import read_unverified
from failgate.audit.log import AuditLog
from failgate.audit.log_of_logs import LogOfLogs
from failgate.audit.recorded import newest_head, recorded_heads
from failgate.audit.signing import SIDECAR_FILE, read_sidecar, write_sidecar
from failgate.audit.verification import verify_logs
from failgate.base.errors import StartRefused
from failgate.config.load import load_config
from tests.audit.conftest import WS, event, fill
from tests.handmade import verify, write_folder

OTHER = "0197f0c2-0000-7000-8000-000000000002"


@pytest.fixture
def heads(database, audit):
    return LogOfLogs(database, audit)


async def verdict_of(database, tmp_path, log=WS):
    [found] = [one for one in (await verify_logs(database, tmp_path)).verdicts if one.log == log]
    return found


async def keep(database, log=WS):
    """What is stored of one log."""
    [head] = await database.fetch("SELECT * FROM audit_head WHERE log = $1", log)
    bounds = head["number"] << 40, head["number"] + 1 << 40
    records = await database.fetch("SELECT * FROM audit_record WHERE position >= $1 AND position < $2", *bounds)
    return dict(head), [dict(row) for row in records]


async def put_back(database, kept, tmp_path, audit, *, with_sidecar=True):
    """Take one log back to what was kept, as somebody does who knows of the sidecar too."""
    head, records = kept

    async def verb(tx):
        for table in ("audit_record", "audit_node"):
            if tx.dialect == "sqlite":
                await tx.execute(f"DROP TRIGGER IF EXISTS {table}_is_kept")
            else:
                await tx.execute(f"DROP TRIGGER IF EXISTS {table}_stays ON {table}")
        await tx.execute("DELETE FROM audit_node")
        first, end = head["number"] << 40, head["number"] + 1 << 40
        await tx.execute("DELETE FROM audit_record WHERE position >= $1 AND position < $2", first, end)
        for row in records:
            await tx.execute(f"INSERT INTO audit_record ({', '.join(row)}) VALUES ($1, $2, $3, $4)", *row.values())
        await tx.execute(
            "UPDATE audit_head SET size = $1, last_hash = $2, peaks = $3, ts_us = $4 WHERE log = $5",
            head["size"], head["last_hash"], head["peaks"], head["ts_us"], head["log"],
        )  # fmt: skip
        tx.state.clear()

    await database.write(verb)
    if with_sidecar:
        notes = read_sidecar(tmp_path / SIDECAR_FILE)
        notes.pop(head["log"], None)
        write_sidecar(tmp_path / SIDECAR_FILE, notes)
    audit.notary._notes.pop(head["log"], None)


async def test_only_logs_that_grew_are_recorded(database, audit, heads):
    assert await heads.record() == 0
    await fill(database, audit, 5)
    await fill(database, audit, 3, OTHER)
    assert await heads.record() == 2
    assert await heads.record() == 0
    await audit.record(event())
    assert await heads.record() == 1
    assert await LogOfLogs(database, audit).record() == 0, "another start knows what was recorded"
    told = await recorded_heads(database)
    assert {log: [one.size for one in found] for log, found in told.items()} == {WS: [5, 6], OTHER: [3]}
    newest = await newest_head(audit, WS)
    assert (newest.size, newest.root) == (6, await audit.root(WS, 6))
    record = (await audit.record_at("system", newest.seq)).record
    assert (record["act"], record["obj"]) == ("head.recorded", {"t": "log", "id": WS})


async def test_what_grew_is_recorded_at_the_stop(database, audit, heads):
    await fill(database, audit, 5)
    heads.start()
    await heads.close()
    assert (await newest_head(audit, WS)).size == 5


async def test_it_records_by_itself(database, audit):
    one = LogOfLogs(database, audit, every_seconds=0.02)
    one.start()
    await fill(database, audit, 5)
    async with asyncio.timeout(10):
        while await newest_head(audit, WS) is None:
            await asyncio.sleep(0.01)
    await one.close()


async def test_a_log_that_goes_on_is_as_it_was_recorded(database, audit, heads, tmp_path):
    for size in (1, 40, 256, 300, 700):
        await fill(database, audit, size - await audit.size(WS))
        await heads.record()
    await audit.close()
    assert (await verify_logs(database, tmp_path)).state == "intact"


@pytest.mark.parametrize("more", [0, 1, 30])
async def test_one_log_taken_back_alone_is_named_with_the_record_that_tells(
    database, audit, heads, clock, tmp_path, more
):
    await fill(database, audit, 40)
    kept = await keep(database)
    await fill(database, audit, 20)
    await fill(database, audit, 7, OTHER)
    await heads.record()
    await audit.close()
    await put_back(database, kept, tmp_path, audit)
    clock.advance(60)
    await fill(database, AuditLog(database, clock, tmp_path), more)
    found = await verdict_of(database, tmp_path)
    assert found.state == "tampered"
    told = (await newest_head(audit, WS)).seq
    if more < 20:
        assert found.first_bad == 40 + more
        assert f"the log has {40 + more} records, and record {told} of the log system tells of 60" in found.reason
    else:
        assert f"the first 60 records are not those that record {told} of the log system tells of" in found.reason
    assert (await verdict_of(database, tmp_path, OTHER)).state == "intact"
    with pytest.raises(StartRefused, match=f"So says record {told} of the log system"):
        await AuditLog(database, clock, tmp_path).open()


async def test_a_log_that_is_gone_without_a_trace_is_named(database, audit, heads, tmp_path):
    await fill(database, audit, 40)
    await heads.record()
    await audit.close()
    await put_back(database, ({**(await keep(database))[0], "size": 0}, []), tmp_path, audit)
    await database.write(lambda tx: tx.execute("DELETE FROM audit_head WHERE log = $1", WS))
    found = await verdict_of(database, tmp_path)
    assert (found.state, found.first_bad) == ("tampered", 0)
    assert "tells of 40" in found.reason


async def test_a_rollback_that_was_accepted_excuses_what_was_recorded_before_and_nothing_after(
    database, audit, heads, clock, tmp_path
):
    await fill(database, audit, 40)
    kept = await keep(database)
    await fill(database, audit, 20)
    await heads.record()
    await audit.close()
    await put_back(database, kept, tmp_path, audit)
    again = AuditLog(database, clock, tmp_path)
    [rollback] = await again.open(accept_rollback=True)
    assert (rollback.log, rollback.signed_size, rollback.found_size) == (WS, 60, 40)
    said = [one.record for one in await again.records("system")][-1]
    assert (said["act"], said["obj"]["id"], said["data"]["found_size"]) == ("rollback.accepted", WS, 40)
    await again.close()
    assert (await verify_logs(database, tmp_path)).state == "intact"
    third = AuditLog(database, clock, tmp_path)
    await third.open()
    kept = await keep(database)
    await fill(database, third, 5)
    assert await LogOfLogs(database, third).record() == 1
    await third.close()
    await put_back(database, kept, tmp_path, third)
    assert (await verdict_of(database, tmp_path)).state == "tampered"


async def bundle_of(audit, log, folder, made_us):
    note = await audit.checkpoint(log)
    head = Head(log, read_unverified(note), note, await audit.vkey(log))
    made = files_of(audit, head, Period(), tool="failgate test", made_us=made_us)
    return write_folder(folder / log, {name: content async for name, content in made})


async def test_the_offline_verifier_compares_exported_logs_with_the_log_of_logs(
    database, audit, heads, clock, tmp_path
):
    for size in (3, 256, 400):
        await fill(database, audit, size - await audit.size(WS))
        await heads.record()
    clock.advance(60)
    path = [await bundle_of(audit, log, tmp_path / "whole", clock.now_us()) for log in ("system", WS)]
    found = verify("heads", *path, "--vkey", await audit.vkey("system"))
    assert (found["exit_code"], found["heads"]) == (0, [3])
    await audit.close()
    head, _ = await keep(database)
    await put_back(database, (head, []), tmp_path, audit)
    await database.write(lambda tx: tx.execute("DELETE FROM audit_head WHERE log = $1", WS))
    audit._numbers.clear()
    clock.advance(60)
    rewritten = AuditLog(database, clock, tmp_path, key=(await audit.notary.signer()).key)
    await fill(database, rewritten, 400)
    other = await bundle_of(rewritten, WS, tmp_path / "rewritten", clock.now_us())
    assert verify("full", other)["exit_code"] == 0, "by itself it is whole"
    found = verify("heads", path[0], other)
    assert found["exit_code"] == 1
    assert "are not those that record 0 of the log of logs tells of" in found["lines"][0]


async def test_a_server_records_the_heads_when_it_stops(database_url, tmp_path):
    path = tmp_path / "failgate.toml"
    path.write_text(f'[database]\nurl = "{database_url}"\n')
    config = load_config(path, {})
    async with open_services(config, tmp_path / "data") as services:
        await services.audit.record(event())
    async with open_services(config, tmp_path / "data", is_serving=False) as services:
        newest = await newest_head(services.audit, WS)
        assert (newest.size, newest.root) == (1, await services.audit.root(WS))
        acts = [one.record["act"] for one in await services.audit.newest("system", limit=2)]
        assert acts == ["server.stopped", "head.recorded"]
