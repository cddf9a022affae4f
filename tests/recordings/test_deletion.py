"""Recordings go, by hand and by time: their bytes too, unless something else names them; the log keeps the chain. E17."""

import asyncio

import pytest

from failgate.base.clock import FrozenClock
from failgate.base.errors import Conflict, NotFound
from failgate.base.ids import new_id
from failgate.recordings.deletion import RecordingDeletion
from failgate.reports.retention import SESSION, Retention, Terms
from failgate.wire.recordings import RecordingReceipt
from tests.recordings.conftest import Room, agent, lines

DAY = 24 * 3600
FIRST = lines((0.1, "o", "$ ls\r\n"), header=True)
REPORT = """
INSERT INTO report (workspace_id, id, state, format, title, exit_code, manifest_id, manifest_sha256, manifest,
  uploader_t, uploader_id, uploader_owner_id, uploader_label, command_id, consent_by, consent_at, findings, created_us,
  sealed_us, held_us, held_by, held_reason)
VALUES ($1, $2, 'sealed', 'capture', 't', 1, $2, $3, '{}', 'agent', 'a', NULL, 'a', $4, 'person', 'now', '{}', 1, 1, $5,
  'b', 'case 12')
"""


@pytest.fixture
def clock() -> FrozenClock:
    """At the machine's time, since ids carry it."""
    return FrozenClock(int(new_id().replace("-", "")[:12], 16) * 1000)


@pytest.fixture
def deletion(room: Room, clock: FrozenClock) -> RecordingDeletion:
    return RecordingDeletion(room.database, room.audit, clock, room.artifacts, room.artifacts.unlink)


async def recorded(room: Room, *chunks: bytes, command_id: str | None = None) -> RecordingReceipt:
    """Return a recording that has ended."""
    bot = agent()
    at = await room.begin(bot)
    for chunk in chunks:
        at = await room.extend(bot, at, chunk)
    if command_id is not None:
        room.requesters[command_id] = bot.id
        at = await room.extend(bot, at, lines((3.0, "m", f"asked {command_id} make")))
    return await room.end(bot, at)


async def left(room: Room) -> list[int]:
    """Return how many rows each table of recordings has."""
    tables = ("recording", "recording_chunk", "recording_mark", "artifact")
    return [len(await room.database.fetch(f"SELECT 1 AS one FROM {table}")) for table in tables]


async def test_a_recording_goes_with_its_bytes_and_the_log_keeps_its_chain(
    room: Room, deletion: RecordingDeletion
) -> None:
    at = await recorded(room, FIRST, command_id=new_id())
    person = agent()
    receipt = await deletion.delete(person, room.workspace_id, at.id)
    assert (receipt.id, receipt.chain, receipt.chunks, receipt.pending_objects) == (at.id, at.chain, 2, 0)
    assert (await left(room), room.objects()) == ([0, 0, 0, 0], [])
    records = [one.record for one in await room.audit.records(room.workspace_id)]
    assert [one["act"] for one in records][-2:] == ["recording.ended", "recording.deleted"]
    assert records[-1]["data"] == {"chain": at.chain, "chunks": 2, "reason": None}
    assert records[-1]["seq"] == receipt.record
    for again in (deletion.delete(person, room.workspace_id, at.id), room.reading.view(room.workspace_id, at.id)):
        with pytest.raises(NotFound):
            await again


async def test_bytes_that_another_recording_names_stay(room: Room, deletion: RecordingDeletion) -> None:
    first, second = await recorded(room, FIRST), await recorded(room, FIRST)
    await deletion.delete(agent(), room.workspace_id, first.id)
    assert (await left(room), len(room.objects())) == ([1, 1, 0, 1], 1)
    assert (await room.reading.prove(room.workspace_id, second.id)).verdict == "intact"


async def test_what_runs_is_of_another_workspace_or_held_is_not_deleted(
    room: Room, deletion: RecordingDeletion
) -> None:
    running = await room.begin(agent())
    with pytest.raises(Conflict, match="still runs"):
        await deletion.delete(agent(), room.workspace_id, running.id)
    command_id = new_id()
    at = await recorded(room, FIRST, command_id=command_id)
    with pytest.raises(NotFound):
        await deletion.delete(agent(), new_id(), at.id)
    report_id = new_id()
    await room.database.write(lambda tx: tx.execute(REPORT, room.workspace_id, report_id, "0" * 64, command_id, 1))
    with pytest.raises(Conflict, match="legal hold"):
        await deletion.delete(agent(), room.workspace_id, at.id)
    assert "recording.deleted" not in await room.acts()
    await room.database.write(lambda tx: tx.execute("UPDATE report SET held_us = NULL WHERE id = $1", report_id))
    assert (await deletion.delete(agent(), room.workspace_id, at.id)).chunks == 2


async def test_of_many_deletions_at_once_one_is_told_and_recorded(room: Room, deletion: RecordingDeletion) -> None:
    at = await recorded(room, FIRST)
    ends = await asyncio.gather(
        *(deletion.delete(agent(), room.workspace_id, at.id) for _ in range(6)), return_exceptions=True
    )
    assert sorted(type(end).__name__ for end in ends) == ["DeletedRecording", *["NotFound"] * 5]
    assert (await room.acts()).count("recording.deleted") == 1


async def test_a_sweep_takes_what_had_its_time_and_neither_what_runs_nor_what_is_held(
    room: Room, deletion: RecordingDeletion, clock: FrozenClock
) -> None:
    async def ids() -> list[str]:
        return [room.workspace_id]

    retention = Retention(
        room.database, room.audit, clock, room.artifacts, None,  # no report goes here
        defaults=Terms({SESSION: 30}), workspace_ids=ids,
    )  # fmt: skip
    retention.also_sweep(SESSION, deletion)
    held = new_id()
    kept = await recorded(room, FIRST, command_id=held)
    await room.database.write(lambda tx: tx.execute(REPORT, room.workspace_id, new_id(), "0" * 64, held, 1))
    running = await room.begin(agent())
    gone = [await recorded(room, lines((float(place), "o", "x"), header=True)) for place in range(23)]
    clock.advance(29 * DAY)
    assert await retention.sweep() == 0
    clock.advance(1.1 * DAY)
    assert await retention.due(room.workspace_id, {SESSION: 30}) == {SESSION: len(gone)}
    assert await retention.due(room.workspace_id, {SESSION: 40}) == {}
    assert await retention.sweep() == len(gone)
    rows = await room.database.fetch("SELECT id FROM recording ORDER BY id")
    assert [row["id"] for row in rows] == sorted([kept.id, running.id])
    records = [one.record for one in await room.audit.records(room.workspace_id)]
    deleted = [one for one in records if one["act"] == "recording.deleted"]
    assert {(one["data"]["reason"], one["actor"]["t"]) for one in deleted} == {("retention", "system")}
    assert (len(deleted), len(room.objects())) == (len(gone), 2)
