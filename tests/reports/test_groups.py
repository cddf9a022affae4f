"""Reports of one failure are one group: seen so often, resolved, regressed, ignored. B5."""

import asyncio

import pytest

from failgate.base.clock import FrozenClock
from failgate.base.errors import BadInput, NotFound
from failgate.base.ids import new_id
from failgate.base.migrate import core_migrations, read_migrations
from failgate.reports.groups import ReportGroups
from failgate.wire.groups import ReportGroup

from .conftest import Room, user

OUTPUT = b"tests/test_till.py:7: in total\nE   assert 3 == 4\n"
DAY_US = 24 * 3600 * 1_000_000


@pytest.fixture
def groups(room: Room, clock: FrozenClock) -> ReportGroups:
    return ReportGroups(room.database, room.audit, clock)


async def only(groups: ReportGroups, room: Room) -> ReportGroup:
    [group] = (await groups.page(room.workspace_id)).items
    return group


async def test_one_failure_seen_again_is_counted_by_day(room: Room, groups: ReportGroups, clock: FrozenClock):
    first = await room.sealed(user(), OUTPUT, version="1.0", project="till")
    seen = await only(groups, room)
    assert (seen.count, seen.title, seen.error) == (1, "assert 3 == 4", "assert 3 == 4")
    clock.advance(3 * 24 * 3600)
    last = await room.sealed(user(), OUTPUT.replace(b"3 == 4", b"5 == 6"), version="1.1", project="till")
    seen = await only(groups, room)
    assert (seen.count, seen.project, seen.first_version, seen.last_version) == (2, "till", "1.0", "1.1")
    assert (seen.last_report_id, seen.state) == (last, "open")
    assert (seen.days[-1], seen.days[-4], sum(seen.days), len(seen.days)) == (1, 1, 2, 24)
    assert first != last
    view = await room.reports.view(user(), room.workspace_id, first)
    assert (view.group_id, view.project, view.version) == (seen.id, "till", "1.0")


async def test_other_errors_projects_and_workspaces_are_other_groups(room: Room, groups: ReportGroups):
    await room.sealed(user(), OUTPUT)
    await room.sealed(user(), b"KeyError: 'a'\n")
    await room.sealed(user(), OUTPUT, project="till")
    assert len((await groups.page(room.workspace_id)).items) == 3
    assert await groups.projects(room.workspace_id) == ["till"]
    assert [one.project for one in (await groups.page(room.workspace_id, project="till")).items] == ["till"]
    assert (await groups.page(new_id())).items == []


async def test_a_resolved_failure_that_is_seen_again_has_regressed(room: Room, groups: ReportGroups):
    by = user()
    await room.sealed(by, OUTPUT, version="1.0")
    group = await only(groups, room)
    assert (await groups.resolve(by, room.workspace_id, group.id, "1.2")).resolved_in_version == "1.2"
    await room.sealed(by, OUTPUT, version="1.1.9")
    assert (await only(groups, room)).state == "resolved"
    await room.sealed(by, OUTPUT, version="1.2")
    assert (await only(groups, room)).state == "regressed"
    assert (await room.acts())[-2:] == ["report.sealed", "report_group.regressed"]
    await room.sealed(by, OUTPUT)
    assert (await room.acts()).count("report_group.regressed") == 1
    assert [one.count for one in (await groups.page(room.workspace_id, state="regressed")).items] == [4]


async def test_an_ignored_failure_stays_ignored_until_it_is_reopened(room: Room, groups: ReportGroups):
    by = user()
    await room.sealed(by, OUTPUT)
    group = await only(groups, room)
    await groups.ignore(by, room.workspace_id, group.id)
    await room.sealed(by, OUTPUT)
    assert ((await only(groups, room)).state, (await only(groups, room)).count) == ("ignored", 2)
    assert (await groups.reopen(by, room.workspace_id, group.id)).state == "open"
    assert [act for act in await room.acts() if act.startswith("report_group")] == [
        "report_group.ignored",
        "report_group.reopened",
    ]


async def test_nobody_decides_on_a_group_of_another_workspace(room: Room, groups: ReportGroups):
    await room.sealed(user(), OUTPUT)
    group = await only(groups, room)
    for deed in (groups.resolve, groups.ignore, groups.reopen):
        with pytest.raises(NotFound):
            await deed(user(), new_id(), group.id)
    with pytest.raises(NotFound):
        await groups.one(new_id(), group.id)
    with pytest.raises(BadInput):
        await groups.resolve(user(), room.workspace_id, group.id, "1\n2")


async def test_pages_of_groups_follow_one_another(room: Room, groups: ReportGroups, clock: FrozenClock):
    for number in range(5):
        clock.advance(60)
        await room.sealed(user(), project=f"p{number}")
    first = await groups.page(room.workspace_id, limit=3)
    assert [one.project for one in first.items] == ["p4", "p3", "p2"]
    rest = await groups.page(room.workspace_id, limit=3, after=first.next)
    assert ([one.project for one in rest.items], rest.next) == (["p1", "p0"], None)
    with pytest.raises(BadInput):
        await groups.page(room.workspace_id, after="1' OR 1")


async def test_a_group_ends_with_its_last_report_and_a_decision_stays(room: Room, groups: ReportGroups):
    by = user()
    reports = [await room.sealed(by, OUTPUT), await room.sealed(by, OUTPUT)]
    await room.reports.delete(by, room.workspace_id, reports[0])
    assert (await only(groups, room)).count == 2
    await room.reports.delete(by, room.workspace_id, reports[1])
    assert (await groups.page(room.workspace_id)).items == []
    decided = await room.sealed(by, OUTPUT)
    await groups.resolve(by, room.workspace_id, (await only(groups, room)).id)
    await room.reports.delete(by, room.workspace_id, decided)
    left = await only(groups, room)
    assert (left.state, left.error, left.command) == ("resolved", "", "")
    assert "assert" not in left.title


async def test_a_group_knows_how_many_reports_name_it(room: Room, groups: ReportGroups):
    """By that it ends with the last of them, in the change that takes it away."""
    by, kept = user(), "SELECT id, kept FROM report_group ORDER BY id"
    named = "SELECT group_id AS id, COUNT(*) AS kept FROM report GROUP BY group_id ORDER BY group_id"
    begun = await asyncio.gather(*(room.begin(by, exit_code=1 + place % 2) for place in range(12)))
    later = [await room.sealed(by, OUTPUT), await room.sealed(by, OUTPUT)]
    for report_id in (*(one.id for one in begun[:5]), later[0]):
        await room.reports.delete(by, room.workspace_id, report_id)
    counted = await room.database.fetch(kept)
    assert counted == await room.database.fetch(named)
    assert sorted(row["kept"] for row in counted) == [1, 3, 4]

    [migration] = [one for one in read_migrations(core_migrations(), room.database.dialect) if "0060" in one.name]
    await room.database.write(lambda tx: tx.execute("UPDATE report_group SET kept = 99"))
    await room.database.write(lambda tx: tx.execute(migration.statements[1]))
    assert await room.database.fetch(kept) == counted  # as an older database gets it


async def test_a_storm_reads_no_bytes_again_and_asks_by_key(room: Room, monkeypatch: pytest.MonkeyPatch):
    by = user()
    await room.sealed(by, OUTPUT)

    def refuse(*_: object) -> None:
        raise AssertionError("an artifact was read")

    monkeypatch.setattr(room.store, "open", refuse)
    for _ in range(20):
        await room.sealed(by, OUTPUT)
    rows = await room.database.fetch("SELECT count FROM report_group")
    assert [row["count"] for row in rows] == [21]
