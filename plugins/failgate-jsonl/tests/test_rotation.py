"""Rotation of the JSON lines: by size and by age, nothing lost, nothing twice, also over a crash. B11"""

from pathlib import Path

import pytest
from failgate_jsonl import JsonlSettings, LinesFile, plugin
from failgate_jsonl.rotation import Rotation

from failgate.base.canonical import canonical
from failgate.base.clock import FrozenClock, to_rfc3339
from failgate.config.errors import ConfigRefused
from failgate.plugin import Duration, ExportedRecord, Size, StorageUnavailable
from failgate.testing import ExporterContract, exported, host_at, opened, settings_from


def records_of(path: Path) -> list[ExportedRecord]:
    import json

    found = []
    for file in [*sorted(path.parent.glob(f"{path.name}.*")), path]:
        for line in file.read_bytes().splitlines() if file.exists() else []:
            value = json.loads(line)
            found.append(ExportedRecord(value["log"], value["seq"], line[line.index(b'"record":') + 9 : -1]))
    return found


def dated(start: int, stop: int, clock: FrozenClock) -> list[ExportedRecord]:
    ts = to_rfc3339(clock.now_us())
    return [ExportedRecord("system", seq, canonical({"seq": seq, "ts": ts})) for seq in range(start, stop)]


class TestContract(ExporterContract):
    """Moved away after each batch."""

    keeps_one_copy = True

    @pytest.fixture
    def open_exporter(self, tmp_path: Path):
        import contextlib

        @contextlib.asynccontextmanager
        async def one():
            file = LinesFile(tmp_path / "out.jsonl", Rotation(FrozenClock(), size_bytes=1))
            await file.prepare()
            yield file
            await file.close()

        return one

    @pytest.fixture
    def read_delivered(self, tmp_path: Path):
        async def read():
            return records_of(tmp_path / "out.jsonl")

        return read


async def test_a_file_of_the_size_is_moved_away_before_the_next_batch(tmp_path: Path) -> None:
    settings = JsonlSettings(tmp_path / "audit.jsonl", rotate=Size("1MiB"))
    large = [ExportedRecord("system", seq, b'{"text":"' + b"x" * 60_000 + b'"}') for seq in range(60)]
    async with opened(plugin, settings, host_at(tmp_path)) as provides:
        for start in range(0, 60, 10):
            await provides.audit_exporter.deliver(large[start : start + 10])
    moved = sorted(path.name for path in tmp_path.glob("audit.jsonl.*"))
    assert moved == ["audit.jsonl.20231114T221320Z-0000", "audit.jsonl.20231114T221320Z-0001"]
    assert records_of(tmp_path / "audit.jsonl") == large
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("audit.jsonl*")} == {0o600}


async def test_a_file_whose_first_record_is_old_is_moved_away_also_after_a_restart(tmp_path: Path) -> None:
    clock, path = FrozenClock(), tmp_path / "audit.jsonl"
    settings = JsonlSettings(path, rotate_after=Duration("1d"))
    records = dated(0, 2, clock)
    for days, numbers in ((0.0, None), (0.5, (2, 4)), (0.6, (4, 6))):
        clock.advance(days * 86_400)
        batch = records if numbers is None else dated(*numbers, clock)
        records += [] if numbers is None else batch
        async with opened(plugin, settings, host_at(tmp_path, clock=clock)) as provides:
            await provides.audit_exporter.deliver(batch)
    assert len(list(tmp_path.glob("audit.jsonl.*"))) == 1
    assert records_of(path) == records
    assert len(path.read_bytes().splitlines()) == 2


async def test_a_batch_that_comes_again_after_a_crash_is_not_written_into_the_next_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for batch in (exported(0, 5), exported(0, 5), exported(3, 8)):
        file = LinesFile(path, Rotation(FrozenClock(), size_bytes=1))
        await file.prepare()
        await file.deliver(batch)
        await file.close()
    assert records_of(path) == exported(0, 8)


async def test_a_folder_that_does_not_let_it_be_moved_keeps_every_line(tmp_path: Path, monkeypatch) -> None:
    file = LinesFile(tmp_path / "audit.jsonl", Rotation(FrozenClock(), size_bytes=1))
    await file.prepare()
    await file.deliver(exported(0, 3))
    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(13, "Permission denied")))
        with pytest.raises(StorageUnavailable, match="Permission denied"):
            await file.deliver(exported(3, 5))
    await file.deliver(exported(3, 5))
    await file.close()
    assert records_of(tmp_path / "audit.jsonl") == exported(0, 5)


@pytest.mark.parametrize("toml", ['rotate = "1KiB"', 'rotate_after = "1s"', "rotate = true"])
def test_settings_that_cannot_work_are_refused_by_name(toml: str) -> None:
    with pytest.raises(ConfigRefused, match=toml.split(" ", maxsplit=1)[0]):
        settings_from(plugin, toml)
