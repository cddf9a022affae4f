"""The audit log on both engines: what commits is chained, what does not leaves no trace. MISSION E3 E7 E20."""

import asyncio
import json
from itertools import pairwise

import pytest

from failgate.audit.beside import bodies_of, told
from failgate.audit.checkpoint import Verifier, open_checkpoint
from failgate.audit.encoding import EventRefused
from failgate.audit.log import AuditLog
from failgate.audit.proof import entries_tile, tlog_proof
from failgate.audit.record import SERVER, Act, Actor, Event
from failgate.audit.tree import (
    EMPTY_ROOT,
    ProofRejected,
    leaf_hash,
    push,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from failgate.base.canonical import base64url, canonical
from failgate.base.errors import NotFound, StorageUnavailable
from failgate.base.log import RequestContext, request_context
from failgate.base.open_database import open_database
from tests.audit.conftest import WS, event, fill


async def all_records(audit, log=WS):
    found, after = [], None
    while page := await audit.records(log, after, 1000):
        found += page
        after = page[-1].seq
    return found


def tree_root(records):
    peaks = ()
    for size, stored in enumerate(records):
        peaks = push(peaks, size, stored.leaf_hash)
    return root_of(peaks)


async def assert_sound(audit, log=WS):
    """Chain, numbers, hashes and root, worked out here from the bytes alone."""
    records = await all_records(audit, log)
    before = bytes(32)
    for seq, stored in enumerate(records):
        assert stored.seq == seq == stored.record["seq"]
        assert stored.leaf_hash == leaf_hash(stored.leaf)
        assert stored.record["prev"] == base64url(before)
        assert canonical(stored.record) == stored.leaf
        before = stored.leaf_hash
    assert all(old.record["ts"] <= new.record["ts"] for old, new in pairwise(records))
    assert await audit.size(log) == len(records)
    assert await audit.root(log) == tree_root(records)
    return records


async def test_the_first_record_has_number_zero_and_every_member(audit, database):
    appended = await audit.record(event())
    assert appended == (WS, 0, 1_700_000_000_000_000)
    assert (await audit.record_at(WS, 0)).record == {
        "act": "vote.cast",
        "actor": {"auth": ["pwd", "otp"], "id": "u1", "sid_h": None, "t": "user"},
        "data": {"decision": "approve", "digest": "d" * 43},
        "obj": {"id": "command-0", "t": "command"},
        "out": "ok",
        "pd": None,
        "prev": "A" * 43,
        "req": None,
        "seq": 0,
        "ts": "2023-11-14T22:13:20.000000Z",
        "v": 2,
        "ws": WS,
    }


async def test_logs_are_chained_each_by_itself(audit, database):
    await fill(database, audit, 130)
    await fill(database, audit, 7, ws="system")
    assert len(await assert_sound(audit)) == 130
    assert len(await assert_sound(audit, "system")) == 7
    assert [stored.log for stored in await audit.heads()] == [WS, "system"]


async def test_changes_that_come_together_are_one_chain(audit):
    results = await asyncio.gather(*(audit.record(event(number)) for number in range(200)))
    assert sorted(appended.seq for appended in results) == list(range(200))
    await assert_sound(audit)


async def test_a_change_that_fails_leaves_no_record_and_no_gap(audit, database):
    async def fails(tx):
        await audit.append(tx, event(98))
        await audit.append(tx, event(99, ws="system"))
        raise ValueError("the change itself failed")

    writes = [database.write(fails) if number % 3 == 0 else audit.record(event(number)) for number in range(40)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert sum(isinstance(result, ValueError) for result in results) == 14
    assert len(await assert_sound(audit)) == 26
    assert await audit.size("system") == 0
    with pytest.raises(ValueError):
        await database.write(fails)
    assert (await audit.record(event(ws="system"))).seq == 0
    await assert_sound(audit, "system")


async def test_a_transaction_reads_its_own_records_of_an_object(audit, database):
    await audit.record(event(1))
    await audit.record(event(2))
    found = []

    async def verb(tx):
        for number in (1, 2, 1):
            await audit.append(tx, event(number))
        found.append(await audit.of_object(tx, WS, "command-1"))

    async def reads(tx):
        found.append(await audit.of_object(tx, WS, "command-1"))
        found.append(await audit.of_object(tx, "none", "command-1"))

    async def fails(tx):
        await audit.append(tx, event(1))
        raise ValueError

    await asyncio.gather(*(database.write(each) for each in (reads, verb, fails, reads)), return_exceptions=True)
    await database.write(reads)
    assert [[stored.seq for stored in records] for records in found] == [
        [0],
        [],
        [0, 2, 4],
        [0, 2, 4],
        [],
        [0, 2, 4],
        [],
    ]
    assert found[2] == found[-2] == list(reversed(await audit.newest(WS, obj_id="command-1")))


async def test_a_record_after_the_group_commit_wrote_its_records_is_refused(audit, database):
    async def late(tx):
        await audit.append(tx, event(2))

    async def verb(tx):
        await audit.append(tx, event(1))
        tx.before_commit("late", late)

    with pytest.raises((StorageUnavailable, RuntimeError)):
        await database.write(verb)
    assert await audit.size(WS) == 0
    await audit.record(event())
    await assert_sound(audit)


async def test_an_event_outside_the_catalogue_undoes_the_change(audit, database):
    async def change(tx):
        await tx.execute("INSERT INTO audit_cursor (exporter, log, seq) VALUES ($1, $2, $3)", "x", WS, 1)
        await audit.append(tx, event(data={"digest": "d" * 43}))

    with pytest.raises(EventRefused):
        await database.write(change)
    assert await database.fetch("SELECT * FROM audit_cursor") == []


async def test_a_commit_that_fails_is_forgotten(audit, database, monkeypatch):
    # AUDIT section 4: what did not commit is in no cache
    await audit.record(event())
    commit = database._writer.commit

    async def broken():
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(database._writer, "commit", broken)
    with pytest.raises(StorageUnavailable):
        await audit.record(event(1))
    monkeypatch.setattr(database._writer, "commit", commit)
    assert (await audit.record(event(2))).seq == 1
    assert [stored.record["obj"]["id"] for stored in await assert_sound(audit)] == ["command-0", "command-2"]


async def test_a_second_process_on_the_same_database_continues_the_chain(
    audit, database, database_url, clock, tmp_path
):
    await audit.record(event(0))
    other = await open_database(database_url, is_exclusive=False)
    try:
        second = AuditLog(other, clock, tmp_path)
        for number in range(1, 6):
            await (second if number % 2 else audit).record(event(number))
    finally:
        await other.close()
    assert len(await assert_sound(audit)) == 6


async def test_records_can_be_neither_changed_nor_deleted(audit, database):
    # E7: triggers refuse what no verb of ours does
    await fill(database, audit, 300)
    statements = [
        "UPDATE audit_record SET leaf_hash = leaf",
        "DELETE FROM audit_record",
        "UPDATE audit_node SET position = position + 1",
        "DELETE FROM audit_node",
    ]
    if database.dialect == "postgres":
        statements.append("TRUNCATE audit_record")
    for statement in statements:

        async def verb(tx, statement=statement):
            await tx.execute(statement)

        with pytest.raises(Exception, match=r"audit (records|nodes) are never|nothing was kept"):
            await database.write(verb)
    assert len(await assert_sound(audit)) == 300


async def test_time_never_goes_back_and_a_step_of_the_clock_is_recorded_once(audit, clock):
    first = await audit.record(event(0))
    clock.step_wall(-0.9)
    assert (await audit.record(event(1))).ts_us == first.ts_us
    clock.step_wall(-30)
    assert (await audit.record(event(2))).seq == 3
    clock.advance(5)
    await audit.record(event(3))
    records = await assert_sound(audit)
    assert [stored.record["act"] for stored in records] == [
        "vote.cast",
        "vote.cast",
        "clock.step",
        "vote.cast",
        "vote.cast",
    ]
    step = records[2].record
    assert step["data"] == {"from_us": 1_699_999_999_100_000, "to_us": 1_699_999_969_100_000}
    assert step["actor"] == {"auth": [], "id": "failgate", "sid_h": None, "t": "system"}
    clock.advance(3600)
    assert (await audit.record(event(4))).ts_us == clock.now_us()


async def test_the_clock_that_went_back_is_remembered_over_a_restart(audit, database_url, database, clock, tmp_path):
    await audit.record(event(0))
    clock.step_wall(-30)
    await audit.record(event(1))
    other = await open_database(database_url, is_exclusive=False)
    await AuditLog(other, clock, tmp_path).record(event(2))
    await other.close()
    assert [stored.record["act"] for stored in await assert_sound(audit)].count("clock.step") == 1


async def test_pages_go_forward_by_number_and_backward_by_object(audit, database):
    await fill(database, audit, 120)
    await audit.record(event(7))
    await audit.record(event(7, ws="system"))
    assert [stored.seq for stored in await audit.records(WS, None, 3)] == [0, 1, 2]
    assert [stored.seq for stored in await audit.records(WS, 117, 1000)] == [118, 119, 120]
    assert [stored.seq for stored in await audit.newest(WS, None, 2)] == [120, 119]
    assert [stored.seq for stored in await audit.newest(WS, 119, 2)] == [118, 117]
    assert [stored.seq for stored in await audit.newest(WS, obj_id="command-7")] == [120, 7]
    assert [stored.seq for stored in await audit.newest(WS, 120, obj_id="command-7")] == [7]
    assert await audit.records("no-such-log") == []
    assert await audit.records(WS, 10**15) == []
    assert await audit.records(WS, -5, 1) == await audit.records(WS, None, 1)
    answer = (await audit.records(WS, None, 1))[0].as_json()
    assert answer["leaf"] == base64url(canonical(answer["record"]))
    for seq in (121, -1):
        with pytest.raises(NotFound):
            await audit.record_at(WS, seq)


async def test_proofs_hold_over_tile_borders_and_by_the_signed_head(audit, database):
    await fill(database, audit, 1000)
    records = await assert_sound(audit)
    verifier = Verifier.parse(await audit.vkey(WS))
    head = open_checkpoint(await audit.checkpoint(WS), [verifier])
    assert (head.size, head.root) == (1000, tree_root(records))
    for seq in (0, 1, 255, 256, 257, 511, 767, 768, 998, 999):
        for size in (None, 1000, 999, 769, seq + 1):
            if size is not None and seq >= size:
                continue
            proof = await audit.inclusion(WS, seq, size)
            verify_inclusion(records[seq].leaf_hash, seq, proof.size, proof.hashes, tree_root(records[: proof.size]))
    for old in (0, 1, 255, 256, 257, 512, 700, 999, 1000):
        proof = await audit.consistency(WS, old)
        assert await audit.root(WS, old) == tree_root(records[:old])
        verify_consistency(old, 1000, proof.hashes, tree_root(records[:old]), head.root)
    for case in (audit.inclusion(WS, 1000), audit.inclusion(WS, 5, 5), audit.inclusion(WS, -1), audit.inclusion("none", 0),
                 audit.inclusion(WS, 5, 1001), audit.consistency(WS, 1001), audit.consistency(WS, -1), audit.root(WS, 1001)):  # fmt: skip
        with pytest.raises(ProofRejected):
            await case
    assert await audit.root("none") == EMPTY_ROOT


async def test_tiles_and_texts_are_those_of_c2sp(audit, database):
    await fill(database, audit, 600)
    records = await assert_sound(audit)
    assert await audit.tile(WS, 0, 1) == [stored.leaf_hash for stored in records[256:512]]
    assert await audit.tile(WS, 0, 2, 88) == [stored.leaf_hash for stored in records[512:]]
    assert await audit.tile(WS, 1, 0, 2) == [tree_root(records[:256]), tree_root(records[256:512])]
    for case in ((0, 2, 256), (0, 3, 1), (1, 0, 3), (2, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)):
        with pytest.raises(NotFound):
            await audit.tile(WS, *case)
    assert entries_tile(records[:2])[:2] == len(records[0].leaf).to_bytes(2, "big")
    text = tlog_proof(3, await audit.inclusion(WS, 3))
    lines = text.split("\n")
    assert lines[:2] == ["c2sp.org/tlog-proof@v1", "index 3"]
    assert text.endswith("\n\n" + await audit.checkpoint(WS))


async def addressed(audit, database):
    """Return each record with the address beside it."""
    records = await all_records(audit)
    bodies = await bodies_of(database, WS, [stored.seq for stored in records])
    return [(stored, (told(bodies.get(stored.seq)) or {}).get("ip")) for stored in records]


async def test_the_request_at_hand_stands_in_the_record(audit, database):
    token = request_context.set(RequestContext("req-1", "192.0.2.7"))
    try:
        await audit.record(event(0))
        await audit.record(event(1, req="own", ip="192.0.2.8"))
    finally:
        request_context.reset(token)
    found = [(stored.record["req"], address) for stored, address in await addressed(audit, database)]
    assert found == [("req-1", "192.0.2.7"), ("own", "192.0.2.8")]


async def test_the_request_at_hand_stands_in_a_record_that_a_verb_appends(audit, database):
    async def verb(tx):
        await audit.append(tx, event())

    token = request_context.set(RequestContext("req-1", "192.0.2.7"))
    try:
        await database.write(verb)
    finally:
        request_context.reset(token)
    found = [(stored.record["req"], address) for stored, address in await addressed(audit, database)]
    assert found == [("req-1", "192.0.2.7")]


async def test_a_listener_wakes_after_the_commit_and_not_before(audit, database):
    woken = audit.listen()

    async def verb(tx):
        await audit.append(tx, event())
        assert not woken.is_set()

    await database.write(verb)
    assert woken.is_set()
    woken.clear()
    audit.unlisten(woken)
    await audit.record(event())
    assert not woken.is_set()


async def test_concurrent_checkpoints_are_each_of_a_committed_head(audit):
    results = await asyncio.gather(
        *(audit.checkpoint(WS) if number % 2 else audit.record(event(number)) for number in range(40))
    )
    verifier = Verifier.parse(await audit.vkey(WS))
    records = await assert_sound(audit)
    sizes = [open_checkpoint(note, [verifier]) for note in results if isinstance(note, str)]
    assert all(head.root == tree_root(records[: head.size]) for head in sizes)


async def test_a_server_event_goes_to_the_system_log(audit):
    await audit.record(Event(Act.SERVER_STARTED, "system", "server", "1", SERVER, {"version": "0.1.0"}))
    assert json.loads((await audit.record_at("system", 0)).leaf)["ws"] == "system"
    assert Actor("a", "b") == Actor(t="a", id="b", auth=(), sid_h=None)
