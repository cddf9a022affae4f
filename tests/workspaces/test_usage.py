"""What a workspace uses is counted by day, shown and bounded. F21."""

import asyncio
from pathlib import Path

import pytest

from failgate.access.principal import Principal
from failgate.audit.log import AuditLog
from failgate.base.clock import FrozenClock
from failgate.base.db import Database, Transaction
from failgate.base.errors import BadInput, Conflict, NotFound, TooLarge, TooManyRequests
from failgate.base.ids import new_id
from failgate.base.spreadsheet import csv_of
from failgate.web.pages.usage import usage_view
from failgate.workspaces.usage import Usage

OPERATOR = Principal("user", account_id=new_id())


@pytest.fixture
def usage(database: Database, clock: FrozenClock, tmp_path: Path) -> Usage:
    return Usage(database, AuditLog(database, clock, tmp_path), clock, {"reports_per_day": 2, "storage_bytes": 100})


async def founded(database: Database) -> str:
    workspace_id = new_id()

    async def verb(tx: Transaction) -> None:
        query = "INSERT INTO workspace (id, slug, name, created_us) VALUES ($1, $2, $3, 1)"
        await tx.execute(query, workspace_id, workspace_id, "Acme")

    await database.write(verb)
    return workspace_id


async def use(database: Database, usage: Usage, workspace_id: str, **amounts: int) -> None:
    async def verb(tx: Transaction) -> None:
        for column, amount in amounts.items():
            await usage.count(tx, workspace_id, column, amount)

    await database.write(verb)


async def test_days_are_counted_and_what_went_is_taken_off(database: Database, usage: Usage, clock: FrozenClock):
    here = await founded(database)
    await use(database, usage, here, reports=1, bytes_added=70)
    await use(database, usage, here, reports=1, commands=3, recording_ms=5500)
    clock.advance(24 * 3600)
    await use(database, usage, here, bytes_removed=20)
    used = await usage.read(here)
    assert (used.bytes_stored, used.seats, [day.reports for day in used.days]) == (50, 0, [2, 0])
    assert [(one.name, one.used, one.limit) for one in used.quotas][:2] == [
        ("storage_bytes", 50, 100),
        ("reports_per_day", 0, 2),
    ]
    assert (await usage.read(new_id())).days == ()


async def test_a_quota_that_is_used_up_refuses_and_says_which(database: Database, usage: Usage, clock: FrozenClock):
    here = await founded(database)
    await use(database, usage, here, reports=2, bytes_added=90, commands=5)
    for quota, more, refusal in (
        ("reports_per_day", 1, TooManyRequests),
        ("storage_bytes", 11, TooLarge),
    ):
        with pytest.raises(refusal, match=quota):
            await database.write(lambda tx, quota=quota, more=more: usage.check(tx, here, quota, more))
    await database.write(lambda tx: usage.check(tx, here, "storage_bytes", 10))
    await database.write(lambda tx: usage.check(tx, here, "commands_per_day", 10**9))
    clock.advance(24 * 3600)
    await database.write(lambda tx: usage.check(tx, here, "reports_per_day", 2))


async def test_a_quota_of_commands_holds_also_for_those_that_share_a_commit(
    database: Database, clock: FrozenClock, tmp_path: Path
):
    usage = Usage(database, AuditLog(database, clock, tmp_path), clock, {"commands_per_day": 3})
    here = await founded(database)
    asked = [database.write(lambda tx: usage.asked(tx, here, 1)) for _ in range(20)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in outcomes if one is not None] == [TooManyRequests] * 17
    assert [day.commands for day in (await usage.read(here)).days] == [3]


async def test_a_workspace_gets_quotas_of_its_own(database: Database, usage: Usage):
    here, there = await founded(database), await founded(database)
    await usage.set_limit(OPERATOR, here, "seats", 0)
    with pytest.raises(Conflict, match="seats"):
        await database.write(lambda tx: usage.check(tx, here, "seats", 1))
    await database.write(lambda tx: usage.check(tx, there, "seats", 1))
    await usage.set_limit(OPERATOR, here, "seats", None)
    await database.write(lambda tx: usage.check(tx, here, "seats", 1))
    with pytest.raises(BadInput):
        await usage.set_limit(OPERATOR, here, "nothing", 1)
    with pytest.raises(BadInput):
        await usage.set_limit(OPERATOR, here, "seats", -1)
    with pytest.raises(NotFound):
        await usage.set_limit(OPERATOR, new_id(), "seats", 1)


async def test_the_page_shows_every_quota_and_day(database: Database, usage: Usage, clock: FrozenClock):
    here = await founded(database)
    await use(database, usage, here, reports=2, bytes_added=2048)
    view = usage_view(await usage.read(here), clock.now_us() // (24 * 3600 * 1_000_000))
    assert [(row.used, row.limit, row.share) for row in view.quotas][:2] == [("2.0 KiB", "100 B", 100), ("2", "2", 100)]
    assert next((one.name, one.total, len(one.spark.bars)) for one in view.charts) == ("Reports", "2", 24)


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\0=1"])
def test_no_cell_is_a_formula(cell: str):
    assert csv_of([("day", cell, -5)]).lstrip('day,"').startswith("'")
