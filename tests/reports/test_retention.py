"""What has had its time goes, with a receipt; what is held stays. F14."""

import pytest

from failgate.base.clock import FrozenClock
from failgate.base.errors import BadInput, Conflict, NotFound
from failgate.base.ids import new_id
from failgate.reports.retention import BATCH, Retention, Terms

from .conftest import Room, entry, user

DAY = 24 * 3600


@pytest.fixture
def clock() -> FrozenClock:
    """At the machine's time, since ids carry it."""
    return FrozenClock(int(new_id().replace("-", "")[:12], 16) * 1000)


@pytest.fixture
def retention(room: Room, clock: FrozenClock) -> Retention:
    async def ids() -> list[str]:
        return [room.workspace_id]

    defaults = Terms({"report": 30, "leftover": 10, "recording": 5})
    return Retention(
        room.database, room.audit, clock, room.artifacts, room.reports.deletion, defaults=defaults, workspace_ids=ids
    )


async def listed(room: Room) -> list[str]:
    return [one.id for one in (await room.reports.page(user(), room.workspace_id)).items]


async def test_a_report_goes_when_its_time_is_over_with_a_record(room: Room, retention: Retention, clock: FrozenClock):
    made = await room.sealed(user(), b"output\n")
    clock.advance(29 * DAY)
    assert (await retention.sweep(), await listed(room)) == (0, [made])
    clock.advance(1.1 * DAY)
    assert (await retention.sweep(), await listed(room), room.objects()) == (1, [], [])
    record = await room.last()
    assert (record["act"], record["data"]["reason"], record["actor"]["t"]) == ("report.deleted", "retention", "system")


async def test_one_kind_goes_sooner_and_the_rest_stays(room: Room, retention: Retention, clock: FrozenClock):
    output, recording = b"output\n", b'{"version": 2}\n'
    by = user()
    begun = await room.begin(by, entry(output), entry(recording, "terminal.cast", "recording"))
    for content in (output, recording):
        await room.put(by, begun.id, content)
    await room.reports.seal(by, room.workspace_id, begun.id)
    clock.advance(5.1 * DAY)
    assert await retention.sweep() == 1
    view = await room.reports.view(by, room.workspace_id, begun.id)
    assert [one.is_present for one in view.artifacts] == [True, False]
    assert await room.read(by, begun.id, output) == output
    with pytest.raises(NotFound):
        await room.read(by, begun.id, recording)
    assert ("artifact.deleted" in await room.acts(), len(room.objects())) == (True, 1)
    clock.advance(DAY)
    assert await retention.sweep() == 0


async def test_leftovers_go(room: Room, retention: Retention, clock: FrozenClock):
    await room.begin(user(), entry(b"never sent"))
    clock.advance(10.1 * DAY)
    assert await retention.sweep() == 1
    assert await room.database.fetch("SELECT id FROM report") == []


async def test_what_is_held_is_deleted_by_nobody(room: Room, retention: Retention, clock: FrozenClock):
    by, made = user(), await room.sealed(user(), b"output\n")
    held = await retention.hold(by, room.workspace_id, made, "  case\n 12 ")
    assert (held.reason, await retention.hold_on(room.workspace_id, made)) == ("case 12", held)
    clock.advance(400 * DAY)
    assert await retention.sweep() == 0
    with pytest.raises(Conflict, match="legal hold"):
        await room.reports.delete(by, room.workspace_id, made)
    held_report = await room.database.write(lambda tx: retention.oldest_hold(tx, room.workspace_id))
    assert held_report == (made, "case 12")
    assert await listed(room) == [made]
    await retention.release(by, room.workspace_id, made)
    with pytest.raises(NotFound):
        await retention.release(by, room.workspace_id, made)
    clock.advance(DAY)
    assert (await retention.sweep(), await listed(room)) == (1, [])
    assert (await room.acts())[-3:] == ["report.held", "report.released", "report.deleted"]
    assert "case" not in str([one.record for one in await room.audit.records(room.workspace_id)])


async def test_a_workspace_says_otherwise(room: Room, retention: Retention, clock: FrozenClock):
    made = await room.sealed(user(), b"output\n")
    assert (await retention.set_terms(user(), room.workspace_id, {"report": None}))["report"] is None
    clock.advance(1000 * DAY)
    assert (await retention.sweep(), await listed(room)) == (0, [made])
    await retention.set_terms(user(), room.workspace_id, {"report": 900, "output": 7})
    assert dict(await retention.own_terms(room.workspace_id)) == {"report": 900, "output": 7}
    clock.advance(DAY)
    assert (await retention.sweep(), await listed(room)) == (1, [])
    for days in ({"report": 0}, {"report": 3651}, {"nothing": 1}):
        with pytest.raises(BadInput):
            await retention.set_terms(user(), room.workspace_id, days)


async def test_what_new_terms_would_delete_is_counted_and_it_is_what_goes(
    room: Room, retention: Retention, clock: FrozenClock
):
    by = user()
    for number in range(3):
        await room.sealed(by, f"output {number}\n".encode())
    await retention.hold(by, room.workspace_id, await room.sealed(by, b"held\n"), "case 12")
    await room.begin(by, entry(b"never sent"))
    clock.advance(2 * DAY)
    wished = {"report": 1, "leftover": 1, "output": 1, "recording": 1, "diff": None}
    assert await retention.due(room.workspace_id, wished) == {"report": 3, "leftover": 1, "output": 3}
    assert await retention.due(room.workspace_id, {"report": 3, "leftover": 3}) == {}
    with pytest.raises(BadInput):
        await retention.due(room.workspace_id, {"nothing": 1})
    await retention.set_terms(by, room.workspace_id, {"report": 1, "leftover": 1})
    assert await retention.sweep() == 4


async def test_a_sweep_goes_in_batches_and_carries_on(room: Room, retention: Retention, clock: FrozenClock):
    by = user()
    for _ in range(BATCH + 3):
        await room.sealed(by)
    clock.advance(31 * DAY)
    assert await retention.sweep() == BATCH + 3
    assert await listed(room) == []
    assert (await room.acts()).count("report.deleted") == BATCH + 3


async def test_a_hold_has_a_reason_and_a_report(room: Room, retention: Retention):
    made = await room.sealed(user())
    for reason in ("", "  ", "x" * 501):
        with pytest.raises(BadInput):
            await retention.hold(user(), room.workspace_id, made, reason)
    with pytest.raises(NotFound):
        await retention.hold(user(), new_id(), made, "case 12")
