"""Every way to tamper that AUDIT.md section 2 names, and the record that the verdict blames. MISSION E3 E7 P2."""

import asyncio
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from failgate.audit.checkpoint import Checkpoint, NoteRejected, Verifier, sign
from failgate.audit.encoding import record_of
from failgate.audit.handover import HANDOVERS_FILE, Handovers, write_handovers
from failgate.audit.log import AuditLog
from failgate.audit.places import record_position
from failgate.audit.signing import KEY_FILE, SIDECAR_FILE
from failgate.audit.sweep import SqlitePages
from failgate.audit.tree import leaf_hash
from failgate.audit.verification import LogVerdict, Verification, verify_log, verify_logs
from failgate.base.canonical import base64url, canonical
from failgate.base.errors import StartRefused
from tests.audit.conftest import WS, event, fill

COUNT = 600


@pytest.fixture
async def filled(database, audit, tmp_path):
    await fill(database, audit, COUNT)
    await audit.record(event(ws="system"))
    return Tampering(database, audit, tmp_path)


class Tampering:
    """What somebody does who may write to the database."""

    def __init__(self, database, audit, folder):
        self.database = database
        self.audit = audit
        self.folder = folder

    async def sql(self, *statements):
        async def verb(tx):
            if tx.dialect == "sqlite":
                for trigger in ("audit_record_stays", "audit_record_is_kept", "audit_node_stays", "audit_node_is_kept"):
                    await tx.execute(f"DROP TRIGGER IF EXISTS {trigger}")
            else:
                await tx.execute("DROP TRIGGER IF EXISTS audit_record_stays ON audit_record")
                await tx.execute("DROP TRIGGER IF EXISTS audit_node_stays ON audit_node")
            for statement, *args in statements:
                await tx.execute(statement, *args)
            tx.state.clear()  # as if another process had done it

        await self.database.write(verb)

    async def leaf(self, seq):
        return (await self.audit.record_at(WS, seq)).leaf

    async def put(self, seq, leaf, hashed=None):
        await self.sql(
            (
                "UPDATE audit_record SET leaf = $1, leaf_hash = $2 WHERE position = $3",
                leaf,
                leaf_hash(leaf) if hashed is None else hashed,
                record_position(1, seq),
            )
        )

    async def delete(self, first, end):
        bounds = record_position(1, first), record_position(1, end)
        await self.sql(("DELETE FROM audit_record WHERE position >= $1 AND position < $2", *bounds))

    async def changed(self, seq, /, **members):
        return canonical(record_of(await self.leaf(seq)) | members)

    async def rewrite(self, first, *, until=COUNT):
        """Change record `first` and chain everything after it anew."""
        prev = None
        for seq in range(first, until):
            record = record_of(await self.leaf(seq))
            record = record | ({"out": "deny"} if prev is None else {"prev": prev})
            leaf = canonical(record)
            await self.put(seq, leaf)
            prev = base64url(leaf_hash(leaf))

    async def verdict_of_log(self) -> LogVerdict:
        """What is said of the log by itself, without what lies beside the database."""
        return await verify_log(self.database, WS)

    async def verdict(self, **options) -> LogVerdict:
        found = await verify_logs(self.database, self.folder, **options)
        bad = [verdict for verdict in found.verdicts if verdict.state != "intact"]
        assert len(bad) == 1
        assert found.exit_code == {"tampered": 1, "incomplete": 3}[bad[0].state]
        return bad[0]


async def test_logs_that_nobody_touched_are_intact(filled, database, tmp_path, audit):
    for step in range(2):
        found = await verify_logs(database, tmp_path)
        assert [(v.log, v.size, v.state) for v in found.verdicts] == [(WS, COUNT, "intact"), ("system", 1, "intact")]
        assert found.exit_code == 0
        assert found.verdicts[0].root == await audit.root(WS)
        if not step:
            await audit.checkpoint(WS)


async def test_an_empty_database_is_intact(database, audit, tmp_path):
    assert await verify_logs(database, tmp_path) == Verification(())


@pytest.mark.parametrize("seq", [0, 1, 255, 256, 300, COUNT - 1])
@pytest.mark.parametrize("is_hash_mended", [False, True])
async def test_an_edited_record_is_named(filled, seq, is_hash_mended):
    kept = None if is_hash_mended else leaf_hash(await filled.leaf(seq))
    await filled.put(seq, await filled.changed(seq, out="deny"), kept)
    verdict = await filled.verdict()
    assert (verdict.log, verdict.state, verdict.first_bad) == (WS, "tampered", seq)


async def test_an_edited_link_is_blamed_on_the_record_that_holds_it(filled):
    await filled.put(100, await filled.changed(100, prev="B" * 43))
    assert (await filled.verdict()).first_bad == 100
    await filled.put(COUNT - 1, await filled.changed(COUNT - 1, prev="B" * 43))
    await filled.put(100, await filled.changed(100, prev=base64url(leaf_hash(await filled.leaf(99)))))
    assert (await filled.verdict()).first_bad == COUNT - 1


async def test_a_record_that_is_not_canonical_is_named(filled):
    leaf = await filled.leaf(9)
    floating = leaf.replace(b'"approve"', b"1.5")
    for spoiled in (
        b" " + leaf,
        leaf.replace(b"vote", b"\\u0076ote"),
        b"{}",
        b"\xff",
        b'{"v":1.0}',
        leaf + leaf,
        floating,
    ):
        await filled.put(9, spoiled)
        assert (await filled.verdict()).first_bad == 9
    await filled.put(9, leaf)
    assert (await verify_logs(filled.database, filled.folder)).exit_code == 0


@pytest.mark.parametrize(("first", "end"), [(0, 1), (5, 6), (256, 400), (COUNT - 1, COUNT), (0, COUNT)])
async def test_a_deleted_record_is_named(filled, first, end):
    await filled.delete(first, end)
    assert (await filled.verdict()).first_bad == first


async def test_two_records_that_changed_places_are_found_at_the_first(filled):
    one, two = await filled.leaf(20), await filled.leaf(40)
    await filled.put(20, two)
    await filled.put(40, one)
    assert (await filled.verdict()).first_bad == 20


async def test_an_inserted_record_is_found(filled):
    """It takes the place of one that moves up, or comes after the head."""
    leaf = await filled.changed(COUNT - 1, seq=COUNT, prev=base64url(leaf_hash(await filled.leaf(COUNT - 1))))
    await filled.sql(
        (
            "INSERT INTO audit_record (position, leaf, leaf_hash, obj_id) VALUES ($1, $2, $3, $4)",
            record_position(1, COUNT),
            leaf,
            leaf_hash(leaf),
            f"command-{COUNT - 1}",
        )
    )
    verdict = await filled.verdict()
    assert (verdict.first_bad, verdict.reason) == (COUNT, "there are records beyond the head of the log")


async def test_a_column_that_would_hide_a_record_from_a_page_is_found(filled):
    await filled.sql(("UPDATE audit_record SET obj_id = 'other' WHERE position = $1", record_position(1, 33)))
    assert (await filled.verdict()).first_bad == 33


async def test_a_rewrite_to_the_end_does_not_reach_the_head(filled):
    await filled.rewrite(580)
    assert (await filled.verdict()).state == "tampered"


async def test_a_rewrite_is_narrowed_down_by_the_stored_nodes(filled):
    await filled.rewrite(300)
    verdict = await filled.verdict()
    assert verdict.first_bad is None
    assert "256 to 511" in verdict.reason


async def test_a_rewrite_with_its_head_and_nodes_is_found_by_the_signed_head(filled, clock, tmp_path_factory):
    """The attacker makes a whole log of their own; only what was signed before outside the database gives it away."""
    note = await filled.audit.checkpoint(WS)
    await filled.sql(("DELETE FROM audit_record",), ("DELETE FROM audit_node",), ("DELETE FROM audit_head",))
    clock.advance(60)
    forger = AuditLog(filled.database, clock, tmp_path_factory.mktemp("forger"))
    await fill(filled.database, forger, COUNT + 5)
    await forger.record(event(ws="system"))
    assert (await verify_log(filled.database, WS)).state == "intact"
    verdict = await filled.verdict()
    assert (verdict.log, verdict.first_bad) == (WS, None)
    assert "sidecar" in verdict.reason
    (filled.folder / SIDECAR_FILE).write_text(json.dumps({"v": 1, "logs": {}}))
    verdict = await filled.verdict(against=[("kept.txt", note)])
    assert "kept.txt" in verdict.reason


async def test_a_log_that_is_shorter_than_what_was_signed_is_tampered(filled):
    note = await filled.audit.checkpoint(WS)
    await filled.delete(0, COUNT)
    await filled.sql(("DELETE FROM audit_head WHERE log = $1", WS), ("DELETE FROM audit_node",))
    assert (await filled.verdict()).first_bad == 0
    (filled.folder / SIDECAR_FILE).write_text(json.dumps({"v": 1, "logs": {}}))
    verdict = await filled.verdict(against=[("kept.txt", note)])
    assert (verdict.log, verdict.first_bad) == (WS, 0)


async def test_a_head_that_was_removed_or_changed_is_found(filled):
    await filled.sql(("UPDATE audit_head SET size = size - 1 WHERE log = $1", WS))
    assert (await filled.verdict()).state == "tampered"
    await filled.sql(("UPDATE audit_head SET size = size + 1 WHERE log = $1", WS))
    await filled.sql(("UPDATE audit_head SET peaks = $1 WHERE log = $2", bytes(128), WS))
    assert (await filled.verdict()).reason == "the root is not the one in the head of the log"
    await filled.sql(("DELETE FROM audit_head WHERE log = $1", WS))
    assert (await filled.verdict()).log == "log number 1"


async def test_a_node_that_would_spoil_proofs_is_found(filled):
    await filled.sql(("UPDATE audit_node SET hash = $1", bytes(32)))
    assert "0 to 255" in (await filled.verdict()).reason
    await filled.sql(("DELETE FROM audit_node",))
    assert "0 to 255" in (await filled.verdict()).reason


async def test_a_checkpoint_kept_elsewhere_proves_the_beginning_of_a_longer_log(filled):
    note = await filled.audit.checkpoint(WS)
    vkey = await filled.audit.vkey(WS)
    await fill(filled.database, filled.audit, 30)
    for folder, vkeys in ((filled.folder, ()), (None, [vkey])):
        found = await verify_logs(filled.database, folder, against=[("kept.txt", note)], vkeys=vkeys)
        assert found.exit_code == 0
    await filled.put(10, await filled.changed(10, out="deny"))
    assert (await filled.verdict(against=[("kept.txt", note)])).first_bad == 10


async def test_a_note_that_nobody_known_signed_is_no_verdict(filled):
    note = await filled.audit.checkpoint(WS)
    with pytest.raises(NoteRejected, match="No known key"):
        await verify_logs(filled.database, None, against=[("kept.txt", note)])
    with pytest.raises(NoteRejected):
        await verify_logs(filled.database, filled.folder, against=[("kept.txt", note.replace("600", "599"))])


async def test_without_the_files_of_the_signer_the_verdict_is_incomplete(filled):
    await filled.audit.checkpoint(WS)
    (filled.folder / SIDECAR_FILE).rename(filled.folder / "away")
    assert (await filled.verdict()).state == "incomplete"
    (filled.folder / SIDECAR_FILE).write_text("{")
    assert "damaged" in (await filled.verdict()).reason
    (filled.folder / "away").replace(filled.folder / SIDECAR_FILE)
    (filled.folder / KEY_FILE).rename(filled.folder / "away.key")
    assert (await filled.verdict()).state == "incomplete"


async def test_a_sidecar_that_another_key_signed_is_found(filled, tmp_path_factory, clock):
    forger = AuditLog(filled.database, clock, tmp_path_factory.mktemp("forger"))
    notes = {"v": 1, "logs": {WS: await forger.checkpoint(WS)}}
    (filled.folder / SIDECAR_FILE).write_text(json.dumps(notes))
    assert "not ours" in (await filled.verdict()).reason


async def test_a_list_of_earlier_keys_that_ends_at_another_key_vouches_for_nothing(filled):
    await filled.audit.checkpoint(WS)
    write_handovers(filled.folder / HANDOVERS_FILE, Handovers("example.org", (), bytes(32)))
    verdict = await filled.verdict()
    assert (verdict.state, verdict.log) == ("incomplete", "all logs")
    assert "is not the one that" in verdict.reason
    (filled.folder / HANDOVERS_FILE).write_text("{")
    verdict = await filled.verdict()
    assert (verdict.state, "is damaged or was changed" in verdict.reason) == ("incomplete", True)


async def test_a_signed_head_that_stands_in_the_place_of_another_log_s_is_found(filled):
    """Each signature is right; who swaps two heads would have each log measured by the other's."""
    note = await filled.audit.checkpoint(WS)
    (filled.folder / SIDECAR_FILE).write_text(json.dumps({"v": 1, "logs": {"system": note}}))
    verdict = await filled.verdict()
    assert (verdict.log, verdict.state, verdict.first_bad) == ("system", "tampered", None)
    assert verdict.reason.startswith("the signed head is not ours: The note is of ")


async def test_a_signed_note_of_no_log_is_no_verdict(filled, database):
    key = Ed25519PrivateKey.generate()
    verifier = Verifier("example.org/elsewhere", key.public_key().public_bytes_raw())
    note = sign(Checkpoint(verifier.name, 3, bytes(32)).text, verifier, key)
    with pytest.raises(NoteRejected, match=r"of example\.org/elsewhere, which is no log of this database"):
        await verify_logs(database, filled.folder, against=[("kept.txt", note)], vkeys=[verifier.vkey])
    assert (await verify_logs(database, filled.folder)).exit_code == 0


async def test_a_log_that_grows_meanwhile_is_verified_up_to_where_it_was(filled, monkeypatch):
    loop, fetch, read = asyncio.get_running_loop(), filled.database.fetch, SqlitePages.records

    async def growing(query, *args):
        rows = await fetch(query, *args)
        if isinstance(query, str) and "leaf_hash, obj_id" in query:
            await filled.audit.record(event())
        return rows

    def growing_in_thread(self, span):
        for rows in read(self, span):
            yield rows
            asyncio.run_coroutine_threadsafe(filled.audit.record(event()), loop).result()

    monkeypatch.setattr(filled.database, "fetch", growing)
    monkeypatch.setattr(SqlitePages, "records", growing_in_thread)
    assert (await verify_logs(filled.database, filled.folder)).exit_code == 0
    assert await filled.audit.size(WS) > COUNT


async def test_only_the_logs_that_were_asked_for_are_read(filled):
    await filled.put(3, b"{}")
    assert (await verify_logs(filled.database, filled.folder, logs=["system"])).exit_code == 0
    assert (await verify_logs(filled.database, filled.folder, logs=[WS])).exit_code == 1


def test_a_verdict_reads_as_a_sentence():
    assert LogVerdict("system", 2, bytes(32)).sentence == f"system: intact, 2 records, root {'00' * 32}"
    tampered = LogVerdict("system", 2, bytes(32), "tampered", 1, "record 1 is missing")
    assert tampered.sentence == "system: tampered, first bad record 1: record 1 is missing"
    assert Verification((tampered, LogVerdict("a", 0, b"", "incomplete"))).exit_code == 1


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("number", "x"),
        ("number", 1.5),
        ("size", "x"),
        ("size", b"x"),
        ("last_hash", "x"),
        ("last_hash", 1.5),
        ("peaks", "x"),
        ("peaks", b"x"),
        ("peaks", -1),
        ("ts_us", "x"),
        ("clock_us", b"x"),
    ],
)
async def test_a_head_that_holds_another_kind_of_value_is_tampered_not_a_traceback(filled, tmp_path, column, value):
    if filled.database.dialect != "sqlite":
        return  # PostgreSQL itself refuses such a value
    await filled.sql((f"UPDATE audit_head SET {column} = $1 WHERE log = $2", value, WS))
    verification = await verify_logs(filled.database, tmp_path)
    assert verification.state == "tampered"
    assert column in verification.verdicts[0].reason
    with pytest.raises(StartRefused):
        await filled.audit.record(event())
