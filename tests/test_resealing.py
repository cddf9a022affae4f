"""secrets.key and audit.key are changed: by one command, by a start, through a kill at every step. ASVS 5.0 11.2.2"""

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from failgate.assembly import open_services
from failgate.audit.checkpoint import NoteRejected, Verifier, open_checkpoint
from failgate.audit.handover import HANDOVERS_FILE
from failgate.audit.record import SYSTEM
from failgate.audit.rekeying import LogKey
from failgate.audit.signing import Signer, read_key
from failgate.base.clock import FrozenClock
from failgate.base.errors import Conflict, FailgateError, StartRefused
from failgate.base.ids import new_id
from failgate.base.secret import Secret
from failgate.base.secretbox import SecretBox
from failgate.config.model import KeysSection
from failgate.resealing import COLUMNS, PAGE
from failgate.roster import Services
from tests.backup import conftest as of_backups
from tests.backup.installation import Installation, Place, installed
from tests.workspaces.closing import OPERATOR

ROOT = Path(__file__).parents[1]
VALUES = PAGE + 7  # more than a page
installation, elsewhere = of_backups.installation, of_backups.elsewhere


async def fill(services: Services, account_id: str, workspace_id: str) -> None:
    """Seal values of three kinds: bytes, several of one owner, and text."""
    box = services.resealing._box
    await services.signing_keys.current()

    async def verb(tx) -> None:
        for number in range(VALUES):
            sealed = box.seal(f"secret {number}".encode(), purpose="totp", owner=account_id)
            await tx.execute(
                "INSERT INTO totp_secret (id, account_id, sealed, created_us) VALUES ($1, $2, $3, $4)",
                new_id(), account_id, sealed, number,
            )  # fmt: skip

    await services.db.write(verb)
    await services.redaction_rules.scanner_of(workspace_id)


async def secrets_of(services: Services) -> list[bytes]:
    """Return every sealed value, opened by the services' box."""
    box, found = services.resealing._box, []
    for column in COLUMNS:
        rows = await services.db.fetch(
            f"SELECT {column.owner or column.key} AS owner, {column.column} AS sealed FROM {column.table}"
            f" WHERE {column.column} IS NOT NULL ORDER BY {column.key}"
        )
        for row in rows:
            sealed = base64.b64decode(row["sealed"]) if column.is_text else bytes(row["sealed"])
            found.append(box.unseal(sealed, purpose=column.purpose, owner=row["owner"]))
    return found


async def rotations(services: Services, act: str) -> list[dict]:
    records = await services.audit.records(SYSTEM, None, 1000)
    return [one.record for one in records if one.record["act"] == act]


def test_every_sealed_column_is_sealed_anew() -> None:
    """The inventory lists them, and `tests/test_keys_and_data.py` holds it to the migrations."""
    page = (ROOT / "docs" / "keys-and-data.md").read_text()
    part = page.partition("### Sealed in the database by `secrets.key`")[2].partition("\n### ")[0]
    listed = set(re.findall(r"`(\w+\.\w+)`", part))
    assert {f"{column.table}.{column.column}" for column in COLUMNS} == listed
    purposes = dict(re.findall(r"^\| [^|]+ \| `([^`]+)` \| `(\w+\.\w+)`", part, re.MULTILINE))
    assert {column.purpose: f"{column.table}.{column.column}" for column in reversed(COLUMNS)} == purposes


async def test_everything_that_is_sealed_opens_by_the_new_key_alone(installation: Installation) -> None:
    services, house = installation.services, installation.house
    path = installation.place.data / "secrets.key"
    old = path.read_bytes()
    await fill(services, house.ann.account_id, house.acme)
    before = await secrets_of(services)
    assert len(before) > VALUES
    done = await services.resealing.rotate(OPERATOR)
    assert done.values == len(before)
    assert (done.unreadable, done.kept_as) == (0, f"secrets.key.{done.key_before}")
    assert await secrets_of(services) == before
    assert path.read_bytes() != old
    assert (path.with_name(done.kept_as).read_bytes(), path.stat().st_mode & 0o777) == (old, 0o600)
    assert not path.with_name("secrets.key.next").exists()
    [record] = await rotations(services, "sealing_key.rotated")
    assert (record["obj"]["id"], record["data"]["key_before"]) == (done.key, done.key_before)
    assert record["data"]["values"] == len(before)
    services.resealing._box = SecretBox(old)
    with pytest.raises(FailgateError, match="does not open"):
        await secrets_of(services)


async def test_what_was_sealed_by_the_old_key_and_is_written_meanwhile_is_found_too(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, house = installation.services, installation.house
    await fill(services, house.ann.account_id, house.acme)
    late = services.resealing._box.seal(b"late", purpose="totp", owner=house.ann.account_id)
    walk, walks = services.resealing._walk, []

    async def walked():
        done = await walk()
        if not walks:  # its page is over when this is written
            await services.db.write(
                lambda tx: tx.execute(
                    "INSERT INTO totp_secret (id, account_id, sealed, created_us) VALUES ($1, $2, $3, 1)",
                    "0" * 36, house.ann.account_id, late,
                )
            )  # fmt: skip
        walks.append(done)
        return done

    monkeypatch.setattr(services.resealing, "_walk", walked)
    await services.resealing.rotate(OPERATOR)
    assert b"late" in await secrets_of(services)
    assert [anew for anew, _ in walks][-2:] == [1, 0]


async def test_a_value_that_no_key_opens_is_counted_and_left(installation: Installation) -> None:
    services, house = installation.services, installation.house
    await fill(services, house.ann.account_id, house.acme)
    strange = SecretBox(b"k" * 32).seal(b"?", purpose="totp", owner=house.ann.account_id)

    async def verb(tx) -> None:
        await tx.execute(
            "INSERT INTO totp_secret (id, account_id, sealed, created_us) VALUES ($1, $2, $3, 1)",
            "lost", house.ann.account_id, strange,
        )  # fmt: skip

    await services.db.write(verb)
    assert (await services.resealing.rotate(OPERATOR)).unreadable == 1
    row = await services.db.fetch_one("SELECT sealed FROM totp_secret WHERE id = $1", "lost")
    assert bytes(row["sealed"]) == strange


KILLED = """
import asyncio, importlib, inspect, os, signal, sys
from pathlib import Path
from tests.backup.installation import Place
from tests.workspaces.closing import OPERATOR
from failgate.audit.rekeying import LogKey

folder, url, key, where, name, when = sys.argv[1:]
module, _, owner = where.partition(":")
owner = getattr(importlib.import_module(module), owner) if owner else importlib.import_module(module)
whole = getattr(owner, name)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

if inspect.iscoroutinefunction(whole):
    async def dying(*args, **more):
        if when == "before":
            die()
        await whole(*args, **more)
        die()
else:
    def dying(*args, **more):
        if when == "before":
            die()
        whole(*args, **more)
        die()

async def main():
    async with Place(Path(folder), url).opened() as services:
        setattr(owner, name, dying)
        if key == "sealing":
            await services.resealing.rotate(OPERATOR)
        else:
            await LogKey(services.db, services.audit).rotate(OPERATOR)

asyncio.run(main())
"""


def killed(place: Place, key: str, where: str, name: str, when: str) -> None:
    """Change a key in another process that kills itself (SIGKILL) before or after a step."""
    arguments = [sys.executable, "-c", KILLED, str(place.folder), place.url, key, where, name, when]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == -9, done.stderr[-2000:]


SEALING_STEPS = [
    ("failgate.base.secretbox", "_make_key_file", "after"),
    ("failgate.resealing:Resealing", "_write", "after"),
    ("failgate.resealing:Resealing", "_record", "before"),
    ("failgate.resealing:Resealing", "_record", "after"),
    ("os", "link", "after"),
]


@pytest.mark.parametrize("step", SEALING_STEPS, ids=lambda step: f"{step[2]} {step[1]}")
async def test_a_kill_at_any_step_of_the_sealing_key_is_gone_on_from(
    database_url: str, tmp_path: Path, step: tuple[str, str, str]
) -> None:
    (tmp_path / "here").mkdir()
    place = Place(tmp_path / "here", database_url)
    async with installed(place, FrozenClock()) as there:
        await fill(there.services, there.house.ann.account_id, there.house.acme)
        before = await secrets_of(there.services)
    old = (place.data / "secrets.key").read_bytes()
    killed(place, "sealing", *step)
    async with place.opened() as services:  # the next start goes on
        assert await secrets_of(services) == before
        assert len(await rotations(services, "sealing_key.rotated")) == 1
        services.resealing._box = SecretBox((place.data / "secrets.key").read_bytes())
        assert await secrets_of(services) == before
    assert (place.data / "secrets.key").read_bytes() != old
    assert not (place.data / "secrets.key.next").exists()
    async with place.opened() as services:
        assert await secrets_of(services) == before
        assert len(await rotations(services, "sealing_key.rotated")) == 1


async def test_a_checkpoint_of_the_old_log_key_stays_good_and_a_later_one_by_it_is_none(
    installation: Installation,
) -> None:
    services, data = installation.services, installation.place.data
    old = read_key(data / "audit.key")
    assert old is not None
    kept, vkey = await services.audit.checkpoint(SYSTEM), await services.audit.vkey(SYSTEM)
    done = await LogKey(services.db, services.audit).rotate(OPERATOR)
    note = await services.audit.checkpoint(SYSTEM)
    assert done.vkey == await services.audit.vkey(SYSTEM) != vkey
    assert open_checkpoint(note, [Verifier.parse(done.vkey)]).origin == Verifier.parse(vkey).name  # one name
    [record] = await rotations(services, "log_key.rotated")
    assert record["obj"]["id"] == done.key
    assert record["data"]["public_key_before"] == old.public_key().public_bytes_raw().hex()
    for log in (SYSTEM, installation.house.acme):  # also those that did not grow
        open_checkpoint(await services.audit.checkpoint(log), [Verifier.parse(await services.audit.vkey(log))])
    assert (await installation.place.verified(services, against=[("kept", kept), ("new", note)])).state == "intact"
    # Who stole the old key signs the log as it is now, or another one: neither counts.
    await services.resealing.rotate(OPERATOR)
    origin = Verifier.parse(vkey).name.removesuffix("/log/system")
    size = await services.audit.size(SYSTEM)
    forged = Signer(old, origin).checkpoint(SYSTEM, size, await services.audit.root(SYSTEM))
    with pytest.raises(NoteRejected, match="retired"):
        await installation.place.verified(services, against=[("forged", forged)])


async def test_the_log_key_may_be_changed_again_and_again(installation: Installation) -> None:
    services = installation.services
    kept = [await services.audit.checkpoint(SYSTEM)]
    for _ in range(3):
        await LogKey(services.db, services.audit).rotate(OPERATOR)
        kept.append(await services.audit.checkpoint(SYSTEM))
    against = [(f"note {number}", note) for number, note in enumerate(kept)]
    assert (await installation.place.verified(services, against=against)).state == "intact"


LOG_STEPS = [
    ("failgate.audit.notary", "_made_or_read", "after"),
    ("failgate.audit.notary:Notary", "hand_over", "before"),
    ("failgate.audit.notary", "write_handovers", "after"),
    ("failgate.audit.notary:Notary", "_put_in_place", "after"),
]


@pytest.mark.parametrize("step", LOG_STEPS, ids=lambda step: f"{step[2]} {step[1]}")
async def test_a_kill_at_any_step_of_the_log_key_is_gone_on_from(
    database_url: str, tmp_path: Path, step: tuple[str, str, str]
) -> None:
    (tmp_path / "here").mkdir()
    place = Place(tmp_path / "here", database_url)
    async with installed(place, FrozenClock()) as there:
        kept, vkey = await there.services.audit.checkpoint(SYSTEM), await there.services.audit.vkey(SYSTEM)
    killed(place, "log", *step)
    for _ in range(2):
        async with place.opened() as services:
            assert await services.audit.vkey(SYSTEM) != vkey
            assert len(await rotations(services, "log_key.rotated")) == 1
            for log in (SYSTEM, there.house.acme):
                note = await services.audit.checkpoint(log)
                open_checkpoint(note, [Verifier.parse(await services.audit.vkey(log))])
            assert (await place.verified(services, against=[("kept", kept)])).state == "intact"
    assert not (place.data / "audit.key.next").exists()


@pytest.mark.parametrize("spoiled", ["until", "origin", "signature", "current", "text"])
async def test_a_list_of_keys_that_the_old_key_did_not_sign_refuses_the_start(
    database_url: str, tmp_path: Path, spoiled: str
) -> None:
    place = Place(tmp_path, database_url)
    async with installed(place, FrozenClock()) as there:
        await LogKey(there.services.db, there.services.audit).rotate(OPERATOR)
    path = place.data / HANDOVERS_FILE
    text = path.read_text()
    changed = {
        "until": re.sub(r'"system": \d+', '"system": 999999', text),
        "origin": text.replace('"origin": "failgate-', '"origin": "failgatf-'),
        "signature": re.sub(r'"signature": "(.)', lambda found: f'"signature": "{int(found[1], 16) ^ 1:x}', text),
        "current": re.sub(r'"current": "\w{64}"', f'"current": "{os.urandom(32).hex()}"', text),
        "text": text[:-5],
    }[spoiled]
    assert changed != text
    path.write_text(changed)
    with pytest.raises(StartRefused, match=r"audit\.keys\.json"):
        async with place.opened():
            pass


async def test_backups_of_both_sides_of_a_change_prove_themselves(
    database_url: str, elsewhere: Place, tmp_path: Path, clock: FrozenClock
) -> None:
    (tmp_path / "here").mkdir()
    place = Place(tmp_path / "here", database_url)
    async with installed(place, clock) as there:
        services = there.services
        kept = await services.audit.checkpoint(SYSTEM)
        await there.back_up(tmp_path / "old.backup")
        await services.resealing.rotate(OPERATOR)
        await LogKey(services.db, services.audit).rotate(OPERATOR)
        await there.back_up(tmp_path / "new.backup")
    for name in ("old", "new"):  # also against what was kept before the change
        proven = await elsewhere.restore(tmp_path / f"{name}.backup", only_check=True, against=(("kept", kept),))
        assert proven.records


async def test_an_old_backup_goes_on_under_the_keys_of_the_folder(tmp_path: Path, clock: FrozenClock) -> None:
    """On SQLite: a PostgreSQL database that holds something is not restored over."""
    (tmp_path / "here").mkdir()
    place = Place(tmp_path / "here", f"sqlite://{tmp_path / 'here' / 'failgate.db'}")
    async with installed(place, clock) as there:
        await fill(there.services, there.house.ann.account_id, there.house.acme)
        before = await secrets_of(there.services)
        await there.back_up(tmp_path / "old.backup")
        await there.services.resealing.rotate(OPERATOR)
        await LogKey(there.services.db, there.services.audit).rotate(OPERATOR)
        vkey = await there.services.audit.vkey(SYSTEM)
    restored = await place.restore(tmp_path / "old.backup", accept_rollback=True)
    assert not [word for word in restored.warnings if "is NOT there" in word]
    async with place.opened() as services:
        assert await secrets_of(services) == before  # by the key that was kept as secrets.key.<mark>
        assert await services.audit.vkey(SYSTEM) == vkey  # the key that took over goes on
        assert (await place.verified(services)).state == "intact"


def secret(key: bytes) -> Secret:
    return Secret(base64.b64encode(key).decode())


async def test_keys_of_a_secrets_manager_are_changed_at_a_start(
    database_url: str, tmp_path: Path, clock: FrozenClock
) -> None:
    (tmp_path / "here").mkdir()
    place = Place(tmp_path / "here", database_url)
    async with installed(place, clock) as there:
        await fill(there.services, there.house.ann.account_id, there.house.acme)
        before, kept = await secrets_of(there.services), await there.services.audit.checkpoint(SYSTEM)
    sealing = (place.data / "secrets.key").read_bytes()
    log = read_key(place.data / "audit.key")
    assert log is not None
    for name in ("secrets.key", "audit.key"):
        (place.data / name).unlink()
    place.keys = KeysSection(sealing=secret(sealing), log=secret(log.private_bytes_raw()))
    async with open_services(place.config, place.data, is_serving=False) as services:
        for change in (services.resealing.rotate(OPERATOR), LogKey(services.db, services.audit).rotate(OPERATOR)):
            with pytest.raises(Conflict, match="secrets manager") as refused:
                await change
            assert "previous_" in (refused.value.hint or "")
    fresh, signing = os.urandom(32), Ed25519PrivateKey.generate()
    place.keys = KeysSection(
        sealing=secret(fresh), previous_sealing=secret(sealing),
        log=secret(signing.private_bytes_raw()), previous_log=secret(log.private_bytes_raw()),
    )  # fmt: skip
    for _ in range(2):  # a second start with the same settings changes nothing more
        async with open_services(place.config, place.data, is_serving=False) as services:
            assert len(await rotations(services, "sealing_key.rotated")) == 1
            assert len(await rotations(services, "log_key.rotated")) == 1
    place.keys = KeysSection(sealing=secret(fresh), log=secret(signing.private_bytes_raw()))
    async with open_services(place.config, place.data, is_serving=False) as services:
        assert await secrets_of(services) == before
        key = signing
        assert (await place.verified(services, against=[("kept", kept)], key=key)).state == "intact"
    assert not [path.name for path in place.data.iterdir() if ".key" in path.name and path.name != HANDOVERS_FILE]


def test_a_key_before_none_is_refused() -> None:
    from failgate.config.errors import SettingRefused

    with pytest.raises(SettingRefused, match="previous_log"):
        KeysSection(previous_log=secret(b"k" * 32))
