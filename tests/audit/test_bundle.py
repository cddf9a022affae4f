"""What leaves the log, read by the verifier that knows nothing of the server: both say the same. B10 E3 P2"""

import json
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from failgate.audit import bundle
from failgate.audit.bundle import BODIES, Head, Period, files_of, lines_of_bodies
from failgate.audit.checkpoint import Verifier, open_checkpoint, read_unverified
from failgate.audit.encoding import record_of
from failgate.audit.erasing import Erasing
from failgate.audit.erasure_list import ErasureList
from failgate.audit.follower import moment_of
from failgate.audit.places import record_position
from failgate.audit.record import Actor
from failgate.audit.search import Search
from failgate.audit.tree import EMPTY_ROOT, leaf_hash
from failgate.base.canonical import canonical
from failgate.base.errors import BadInput
from failgate.cli.audit_export import one_piece, writing
from tests.audit.conftest import WS, event, fill
from tests.audit.test_verification import Tampering
from tests.handmade import entries, verify, write_folder, write_tar

COUNT = 600
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "audit-vectors.json").read_text())


@pytest.fixture
async def filled(database, audit, tmp_path_factory):
    await fill(database, audit, COUNT)
    folder = tmp_path_factory.mktemp("data")
    return Tampering(database, audit, folder)


async def head_of(audit) -> Head:
    note = await audit.checkpoint(WS)
    return Head(WS, read_unverified(note), note, await audit.vkey(WS))


async def exported(audit, head: Head, period: Period | None = None, bodies_in=None) -> dict[str, bytes]:
    made = files_of(audit, head, period or Period(), tool="failgate test", made_us=0)
    files = {name: content async for name, content in made}
    if bodies_in is not None:
        pieces = lines_of_bodies(bodies_in, audit, head, period or Period())
        files[BODIES] = b"".join([piece async for piece in pieces])
    return files


async def test_a_bundle_of_every_size_is_intact(database, audit, tmp_path):
    for count in (1, 255, 256, 257, 512):
        have = await audit.size(WS)
        await fill(database, audit, count - have)
        path = write_folder(tmp_path / str(count), await exported(audit, await head_of(audit)))
        answer = verify("full", path, "--vkey", await audit.vkey(WS))
        assert (answer["exit_code"], answer["size"]) == (0, count), answer
        assert answer["root"] == (await audit.root(WS)).hex()


async def test_every_period_is_proven_with_its_borders(database, audit, clock, tmp_path):
    times = []
    for number in range(0, 900, 100):
        clock.advance(10)
        times.append(clock.now_us())
        await fill(database, audit, 100)
        del number
    head = await head_of(audit)
    for first, last in ((0, 9), (0, 1), (1, 2), (2, 4), (3, 9), (8, 9), (5, 6)):
        period = Period(times[first] if first else None, times[last] if last < 9 else None)
        files = await exported(audit, head, period)
        answer = verify("full", write_folder(tmp_path / f"{first}-{last}", files))
        assert answer["exit_code"] == 0, answer
        assert (answer["first"], answer["last"]) == (first * 100, last * 100 - 1)
    for period in (Period(times[8] + 10**9, None), Period(None, times[0] - 10**9), Period(times[3] + 1, times[4])):
        with pytest.raises(BadInput):
            await exported(audit, head, period)


async def test_a_period_that_begins_and_ends_with_a_tile_has_its_neighbours(database, audit, clock, tmp_path):
    times = []
    for _ in range(4):
        clock.advance(10)
        times.append(clock.now_us())
        await fill(database, audit, 256)
    files = await exported(audit, await head_of(audit), Period(times[1], times[2]))
    assert [name for name in files if name.startswith("entries")] == ["entries/000", "entries/001", "entries/002"]
    assert verify("full", write_folder(tmp_path / "bundle", files))["exit_code"] == 0


@pytest.mark.parametrize("size", [1, 300, 600])
async def test_bodies_come_along_where_they_are_asked_for_and_are_proven(database, audit, tmp_path, size):
    for start in range(0, size, 100):

        async def verb(tx, start=start):
            for number in range(start, min(start + 100, size)):
                await audit.append(tx, event(number, ip=None if number % 3 == 2 else "192.0.2.7"))

        await database.write(verb)
    committed = [seq for seq in range(size) if seq % 3 != 2]
    head = await head_of(audit)
    assert "bodies.jsonl" not in await exported(audit, head)
    files = await exported(audit, head, bodies_in=database)
    found = verify("full", write_tar(tmp_path / "all.tar", files))
    assert (found["exit_code"], found["bodies"]) == (0, len(committed)), found
    for seq in {committed[0], committed[-1]}:
        lines = files["bodies.jsonl"].splitlines(keepends=True)
        place = committed.index(seq)
        lines[place] = lines[place].replace(b"192.0.2.7", b"192.0.2.8")
        found = verify("full", write_tar(tmp_path / "spoiled.tar", files | {"bodies.jsonl": b"".join(lines)}))
        assert (found["exit_code"], found["first_bad"]) == (1, seq)


@pytest.mark.parametrize("is_tar", [True, False])
async def test_bodies_are_never_held_together(database, audit, tmp_path, monkeypatch, is_tar):
    """Of a log as of a larger one: what is read at once and what is held at once stays the same."""
    monkeypatch.setattr(bundle, "BODIES_AT_ONCE", 64)

    async def verb(tx):
        for number in range(640):
            await audit.append(tx, event(number, ip="192.0.2.7"))

    await database.write(verb)
    head = await head_of(audit)
    read, real = [], bundle.bodies_between

    async def counted(*args):
        read.append(len(pieces))
        return await real(*args)

    monkeypatch.setattr(bundle, "bodies_between", counted)
    pieces = []
    async for piece in lines_of_bodies(database, audit, head, Period()):
        pieces.append(piece)
    assert read == list(range(10)), "the next is read before the last has left"
    assert {piece.count(b"\n") for piece in pieces} == {64}

    async def large():
        for number in range(64):
            yield bytes([number]) * 2**20

    tracemalloc.start()
    try:
        with writing(tmp_path / "out", 0, is_tar=is_tar) as out:
            await out.put("bodies.jsonl", large())
            await out.put("vkey", one_piece(b"key"))
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()
    if is_tar:
        with tarfile.open(tmp_path / "out") as archive:
            found = {one.name: archive.extractfile(one).read() for one in archive}
    else:
        found = {name: (tmp_path / "out" / name).read_bytes() for name in ("bodies.jsonl", "vkey")}
    assert found == {"bodies.jsonl": b"".join(bytes([one]) * 2**20 for one in range(64)), "vkey": b"key"}


async def test_erased_bodies_do_not_leave_and_a_period_has_its_own(database, audit, clock, tmp_path):
    for number in range(10):
        await audit.record(event(number, ip="192.0.2.7", actor=Actor("user", f"u{number % 2}")))
        clock.advance(1)
    listed = ErasureList(database, tmp_path)
    erasing = Erasing(database, audit, Search(database, audit), clock, keep_us=None, listed=listed)
    await erasing.erase_account("u1", Actor("operator", "host"))
    head = await head_of(audit)
    first = (await audit.record_at(WS, 4)).record["ts"]
    files = await exported(audit, head, Period(moment_of(first), None), bodies_in=database)
    assert [json.loads(line)["seq"] for line in files["bodies.jsonl"].splitlines()] == [4, 6, 8]
    found = verify("full", write_tar(tmp_path / "part.tar", files))
    assert found["exit_code"] == 0
    assert "bodies   3 are what their records commit to, 3 are not carried" in found["lines"]


async def raw(filled, intact: dict[str, bytes], *, with_hashes: bool) -> dict[str, bytes]:
    """The bundle that an export without any check would have made of the database as it is now."""
    bounds = record_position(1, 0), record_position(2, 0)
    query = "SELECT leaf FROM audit_record WHERE position >= $1 AND position < $2 ORDER BY position"
    leaves = [bytes(row["leaf"]) for row in await filled.database.fetch(query, *bounds)]
    kept = ("entries/",) if with_hashes else ("entries/", "tile/")
    files = {name: content for name, content in intact.items() if not name.startswith(kept)}
    for start in range(0, len(leaves), 256):
        width = min(256, len(leaves) - start)
        files[f"entries/{start // 256:03d}" + ("" if width == 256 else f".p/{width}")] = entries(
            leaves[start : start + width]
        )
    return files


async def _edit(tampering, seq):
    await tampering.put(seq, await tampering.changed(seq, out="deny"))


async def _swap(tampering, seq):
    one, other = await tampering.leaf(seq), await tampering.leaf(seq + 1)
    await tampering.put(seq, other)
    await tampering.put(seq + 1, one)


async def _other_writing(tampering, seq):
    await tampering.put(seq, (await tampering.leaf(seq)).replace(b'"v":2', b'"v": 2'))


DAMAGES = [
    *((f"edited {seq}", lambda t, seq=seq: _edit(t, seq)) for seq in (0, 1, 255, 256, 300, COUNT - 2, COUNT - 1)),
    ("another link", lambda t: _relink(t, 100)),
    ("deleted", lambda t: t.delete(100, 101)),
    ("deleted at a tile", lambda t: t.delete(256, 300)),
    ("cut off", lambda t: t.delete(500, COUNT)),
    ("swapped", lambda t: _swap(t, 300)),
    ("not canonical", lambda t: _other_writing(t, 300)),
    ("rewritten", lambda t: t.rewrite(300)),
]  # fmt: skip


async def _relink(tampering, seq):
    await tampering.put(seq, await tampering.changed(seq, prev="B" * 43))


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one[0])
async def test_both_verifiers_blame_the_same_record(filled, audit, tmp_path, damage):
    intact = await exported(audit, await head_of(audit))
    assert verify("full", write_folder(tmp_path / "intact", intact))["exit_code"] == 0
    await damage[1](filled)
    server = await filled.verdict_of_log()
    assert server.state == "tampered"
    with_hashes = verify("full", write_folder(tmp_path / "hashes", await raw(filled, intact, with_hashes=True)))
    by_chain = verify("full", write_folder(tmp_path / "chain", await raw(filled, intact, with_hashes=False)))
    assert (with_hashes["exit_code"], by_chain["exit_code"]) == (1, 1)
    if server.first_bad is not None:
        assert with_hashes["first_bad"] == server.first_bad, (server.reason, with_hashes)
        assert by_chain["first_bad"] in {server.first_bad, None}, (server.reason, by_chain)
    else:
        assert damage[0] == "rewritten"
        assert with_hashes["first_bad"] == 300, "the hashes in the bundle tell what the database's own do not"
        assert by_chain["first_bad"] is None


async def test_an_inserted_record_is_found_by_both(filled, audit, tmp_path):
    intact = await exported(audit, await head_of(audit))
    forged = canonical(record_of(await filled.leaf(300)) | {"act": "member.removed"})
    for seq in range(COUNT - 1, 299, -1):
        leaf = await filled.leaf(seq)
        await filled.sql(("DELETE FROM audit_record WHERE position = $1", record_position(1, seq)))
        insert = "INSERT INTO audit_record (position, leaf, leaf_hash, obj_id) VALUES ($1, $2, $3, $4)"
        await filled.sql((insert, record_position(1, seq + 1), leaf, leaf_hash(leaf), record_of(leaf)["obj"]["id"]))
    await filled.sql((insert, record_position(1, 300), forged, leaf_hash(forged), record_of(forged)["obj"]["id"]))
    server = await filled.verdict_of_log()
    for with_hashes in (True, False):
        found = verify(
            "full", write_folder(tmp_path / str(with_hashes), await raw(filled, intact, with_hashes=with_hashes))
        )
        assert (found["exit_code"], found["first_bad"]) == (1, 300)
    assert server.state == "tampered"


def test_the_vectors_are_read_alike(tmp_path):
    verifier = Verifier.parse(VECTORS["vkey"])
    leaves = [text.encode() for text in VECTORS["events_jcs"]]
    for count in range(1, 9):
        note = VECTORS["checkpoints"][count]
        head = open_checkpoint(note, [verifier])
        members = {
            "format": "failgate-audit-export",
            "v": 1,
            "origin": head.origin,
            "size": count,
            "first": 0,
            "last": count - 1,
        }
        files = {
            "manifest.json": json.dumps(members | {"from": None, "to": None}).encode(),
            "vkey": VECTORS["vkey"].encode(),
            "checkpoint": note.encode(),
            f"entries/000.p/{count}": entries(leaves[:count]),
        }
        answer = verify("full", write_folder(tmp_path / str(count), files))
        assert (answer["exit_code"], answer["root"]) == (0, VECTORS["roots_hex"][count]), answer
        assert head.root.hex() == VECTORS["roots_hex"][count]
    assert VECTORS["roots_hex"][0] == EMPTY_ROOT.hex()


async def test_a_record_of_another_log_does_not_fit_in(filled, audit, tmp_path):
    intact = await exported(audit, await head_of(audit))
    await audit.record(event(ws="system"))
    await filled.put(10, await filled.changed(10, ws="system"))
    server = await filled.verdict_of_log()
    found = verify("full", write_folder(tmp_path / "bundle", await raw(filled, intact, with_hashes=False)))
    assert found["first_bad"] == server.first_bad == 10
