"""The server and its witnesses: real ones in processes of their own, killed ones, and one that lies. B10 P2"""

import asyncio
import base64
import contextlib
import re
import time

import pytest
from failgate_witness import Witness as Cosigner
from failgate_witness import make_witness, read_key

from failgate.audit import witnessing as room_of_witnesses
from failgate.audit.checkpoint import read_unverified
from failgate.audit.cosigned import CosignatureBook, Cosigned
from failgate.audit.cosigning import Cosignature, witness_key
from failgate.audit.record import Act, Actor
from failgate.audit.requiring import Required, WitnessesBehind
from failgate.audit.witnessing import Witnessing, witness_of
from failgate.base.errors import NotFound
from failgate.base.outbound import Outbound
from tests.audit.conftest import WS, event, fill
from tests.audit.test_notary import roll_back
from tests.handmade import verify
from tests.witnesses import Program, liar

PAUSES = {"every_seconds": 0.01, "first_pause_seconds": 0.01, "longest_pause_seconds": 0.05}


@pytest.fixture
def programs(tmp_path):
    """Three witnesses that run."""
    found = [Program(tmp_path / f"witness{number}", f"w{number}.example/w").start() for number in range(3)]
    yield found
    for one in found:
        one.kill()


@pytest.fixture
def out():
    return Outbound(allow_loopback=True, hosts=())


@contextlib.asynccontextmanager
async def witnessing(database, audit, clock, out, places, quorum=1):
    """A room over (vkey, url)s that runs."""
    named = [witness_of(f"w{number}", vkey, url, out) for number, (vkey, url) in enumerate(places)]
    room = Witnessing(database, audit, clock, named, quorum=quorum, **PAUSES)
    await room.open()
    await room.start()
    try:
        yield room
    finally:
        await room.close()


async def until(condition):
    async with asyncio.timeout(30):
        while not (found := await condition() if asyncio.iscoroutinefunction(condition) else condition()):
            await asyncio.sleep(0.01)
    return found


def places(programs):
    return [(one.vkey, one.url) for one in programs]


async def trusted(audit, programs):
    for one in programs:
        one.trust(await audit.vkey(WS))


async def caught_up(room):
    async def is_done():
        return not (await room.lag()).records

    try:
        await until(is_done)
    except TimeoutError:
        states = [(one.name, one.failure, one.conflict, await room.positions(one)) for one in room.witnesses]
        raise AssertionError(states) from None


async def test_heads_are_cosigned_as_the_logs_grow_and_a_verifier_believes_it(
    database, audit, clock, out, programs, tmp_path
):
    await trusted(audit, programs)
    async with witnessing(database, audit, clock, out, places(programs), quorum=2) as room:
        for size in (1, 40, 300):
            await fill(database, audit, size - await audit.size(WS))
            await audit.record(event(ws="system"))
            await caught_up(room)
            await until(lambda size=size: read_unverified(room.cosigned(WS)).size == size)
        await until(lambda: all(len(one.opened.cosigned()) == 2 for one in programs))
        note = room.cosigned(WS)
        assert await room.checkpoint(WS) == note, "the newest checkpoint carries them too"
        path = tmp_path / "note"
        path.write_text(note)
        keys = [one.vkey for one in programs]
        wanted = ("policy", path, "--vkey", await audit.vkey(WS), "--witness", "2/3", *keys)
        assert verify(*wanted)["exit_code"] == 0
        await audit.record(event())
        fresh = await room.checkpoint(WS)
        assert read_unverified(fresh).size == 301
    rows = await database.fetch("SELECT size FROM audit_cosignature WHERE log = $1", WS)
    assert len(rows) <= 2 * len(programs), "no row for each head that ever was"


async def test_who_tries_has_the_newest_head_cosigned_at_once_and_hears_what_each_said(
    database, audit, clock, out, programs, monkeypatch
):
    """Nothing of it waits for the minute in the background, which is not even begun here."""
    await trusted(audit, programs[:1])
    programs[2].kill()
    await fill(database, audit, 7)
    told = asyncio.Event()

    def slow(_):
        told.set()
        time.sleep(1.5)
        return 503, "later"

    with liar(lambda _: (422, "")) as lies, liar(slow) as sleeps:
        asked = [*places(programs), (places(programs)[1][0], lies), (places(programs)[2][0], sleeps)]
        named = [witness_of(f"w{number}", vkey, url, out) for number, (vkey, url) in enumerate(asked)]
        monkeypatch.setattr(room_of_witnesses, "TRY_SECONDS", 1.0)
        room = Witnessing(database, audit, clock, named, every_seconds=3600)
        await room.open()
        tried = await room.try_now(Actor("operator", "host"))
        assert [(one.name, one.state) for one in tried] == [
            ("w0", "cosigned"), ("w1", "failed"), ("w2", "failed"), ("w3", "contradicted"), ("w4", "failed"),
        ]  # fmt: skip
        assert tried[0].said == "It cosigned the newest checkpoint of 2 logs."
        assert "trust this log's key" in tried[1].said or "did not cosign: 40" in tried[1].said
        assert "does not answer" in tried[2].said
        assert "saw another history" in tried[3].said
        assert (tried[4].said, told.is_set()) == ("It has not answered within 1 seconds.", True)
    assert read_unverified(room.cosigned(WS)).size == 7
    said = [one.record for one in await audit.records("system")]
    assert [(one["act"], one["actor"]["t"], one["data"]) for one in said if one["act"] == "witness.asked"] == [
        ("witness.asked", "operator", {"count": 5})
    ]
    assert read_unverified(room.cosigned("system")).size > [one["act"] for one in said].index("witness.asked")
    with pytest.raises(NotFound, match="names no witness"):
        await Witnessing(database, audit, clock).try_now(Actor("operator", "host"))


async def test_a_witness_that_is_away_holds_up_nobody_and_is_asked_again(database, audit, clock, out, programs):
    await trusted(audit, programs)
    programs[1].kill()
    async with witnessing(database, audit, clock, out, places(programs), quorum=2) as room:
        await fill(database, audit, 20)
        await caught_up(room)
        away = room.witnesses[1]
        await until(lambda: away.failure is not None)
        assert "does not answer" in away.failure
        assert (await room.lag_of(away)).records == 20
        assert room.problem(room.witnesses[0]) is None
        programs[1].start()

        async def is_back():
            return away.failure is None and not (await room.lag_of(away)).records

        await until(is_back)


async def test_what_was_cosigned_is_known_after_a_start_and_only_when_it_is_proven(
    database, audit, clock, out, programs
):
    await trusted(audit, programs)
    await fill(database, audit, 20)
    async with witnessing(database, audit, clock, out, places(programs[:1])) as room:
        await caught_up(room)
    for one in programs:
        one.kill()
    async with witnessing(database, audit, clock, out, places(programs[:1])) as room:
        assert read_unverified(room.cosigned(WS)).size == 20
        assert not (await room.lag()).records
    forged = "UPDATE audit_cosignature SET line = $1"
    line = f"— w0.example/w {base64.b64encode(bytes(76)).decode()}\n"
    await database.write(lambda tx: tx.execute(forged, line))
    async with witnessing(database, audit, clock, out, places(programs[:1])) as room:
        with pytest.raises(NotFound):
            room.cosigned(WS)
        assert (await room.lag()).records == 20


async def test_a_witness_that_knows_more_is_proven_from_there(database, audit, clock, out, programs):
    """As after a kill between its answer and our commit: it knows a head that we do not know to be cosigned."""
    await trusted(audit, programs)
    await fill(database, audit, 20)
    async with witnessing(database, audit, clock, out, places(programs[:1])) as room:
        await caught_up(room)
    await database.write(lambda tx: tx.execute("DELETE FROM audit_cosignature"))
    await fill(database, audit, 30)
    async with witnessing(database, audit, clock, out, places(programs[:1])) as room:
        await caught_up(room)
        assert room.witnesses[0].conflict is None
        assert read_unverified(room.cosigned(WS)).size == 50


async def test_a_log_that_went_back_is_an_alarm_and_holds_the_server(database, audit, clock, out, programs, caplog):
    await trusted(audit, programs)
    await fill(database, audit, 20)
    async with witnessing(database, audit, clock, out, places(programs[:1])) as room:
        await caught_up(room)
    await roll_back(database)
    await database.write(lambda tx: tx.execute("DELETE FROM audit_cosignature"))
    audit.notary._notes.clear()  # who rolls back knows of the sidecar
    await fill(database, audit, 5)
    async with witnessing(database, audit, clock, out, places(programs[:1])) as room:
        required = Required((), 1.0, room, 3600.0)
        [one] = room.witnesses
        await until(lambda: one.conflict is not None)
        assert "it cosigned 20 records, and this log has 5" in one.conflict
        assert room.problem(one) == one.conflict
        await until(lambda: "witness.contradicted" in caplog.text)

        async def recorded():
            return [one.record for one in await audit.records("system")]

        [said] = [each for each in await until(recorded) if each["act"] == Act.WITNESS_CONTRADICTED]
        assert (said["data"]["log"], said["out"]) == (WS, "error")
        await asyncio.sleep(0.2)
        acts = [each["act"] for each in await recorded()]
        assert acts.count(Act.WITNESS_CONTRADICTED) == 1, "once, however often it is tried"
        clock.advance(3601)
        await required.look()
        with pytest.raises(WitnessesBehind):
            required.must_keep_up()


async def test_a_database_that_is_behind_its_own_cosignatures_is_told_at_the_start(
    database, audit, clock, out, programs
):
    await trusted(audit, programs)
    await fill(database, audit, 20)
    async with witnessing(database, audit, clock, out, places(programs[:1])) as room:
        await caught_up(room)
    await roll_back(database)
    named = [witness_of("w0", programs[0].vkey, programs[0].url, out)]
    room = Witnessing(database, audit, clock, named, **PAUSES)
    await room.open()
    assert "20 of it were cosigned: the database went back" in named[0].conflict
    with pytest.raises(NotFound):
        room.cosigned(WS)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((200, "no line at all"), "no signatures"),
        ((200, "\n\n\n"), "empty line"),
        ((200, "— other.example/w AAAAAAAAAAAA\n"), "no cosignature of"),
        ((200, "replay"), "is wrong"),
        ((409, "many\n"), "named no size"),
        ((409, "flip"), "each time"),
        ((409, "same"), "names the one it was told"),
        ((500, "x" * 5000), "did not cosign: 500"),
        ((403, "no\n"), "did not cosign: 403"),
    ],
)
async def test_a_liar_cosigns_nothing_and_raises_no_error(database, audit, clock, out, tmp_path, answer, says):
    key = make_witness(tmp_path / "w", "liar.example/w")
    cosigner = Cosigner(tmp_path / "w")
    cosigner.trust(read_key(await audit.vkey(WS)), is_installation=True)
    await fill(database, audit, 3)
    old = cosigner.add_checkpoint(f"old 0\n\n{await audit.checkpoint(WS)}".encode())
    await fill(database, audit, 17)
    flips = iter(range(1, 10**6))

    def say(body):
        status, text = answer
        known = re.match(rb"old ([0-9]+)\n", body)[1].decode()
        words = {"replay": old, "flip": f"{next(flips) % 2 + 1}\n", "same": f"{known}\n"}
        return status, words.get(text, text)

    with liar(say) as url:
        async with witnessing(database, audit, clock, out, [(key.vkey, url)]) as room:
            [one] = room.witnesses
            await until(lambda: one.failure is not None)
            assert says in one.failure
            assert one.conflict is None
            assert (await room.lag()).records == 20
            with pytest.raises(NotFound):
                room.cosigned(WS)


@pytest.mark.parametrize("answer", [(422, "no\n"), (409, "99999\n")])
async def test_one_who_says_that_it_saw_another_history_is_heard_and_outvoted(
    database, audit, clock, out, programs, tmp_path, answer
):
    await trusted(audit, programs[:1])
    key = make_witness(tmp_path / "w", "liar.example/w")
    await fill(database, audit, 20)
    with liar(lambda _: answer) as url:
        async with witnessing(
            database, audit, clock, out, [(programs[0].vkey, programs[0].url), (key.vkey, url)]
        ) as room:
            await until(lambda: room.witnesses[1].conflict is not None)

            async def is_covered():
                return read_unverified(room.cosigned(WS)).size >= 20

            await until(lambda: room._book.size(WS) >= 20)
            assert await is_covered()
            assert room.witnesses[0].conflict is None


async def test_records_that_wait_too_long_hold_the_server_and_it_comes_back_by_itself(
    database, audit, clock, out, programs
):
    await trusted(audit, programs)
    programs[0].kill()
    async with witnessing(database, audit, clock, out, places(programs[:1])) as room:
        required = Required((), 1.0, room, 3600.0)
        await required.look()
        required.must_keep_up()
        await fill(database, audit, 2)
        clock.advance(3600)
        await required.look()
        required.must_keep_up()
        clock.advance(1)
        await required.look()
        with pytest.raises(WitnessesBehind, match="waited for longer than 3600 seconds"):
            required.must_keep_up()
        programs[0].start()
        await caught_up(room)
        await required.look()
        required.must_keep_up()
        clock.advance(10**6)
        await required.look()
        required.must_keep_up()  # nothing waits: nothing is too old


async def test_two_notes_of_one_size_are_not_added_up(database, audit, clock, out, programs):
    """Each of two witnesses cosigned its own history of 20 records: that is no quorum."""
    await trusted(audit, programs)
    await fill(database, audit, 20)
    async with witnessing(database, audit, clock, out, places(programs[:1])) as room:
        await caught_up(room)
    await roll_back(database)
    audit.notary._notes.clear()
    clock.advance(60)
    await fill(database, audit, 20)
    async with witnessing(database, audit, clock, out, places(programs[:2]), quorum=2) as room:
        await until(lambda: room._book.newest(WS, room.witnesses[1].key) is not None)
        assert room._book.size(WS) == 0
        assert (await room.lag()).records >= 20


async def test_two_that_answer_at_once_are_both_kept(database, tmp_path):
    keys = [make_witness(tmp_path / name, f"{name}.example/w") for name in ("a", "b", "c")]
    book = CosignatureBook(database, [witness_key(key.vkey) for key in keys], 3)
    notes = [Cosigned(f"log\n{size}\n{'A' * 43}=\n\n— log AAAAAAAA\n", size, Cosignature("x", 1)) for size in (1, 2, 3)]
    for note in notes:
        await asyncio.gather(*(book.keep("log", witness_key(key.vkey), note) for key in keys))
        assert book.size("log") == note.size
    assert len(await database.fetch("SELECT 1 AS one FROM audit_cosignature")) == 3
