"""Erasing bodies: by age and for an account; the log stays proven, and what is gone without a record is found."""

from pathlib import Path

import pytest

from failgate.audit import erasing as room
from failgate.audit.beside import bodies_of, told
from failgate.audit.erasing import EVERY_SECONDS, Erasing
from failgate.audit.erasure_list import LIST_FILE, ErasureList, Subject, read_list
from failgate.audit.erasures import Erasures
from failgate.audit.places import record_position
from failgate.audit.record import SERVER, Act, Actor
from failgate.audit.search import Search
from failgate.audit.verification import verify_log, verify_logs
from failgate.base.clock import MICROSECONDS
from failgate.base.errors import BadInput
from tests.audit.conftest import WS, event

DAY = 86_400
OTHER = "0197f0c2-0000-7000-8000-000000000002"


@pytest.fixture
def erasing(database, audit, clock, tmp_path):
    return beginning(tmp_path, database, audit, clock)


def beginning(folder, database, audit, clock, keep_us=30 * DAY * MICROSECONDS):
    listed = ErasureList(database, folder)
    return Erasing(database, audit, Search(database, audit), clock, keep_us=keep_us, listed=listed)


async def add(database, audit, count, ws=WS, actor="u1", first=0):
    """Append records of which every fifth came from nowhere."""

    async def verb(tx):
        for number in range(first, first + count):
            ip = None if number % 5 == 4 else f"192.0.2.{number % 250}"
            await audit.append(tx, event(number, ws, ip=ip, actor=Actor("user", actor)))

    await database.write(verb)


async def shown(database, audit, log=WS):
    size = await audit.size(log)
    bodies = await bodies_of(database, log, range(size))
    return [told(bodies.get(seq)) for seq in range(size)]


async def tampered(database, *statements):
    async def verb(tx):
        for trigger in ("audit_body_stays", "audit_body_is_kept"):
            on = " ON audit_body" if tx.dialect == "postgres" else ""
            await tx.execute(f"DROP TRIGGER IF EXISTS {trigger}{on}")
        for statement, *args in statements:
            await tx.execute(statement, *args)

    await database.write(verb)


def at(seq):
    return record_position(1, seq)


async def test_a_body_lies_beside_each_record_that_has_an_address(database, audit, tmp_path):
    await add(database, audit, 600)
    assert await shown(database, audit) == [
        None if seq % 5 == 4 else {"ip": f"192.0.2.{seq % 250}"} for seq in range(600)
    ]
    for stored in await audit.records(WS, None, 600):
        assert b"192.0.2." not in stored.leaf
        assert (stored.record["pd"] is None) == (stored.seq % 5 == 4)
    assert await bodies_of(database, WS, [3, 4, 400]) == {
        seq: (await bodies_of(database, WS, [seq]))[seq] for seq in (3, 400)
    }
    salts = {row["salt"] for row in await database.fetch("SELECT salt FROM audit_body")}
    assert len(salts) == 480
    assert (await verify_logs(database, tmp_path)).state == "intact"


async def test_a_verb_that_fails_leaves_no_body(database, audit):
    async def verb(tx):
        await audit.append(tx, event(1, ip="192.0.2.1"))
        raise LookupError("undone")

    with pytest.raises(LookupError):
        await database.write(verb)
    await audit.record(event(2, ip="192.0.2.2"))
    assert await shown(database, audit) == [{"ip": "192.0.2.2"}]
    assert (await verify_log(database, WS)).state == "intact"


async def test_what_is_older_than_it_is_kept_is_erased_once_and_recorded(database, audit, clock, erasing, tmp_path):
    await add(database, audit, 300)
    before = await audit.root(WS)
    clock.advance(20 * DAY)
    await add(database, audit, 100, first=300)
    assert await erasing.sweep() == 0
    clock.advance(11 * DAY)
    assert await erasing.sweep() == 240
    found = await shown(database, audit)
    at_us = clock.now_us()
    assert found[:300] == [None if seq % 5 == 4 else {"erased": found[0]["erased"]} for seq in range(300)]
    assert found[300] == {"ip": "192.0.2.50"}
    record = (await audit.record_at(WS, 400)).record
    assert (record["act"], record["obj"], record["data"]) == (
        "body.erased", {"t": "log", "id": WS},
        {"reason": "age", "before": 300, "count": 240, "keep_us": 30 * DAY * MICROSECONDS},
    )  # fmt: skip
    rows = await database.fetch("SELECT DISTINCT erased_us FROM audit_body WHERE salt IS NULL AND body IS NULL")
    assert [row["erased_us"] for row in rows] == [at_us]
    assert await audit.root(WS, 300) == before
    assert (await verify_logs(database, tmp_path)).state == "intact"
    clock.advance(2 * EVERY_SECONDS)
    assert await erasing.sweep() == 0
    assert await audit.size(WS) == 401


async def test_erasing_goes_on_where_it_stopped_also_over_a_restart(
    database, audit, clock, erasing, monkeypatch, tmp_path
):
    monkeypatch.setattr(room, "RECORDS_AT_ONCE", 64)
    monkeypatch.setattr(room, "BATCHES_IN_A_SWEEP", 2)
    await add(database, audit, 600)
    await add(database, audit, 10, ws=OTHER)
    clock.advance(31 * DAY)
    assert 0 < await erasing.sweep() < 200
    afresh = beginning(tmp_path, database, audit, clock)
    for _ in range(6):
        await afresh.sweep()
        assert (await verify_log(database, WS)).state == "intact"
    assert {str(one)[:9] for one in await shown(database, audit)} == {"None", "{'erased'"}
    assert {str(one)[:9] for one in await shown(database, audit, OTHER)} == {"None", "{'erased'"}


async def test_nothing_is_erased_when_addresses_are_kept_for_good(database, audit, clock, tmp_path):
    await add(database, audit, 10)
    clock.advance(4000 * DAY)
    assert await beginning(tmp_path, database, audit, clock, None).sweep() == 0
    assert (await shown(database, audit))[0] == {"ip": "192.0.2.0"}


async def test_what_an_account_did_is_erased_in_every_log_and_what_others_did_is_not(
    database, audit, erasing, monkeypatch, tmp_path
):
    monkeypatch.setattr(room, "OF_ONE_AT_ONCE", 70)
    for start in range(0, 600, 100):
        await add(database, audit, 100, actor=f"u{start // 100 % 2}", first=start)
    await add(database, audit, 5, ws=OTHER, actor="u1")
    assert await erasing.erase_account("u1", Actor("operator", "host")) == 244
    found = await shown(database, audit)
    for seq in range(600):
        if seq % 5 != 4:
            assert ("erased" if seq // 100 % 2 else "ip") in found[seq]
    said = [one.record for one in await audit.records(WS, 599)]
    assert {(one["act"], one["obj"]["t"], one["obj"]["id"], one["actor"]["t"]) for one in said} == {
        ("body.erased", "account", "u1", "operator")
    }
    assert sum(one["data"]["count"] for one in said) == 240
    assert (await verify_logs(database, tmp_path)).state == "intact"
    assert await erasing.erase_account("u1", SERVER) == 0
    assert await erasing.erase_account("nobody", SERVER) == 0


async def test_what_was_erased_once_is_erased_again_and_not_what_came_later(database, audit, erasing, tmp_path):
    for start in range(0, 300, 100):
        await add(database, audit, 100, actor=f"u{start // 100}", first=start)
    erased = Erasures(before=120, accounts={"u1": 150, "u2": 5000})
    assert await erasing.erase_again(WS, erased, Actor("operator", "host")) == 96 + 24 + 80
    found = await shown(database, audit)
    assert [seq for seq in range(300) if seq % 5 != 4 and "ip" in found[seq]] == [
        seq for seq in range(150, 200) if seq % 5 != 4
    ]
    said = [one.record["data"] for one in await audit.records(WS, 299)]
    assert [(one["reason"], one["before"]) for one in said] == [("restored", 120), ("restored", 150), ("restored", 300)]
    assert (await verify_logs(database, tmp_path)).state == "intact"
    assert await erasing.erase_again(OTHER, erased, SERVER) == 0


async def put_back(database, *places):
    """Put bodies back as a database from before the erasure has them: nothing else of it is here."""
    await tampered(
        database,
        *(
            ("UPDATE audit_body SET salt = $2, body = $3, erased_us = NULL WHERE position = $1", place, salt, body)
            for place, salt, body in places
        ),
        ("DELETE FROM audit_erasure",),
    )


async def test_what_a_database_from_before_has_again_is_erased_again_by_the_file(
    database, audit, clock, erasing, tmp_path
):
    await add(database, audit, 10)
    await add(database, audit, 10, actor="u2", first=10)
    before = [(row["position"], row["salt"], row["body"]) for row in await database.fetch("SELECT * FROM audit_body")]
    clock.step_wall(-3600)  # what was recorded is later than the clock is now
    assert await erasing.erase_account("u1", SERVER) == 8
    assert list(read_list(tmp_path / LIST_FILE)) == [Subject("account", "u1")]
    assert (tmp_path / LIST_FILE).stat().st_mode & 0o777 == 0o600
    gone = await shown(database, audit)
    clock.advance(7200)
    await add(database, audit, 2, first=20)  # what came later stays
    await put_back(database, *before)
    assert await beginning(tmp_path, database, audit, clock).catch_up() == 8
    again = await shown(database, audit)
    assert [sorted(one or ()) for one in again[:20]] == [sorted(one or ()) for one in gone[:20]]
    assert [one for one in again[20:] if one] == [{"ip": "192.0.2.20"}, {"ip": "192.0.2.21"}]
    [row] = await database.fetch("SELECT kind, subject_id, done_us IS NULL AS due FROM audit_erasure")
    assert (row["kind"], row["subject_id"], bool(row["due"])) == ("account", "u1", False)
    assert await beginning(tmp_path, database, audit, clock).catch_up() == 0


async def test_a_kill_in_the_middle_is_gone_on_from_and_a_lost_file_is_written_anew(
    database, audit, clock, erasing, monkeypatch, tmp_path
):
    await add(database, audit, 20)

    async def killed(*_):
        raise LookupError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(erasing, "_erase_done_by", killed)
        with pytest.raises(LookupError):
            await erasing.erase_account("u1", SERVER)
    kept = read_list(tmp_path / LIST_FILE)
    (tmp_path / LIST_FILE).unlink()
    assert await beginning(tmp_path, database, audit, clock).catch_up() == 16
    assert read_list(tmp_path / LIST_FILE) == kept
    assert await erasing.catch_up() == 0


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"v":2,"erased":[]}', b'{"v":1,"erased":[{"kind":"rule","id":"x","until_us":1}]}', b"\xff"],
)
async def test_a_damaged_list_is_named_and_nothing_is_erased_past_it(database, audit, erasing, tmp_path, content):
    await add(database, audit, 5)
    (tmp_path / LIST_FILE).write_bytes(content)
    for asked in (erasing.catch_up(), erasing.erase_account("u1", SERVER)):
        with pytest.raises(BadInput, match="is no list of erasures"):
            await asked
    assert (await shown(database, audit))[0] == {"ip": "192.0.2.0"}
    (tmp_path / LIST_FILE).unlink()
    assert await erasing.erase_account("u1", SERVER) == 4


@pytest.mark.parametrize("count", [300, 700])
@pytest.mark.parametrize("seq", [0, 255, 256, 298])
async def test_a_body_that_somebody_changed_is_named_by_its_record(database, audit, count, seq):
    await add(database, audit, count)
    for change in (
        "UPDATE audit_body SET salt = $2 WHERE position = $1",
        "UPDATE audit_body SET body = $2 WHERE position = $1",
    ):
        await tampered(database, (change, at(seq), b'{"ip":"198.51.100.1"}'))
        found = await verify_log(database, WS)
        assert (found.state, found.first_bad) == ("tampered", seq), found
        assert f"the body of record {seq}" in found.reason


async def test_a_body_that_is_gone_without_a_record_is_named(database, audit, erasing):
    await add(database, audit, 600)
    await tampered(
        database,
        ("DELETE FROM audit_body WHERE position = $1", at(301)),
        ("UPDATE audit_body SET salt = NULL, body = NULL, erased_us = 7 WHERE position = $1", at(400)),
    )
    found = await verify_log(database, WS)
    assert (found.state, found.first_bad) == ("tampered", 301)
    await audit.record(
        event(600, act=Act.BODY_ERASED, obj_t="account", obj_id="u2", data=of(reason="person", before=600))
    )
    assert (await verify_log(database, WS)).first_bad == 301
    await audit.record(
        event(601, act=Act.BODY_ERASED, obj_t="account", obj_id="u1", data=of(reason="person", before=400))
    )
    assert (await verify_log(database, WS)).first_bad == 400
    await audit.record(event(602, act=Act.BODY_ERASED, obj_t="log", obj_id=WS, data=of(reason="age", before=401)))
    assert (await verify_log(database, WS)).state == "intact"


def of(**members):
    return {"count": 1} | members


async def test_a_body_beside_a_record_that_commits_to_nothing_is_named(database, audit):
    await add(database, audit, 10)
    await tampered(
        database, ("INSERT INTO audit_body (position, salt, body) VALUES ($1, $2, $3)", at(4), bytes(32), b"{}")
    )
    found = await verify_log(database, WS)
    assert (found.state, found.first_bad) == ("tampered", 4)


async def test_bodies_can_be_erased_and_nothing_else(database, audit):
    await add(database, audit, 10)
    statements = [
        "UPDATE audit_body SET body = salt",
        "UPDATE audit_body SET position = position + 1000",
        "UPDATE audit_body SET salt = NULL, body = NULL",
        "UPDATE audit_body SET salt = NULL, erased_us = 7",
        "DELETE FROM audit_body",
    ]
    for statement in statements:

        async def verb(tx, statement=statement):
            await tx.execute(statement)

        with pytest.raises(Exception, match=r"never|constraint|nothing was kept"):
            await database.write(verb)
    assert await shown(database, audit) == [None if seq % 5 == 4 else {"ip": f"192.0.2.{seq}"} for seq in range(10)]

    async def erase(tx):
        await tx.execute("UPDATE audit_body SET salt = NULL, body = NULL, erased_us = 7 WHERE position = $1", at(1))

    await database.write(erase)
    with pytest.raises(Exception, match=r"never|nothing was kept"):
        await database.write(erase)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # of PostgreSQL's files VACUUM decides
async def test_what_was_erased_is_nowhere_in_the_file(database, audit, clock, erasing):
    await add(database, audit, 50)
    [salt] = [row["salt"] for row in await database.fetch("SELECT salt FROM audit_body WHERE position = $1", at(3))]
    clock.advance(31 * DAY)
    await erasing.sweep()
    [listed] = [row for row in await database.fetch("PRAGMA database_list") if row["name"] == "main"]
    await database.fetch("PRAGMA wal_checkpoint(TRUNCATE)")
    octets = Path(listed["file"]).read_bytes()
    assert salt not in octets
    assert b"192.0.2.3" not in octets
