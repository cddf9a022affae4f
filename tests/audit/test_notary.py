"""The signer: it never contradicts what it signed before, and the server does not start over a rolled-back database."""

import os
import shutil
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from failgate.audit.checkpoint import Verifier, open_checkpoint
from failgate.audit.log import AuditLog
from failgate.audit.signing import (
    KEY_FILE,
    SIDECAR_FILE,
    Signer,
    default_origin,
    read_key,
    read_sidecar,
    write_sidecar,
)
from failgate.audit.verification import verify_logs
from failgate.base.errors import StartRefused, StorageUnavailable
from tests.audit.conftest import WS, event, fill


async def roll_back(database):
    """Put the database back to what it was before the first record."""

    async def verb(tx):
        if tx.dialect == "sqlite":
            await tx.execute("DROP TRIGGER IF EXISTS audit_record_is_kept")
        else:
            await tx.execute("DROP TRIGGER IF EXISTS audit_record_stays ON audit_record")
        await tx.execute("DELETE FROM audit_record")
        await tx.execute("DELETE FROM audit_head")
        tx.state.clear()

    await database.write(verb)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def make(database, clock, folder):
    return lambda: AuditLog(database, clock, folder)


async def test_the_key_is_made_once_for_its_owner_alone(make, folder):
    first = make()
    await first.open()
    await first.close()
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / SIDECAR_FILE).stat().st_mode) == 0o600
    second = make()
    await second.open()
    assert await second.vkey(WS) == await first.vkey(WS)
    await second.close()
    assert sorted(path.name for path in folder.iterdir()) == [SIDECAR_FILE, KEY_FILE]


async def test_the_origin_is_the_installations_own_or_the_configured_one(make, folder, database, clock):
    audit = make()
    note = await audit.checkpoint(WS)
    assert note.startswith("failgate-")
    assert note.split("\n")[0].endswith(f"/log/{WS}")
    named = AuditLog(database, clock, folder / "..", origin="audit.example")
    assert (await named.checkpoint(WS)).split("\n")[0] == f"audit.example/log/{WS}"


async def test_closing_signs_every_log(make, folder, database):
    audit = make()
    await audit.open()
    await audit.record(event())
    await audit.record(event(ws="system"))
    await audit.close()
    notes = read_sidecar(folder / SIDECAR_FILE)
    assert {log: note.split("\n")[1] for log, note in notes.items()} == {WS: "1", "system": "1"}


async def test_heads_are_signed_in_the_background(database, clock, folder):
    audit = AuditLog(database, clock, folder, sign_every_seconds=0)
    await audit.open()
    await audit.record(event())
    verifier = Verifier.parse(await audit.vkey(WS))
    size = 0
    while not size:
        await audit.size(WS)
        notes = read_sidecar(folder / SIDECAR_FILE)
        size = open_checkpoint(notes[WS], [verifier]).size if WS in notes else 0
    assert size == 1
    await audit.close()


@pytest.mark.parametrize("refill", [0, 3, 9])
async def test_a_database_that_went_back_refuses_the_start(make, database, clock, folder, tmp_path, refill):
    audit = make()
    await audit.open()
    await fill(database, audit, 5)
    await audit.close()
    await roll_back(database)
    clock.advance(60)
    await fill(database, AuditLog(database, clock, tmp_path), refill)
    with pytest.raises(StartRefused, match=r"went back|differs") as refused:
        await make().open()
    assert "--accept-rollback" in str(refused.value)
    # it stays refused, and nothing was signed
    with pytest.raises(StartRefused):
        await make().open()
    assert (await verify_logs(database, folder)).exit_code == 1


async def test_an_accepted_rollback_is_recorded_and_signed(make, database, folder):
    audit = make()
    await audit.open()
    await fill(database, audit, 5)
    root = await audit.root(WS)
    await audit.close()
    await roll_back(database)
    audit = make()
    accepted = await audit.open(accept_rollback=True)
    assert [(rollback.log, rollback.signed_size, rollback.signed_root) for rollback in accepted] == [(WS, 5, root)]
    record = (await audit.record_at(WS, 0)).record
    assert record["act"] == "rollback.accepted"
    assert (record["data"]["signed_size"], record["data"]["found_size"]) == (5, 0)
    await audit.close()
    assert (await verify_logs(database, folder)).exit_code == 0
    assert await make().open() == []


async def test_nothing_smaller_or_other_than_the_last_signature_is_signed(make, database, clock, folder, caplog):
    audit = make()
    await audit.open()
    await fill(database, audit, 5)
    note = await audit.checkpoint(WS)
    assert await audit.checkpoint(WS) == note
    await roll_back(database)
    with pytest.raises(StorageUnavailable, match="went back"):
        await audit.checkpoint(WS)
    clock.advance(60)
    await fill(database, audit, 9)
    with pytest.raises(StorageUnavailable, match="differs"):
        await audit.checkpoint(WS)
    await audit.close()
    assert "differs from its first 5 records" in caplog.text
    assert read_sidecar(folder / SIDECAR_FILE) == {WS: note}


@pytest.mark.parametrize("lost", [KEY_FILE, SIDECAR_FILE])
async def test_a_file_that_is_gone_refuses_the_start_until_it_is_accepted(make, database, folder, lost):
    audit = make()
    await audit.open()
    await audit.record(event())
    await audit.close()
    (folder / lost).unlink()
    with pytest.raises(StartRefused, match="is missing"):
        await make().open()
    assert not (folder / lost).exists()
    audit = make()
    await audit.open(accept_rollback=True)
    assert (await audit.record_at("system", 0)).record["act"] == "rollback.accepted"
    await audit.close()
    assert await make().open() == []
    assert (await verify_logs(database, folder)).exit_code == 0


async def test_a_key_that_others_may_read_refuses_the_start(make, folder):
    audit = make()
    await audit.open()
    await audit.close()
    (folder / KEY_FILE).chmod(0o640)
    with pytest.raises(StartRefused, match="chmod 600"):
        await make().open()


@pytest.mark.parametrize("text", [b"", b"{}", b'{"v": 2, "logs": {}}', b'{"v": 1, "logs": {"a": 1}}', b"[]", b"\xff"])
async def test_a_damaged_sidecar_refuses_the_start(make, folder, text):
    audit = make()
    await audit.open()
    await audit.close()
    (folder / SIDECAR_FILE).write_bytes(text)
    with pytest.raises(StartRefused, match="damaged"):
        await make().open()


@pytest.mark.parametrize("text", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
async def test_a_damaged_key_refuses_the_start(make, folder, text):
    audit = make()
    await audit.open()
    await audit.close()
    (folder / KEY_FILE).write_bytes(text)
    with pytest.raises(StartRefused, match="damaged"):
        await make().open()


async def test_a_crash_between_the_two_files_of_the_first_start_is_no_rollback(make, folder):
    write_sidecar(folder / SIDECAR_FILE, {})
    assert await make().open() == []


async def test_a_sidecar_that_cannot_be_written_signs_nothing(make, database, folder, monkeypatch):
    audit = make()
    await audit.open()
    await audit.record(event())
    before = (folder / SIDECAR_FILE).read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageUnavailable, match="No space left"):
        await audit.checkpoint(WS)
    assert (folder / SIDECAR_FILE).read_bytes() == before
    assert len(list(folder.iterdir())) == 2
    monkeypatch.undo()
    assert (await audit.checkpoint(WS)).split("\n")[1] == "1"
    await audit.close()


async def test_a_data_folder_that_was_copied_with_its_database_starts(make, database, clock, folder, tmp_path):
    audit = make()
    await audit.open()
    await audit.record(event())
    await audit.close()
    shutil.copytree(folder, tmp_path / "copy")
    copy = AuditLog(database, clock, tmp_path / "copy")
    assert await copy.open() == []
    await copy.close()


@pytest.mark.parametrize(
    ("before", "after", "sentence", "mend"),
    [
        (None, "b.example", '[audit] origin is "b.example"', "Remove the setting again."),
        ("a.example", "b.example", 'signed under the name "a.example"', 'Set origin = "a.example" again.'),
        ("a.example", None, "[audit] origin is not set", 'Set origin = "a.example" again.'),
    ],
)
async def test_another_origin_than_before_names_the_setting_and_the_mend(
    database, clock, folder, before, after, sentence, mend
):
    """A setting was changed, nothing went back: the word rollback would send the operator the wrong way."""
    first = AuditLog(database, clock, folder, origin=before)
    await first.open()
    await first.record(event())
    await first.close()
    with pytest.raises(StartRefused) as refused:
        await AuditLog(database, clock, folder, origin=after).open()
    assert sentence in refused.value.sentence
    assert refused.value.hint == mend
    assert "rollback" not in str(refused.value)
    again = AuditLog(database, clock, folder, origin=before)
    await again.open()
    await again.close()


async def test_a_key_that_is_kept_elsewhere_signs_and_leaves_no_file(database, clock, folder):
    """ASVS 5.0 13.3.1: the first start, the next one, and `audit verify`."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    for _ in range(2):
        audit = AuditLog(database, clock, folder, key=key)
        await audit.open()
        await audit.record(event(1))
        note = await audit.checkpoint(WS)
        await audit.close()
    assert [path.name for path in folder.iterdir()] == [SIDECAR_FILE]
    assert Signer(key, default_origin(key.public_key().public_bytes_raw())).signed(WS, note).size == 2
    assert (await verify_logs(database, folder, key=key)).state == "intact"
    assert (await verify_logs(database, folder)).state == "incomplete"
    other = Ed25519PrivateKey.generate()
    assert (await verify_logs(database, folder, key=other)).state == "tampered"
    with pytest.raises(StartRefused):
        await AuditLog(database, clock, folder, key=other).open()


async def test_a_lost_sidecar_is_noticed_with_a_key_that_is_kept_elsewhere(database, clock, folder):
    key = Ed25519PrivateKey.generate()
    audit = AuditLog(database, clock, folder, key=key)
    await audit.open()
    await audit.record(event(1))
    await audit.close()
    (folder / SIDECAR_FILE).unlink()
    with pytest.raises(StartRefused, match="last signed heads"):
        await AuditLog(database, clock, folder, key=key).open()


async def test_the_folder_s_key_moves_to_the_manager_and_another_one_is_refused(database, clock, folder, make):
    before = make()
    await before.open()
    vkey = await before.vkey(WS)
    await before.close()
    kept = read_key(folder / KEY_FILE)
    with pytest.raises(StartRefused, match="another key than that of"):
        await AuditLog(database, clock, folder, key=Ed25519PrivateKey.generate()).open()
    moved = AuditLog(database, clock, folder, key=kept)
    await moved.open()
    await moved.close()
    (folder / KEY_FILE).unlink()
    after = AuditLog(database, clock, folder, key=kept)
    await after.open()
    assert await after.vkey(WS) == vkey
    await after.close()
