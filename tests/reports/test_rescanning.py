"""Stored reports are scanned again after a rule is added, wherever the scan was interrupted. F17 F18."""

from pathlib import Path

import pytest

from failgate.audit.record import Actor
from failgate.base.clock import FrozenClock
from failgate.base.errors import NotFound
from failgate.base.ids import new_id
from failgate.base.secretbox import SecretBox
from failgate.reports.redaction_rules import RedactionRules
from failgate.reports.rescanning import Rescanning
from failgate.wire.redaction import RedactionRule
from tests.reports.conftest import Room, sha256, user

ACTOR = Actor("user", new_id())
RULE = RedactionRule("acme", "ACME-[0-9]{4}", must_match=["ACME-4711"], must_not_match=["ACME"])
FOUND, CLEAN = b"the seat ACME-4711 is taken\n", b"1 failed\n"


@pytest.fixture
def rules(room: Room, clock: FrozenClock, tmp_path: Path) -> RedactionRules:
    rules = RedactionRules(room.database, room.audit, clock, SecretBox.open(tmp_path / "secrets.key"))
    room.reports._scanner_of = rules.scanner_of
    return rules


def rescanning_of(room: Room, rules: RedactionRules) -> Rescanning:
    return Rescanning(room.database, room.audit, FrozenClock(), room.artifacts, rules.scanner_of)


async def state_of(room: Room, report_id: str) -> str:
    row = await room.database.fetch_one("SELECT state FROM report WHERE id = $1", report_id)
    assert row is not None
    return str(row["state"])


async def test_reports_that_the_new_rule_finds_something_in_are_quarantined_and_the_others_stay(
    room: Room, rules: RedactionRules
) -> None:
    uploader, reader = user(), user()
    found = await room.sealed(uploader, FOUND)
    named = await room.sealed(uploader, CLEAN, title="ACME-4711 failed")
    clean = await room.sealed(uploader, CLEAN)
    manifest = (await room.reports.view(reader, room.workspace_id, found)).manifest_sha256
    await rules.create(ACTOR, room.workspace_id, RULE)
    assert (await rules.page(room.workspace_id)).scan.state == "running"
    assert await rescanning_of(room, rules).run_once() == 3
    assert [await state_of(room, one) for one in (found, named, clean)] == ["quarantined", "quarantined", "sealed"]
    with pytest.raises(NotFound):
        await room.read(reader, found, FOUND)
    scan = (await rules.page(room.workspace_id)).scan
    assert (scan.state, scan.scanned, scan.quarantined) == ("ended", 3, 2)
    assert (await room.acts())[-3:] == ["report.quarantined", "report.quarantined", "redaction_scan.ended"]
    assert (await room.last())["data"]["quarantined"] == 2
    own = await room.reports.view(uploader, room.workspace_id, found)
    assert own.manifest_sha256 == manifest  # what was consented to is provable still
    assert "ACME" not in str([one.record for one in await room.audit.records(room.workspace_id)])


async def test_bytes_that_were_found_out_quarantine_whatever_report_names_them_later(
    room: Room, rules: RedactionRules
) -> None:
    await room.sealed(user(), FOUND)
    await rules.create(ACTOR, room.workspace_id, RULE)
    await rescanning_of(room, rules).run_once()
    uploader = user()
    assert await state_of(room, await room.sealed(uploader, FOUND)) == "quarantined"
    row = await room.database.fetch_one("SELECT findings FROM artifact WHERE sha256 = $1", sha256(FOUND))
    assert row is not None
    assert "x-acme" in row["findings"]


async def test_a_scan_that_was_killed_goes_on_where_it_was(room: Room, rules: RedactionRules) -> None:
    uploader = user()
    reports = [await room.sealed(uploader, FOUND + bytes([65 + number])) for number in range(5)]
    await rules.create(ACTOR, room.workspace_id, RULE)
    first = rescanning_of(room, rules)
    (due,) = await room.database.fetch("SELECT generation FROM redaction_set WHERE is_scanning = 1")
    assert await first._step(room.workspace_id, due["generation"])
    assert await first._step(room.workspace_id, due["generation"])  # and here the process ends
    assert await rescanning_of(room, rules).run_once() == 3
    assert {await state_of(room, one) for one in reports} == {"quarantined"}
    assert (await room.acts()).count("report.quarantined") == 5


async def test_two_servers_scan_at_once_and_each_report_is_quarantined_once(room: Room, rules: RedactionRules) -> None:
    import asyncio

    uploader = user()
    for number in range(6):
        await room.sealed(uploader, FOUND + bytes([65 + number]))
    await rules.create(ACTOR, room.workspace_id, RULE)
    await asyncio.gather(*(rescanning_of(room, rules).run_once() for _ in range(2)))
    scan = (await rules.page(room.workspace_id)).scan
    assert (scan.state, scan.scanned, scan.quarantined) == ("ended", 6, 6)
    assert (await room.acts()).count("report.quarantined") == 6


async def test_new_uploads_meet_the_rule_at_once(room: Room, rules: RedactionRules) -> None:
    await rules.create(ACTOR, room.workspace_id, RULE)
    assert await state_of(room, await room.sealed(user(), FOUND)) == "quarantined"
