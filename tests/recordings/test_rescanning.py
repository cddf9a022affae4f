"""A redaction rule that is added withholds the recordings in which it finds something, and no other. E17 F18."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from failgate.audit.record import SERVER
from failgate.base.clock import FrozenClock
from failgate.base.errors import NotFound
from failgate.base.secretbox import SecretBox
from failgate.recordings.recordings import Recordings
from failgate.recordings.rescanning import RecordingRescanning
from failgate.redaction import Scanner
from failgate.reports.redaction_rules import RedactionRules
from failgate.wire.recordings import RecordingReceipt
from failgate.wire.redaction import RedactionRule
from tests.recordings.conftest import Room, agent, lines
from tests.recordings.test_recordings import read

SEAT = RedactionRule("seat", "ACME-[0-9]{4}", ["ACME-4711"], [])


@dataclass
class Scanned:
    """The room with rules that change; `rules_come` are added after the next scanner was handed out."""

    room: Room
    rules: RedactionRules
    rescanning: RecordingRescanning
    rules_come: list[RedactionRule] = field(default_factory=list)

    async def add(self, rule: RedactionRule) -> None:
        await self.rules.create(SERVER, self.room.workspace_id, rule)

    async def is_withheld(self, at: RecordingReceipt) -> bool:
        return (await self.room.reading.view(self.room.workspace_id, at.id)).is_withheld

    async def withheld_records(self) -> list[tuple[str, int, int]]:
        records = [one.record for one in await self.room.audit.records(self.room.workspace_id)]
        return [
            (one["obj"]["id"], one["data"]["number"], one["data"]["findings"])
            for one in records if one["act"] == "recording.withheld"
        ]  # fmt: skip


@pytest.fixture
async def scanned(room: Room, clock: FrozenClock, tmp_path: Path) -> Scanned:
    rules = RedactionRules(room.database, room.audit, clock, SecretBox.open(tmp_path / "secrets.key"))
    rescanning = RecordingRescanning(
        room.database, room.audit, room.artifacts,
        scanner_of=rules.scanner_of, is_current=rules.is_current, tell=room.told.append,
    )  # fmt: skip
    rules.also_begin(rescanning.begin)
    made = Scanned(room, rules, rescanning)

    async def scanner_of(workspace_id: str) -> Scanner:
        scanner = await rules.scanner_of(workspace_id)
        while made.rules_come:
            await made.add(made.rules_come.pop())
        return scanner

    async def requester_of(_workspace_id: str, command_id: str) -> str | None:
        return room.requesters.get(command_id)

    room.recordings = Recordings(
        room.database, room.audit, clock, room.artifacts,
        scanner_of=scanner_of, requester_of=requester_of, tell=room.told.append, revisit=rescanning.revisit,
    )  # fmt: skip
    return made


async def recorded(room: Room, *texts: str) -> RecordingReceipt:
    bot = agent()
    at = await room.begin(bot)
    for place, text in enumerate(texts):
        at = await room.extend(bot, at, lines((float(place), "o", text), header=place == 0))
    return await room.end(bot, at)


async def test_what_a_new_rule_finds_is_withheld_once_and_stays_as_it_was_sent(scanned: Scanned) -> None:
    room = scanned.room
    clean, found = (
        await recorded(room, "nothing here\r\n"),
        await recorded(room, "a\r\n", "seat ACME-4711\r\n", "b\r\n"),
    )
    split = await recorded(room, "seat ACM", "E-4712\r\n")
    await scanned.add(SEAT)
    told = len(room.told)
    assert await scanned.rescanning.run_once() == 3
    assert [await scanned.is_withheld(one) for one in (clean, found, split)] == [False, True, True]
    assert sorted(await scanned.withheld_records()) == sorted([(found.id, 1, 1), (split.id, 0, 1)])
    assert sorted(room.told[told:]) == sorted([found.id, split.id])
    with pytest.raises(NotFound, match="withheld"):
        await read(room, agent(), found.id)
    assert (await room.reading.prove(room.workspace_id, found.id)).verdict == "intact"
    assert await scanned.rescanning.run_once() == 0
    await scanned.add(RedactionRule("other", "nothing like it", ["nothing like it"], []))
    assert await scanned.rescanning.run_once() == 1  # what is withheld is not looked through again
    assert len(await scanned.withheld_records()) == 2


async def test_a_server_that_died_in_the_middle_goes_on_where_it_was(scanned: Scanned) -> None:
    room = scanned.room
    made = [await recorded(room, f"seat ACME-000{place}\r\n") for place in range(4)]
    await scanned.add(SEAT)
    due = await room.database.fetch_one("SELECT generation FROM recording_scan")
    assert due is not None
    assert await scanned.rescanning._step(room.workspace_id, due["generation"])
    assert len(await scanned.withheld_records()) == 1
    again = RecordingRescanning(
        room.database, room.audit, room.artifacts,
        scanner_of=scanned.rules.scanner_of, is_current=scanned.rules.is_current, tell=room.told.append,
    )  # fmt: skip
    assert await again.run_once() == 3
    assert [one[0] for one in await scanned.withheld_records()] == [one.id for one in made]


async def test_a_chunk_that_came_while_the_rule_was_added_is_seen_again(scanned: Scanned) -> None:
    room, bot = scanned.room, agent()
    early = await room.begin(bot)
    await scanned.add(RedactionRule("first", "nothing like it", ["nothing like it"], []))
    await recorded(room, "later\r\n")
    assert await scanned.rescanning.run_once() == 2
    scanned.rules_come.append(SEAT)
    await room.extend(bot, early, lines((0.1, "o", "seat ACME-4711\r\n"), header=True))
    assert not await scanned.is_withheld(early)
    assert await scanned.rescanning.run_once() >= 1
    assert await scanned.is_withheld(early)


async def test_a_chunk_behind_a_scan_that_has_passed_it_sends_the_scan_back(scanned: Scanned) -> None:
    """The rule is added, its scan runs to its end, and only then the chunk arrives that was looked through without it."""
    room, bot = scanned.room, agent()
    at = await room.begin(bot)
    old = await scanned.rules.scanner_of(room.workspace_id)
    await scanned.add(SEAT)
    assert await scanned.rescanning.run_once() == 1

    async def stale(_workspace_id: str) -> Scanner:
        return old

    room.recordings._scanner_of = stale
    await room.extend(bot, at, lines((0.1, "o", "seat ACME-4711\r\n"), header=True))
    assert not await scanned.is_withheld(at)
    assert await scanned.rescanning.run_once() == 1
    assert await scanned.is_withheld(at)


async def test_a_rule_that_ends_ends_no_scan(scanned: Scanned) -> None:
    room = scanned.room
    at = await recorded(room, "seat ACME-4711\r\n")
    await scanned.add(SEAT)
    other = await scanned.rules.create(
        SERVER, room.workspace_id, RedactionRule("other", "nothing like it", ["nothing like it"], [])
    )
    await scanned.rules.revoke(SERVER, room.workspace_id, other.id)
    assert await scanned.rescanning.run_once() == 1
    assert await scanned.is_withheld(at)
    assert (await room.database.fetch("SELECT is_scanning FROM recording_scan"))[0]["is_scanning"] == 0
