"""A large log verified with other processes beside: the same verdict as alone, wherever the edit is. MISSION E3 E7."""

import asyncio
import io
import shutil
import sqlite3
import sys
from contextlib import closing

import msgspec
import pytest

from failgate.audit import erasures, sweepers, verification
from failgate.audit.bodies import body_of, commitment
from failgate.audit.checkpoint import Checkpoint
from failgate.audit.encoding import leaf_of, record_of
from failgate.audit.places import node_position, record_position
from failgate.audit.sweep import CHUNK, SqlitePages, Swept, sweep_chunk
from failgate.audit.tree import grow, leaf_hash, root_of
from failgate.audit.verification import verify_log
from failgate.audit.walk import Anchor
from failgate.base.canonical import base64url, canonical
from failgate.base.migrate import core_migrations, migrate
from failgate.base.open_database import open_database
from tests.audit.conftest import WS, event

SIZE = 3 * CHUNK + 300
BORDERS = [0, CHUNK - 1, CHUNK, 2 * CHUNK - 1, 2 * CHUNK, 3 * CHUNK - 1, 3 * CHUNK, SIZE - 1]


HASHES: list[bytes] = []


def body_of_record(seq):
    return leaf_hash(b"salt of %d" % seq), body_of(f"192.0.2.{seq % 256}")


def bodies():
    for seq in range(SIZE):
        if seq % 5 != 4:
            yield record_position(1, seq), *body_of_record(seq), None


def rows():
    last = bytes(32)
    for seq in range(SIZE):
        pd = None if seq % 5 == 4 else commitment(*body_of_record(seq))
        leaf = leaf_of(event(seq), seq, 1_700_000_000_000_000 + seq, base64url(last), pd=pd)
        last = leaf_hash(leaf)
        HASHES.append(last)
        yield record_position(1, seq), leaf, last, f"command-{seq}"


def fill(path):
    """Write three chunks and a tail, as group commits would, and take away what would refuse later edits."""
    HASHES.clear()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany("INSERT INTO audit_record VALUES (?, ?, ?, ?)", rows())
        connection.executemany("INSERT INTO audit_body VALUES (?, ?, ?, ?)", bodies())
        peaks, nodes = grow((), 0, HASHES)
        for node, hashed in nodes:
            position = node_position(1, node.level // 8, node.place)
            connection.execute("INSERT INTO audit_node VALUES (?, ?)", (position, hashed))
        connection.execute(
            "INSERT INTO audit_head (log, number, size, last_hash, peaks, ts_us, clock_us) VALUES (?, 1, ?, ?, ?, 0, 0)",
            (WS, SIZE, HASHES[-1], b"".join(peaks)),
        )
        for trigger in (
            "audit_record_stays", "audit_record_is_kept", "audit_node_stays", "audit_node_is_kept", "audit_body_stays",
            "audit_body_is_kept",
        ):  # fmt: skip
            connection.execute(f"DROP TRIGGER {trigger}")


class Large:
    """What somebody does to the log who may write to its file."""

    def __init__(self, path):
        self.path = path

    def run(self, statement, *args):
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(statement, args).fetchall()

    def row(self, seq):
        return self.run("SELECT * FROM audit_record WHERE position = ?", record_position(1, seq))[0]

    def put(self, row):
        self.run("INSERT OR REPLACE INTO audit_record VALUES (?, ?, ?, ?)", *row)

    def edit(self, seq, *, is_hash_mended=True, **members):
        position, leaf, hashed, obj_id = self.row(seq)
        leaf = canonical(record_of(leaf) | members)
        self.put((position, leaf, leaf_hash(leaf) if is_hash_mended else hashed, obj_id))

    async def verdicts(self, monkeypatch, anchors=()):
        """Return the verdict reached alone, and the one with another process beside."""
        database = await open_database(f"sqlite://{self.path}")
        monkeypatch.setattr(verification, "LARGE", 0)
        found = []
        for beside in (0, 1):
            monkeypatch.setattr(verification, "processes_beside", lambda beside=beside: beside)
            found.append(await verify_log(database, WS, anchors))
        await database.close()
        return found


@pytest.fixture(scope="module")
def genuine(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "failgate.db"

    async def make():
        database = await open_database(f"sqlite://{path}")
        await migrate(database, core_migrations())
        await database.close()

    asyncio.run(make())
    fill(path)
    return path


@pytest.fixture
def large(genuine, tmp_path):
    """A log that the test may spoil."""
    return Large(shutil.copyfile(genuine, tmp_path / "failgate.db"))


async def test_a_log_that_nobody_touched_is_intact(large, monkeypatch):
    alone, together = await large.verdicts(monkeypatch)
    assert alone == together
    assert (together.state, together.size, together.root) == ("intact", SIZE, root_of(grow((), 0, HASHES)[0]))


@pytest.mark.parametrize("seq", BORDERS)
@pytest.mark.parametrize("is_hash_mended", [False, True])
async def test_an_edit_at_a_border_is_named_by_both_ways(large, monkeypatch, seq, is_hash_mended):
    large.edit(seq, is_hash_mended=is_hash_mended, out="deny")
    alone, together = await large.verdicts(monkeypatch)
    assert alone == together
    assert (together.state, together.first_bad) == ("tampered", seq)


@pytest.mark.parametrize("seq", [CHUNK - 1, CHUNK, SIZE - 1])
async def test_a_broken_link_at_a_border_is_blamed_on_the_same_record_by_both_ways(large, monkeypatch, seq):
    large.edit(seq, prev="B" * 43)
    alone, together = await large.verdicts(monkeypatch)
    assert alone == together
    assert together.first_bad == seq


@pytest.mark.parametrize("seq", [CHUNK - 1, CHUNK, 3 * CHUNK])
async def test_a_record_that_is_missing_at_a_border_is_named_by_both_ways(large, monkeypatch, seq):
    large.run("DELETE FROM audit_record WHERE position = ?", record_position(1, seq))
    alone, together = await large.verdicts(monkeypatch)
    assert alone == together
    assert together.first_bad == seq


async def test_the_first_of_several_is_named_whoever_finds_it_first(large, monkeypatch):
    for seq in (SIZE - 2, 2 * CHUNK + 9, CHUNK + 77, 900):
        large.edit(seq, out="error", is_hash_mended=False)
        alone, together = await large.verdicts(monkeypatch)
        assert alone == together
        assert together.first_bad == seq


@pytest.mark.parametrize("seq", [one for one in BORDERS if one % 5 != 4])
async def test_another_body_at_a_border_is_named_by_both_ways(large, monkeypatch, seq):
    large.run("UPDATE audit_body SET body = ? WHERE position = ?", body_of("198.51.100.1"), record_position(1, seq))
    alone, together = await large.verdicts(monkeypatch)
    assert alone == together
    assert (together.state, together.first_bad) == ("tampered", seq)


async def test_bodies_that_are_gone_are_named_by_both_ways_unless_a_record_covers_them(large, monkeypatch):
    first, last = CHUNK - 300, CHUNK + 300
    places = record_position(1, first), record_position(1, last)
    large.run(
        "UPDATE audit_body SET salt = NULL, body = NULL, erased_us = 7 WHERE position >= ? AND position < ?", *places
    )
    alone, together = await large.verdicts(monkeypatch)
    assert alone == together
    assert (together.state, together.first_bad) == ("tampered", first if first % 5 != 4 else first + 1)
    for covered, said in ((last - 100, last - 100), (last, None)):
        monkeypatch.setattr(erasures, "erasures_of", saying(covered))
        alone, together = await large.verdicts(monkeypatch)
        assert alone == together
        assert together.first_bad == (said if said is None or said % 5 != 4 else said + 1)


def saying(before):
    async def erasures_of(_database, _stored):
        return erasures.Erasures(before)

    return erasures_of


async def test_two_records_that_changed_places_across_a_border_are_found(large, monkeypatch):
    one, two = large.row(CHUNK - 1), large.row(CHUNK)
    large.put((one[0], *two[1:]))
    large.put((two[0], *one[1:]))
    alone, together = await large.verdicts(monkeypatch)
    assert alone == together
    assert together.first_bad == CHUNK - 1


@pytest.mark.parametrize("tile", [0, CHUNK // 256 - 1, CHUNK // 256])
async def test_a_spoiled_node_is_found_by_both_ways(large, monkeypatch, tile):
    large.run("UPDATE audit_node SET hash = ? WHERE position = ?", bytes(32), node_position(1, 1, tile))
    alone, together = await large.verdicts(monkeypatch)
    assert alone == together
    assert f"{tile * 256} to {tile * 256 + 255} " in together.reason


@pytest.mark.parametrize("size", [0, CHUNK - 1, CHUNK, 2 * CHUNK + 512, SIZE])
async def test_heads_kept_elsewhere_are_met_wherever_they_end(large, monkeypatch, size):
    root = root_of(grow((), 0, HASHES[:size])[0])
    kept = Anchor(Checkpoint("here", size, root), "kept.txt")
    forged = Anchor(Checkpoint("here", size, bytes(32)), "forged.txt")
    alone, together = await large.verdicts(monkeypatch, [kept])
    assert alone == together
    assert together.state == "intact"
    alone, together = await large.verdicts(monkeypatch, [forged, kept])
    assert alone == together
    assert "forged.txt" in together.reason


async def test_text_in_the_place_of_bytes_is_found(large, monkeypatch):
    """SQLite keeps what it is given, whatever the column says."""
    position, leaf, hashed, obj_id = large.row(CHUNK)
    for row in ((position, leaf.decode(), hashed, obj_id), (position, leaf, hashed.hex(), obj_id)):
        large.put(row)
        alone, together = await large.verdicts(monkeypatch)
        assert alone == together
        assert together.first_bad == CHUNK


@pytest.mark.parametrize("program", ["/bin/false", "/bin/cat", "/nowhere/python"])
async def test_without_the_other_processes_the_verdict_is_the_same(large, monkeypatch, program):
    monkeypatch.setattr(sys, "executable", program)
    alone, together = await large.verdicts(monkeypatch)
    assert alone == together
    assert together.state == "intact"


async def test_a_verification_that_is_left_ends_its_processes(large, monkeypatch):
    database = await open_database(f"sqlite://{large.path}")
    monkeypatch.setattr(verification, "LARGE", 0)
    monkeypatch.setattr(verification, "processes_beside", lambda: 1)
    started, closed = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    class Told(sweepers.Sweepers):
        def take(self, chunk, pages):
            loop.call_soon_threadsafe(started.set)
            return super().take(chunk, pages)

        def close(self):
            super().close()
            assert all(process.returncode is not None for process in self._processes)
            loop.call_soon_threadsafe(closed.set)

    monkeypatch.setattr(verification, "Sweepers", Told)
    task = asyncio.create_task(verify_log(database, WS))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await closed.wait()
    await database.close()


def test_a_process_of_another_place_answers_nothing(large):
    """What it would verify by may be another version's rules."""
    told = msgspec.json.encode({"home": "/elsewhere", "path": str(large.path), "log": WS, "number": 1}) + b"\n0\n"
    put = io.BytesIO()
    sweepers.sweep_as_told(io.BytesIO(told), put)
    assert put.getvalue() == b""
    sweepers.sweep_as_told(io.BytesIO(told.replace(b"/elsewhere", sweepers._HOME.encode())), put)
    with SqlitePages(large.path) as pages:
        assert msgspec.json.decode(put.getvalue(), type=Swept) == sweep_chunk(pages, WS, 1, 0)


def test_a_chunk_is_swept_only_when_it_is_whole(large):
    with SqlitePages(large.path) as pages:
        assert sweep_chunk(pages, WS, 1, 2) is not None
        assert sweep_chunk(pages, WS, 1, 3) is None
        assert sweep_chunk(pages, WS, 1, 9) is None
        assert sweep_chunk(pages, WS, 2, 0) is None
        assert sweep_chunk(pages, "system", 1, 0) is None
