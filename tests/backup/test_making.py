"""A backup that is made while everything is open: whole, of one moment, or not there. B12."""

import asyncio
import tarfile
from pathlib import Path

import pytest

from failgate.backup.archive import read_manifest
from failgate.base.errors import Conflict, FailgateError, StorageUnavailable
from tests.backup.installation import Installation, Place
from tests.workspaces.closing import OPERATOR


async def test_a_backup_says_what_is_in_it_and_holds_no_key(installation: Installation, tmp_path: Path) -> None:
    made = await installation.back_up(tmp_path / "it.backup")
    manifest = read_manifest(tmp_path / "it.backup")
    assert manifest == made.manifest
    assert made.size_bytes == (tmp_path / "it.backup").stat().st_size
    assert (tmp_path / "it.backup").stat().st_mode & 0o777 == 0o600
    assert [len(manifest.objects), manifest.keys, manifest.lost] == [1, "left out", []]
    assert {head.log for head in manifest.heads} == {"system", installation.house.acme, installation.house.other}
    octets = (tmp_path / "it.backup").read_bytes()
    for name in ("audit.key", "secrets.key"):
        assert (installation.place.data / name).read_bytes() not in octets


async def test_it_is_of_one_moment_however_much_is_written_meanwhile(
    installation: Installation, elsewhere: Place, tmp_path: Path
) -> None:
    """Rows, records and heads belong together: the log proves it, and the gate's rows are those that it tells of."""
    house, done, is_over = installation.house, 0, False

    async def work() -> None:
        nonlocal done
        while not is_over:
            done += 1
            await installation.services.workspaces.create(f"w{done}", f"W{done}", house.ann.account_id, OPERATOR)
            await house.report(house.acme, house.ann, b"output %d\n" % done)

    working = asyncio.create_task(work())
    manifests = []
    for number in range(3):
        before = done
        while done < before + 2:
            await asyncio.sleep(0.001)
        manifests.append((await installation.back_up(tmp_path / f"{number}.backup")).manifest)
    is_over = True
    await working
    assert len({head.size for one in manifests for head in one.heads if head.log == house.acme}) == 3
    restored = await elsewhere.restore(tmp_path / "1.backup", keys=installation.place.data)
    assert restored.artifacts == len(manifests[1].objects)
    async with elsewhere.opened() as services:
        [row] = await services.db.fetch("SELECT count(*) AS number FROM workspace WHERE slug LIKE 'w%'")
        records = [
            one.record["act"] for one in await services.audit.records("system", None, 1000)
        ]  # each workspace has its own log
        assert records[-1] == "backup.restored"
        [logs] = await services.db.fetch("SELECT count(*) AS number FROM audit_head")
        assert logs["number"] == row["number"] + 3


async def test_a_report_that_is_deleted_meanwhile_is_in_it_whole_or_not_at_all(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, store = installation.house, installation.services.plugins.artifact_store
    second = await house.report(house.acme, house.ann, b"more\n")
    size = store.size
    asked: list[str] = []

    async def size_and_delete(key: str) -> int:
        asked.append(key)
        if len(asked) == 1:
            await installation.services.reports.delete(house.ann, house.acme, second)
        return await size(key)

    monkeypatch.setattr(store, "size", size_and_delete)
    made = await installation.back_up(tmp_path / "it.backup")
    assert made.manifest.lost == []
    assert len(asked) == 2  # the one that went was asked for once, and the moment was taken after


async def test_an_object_that_was_lost_before_is_named_and_does_not_stop_it(
    installation: Installation, tmp_path: Path
) -> None:
    [file] = installation.house.objects()
    file.unlink()
    made = await installation.back_up(tmp_path / "it.backup")
    assert made.manifest.lost == [file.name]
    assert made.manifest.objects == []


async def test_a_file_that_is_there_stays_as_it_is(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "it.backup").write_text("mine")
    with pytest.raises(Conflict, match="is there already"):
        await installation.back_up(tmp_path / "it.backup")
    assert (tmp_path / "it.backup").read_text() == "mine"


async def test_a_store_that_fails_leaves_no_file(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def size(key: str) -> int:
        raise StorageUnavailable("The store does not answer.")

    monkeypatch.setattr(installation.services.plugins.artifact_store, "size", size)
    (tmp_path / "backups").mkdir()
    with pytest.raises(FailgateError, match="does not answer"):
        await installation.back_up(tmp_path / "backups" / "it.backup")
    assert list((tmp_path / "backups").iterdir()) == []


async def test_artifacts_can_be_left_to_the_store(installation: Installation, tmp_path: Path) -> None:
    made = await installation.back_up(tmp_path / "it.backup", has_artifacts=False)
    assert made.manifest.artifacts == "left out"
    with tarfile.open(tmp_path / "it.backup") as archive:
        assert not [name for name in archive.getnames() if name.startswith("objects/")]
