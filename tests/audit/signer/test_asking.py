"""A log whose key is with a signer in a process of its own: what is signed, what is not, what a kill leaves. B10"""

import asyncio
import shutil

import pytest

from failgate.audit.checkpoint import Verifier, open_checkpoint
from failgate.audit.handover import HANDOVERS_FILE
from failgate.audit.log import AuditLog
from failgate.audit.record import SYSTEM, Actor
from failgate.audit.rekeying import LogKey
from failgate.audit.signer.asking import SignerAway, SignerProcess
from failgate.audit.signer.ledger import NEXT_KEY_FILE, open_ledger
from failgate.audit.signer.making import of_data_folder
from failgate.audit.signing import KEY_FILE, SIDECAR_FILE, make_key, read_sidecar, write_sidecar
from failgate.audit.verification import verify_logs
from failgate.base.errors import Conflict, StartRefused, StorageUnavailable
from tests.audit.conftest import WS, event, fill
from tests.audit.test_notary import roll_back
from tests.signers import Program

OPERATOR = Actor("operator", "cli")


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def make(database, clock, data, program):
    return lambda **options: AuditLog(database, clock, data, signer=program.asked, **options)


async def test_heads_are_signed_by_it_and_no_key_is_in_the_data_folder(make, database, data, program):
    audit = make()
    await audit.open()
    await fill(database, audit, 5)
    note = await audit.checkpoint(WS)
    await fill(database, audit, 300)
    later = await audit.checkpoint(WS)
    verifier = Verifier.parse(await audit.vkey(WS))
    assert [open_checkpoint(one, [verifier]).size for one in (note, later)] == [5, 305]
    assert verifier.public == program.public
    await audit.close()
    assert sorted(path.name for path in data.iterdir()) == [SIDECAR_FILE, HANDOVERS_FILE]
    verification = await verify_logs(database, data, against=[("kept", note)], elsewhere=program.asked)
    assert verification.exit_code == 0, verification.verdicts
    again = make()
    await again.open()
    assert await again.checkpoint(WS) == later
    await again.close()


async def test_more_logs_than_one_question_holds_are_signed(make, database, program):
    audit = make()
    logs = [f"0197f0c2-0000-7000-8000-{number:012}" for number in range(130)]
    await audit.open()
    for log in logs:
        await fill(database, audit, 1, log)
    assert set(await audit.checkpoints()) == {*logs}
    await audit.close()
    assert set(await program.asked.heads()) == {*logs}


async def test_while_it_is_away_records_are_kept_and_nothing_is_signed(make, database, data, program):
    audit = make(sign_every_seconds=0.05)
    await audit.open()
    await fill(database, audit, 3)
    note = await audit.checkpoint(WS)
    program.kill()
    assert "does not answer" in await audit.notary.problem()
    await audit.record(event(7))
    with pytest.raises(SignerAway, match="does not answer"):
        await audit.checkpoint(WS)
    assert await audit.size(WS) == 4
    assert read_sidecar(data / SIDECAR_FILE) == {WS: note}
    verification = await verify_logs(database, data, elsewhere=program.asked)
    assert (verification.exit_code, "does not answer" in verification.verdicts[-1].reason) == (3, True)
    program.start()
    async with asyncio.timeout(30):  # by itself, without another record
        while "\n4\n" not in read_sidecar(data / SIDECAR_FILE)[WS]:
            await asyncio.sleep(0.02)
    assert await audit.notary.problem() is None
    await audit.close()


async def test_a_start_without_it_is_refused_and_waits_for_one_that_starts_too(make, database, clock, data, program):
    program.kill()
    with pytest.raises(StartRefused, match="does not answer"):
        await make().open()
    audit = AuditLog(database, clock, data, signer=SignerProcess(program.socket, start_seconds=30))
    opening = asyncio.create_task(audit.open())
    await asyncio.sleep(0.3)
    await asyncio.to_thread(program.start)
    await opening
    await audit.close()


async def test_a_key_that_is_left_in_the_data_folder_refuses_the_start(make, data):
    make_key(data / KEY_FILE)
    with pytest.raises(StartRefused, match="is still there"):
        await make().open()


async def test_a_database_that_went_back_with_the_sidecar_is_refused(make, database, clock, data, program, tmp_path):
    """Who puts back everything of the server is contradicted by the signer; it forgets only where it runs."""
    audit = make()
    await audit.open()
    await fill(database, audit, 3)
    await audit.checkpoint(WS)
    kept = (data / SIDECAR_FILE).read_bytes()
    await fill(database, audit, 6)
    await audit.close()
    await roll_back(database)
    clock.advance(60)
    await fill(database, AuditLog(database, clock, tmp_path), 2)
    write_sidecar(data / SIDECAR_FILE, {})
    for accept in (False, True):
        with pytest.raises(StartRefused, match=r"2 records, but 9 were signed.*So says the signer"):
            await make().open(accept_rollback=accept)
    verification = await verify_logs(database, data, elsewhere=program.asked)
    assert (verification.exit_code, verification.verdicts[0].first_bad) == (1, 2)
    (data / SIDECAR_FILE).write_bytes(kept)
    program.kill()
    with open_ledger(program.folder) as ledger:
        ledger.forget(WS, clock)
    program.start()
    with pytest.raises(StartRefused, match="accept-rollback"):
        await make().open()
    again = make()
    [rollback] = await again.open(accept_rollback=True)
    assert (rollback.log, rollback.signed_size) == (WS, 3)
    assert (await program.asked.heads())[WS].size == 3  # with the record of it
    await again.close()


@pytest.mark.parametrize("refill", [2, 9, 40])
async def test_a_server_that_lost_its_mind_gets_no_fork_signed(make, database, clock, program, tmp_path, refill):
    """It forgets in memory and on disk what was signed, as whoever took it over would; the signer does not."""
    audit = make()
    await audit.open()
    await fill(database, audit, 9)
    note = await audit.checkpoint(WS)
    await roll_back(database)
    clock.advance(60)
    await fill(database, AuditLog(database, clock, tmp_path), refill)
    audit.notary._notes.clear()
    audit.notary._tree._kept.clear()
    with pytest.raises(StorageUnavailable, match="The signer refuses"):
        await audit.checkpoint(WS)
    assert "The signer refuses" in await audit.notary.problem()
    assert (await program.asked.heads())[WS].root == open_checkpoint(note, [Verifier.parse(await audit.vkey(WS))]).root
    await audit.close()


async def test_a_server_that_was_killed_before_its_sidecar_goes_on(make, database, data, program):
    audit = make()
    await audit.open()
    await fill(database, audit, 3)
    await audit.checkpoint(WS)
    kept = (data / SIDECAR_FILE).read_bytes()
    await fill(database, audit, 4)
    await audit.checkpoint(WS)
    (data / SIDECAR_FILE).write_bytes(kept)
    await fill(database, audit, 1)
    again = make()
    await again.open()
    assert (await again.checkpoint(WS)).split("\n")[1] == "8"
    await again.close()
    await audit.close()


async def test_a_signer_that_is_killed_once_its_head_is_durable_goes_on(make, database, program):
    audit = make()
    await audit.open()
    await fill(database, audit, 3)
    await audit.checkpoint(WS)
    program.kill()
    program.start(
        code="import os, signal\nfrom failgate.audit import signing\n"
        "signing.Signer.checkpoint = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
    )
    await fill(database, audit, 4)
    with pytest.raises(SignerAway):
        await audit.checkpoint(WS)
    program.ended()
    program.start()
    assert (await program.asked.heads())[WS].size == 7
    await fill(database, audit, 1)
    assert (await audit.checkpoint(WS)).split("\n")[1] == "8"
    await audit.close()


async def test_another_signer_than_before_is_refused(make, database, clock, data, tmp_path):
    audit = make()
    await audit.open()
    await audit.record(event())
    await audit.close()
    other = Program(tmp_path / "other").start()
    try:
        with pytest.raises(StartRefused, match="is not the one that signed"):
            await AuditLog(database, clock, data, signer=other.asked).open()
        (data / HANDOVERS_FILE).unlink()
        with pytest.raises(StartRefused, match="is not ours"):
            await AuditLog(database, clock, data, signer=other.asked).open()
    finally:
        other.kill()


async def test_another_name_than_the_signer_s_is_refused(database, clock, data, program):
    asked = SignerProcess(program.socket, "audit.example")
    with pytest.raises(StartRefused, match=r'origin is "audit.example", but the signer') as refused:
        await AuditLog(database, clock, data, origin="audit.example", signer=asked).open()
    assert program.moved.origin in str(refused.value)


async def test_a_signer_that_lies_is_not_believed(make, database, data, program):
    audit = make()
    await audit.open()
    await fill(database, audit, 3)
    note = await audit.checkpoint(WS)
    program.kill()
    program.start(
        code="from failgate.audit import signing\nhonest = signing.Signer.checkpoint\n"
        "signing.Signer.checkpoint = lambda one, log, size, root: honest(one, log, size, bytes(32))"
    )
    await fill(database, audit, 1)
    with pytest.raises(StorageUnavailable, match="signed another head"):
        await audit.checkpoint(WS)
    assert read_sidecar(data / SIDECAR_FILE) == {WS: note}
    await audit.close()


async def test_an_installation_moves_its_key_and_what_it_signed(database, clock, data, tmp_path):
    own = AuditLog(database, clock, data)
    await own.open()
    await fill(database, own, 5)
    await own.record(event(ws=SYSTEM))
    await LogKey(database, own).rotate(OPERATOR)
    note, vkey = await own.checkpoint(WS), await own.vkey(WS)
    await own.close()
    program = Program(tmp_path / "signer", of_data_folder(data)).start()
    try:
        (data / KEY_FILE).rename(tmp_path / "copy.key")
        audit = AuditLog(database, clock, data, signer=program.asked)
        await audit.open()
        await fill(database, audit, 2)
        assert await audit.vkey(WS) == vkey
        await audit.checkpoint(WS)
        await audit.close()
        verification = await verify_logs(database, data, against=[("kept", note)], elsewhere=program.asked)
        assert verification.exit_code == 0, verification.verdicts
        with pytest.raises(StartRefused, match=r"audit\.key, which signed the audit logs, is missing"):
            await AuditLog(database, clock, data).open()
    finally:
        program.kill()


async def test_what_cannot_be_moved_is_refused(database, clock, data):
    with pytest.raises(StartRefused, match="is missing"):
        of_data_folder(data)
    own = AuditLog(database, clock, data)
    await own.open()
    await own.record(event())
    await own.close()
    make_key(data / f"{KEY_FILE}.next")
    with pytest.raises(StartRefused, match="under way"):
        of_data_folder(data)
    (data / f"{KEY_FILE}.next").unlink()
    (data / KEY_FILE).unlink()
    make_key(data / KEY_FILE)
    with pytest.raises(StartRefused, match="is not of this key"):
        of_data_folder(data)


async def test_the_key_changes_once_one_waits_at_the_signer(make, database, data, program):
    audit = make()
    await audit.open()
    await fill(database, audit, 5)
    note, vkey = await audit.checkpoint(WS), await audit.vkey(WS)
    with pytest.raises(Conflict, match="where no new one waits"):
        await LogKey(database, audit).rotate(OPERATOR)
    make_key(program.folder / NEXT_KEY_FILE)
    done = await LogKey(database, audit).rotate(OPERATOR)
    assert done.vkey == await audit.vkey(SYSTEM)
    assert await audit.vkey(WS) != vkey
    for log in (WS, SYSTEM):
        open_checkpoint(await audit.checkpoint(log), [Verifier.parse(await audit.vkey(log))])
    [record] = [one.record for one in await audit.records(SYSTEM) if one.record["act"] == "log_key.rotated"]
    assert record["data"]["public_key_before"] == program.public.hex()
    await audit.close()
    verification = await verify_logs(database, data, against=[("kept", note)], elsewhere=program.asked)
    assert verification.exit_code == 0, verification.verdicts
    program.kill()
    kept = shutil.copytree(data, data.parent / "copy")  # as a verifier without the signer has it
    verification = await verify_logs(database, kept, against=[("kept", note)], elsewhere=program.asked)
    assert verification.exit_code == 3, verification.verdicts


async def test_a_server_that_was_killed_after_the_hand_over_takes_the_new_key(make, database, data, program):
    audit = make()
    await audit.open()
    await fill(database, audit, 5)
    await audit.checkpoint(WS)
    fresh = make_key(program.folder / NEXT_KEY_FILE).public_key().public_bytes_raw()
    (kept := data.parent / "list").write_bytes((data / HANDOVERS_FILE).read_bytes())
    await program.asked.hand_over(fresh, data)
    (data / HANDOVERS_FILE).write_bytes(kept.read_bytes())
    await audit.close()
    again = make()
    await again.open()
    assert Verifier.parse(await again.vkey(WS)).public == fresh
    open_checkpoint(await again.checkpoint(WS), [Verifier.parse(await again.vkey(WS))])
    await again.close()
    assert (await verify_logs(database, data, elsewhere=program.asked)).exit_code == 0


async def test_without_the_files_beside_it_or_its_signer_the_verdict_is_incomplete(make, database, data, program):
    """Never intact: nothing but the database would vouch for the database."""
    audit = make()
    await audit.open()
    await fill(database, audit, 3)
    await audit.checkpoint(WS)
    await audit.close()

    async def gap():
        verification = await verify_logs(database, data, elsewhere=program.asked)
        assert (verification.state, verification.exit_code) == ("incomplete", 3)
        return verification.verdicts[-1].reason

    sidecar, handovers = (data / SIDECAR_FILE).read_bytes(), (data / HANDOVERS_FILE).read_bytes()
    (data / SIDECAR_FILE).write_text("{")
    assert "which holds the last signed heads of the audit logs, is damaged" in await gap()
    (data / SIDECAR_FILE).unlink()
    assert await gap() == f"{data / SIDECAR_FILE} is missing: only the signer vouches for the logs"
    (data / SIDECAR_FILE).write_bytes(sidecar)
    (data / HANDOVERS_FILE).write_text("{")
    assert "is damaged or was changed" in await gap()
    (data / HANDOVERS_FILE).unlink()
    program.kill()
    assert "does not answer" in await gap()
    (data / HANDOVERS_FILE).write_bytes(handovers)
    assert "does not answer" in await gap()
    program.start()
    assert (await verify_logs(database, data, elsewhere=program.asked)).exit_code == 0
