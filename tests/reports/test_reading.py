"""Reports read: the list, one report, its bytes; every reading of content is on record. F3 F4 F15."""

import pytest

from failgate.base.errors import BadInput, FailgateError, NotFound, Unprocessable
from failgate.base.ids import new_id

from .conftest import Room, entry, sha256, user

OUTPUT = b"0123456789" * 1000


async def test_a_report_is_read_with_its_manifest_and_the_reading_is_on_record(room: Room):
    report_id = await room.sealed(user(), OUTPUT)
    reader = user()
    seen = await room.reports.view(reader, room.workspace_id, report_id)
    assert seen.manifest is not None
    assert seen.manifest["argv"] == ["pytest", "-q"]
    record = await room.last()
    assert (record["act"], record["actor"]["id"], record["obj"]["id"]) == ("report.read", reader.id, report_id)


async def test_a_foreign_report_is_not_found_exactly_like_a_missing_one(room: Room):
    report_id = await room.sealed(user(), OUTPUT)
    answers = set()
    for workspace_id, identifier in ((new_id(), report_id), (room.workspace_id, new_id()), (room.workspace_id, "x")):
        with pytest.raises(NotFound) as refused:
            await room.reports.view(user(), workspace_id, identifier)
        answers.add((str(refused.value), tuple(refused.value.facts)))
    assert len(answers) == 1


async def test_an_unfinished_report_exists_only_for_its_uploader(room: Room):
    by = user()
    begun = await room.begin(by, entry(OUTPUT))
    assert (await room.reports.view(by, room.workspace_id, begun.id)).state == "begun"
    assert len((await room.reports.page(by, room.workspace_id)).items) == 1
    with pytest.raises(NotFound):
        await room.reports.view(user(), room.workspace_id, begun.id)
    assert (await room.reports.page(user(), room.workspace_id)).items == []


async def test_pages_go_from_the_newest_to_the_oldest_without_gap(room: Room):
    by = user()
    made = [await room.sealed(by, str(number).encode()) for number in range(7)]
    seen: list[str] = []
    after = None
    while True:
        page = await room.reports.page(by, room.workspace_id, 3, after)
        seen += [item.id for item in page.items]
        after = page.next
        if after is None:
            break
    assert seen == made[::-1]
    assert [one.sha256 for one in page.items[0].artifacts] == [sha256(b"0")]
    assert (await room.reports.page(by, new_id())).items == []


async def test_a_malformed_place_in_the_list_is_refused(room: Room):
    with pytest.raises(BadInput):
        await room.reports.page(user(), room.workspace_id, 50, "' OR 1=1")


async def test_bytes_are_on_record_before_the_first_one_leaves(room: Room):
    report_id = await room.sealed(user(), OUTPUT)
    opened = await room.reports.open_artifact(user(), room.workspace_id, report_id, sha256(OUTPUT))
    assert (opened.size_bytes, opened.name) == (len(OUTPUT), "0.txt")
    assert await room.acts() == ["report.begun", "report.sealed"]
    stream = await opened.read(10, 20)
    record = await room.last()
    assert record["act"] == "artifact.read"
    assert record["data"] == {"sha256": sha256(OUTPUT), "report": report_id, "first_byte": 10, "last_byte": 19}
    assert b"".join([piece async for piece in stream]) == OUTPUT[10:20]


async def test_nothing_is_read_when_the_record_cannot_be_written(room: Room, monkeypatch):
    report_id = await room.sealed(user(), OUTPUT)
    opened = await room.reports.open_artifact(user(), room.workspace_id, report_id, sha256(OUTPUT))

    async def lost(event: object) -> None:
        raise FailgateError("no record")

    monkeypatch.setattr(room.audit, "record", lost)
    with pytest.raises(FailgateError, match="no record"):
        await opened.read()
    with pytest.raises(FailgateError, match="no record"):
        await room.reports.view(user(), room.workspace_id, report_id)


@pytest.mark.parametrize(("start", "stop"), [(-1, None), (5, 4), (0, 10_001), (10_001, None)])
async def test_a_range_outside_the_artifact_is_refused(room: Room, start, stop):
    report_id = await room.sealed(user(), OUTPUT)
    opened = await room.reports.open_artifact(user(), room.workspace_id, report_id, sha256(OUTPUT))
    with pytest.raises(Unprocessable, match="range"):
        await opened.read(start, stop)


async def test_an_empty_artifact_and_an_empty_range_are_read(room: Room):
    report_id = await room.sealed(user(), b"", OUTPUT)
    assert await room.read(user(), report_id, b"") == b""
    assert await room.read(user(), report_id, OUTPUT, 5, 5) == b""


async def test_a_manifest_that_was_changed_in_the_database_is_not_shown(room: Room):
    report_id = await room.sealed(user(), OUTPUT)
    change = "UPDATE report SET manifest = REPLACE(manifest, '/src', '/warp')"
    await room.database.write(lambda tx: tx.execute(change))
    with pytest.raises(FailgateError, match="differs"):
        await room.reports.view(user(), room.workspace_id, report_id)
