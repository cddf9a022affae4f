"""Recordings are kept in a chain: no chunk is lost, changed, put elsewhere or sent by somebody else unnoticed. E17."""

import asyncio

import pytest

from failgate.access.principal import Principal
from failgate.base.clock import FrozenClock
from failgate.base.errors import Conflict, NotFound, Unprocessable
from failgate.base.ids import new_id
from failgate.wire.recordings import SILENT_SECONDS
from tests.recordings.conftest import Room, agent, lines

SECRET = "ghp_" + "R4nD0mR4nD0mR4nD0mR4nD0mR4nD0mR4nD0m"
FIRST = lines((0.1, "o", "$ ls\r\n"), header=True)
SECOND = lines((1.5, "o", "a b\r\n"), (2.0, "r", "100x30"))


async def read(room: Room, principal: Principal, recording_id: str) -> bytes:
    recording = await room.reading.find(room.workspace_id, recording_id)
    pieces = await room.reading.open(principal, recording, await room.reading.chunks(recording))
    return b"".join([piece async for piece in pieces])


async def test_a_recording_is_read_as_it_was_sent_and_its_chain_stands_in_the_log(room: Room) -> None:
    bot = agent()
    at = await room.begin(bot)
    at = await room.extend(bot, at, FIRST)
    at = await room.extend(bot, at, SECOND)
    at = await room.end(bot, at, exit_code=0)
    assert (at.state, at.chunks) == ("ended", 2)
    assert await read(room, agent(), at.id) == FIRST + SECOND
    assert await room.acts() == [
        "recording.begun", "recording.extended", "recording.extended", "recording.ended", "recording.read",
    ]  # fmt: skip
    view = await room.reading.view(room.workspace_id, at.id)
    assert (view.state, view.duration_ms, view.exit_code, view.size_bytes) == (
        "ended", 2000, 0, len(FIRST + SECOND),
    )  # fmt: skip
    assert (await room.reading.prove(room.workspace_id, at.id)).verdict == "intact"
    assert room.told == [at.id] * 4  # who follows hears of each, when it is durable


async def test_a_chunk_that_does_not_fit_the_chain_changes_nothing(room: Room) -> None:
    bot = agent()
    begun = await room.begin(bot)
    at = await room.extend(bot, begun, FIRST)
    with pytest.raises(Conflict) as moved:
        await room.recordings.extend(bot, room.workspace_id, at.id, 1, "0" * 64, SECOND)
    assert (moved.value.facts["chunks"], moved.value.facts["chain"]) == (1, at.chain)
    with pytest.raises(Conflict):
        await room.recordings.extend(bot, room.workspace_id, at.id, 2, at.chain, SECOND)
    assert await room.extend(bot, begun, FIRST) == at  # sent again after a lost answer
    assert len(room.objects()) == 1


async def test_one_of_many_next_chunks_is_taken(room: Room) -> None:
    bot = agent()
    at = await room.extend(bot, await room.begin(bot), FIRST)
    rivals = [lines((2.0 + place, "o", f"{place}")) for place in range(6)]
    ends = await asyncio.gather(*(room.extend(bot, at, one) for one in rivals), return_exceptions=True)
    assert sum(isinstance(one, Conflict) for one in ends) == 5
    assert (await room.reading.prove(room.workspace_id, at.id)).verdict == "intact"


async def test_nobody_else_extends_or_ends_a_recording(room: Room) -> None:
    bot = agent()
    at = await room.begin(bot)
    for verb in (room.extend(agent(), at, FIRST), room.end(agent(), at)):
        with pytest.raises(NotFound):
            await verb
    with pytest.raises(NotFound):
        await room.reading.find(new_id(), at.id)


@pytest.mark.parametrize(
    "content",
    [
        lines((0.1, "o", "x")),  # no header
        FIRST[:-1],
        FIRST + b"[1,2]\n",
        FIRST + b'{"version":2}\n',
        FIRST + lines((0.05, "o", "earlier")),
        FIRST + lines((0.2, "i", "a password")),
        FIRST + lines((-1, "o", "x")),
        FIRST + lines((2.0, "r", "0x0")),
        FIRST.replace(b'"width": 80', b'"width": 81'),
    ],
)
async def test_what_is_no_recording_is_not_taken(room: Room, content: bytes) -> None:
    bot = agent()
    at = await room.begin(bot)
    with pytest.raises(Unprocessable):
        await room.extend(bot, at, content)
    assert room.objects() == []


async def test_a_recorder_that_falls_silent_broke_off_and_may_come_back(room: Room, clock: FrozenClock) -> None:
    bot = agent()
    at = await room.extend(bot, await room.begin(bot), FIRST)
    clock.advance(SILENT_SECONDS - 1)
    assert await room.recordings.sweep() == 0
    await room.recordings.hear(bot, room.workspace_id, at.id)
    clock.advance(SILENT_SECONDS + 1)
    assert await room.recordings.sweep() == 1
    assert (await room.reading.view(room.workspace_id, at.id)).state == "broken"
    at = await room.extend(bot, at, SECOND)
    assert at.state == "live"
    at = await room.end(bot, at, is_broken=True)
    assert (await room.acts())[-4:] == [
        "recording.broken", "recording.resumed", "recording.extended", "recording.broken",
    ]  # fmt: skip
    assert (await room.reading.view(room.workspace_id, at.id)).state == "broken"


async def test_a_recording_that_ended_takes_nothing_more(room: Room) -> None:
    bot = agent()
    at = await room.extend(bot, await room.begin(bot), FIRST)
    with pytest.raises(Conflict):
        await room.end(bot, at.__class__(at.id, at.state, 2, at.chain))
    ended = await room.end(bot, at, exit_code=3)
    assert await room.end(bot, at, exit_code=3) == ended
    with pytest.raises(Conflict):
        await room.extend(bot, at, SECOND)
    with pytest.raises(Conflict):
        await room.recordings.hear(bot, room.workspace_id, at.id)


async def test_a_secret_that_the_server_still_finds_closes_the_recording_to_others(room: Room) -> None:
    bot = agent()
    halves = lines((0.1, "o", f"token {SECRET[:20]}"), (0.2, "o", f"{SECRET[20:]}\r\n"), header=True)
    at = await room.extend(bot, await room.begin(bot), halves)
    assert (await room.reading.view(room.workspace_id, at.id)).is_withheld
    with pytest.raises(NotFound):
        await read(room, agent(), at.id)
    assert SECRET[:20].encode() in await read(room, bot, at.id)
    records = await room.audit.records(room.workspace_id)
    assert all(SECRET[:20] not in str(stored.record) for stored in records)
    assert "recording.withheld" in await room.acts()


async def test_marks_tell_of_commands_that_the_recorder_itself_asked_for(room: Room) -> None:
    bot, own, foreign = agent(), new_id(), new_id()
    room.requesters = {own: bot.id, foreign: new_id()}
    content = lines(
        (0.1, "m", f"asked {foreign} ls"), (0.2, "m", f"asked {own} ls"), (0.5, "m", f"started {own}"),
        (0.9, "m", f"ended {own} 0"), (1.0, "m", "asked nothing"), header=True,
    )  # fmt: skip
    at = await room.extend(bot, await room.begin(bot), content)
    [command] = (await room.reading.view(room.workspace_id, at.id)).commands or []
    assert (command.command_id, command.asked_ms, command.started_ms, command.ended_ms) == (own, 200, 500, 900)
    assert await room.reading.of_command(room.workspace_id, own) == at.id
    assert await room.reading.of_command(room.workspace_id, foreign) is None


@pytest.mark.parametrize(
    ("statement", "broken_at"),
    [
        (
            "UPDATE recording_chunk SET sha256 = (SELECT sha256 FROM recording_chunk WHERE number = 1) WHERE number = 0",
            0,
        ),
        ("DELETE FROM recording_chunk WHERE number = 1", 1),
        ("DELETE FROM recording_chunk WHERE number = 0", 0),
        ("UPDATE recording SET begun = replace(begun, 'build-1', 'build-2')", 0),
    ],
)
async def test_a_change_behind_the_servers_back_is_found(room: Room, statement: str, broken_at: int) -> None:
    bot = agent()
    at = await room.extend(bot, await room.begin(bot), FIRST)
    at = await room.extend(bot, at, SECOND)
    await room.database.write(lambda tx: tx.execute(statement))
    proof = await room.reading.prove(room.workspace_id, at.id)
    assert (proof.verdict, proof.broken_at) == ("changed", broken_at)


async def test_a_chain_that_was_made_anew_contradicts_the_audit_log(room: Room) -> None:
    bot = agent()
    begun = await room.begin(bot)
    at = await room.extend(bot, begun, FIRST)
    await room.extend(bot, at, SECOND)

    async def cut(tx) -> None:  # type: ignore[no-untyped-def]  # a verb like any
        await tx.execute("DELETE FROM recording_chunk WHERE number = 1")
        await tx.execute("UPDATE recording SET chunks = 1, chain = $1", at.chain)

    await room.database.write(cut)
    proof = await room.reading.prove(room.workspace_id, at.id)
    assert (proof.verdict, proof.reason) == ("changed", "the audit log says another chain")


async def test_changed_bytes_are_found(room: Room) -> None:
    bot = agent()
    at = await room.extend(bot, await room.begin(bot), FIRST)
    [path] = room.objects()
    path.chmod(0o600)
    path.write_bytes(FIRST.replace(b"ls", b"rm"))
    assert (await room.reading.prove(room.workspace_id, at.id)).broken_at == 0


async def test_an_artifact_stays_while_a_recording_names_it(room: Room) -> None:
    bot = agent()
    at = await room.extend(bot, await room.begin(bot), FIRST)
    [chunk] = (await room.reading.view(room.workspace_id, at.id)).parts or []
    gone = await room.database.write(lambda tx: room.artifacts.unlink(tx, room.workspace_id, [chunk.sha256]))
    assert gone == []
