"""A backup that is restored: proven before it is in place, or nothing of it is there. B12."""

import sqlite3
from base64 import b64encode
from pathlib import Path

import msgspec
import pytest

from failgate.assembly import open_services
from failgate.audit.beside import bodies_of
from failgate.audit.erasure_list import LIST_FILE, Subject, read_list
from failgate.audit.record import Act, Actor, Event
from failgate.audit.signing import read_key
from failgate.backup.archive import BackupDamaged, BackupIncomplete
from failgate.backup.manifest import CORE, HEADER
from failgate.backup.proof import RollbackRefused
from failgate.base.clock import FrozenClock
from failgate.base.db import Transaction
from failgate.base.errors import BadInput, NotFound, StartRefused, StorageUnavailable
from failgate.base.secret import Secret
from failgate.cli.commands import exit_code_of
from failgate.config.model import KeysSection
from failgate.workspaces.receipts import read_receipt
from tests.backup.installation import CONTENT, Installation, Place, content_of, installed, rewritten
from tests.workspaces.closing import RULE

PASSPHRASE = "a long and plain passphrase"


@pytest.fixture
async def backup(installation: Installation, tmp_path: Path) -> Path:
    await installation.back_up(tmp_path / "it.backup", passphrase=PASSPHRASE)
    return tmp_path / "it.backup"


async def test_an_installation_goes_on_elsewhere(installation: Installation, backup: Path, elsewhere: Place) -> None:
    """Accounts, rules, reports, sealed values and the log: all of it, by the file and a passphrase."""
    house = installation.house
    restored = await elsewhere.restore(backup, passphrase=PASSPHRASE)
    assert [restored.artifacts, restored.aside, restored.rolled_back] == [1, None, []]
    for name in ("audit.key", "secrets.key"):
        assert (elsewhere.data / name).read_bytes() == (installation.place.data / name).read_bytes()
        assert (elsewhere.data / name).stat().st_mode & 0o777 == 0o600
    async with elsewhere.opened() as services:
        assert await content_of(services, house.acme) == CONTENT
        assert [rule.argv for rule in (await services.rules.page(house.acme)).items] == [list(RULE.argv or [])]
        [last] = await services.audit.newest("system", limit=1)
        assert last.record["act"] == "backup.restored"
        assert last.record["data"]["keys"] == "present"
        assert (await elsewhere.verified(services)).state == "intact"
        note = await services.audit.checkpoint(house.acme)
    assert note == await installation.services.audit.checkpoint(house.acme)  # one history, one signature
    assert {one.name for one in elsewhere.data.iterdir()} >= {"audit.heads.json", "plugins"}
    assert not [one for one in elsewhere.data.iterdir() if one.name.startswith((".restoring", ".rollback"))]


async def test_without_keys_no_server_starts_until_they_are_brought(
    installation: Installation, backup: Path, elsewhere: Place
) -> None:
    restored = await elsewhere.restore(backup)
    assert [word for word in restored.warnings if "is NOT there" in word]
    with pytest.raises(StartRefused, match=r"audit.key, which signed the audit logs, is missing"):
        async with elsewhere.opened():
            pass
    (elsewhere.data / "audit.key").write_bytes((installation.place.data / "audit.key").read_bytes())
    (elsewhere.data / "audit.key").chmod(0o600)
    with pytest.raises(StartRefused, match="0 bytes in place of 32"):  # a fresh one would open nothing, in silence
        async with elsewhere.opened():
            pass
    (elsewhere.data / "secrets.key").write_bytes((installation.place.data / "secrets.key").read_bytes())
    async with elsewhere.opened() as services:
        assert (await services.audit.newest("system", limit=1))[0].record["data"]["keys"] == "absent"


async def test_keys_of_another_installation_and_a_wrong_passphrase_are_refused(backup: Path, elsewhere: Place, tmp_path: Path) -> None:  # fmt: skip
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "secrets.key").write_bytes(b"k" * 32)
    with pytest.raises(BadInput, match="not that of the backup"):
        await elsewhere.restore(backup, keys=tmp_path / "keys")
    with pytest.raises(BadInput, match="does not open the keys"):
        await elsewhere.restore(backup, passphrase=PASSPHRASE + "s")
    assert elsewhere.is_untouched()


def managed(data: Path) -> KeysSection:
    """Return the settings of a secrets manager that holds the keys of `data`, whose files are gone."""
    signing = read_key(data / "audit.key")
    assert signing is not None
    keys = KeysSection(
        sealing=Secret(b64encode((data / "secrets.key").read_bytes()).decode()),
        log=Secret(b64encode(signing.private_bytes_raw()).decode()),
    )
    for name in ("audit.key", "secrets.key"):
        (data / name).unlink()
    return keys


async def test_keys_of_a_secrets_manager_are_in_no_backup_and_open_what_is_restored(
    installation: Installation, elsewhere: Place, tmp_path: Path
) -> None:
    installation.place.keys = managed(installation.place.data)
    with pytest.raises(BadInput, match="secrets manager"):
        await installation.back_up(tmp_path / "sealed.backup", passphrase=PASSPHRASE)
    await installation.back_up(tmp_path / "it.backup")
    elsewhere.keys = KeysSection(sealing=Secret(b64encode(b"k" * 32).decode()))
    with pytest.raises(BadInput, match=r"\[keys\] sealing is not the secrets.key of the backup"):
        await elsewhere.restore(tmp_path / "it.backup")
    assert elsewhere.is_untouched()
    elsewhere.keys = installation.place.keys
    restored = await elsewhere.restore(tmp_path / "it.backup")
    assert not [word for word in restored.warnings if "is NOT there" in word]
    assert not {"audit.key", "secrets.key"} & {one.name for one in elsewhere.data.iterdir()}
    async with open_services(elsewhere.config, elsewhere.data, is_serving=False) as services:
        assert (await services.audit.newest("system", limit=1))[0].record["data"]["keys"] == "present"
        assert await content_of(services, installation.house.acme) == CONTENT


async def test_what_is_no_whole_backup_of_this_version_is_named_and_changes_nothing(
    backup: Path, elsewhere: Place, tmp_path: Path
) -> None:
    octets = backup.read_bytes()
    inside = octets.index(b'"logs"')
    file = tmp_path / "other.backup"
    found = {}
    for name, content in {
        "empty": b"",
        "a picture": b"\x89PNG\r\n" + b"\0" * 4096,
        "half of it": octets[: len(octets) // 2],
        "without its end": octets[:-20_000],
        "a changed byte": octets[:inside] + b"?" + octets[inside + 1 :],
    }.items():
        file.write_bytes(content)
        with pytest.raises((BadInput, BackupDamaged, BackupIncomplete)) as refused:
            await elsewhere.restore(file)
        found[name] = exit_code_of(refused.value)
    assert found == {"empty": 2, "a picture": 2, "half of it": 3, "without its end": 3, "a changed byte": 1}
    rewritten(backup, file, lambda members: members.update({HEADER: b'{"failgate_backup":2,"id":"x","version":"9.0"}'}))
    with pytest.raises(StartRefused, match=r"by failgate 9\.0, in the newer format 2"):
        await elsewhere.restore(file)
    rewritten(backup, file, lambda members: members.update({"../../escaped.sqlite": b"x"}))
    with pytest.raises(BackupDamaged, match="which is no member"):
        await elsewhere.restore(file)
    rewritten(backup, file, lambda members: members.pop("audit.heads.json"), is_honest=False)
    with pytest.raises(BackupIncomplete, match=r"lacks audit\.heads\.json"):
        await elsewhere.restore(file)
    assert elsewhere.is_untouched()


async def test_a_backup_of_another_kind_of_database_is_refused(
    installation: Installation, backup: Path, elsewhere: Place
) -> None:
    is_sqlite = installation.place.url.startswith("sqlite")
    other = "postgresql://nobody@127.0.0.1:1/none" if is_sqlite else f"sqlite://{elsewhere.folder / 'f.db'}"
    with pytest.raises(BadInput, match="rows are not carried over"):
        await Place(elsewhere.folder, other).restore(backup)


async def test_a_forged_log_is_found_before_anything_is_in_place(tmp_path: Path, clock: FrozenClock) -> None:
    """Who edits the backup counts its digests anew: the chain, the tree and the signed heads tell."""
    (tmp_path / "here").mkdir()
    async with installed(Place(tmp_path / "here", f"sqlite://{tmp_path / 'here' / 'f.db'}"), clock) as there:
        await there.services.audit.checkpoint(there.house.acme)
        await there.back_up(tmp_path / "it.backup")

    def forged(statement: str) -> Path:
        def change(members: dict[str, bytes]) -> None:
            (tmp_path / "f.sqlite").write_bytes(members[CORE])
            connection = sqlite3.connect(tmp_path / "f.sqlite")
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            connection.execute(statement)
            connection.commit()
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.close()
            members[CORE] = (tmp_path / "f.sqlite").read_bytes()

        return rewritten(tmp_path / "it.backup", tmp_path / "forged.backup", change)

    (tmp_path / "elsewhere").mkdir()
    place = Place(tmp_path / "elsewhere", f"sqlite://{tmp_path / 'elsewhere' / 'data' / 'failgate.sqlite'}")
    for statement in (
        "DELETE FROM audit_record WHERE position = (SELECT max(position) FROM audit_record)",
        "UPDATE audit_record SET leaf = replace(leaf, 'ok', 'no') WHERE position = (SELECT min(position) FROM audit_record)",
        "UPDATE audit_head SET size = size - 1",
        "DELETE FROM audit_head",
        "DROP TABLE audit_head",
    ):
        with pytest.raises(BackupDamaged) as refused:
            await place.restore(forged(statement))
        assert exit_code_of(refused.value) == 1
        assert place.is_untouched()
    await place.restore(forged("SELECT 1"))  # the control: it is the change that is found


async def test_a_rollback_is_refused_unless_it_is_accepted_aloud(
    installation: Installation, backup: Path, elsewhere: Place, tmp_path: Path
) -> None:
    """P2: a checkpoint kept elsewhere that is newer than the backup."""
    house = installation.house
    await house.report(house.acme, house.ann, b"since\n")
    note = await installation.services.audit.checkpoint(house.acme)
    with pytest.raises(RollbackRefused, match=r"in kept\.checkpoint.*--accept-rollback") as refused:
        await elsewhere.restore(backup, against=[("kept.checkpoint", note)])
    assert exit_code_of(refused.value) == 78
    assert elsewhere.is_untouched()
    restored = await elsewhere.restore(
        backup, against=[("kept.checkpoint", note)], accept_rollback=True, keys=installation.place.data
    )
    assert len(restored.rolled_back) == 1
    async with elsewhere.opened() as services:
        [last] = await services.audit.newest(house.acme, limit=1)
        assert last.record["act"] == "rollback.accepted"
        assert last.record["actor"]["t"] == "operator"
        assert "kept.checkpoint" in last.record["data"]["reason"]
        assert (await elsewhere.verified(services)).state == "intact"
        assert (await elsewhere.verified(services, against=[("kept", note)])).state == "tampered"


async def test_a_checkpoint_of_another_installation_or_history_is_refused(
    backup: Path, elsewhere: Place, tmp_path: Path, clock: FrozenClock
) -> None:
    (tmp_path / "third").mkdir()
    async with installed(Place(tmp_path / "third", f"sqlite://{tmp_path / 'third' / 'f.db'}"), clock) as third:
        note = await third.services.audit.checkpoint("system")
    with pytest.raises(BadInput, match="cannot be used"):
        await elsewhere.restore(backup, against=[("other.checkpoint", note)])
    assert elsewhere.is_untouched()


async def test_who_asked_to_be_erased_is_erased_on_another_machine_too(
    installation: Installation, elsewhere: Place, tmp_path: Path
) -> None:
    """By a copy of the list that is given, or that lies in the new folder; the backup knows of neither person."""
    house, services = installation.house, installation.services
    facts = {"kind": "x", "first": 0, "last": 0, "size": 1}
    for number, who in enumerate((house.ann, house.bob, house.dev)):
        exported = Event(Act.AUDIT_EXPORTED, house.acme, "log", house.acme, Actor.of(who), facts)
        await services.audit.record(msgspec.structs.replace(exported, ip=f"192.0.2.{number}"))
    size = await services.audit.size(house.acme)
    await installation.back_up(tmp_path / "it.backup")
    lists = [tmp_path / "first.json", elsewhere.data / LIST_FILE]
    elsewhere.data.mkdir(parents=True)
    for who, copy in zip((house.ann, house.dev), lists, strict=True):
        (installation.place.data / LIST_FILE).unlink(missing_ok=True)
        await services.db.write(lambda tx: tx.execute("DELETE FROM audit_erasure"))
        assert await services.evidence.erasing.erase_account(who.account_id or "", Actor.of(house.bob)) == 1
        copy.write_bytes((installation.place.data / LIST_FILE).read_bytes())
    (tmp_path / "spoiled.json").write_bytes(b"{}")
    for wrong in ("spoiled.json", "absent.json"):
        with pytest.raises(BadInput, match=wrong):
            await elsewhere.restore(tmp_path / "it.backup", erasures=[tmp_path / wrong])
    assert {one.name for one in elsewhere.data.iterdir()} <= {LIST_FILE, "server.lock", "failgate.db.lock"}
    restored = await elsewhere.restore(tmp_path / "it.backup", erasures=[lists[0]], keys=installation.place.data)
    assert [word for word in restored.warnings if word.startswith("2 addresses of records")]
    async with elsewhere.opened() as services:
        bodies = await bodies_of(services.db, house.acme, range(size - 3, size))
        assert [body.body for body in bodies.values()] == [None, b'{"ip":"192.0.2.1"}', None]
        said = [one.record for one in await services.audit.newest(house.acme, limit=2)]
        assert {one["obj"]["id"] for one in said} == {house.ann.account_id, house.dev.account_id}
        assert {(one["act"], one["data"]["reason"]) for one in said} == {("body.erased", "restored")}
        assert (await elsewhere.verified(services)).state == "intact"
        assert await services.evidence.erasing.catch_up() == 0
    subjects = {Subject("account", who.account_id or "") for who in (house.ann, house.dev)}
    assert set(read_list(elsewhere.data / LIST_FILE)) == subjects


async def test_a_workspace_on_the_list_is_named_and_its_log_keeps_no_addresses(
    installation: Installation, elsewhere: Place, tmp_path: Path
) -> None:
    house, services = installation.house, installation.services
    done = Event(Act.AUDIT_EXPORTED, house.acme, "log", house.acme, Actor.of(house.ann), {"kind": "x", "first": 0, "last": 0, "size": 1}, ip="192.0.2.1")  # fmt: skip
    await services.audit.record(done)
    await installation.back_up(tmp_path / "it.backup")
    await house.confirmed()
    assert await services.emptying.run_once() == 1
    restored = await elsewhere.restore(
        tmp_path / "it.backup", erasures=[installation.place.data / LIST_FILE], keys=installation.place.data
    )
    assert [word for word in restored.warnings if "Deleted since" in word and house.acme in word]
    async with elsewhere.opened() as services:
        bodies = await bodies_of(services.db, house.acme, range(await services.audit.size(house.acme)))
        assert {body.body for body in bodies.values()} == {None}
        with pytest.raises((NotFound, StorageUnavailable)):
            await content_of(services, house.acme)
        assert (await elsewhere.verified(services)).state == "intact"


async def test_the_proof_alone_puts_nothing_anywhere(backup: Path, elsewhere: Place) -> None:
    restored = await elsewhere.restore(backup, only_check=True)
    assert restored.records > 5
    assert "nothing was put anywhere" in restored.sentence
    assert not elsewhere.data.exists()


async def test_a_backup_of_the_version_before_is_migrated_on_the_way(
    installation: Installation, elsewhere: Place, tmp_path: Path
) -> None:
    async def older(tx: Transaction) -> None:
        await tx.execute("DROP TABLE backup_made")
        await tx.execute("DROP TABLE audit_body")
        if tx.dialect == "postgres":
            await tx.execute("DROP FUNCTION audit_body_refuse")
        steps = "name = '0051_backups' OR name LIKE '0055_audit_bodies%'"
        await tx.execute(f"DELETE FROM schema_migration WHERE {steps}")

    await installation.services.db.write(older)
    made = await installation.back_up(tmp_path / "it.backup")
    assert not {"0051_backups", f"0055_audit_bodies.{installation.services.db.dialect}"} & set(made.manifest.schema)
    await elsewhere.restore(tmp_path / "it.backup", keys=installation.place.data)
    async with elsewhere.opened() as services:
        [row] = await services.db.fetch("SELECT id, made_us FROM backup_made")
        assert row["id"] == made.manifest.id
        assert (await elsewhere.verified(services)).state == "intact"


async def test_a_backup_of_a_later_version_is_refused(
    installation: Installation, elsewhere: Place, tmp_path: Path
) -> None:
    async def newer(tx: Transaction) -> None:
        await tx.execute("INSERT INTO schema_migration (name, sha256, applied_us) VALUES ('9999_later', 'x', 1)")

    await installation.services.db.write(newer)
    await installation.back_up(tmp_path / "it.backup")
    with pytest.raises(StartRefused, match="which is newer: it has 9999_later"):
        await elsewhere.restore(tmp_path / "it.backup")
    assert elsewhere.is_untouched()


async def test_a_workspace_that_was_deleted_since_does_not_come_back_readable(
    installation: Installation, backup: Path, elsewhere: Place
) -> None:
    """The receipt of its deletion destroys the key of its artifacts again, and their bytes are not put back."""
    house = installation.house
    await house.confirmed()
    assert await installation.services.emptying.run_once() == 1
    text = msgspec.json.encode(
        await installation.services.deletion.one_deleted_of(house.ann.account_id, house.acme)
    ).decode()
    assert read_receipt(text).receipt.id == house.acme
    restored = await elsewhere.restore(backup, receipts=[text], keys=installation.place.data)
    assert restored.artifacts == 0
    assert [word for word in restored.warnings if house.acme in word]
    async with elsewhere.opened() as services:
        with pytest.raises((NotFound, StorageUnavailable)):
            await content_of(services, house.acme)
        [key] = await services.db.fetch("SELECT wrapped, destroyed_us FROM artifact_key")
        assert key["wrapped"] == ""
        assert (await services.audit.newest("system", limit=1))[0].record["data"]["forgotten"] == 1


async def test_a_second_restore_into_a_filled_database_or_a_strange_folder_is_refused(
    backup: Path, elsewhere: Place, tmp_path: Path
) -> None:
    if not elsewhere.url.startswith("sqlite"):
        await elsewhere.restore(backup)
        with pytest.raises(StartRefused, match="not empty"):
            await elsewhere.restore(backup)
    (tmp_path / "strange" / "data").mkdir(parents=True)
    (tmp_path / "strange" / "data" / "thesis.txt").write_text("mine")
    with pytest.raises(BadInput, match="holds no Failgate"):
        await Place(tmp_path / "strange", elsewhere.url).restore(backup)


class TestInPlace:
    """A data folder with everything in it is restored into itself: what was there lies aside."""

    @pytest.fixture
    async def stopped(self, tmp_path: Path, clock: FrozenClock) -> tuple[Place, Path, str, str]:
        place = Place(tmp_path / "here", f"sqlite://{tmp_path / 'here' / 'data' / 'failgate.sqlite'}")
        place.folder.mkdir()
        async with installed(place, clock) as there:
            second = await there.house.report(there.house.acme, there.house.ann, b"second\n")
            await there.back_up(tmp_path / "it.backup")
            acme = there.house.acme
            await there.services.reports.delete(there.house.ann, acme, second)
        return place, tmp_path / "it.backup", acme, second

    async def test_a_folder_that_is_ahead_is_refused_and_stays(self, stopped: tuple[Place, Path, str, str]) -> None:
        place, file, _, _ = stopped
        before = sorted(one.name for one in place.data.iterdir())
        with pytest.raises(RollbackRefused, match="in the data folder"):
            await place.restore(file)
        assert sorted(one.name for one in place.data.iterdir()) == before
        async with place.opened() as services:
            assert (await place.verified(services)).state == "intact"

    async def test_accepted_it_goes_back_aloud_and_what_was_deleted_since_stays_away(
        self, stopped: tuple[Place, Path, str, str]
    ) -> None:
        place, file, acme, _ = stopped
        restored = await place.restore(file, accept_rollback=True)
        assert restored.artifacts == 1
        assert [word for word in restored.warnings if "1 artifacts were deleted since" in word]
        assert restored.aside is not None
        assert (Path(restored.aside) / "failgate.sqlite").exists()
        async with place.opened() as services:  # its keys lay there, and fit
            assert await content_of(services, acme) == CONTENT
            with pytest.raises((NotFound, StorageUnavailable)):
                await content_of(services, acme, b"second\n")
            acts = [one.record["act"] for one in await services.audit.newest(acme, limit=1)]
            assert acts == ["rollback.accepted"]

    async def test_addresses_that_were_erased_since_are_erased_again(self, tmp_path: Path, clock: FrozenClock) -> None:
        place = Place(tmp_path / "there", f"sqlite://{tmp_path / 'there' / 'data' / 'failgate.sqlite'}")
        place.folder.mkdir()
        async with installed(place, clock) as there:
            house, services = there.house, there.services
            facts = {"kind": "x", "first": 0, "last": 0, "size": 1}
            for number, who in enumerate((house.ann, house.bob, house.ann)):
                exported = Event(Act.AUDIT_EXPORTED, house.acme, "log", house.acme, Actor.of(who), facts)
                await services.audit.record(msgspec.structs.replace(exported, ip=f"192.0.2.{number}"))
            size = await services.audit.size(house.acme)
            await there.back_up(tmp_path / "it.backup")
            assert house.ann.account_id is not None
            assert await services.evidence.erasing.erase_account(house.ann.account_id, Actor.of(house.bob)) == 2
        await place.restore(tmp_path / "it.backup", accept_rollback=True)
        async with place.opened() as services:
            bodies = await bodies_of(services.db, house.acme, range(size - 3, size))
            assert [body.body for body in bodies.values()] == [None, b'{"ip":"192.0.2.1"}', None]
            [said] = [one.record for one in await services.audit.newest(house.acme, limit=1)]
            assert (said["act"], said["obj"]["id"]) == ("body.erased", house.ann.account_id)
            assert (said["data"]["reason"], said["data"]["count"]) == ("restored", 2)
            assert (await place.verified(services)).state == "intact"

    @pytest.mark.parametrize("folder", ["data", "elsewhere"])
    async def test_one_restore_after_another_within_a_second_keeps_what_each_found(
        self, stopped: tuple[Place, Path, str, str], folder: str
    ) -> None:
        """As after a kill: the second was refused, for what the first had found lay under the same name."""
        place, file, _, _ = stopped
        (place.folder / folder).mkdir(exist_ok=True)
        database = place.folder / folder / "failgate.sqlite"
        if folder != "data":
            (place.data / "failgate.sqlite").rename(database)
            place.url = f"sqlite://{database}"
        found = []
        for _ in range(3):
            found.append(database.read_bytes())
            await place.restore(file, accept_rollback=True)
        aside = [*place.data.glob("before-restore-*/failgate.sqlite"), *database.parent.glob("failgate.sqlite.before*")]
        assert sorted(one.read_bytes() for one in aside) == sorted(found)

    async def test_another_installation_s_folder_is_left_alone(
        self, stopped: tuple[Place, Path, str, str], tmp_path: Path, clock: FrozenClock
    ) -> None:
        _, file, _, _ = stopped
        third = Place(tmp_path / "third", f"sqlite://{tmp_path / 'third' / 'data' / 'failgate.sqlite'}")
        third.folder.mkdir()
        async with installed(third, clock):
            pass
        with pytest.raises(StartRefused, match="holds another installation"):
            await third.restore(file, accept_rollback=True)
