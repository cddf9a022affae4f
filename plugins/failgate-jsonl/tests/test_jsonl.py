"""The JSON lines file against the exporter contract, and against crashes, full disks and other people's files. B11"""

import json
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from failgate_jsonl import JsonlSettings, LinesFile, plugin

from failgate.plugin import AuditExporter, ExportedRecord, StartRefused, StorageUnavailable
from failgate.testing import ExporterContract, exported, host_at, opened, settings_from


def read_lines(path: Path) -> list[ExportedRecord]:
    found = []
    for line in path.read_bytes().split(b"\n")[:-1] if path.exists() else []:
        document = json.loads(line)
        leaf = line[line.index(b'"record":') + 9 : -1]
        assert json.loads(leaf) == document["record"]
        found.append(ExportedRecord(document["log"], document["seq"], leaf))
    return found


class TestContract(ExporterContract):
    keeps_one_copy = True

    @pytest.fixture
    def open_exporter(self, tmp_path: Path) -> Callable[[], AbstractAsyncContextManager[AuditExporter]]:
        @asynccontextmanager
        async def open_one():
            async with opened(plugin, JsonlSettings(tmp_path / "out.jsonl"), host_at(tmp_path)) as provides:
                assert provides.audit_exporter is not None
                yield provides.audit_exporter

        return open_one

    @pytest.fixture
    def read_delivered(self, tmp_path: Path) -> Callable[[], Awaitable[Sequence[ExportedRecord]]]:
        async def read() -> Sequence[ExportedRecord]:
            return read_lines(tmp_path / "out.jsonl")

        return read


@pytest.fixture
async def lines(tmp_path: Path):
    file = LinesFile(tmp_path / "audit.jsonl")
    await file.prepare()
    yield file
    await file.close()


async def test_without_a_path_it_writes_into_its_own_data_folder(tmp_path: Path) -> None:
    async with opened(plugin, settings_from(plugin, ""), host_at(tmp_path, "jsonl")) as provides:
        assert provides.audit_exporter is not None
        await provides.audit_exporter.deliver(exported(0, 3))
    assert len(read_lines(tmp_path / "plugins" / "jsonl" / "audit.jsonl")) == 3


async def test_only_its_owner_may_read_a_new_file(lines: LinesFile) -> None:
    await lines.deliver(exported(0, 1))
    assert lines.path.stat().st_mode & 0o777 == 0o600


async def test_the_mode_of_an_existing_file_stays_as_its_operator_set_it(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.touch(mode=0o640)
    path.chmod(0o640)
    file = LinesFile(path)
    await file.prepare()
    await file.deliver(exported(0, 1))
    await file.close()
    assert path.stat().st_mode & 0o777 == 0o640


async def test_a_body_stands_before_its_record_and_the_file_is_known_again(lines: LinesFile) -> None:
    plain = exported(0, 3)
    batch = [replace(one, body=b'{"ip":"192.0.2.7"}') for one in plain]
    await lines.deliver(batch)
    await lines.close()
    again = LinesFile(lines.path)
    await again.prepare()
    await again.deliver([*batch, *exported(3, 4)])
    await again.close()
    assert read_lines(lines.path) == exported(0, 4)
    assert [json.loads(line).get("body") for line in lines.path.read_bytes().splitlines()] == [
        *[{"ip": "192.0.2.7"}] * 3, None,
    ]  # fmt: skip


@pytest.mark.parametrize("kept", [1, 5, 20, -1])
async def test_a_line_cut_off_by_a_crash_is_removed_and_written_again(lines: LinesFile, kept: int) -> None:
    await lines.deliver(exported(0, 3))
    await lines.close()
    whole = lines.path.read_bytes()
    last = whole.split(b"\n")[-2] + b"\n"
    lines.path.write_bytes(whole[: -len(last)] + last[:kept])
    again = LinesFile(lines.path)
    await again.prepare()
    await again.deliver(exported(0, 4))
    await again.close()
    assert read_lines(lines.path) == exported(0, 4)


async def test_what_the_disk_refused_is_taken_back_and_delivered_again(
    lines: LinesFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lines.deliver(exported(0, 2))
    before = lines.path.read_bytes()
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        with pytest.raises(StorageUnavailable, match="Input/output error"):
            await lines.deliver(exported(2, 5))
        assert "Input/output error" in (await lines.health() or "")
        assert lines.path.read_bytes() == before
    await lines.deliver(exported(2, 5))
    assert await lines.health() is None
    assert read_lines(lines.path) == exported(0, 5)


async def test_a_disk_that_is_full_in_the_middle_of_a_batch_leaves_whole_lines(
    lines: LinesFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lines.deliver(exported(0, 2))
    real, calls = os.write, []

    def write(descriptor: int, octets: memoryview) -> int:
        calls.append(1)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(descriptor, octets[:10])

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", write)
        with pytest.raises(StorageUnavailable, match="No space left"):
            await lines.deliver(exported(2, 5))
    assert lines.path.read_bytes().endswith(b"}\n")
    assert read_lines(lines.path) == exported(0, 2)
    await lines.deliver(exported(2, 5))
    assert read_lines(lines.path) == exported(0, 5)


async def test_a_file_that_was_moved_away_is_begun_anew_without_repeating_records(lines: LinesFile) -> None:
    await lines.deliver(exported(0, 5))
    moved = lines.path.rename(lines.path.with_suffix(".1"))
    await lines.deliver(exported(3, 8))
    assert read_lines(moved) == exported(0, 5)
    assert read_lines(lines.path) == exported(5, 8)


async def test_a_second_process_leaves_the_file_alone_until_the_first_is_gone(lines: LinesFile) -> None:
    await lines.deliver(exported(0, 2))
    second = LinesFile(lines.path)
    await second.prepare()
    assert "another process" in (await second.health() or "")
    with pytest.raises(StorageUnavailable, match="another process"):
        await second.deliver(exported(2, 3))
    await lines.close()
    await second.deliver(exported(0, 3))
    await second.close()
    assert read_lines(lines.path) == exported(0, 3)


@pytest.mark.parametrize("content", [b"root:x:0:0:root:/root:/bin/bash\n", b"no line break", b'{"log":"a"}\n', b"{}\n"])
async def test_a_file_of_somebody_else_is_refused_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(content)
    with pytest.raises(StartRefused, match=re.escape(str(path))):
        await LinesFile(path).prepare()
    assert path.read_bytes() == content


async def test_a_missing_folder_is_refused_with_its_mend(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="Make its folder"):
        await LinesFile(tmp_path / "absent" / "audit.jsonl").prepare()


async def test_a_pipe_and_a_symbolic_link_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("pipe", "link"):
        with pytest.raises(StartRefused):
            await LinesFile(tmp_path / name).prepare()
    assert not (tmp_path / "elsewhere").exists()


async def test_a_record_with_a_line_break_is_not_written(lines: LinesFile) -> None:
    with pytest.raises(StorageUnavailable, match="line break"):
        await lines.deliver([ExportedRecord("system", 0, b'{"a":\n1}')])
    assert lines.path.read_bytes() == b""
