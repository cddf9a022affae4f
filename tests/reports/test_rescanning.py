"""Stored reports are scanned again after a rule is added, wherever the scan was interrupted. F17 F18."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from failgate.audit.record import Actor
from failgate.base.clock import FrozenClock
from failgate.base.db import Transaction
from failgate.base.errors import NotFound
from failgate.base.ids import new_id
from failgate.base.secretbox import SecretBox
from failgate.redaction import Scanner
from failgate.reports.redaction_rules import RedactionRules
from failgate.reports.rescanning import Rescanning
from failgate.wire.redaction import RedactionRule
from tests.reports.conftest import SECRET, Room, entry, sha256, user

ACTOR = Actor("user", new_id())
RULE = RedactionRule("acme", "ACME-[0-9]{4}", must_match=["ACME-4711"], must_not_match=["ACME"])
FOUND, CLEAN = b"the seat ACME-4711 is taken\n", b"1 failed\n"


@pytest.fixture
def rules(room: Room, clock: FrozenClock, tmp_path: Path) -> RedactionRules:
    rules = RedactionRules(room.database, room.audit, clock, SecretBox.open(tmp_path / "secrets.key"))
    room.reports._scanner_of = room.reports._beginning._scanner_of = rules.scanner_of
    return rules


def rescanning_of(room: Room, rules: RedactionRules) -> Rescanning:
    rescanning = Rescanning(room.database, room.audit, FrozenClock(), room.artifacts, rules)
    room.reports._revisit = room.reports._beginning._revisit = rescanning.revisit
    return rescanning


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


@pytest.mark.parametrize("is_scan_over", [True, False])
async def test_what_was_sent_while_the_rule_was_added_meets_it_too(
    room: Room, rules: RedactionRules, *, is_scan_over: bool
) -> None:
    """The bytes were looked through by the old rules, and the scan came by before they were kept."""
    uploader, rescanning = user(), rescanning_of(room, rules)
    begun = await room.begin(uploader, entry(FOUND))

    async def slow() -> AsyncIterator[bytes]:
        yield FOUND[:9]
        await rules.create(ACTOR, room.workspace_id, RULE)
        if is_scan_over:
            assert await rescanning.run_once() == 1
        yield FOUND[9:]

    await room.reports.put_artifact(uploader, room.workspace_id, begun.id, sha256(FOUND), slow())
    assert (await room.reports.seal(uploader, room.workspace_id, begun.id)).state == "sealed"
    assert (await rules.page(room.workspace_id)).scan.state == "running"
    await rescanning.run_once()
    assert await state_of(room, begun.id) == "quarantined"
    assert (await rules.page(room.workspace_id)).scan.state == "ended"


async def test_a_manifest_that_was_checked_before_the_rule_was_added_meets_it_too(
    room: Room, rules: RedactionRules, monkeypatch: pytest.MonkeyPatch
) -> None:
    rescanning, checked = rescanning_of(room, rules), room.reports._beginning.checked

    async def slow(*given: object) -> object:
        upload = await checked(*given)
        await rules.create(ACTOR, room.workspace_id, RULE)
        assert await rescanning.run_once() == 0
        return upload

    monkeypatch.setattr(room.reports._beginning, "checked", slow)
    begun = await room.begin(user(), title="ACME-4711 failed")
    assert begun.state == "sealed"
    assert await rescanning.run_once() == 1
    assert await state_of(room, begun.id) == "quarantined"


async def test_the_scan_does_not_pass_what_comes_to_a_report_while_it_looks_there(
    room: Room, rules: RedactionRules, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploader, rescanning = user(), rescanning_of(room, rules)
    begun, scan_artifacts = await room.begin(uploader, entry(FOUND)), rescanning._scan_artifacts
    has_looked, is_kept, scans = asyncio.Event(), asyncio.Event(), list[asyncio.Task[int]]()

    async def slow() -> AsyncIterator[bytes]:
        yield FOUND[:9]
        await rules.create(ACTOR, room.workspace_id, RULE)
        scans.append(asyncio.create_task(rescanning.run_once()))
        await has_looked.wait()
        yield FOUND[9:]

    async def interrupted(*given: str | Scanner) -> dict[str, dict[str, int]]:
        found = await scan_artifacts(*given)
        has_looked.set()
        await is_kept.wait()
        return found

    monkeypatch.setattr(rescanning, "_scan_artifacts", interrupted)
    await room.reports.put_artifact(uploader, room.workspace_id, begun.id, sha256(FOUND), slow())
    is_kept.set()
    await scans[0]
    assert await state_of(room, begun.id) == "quarantined"


@pytest.mark.parametrize("is_uploader", [True, False])
async def test_bytes_of_a_quarantined_report_are_looked_through_by_the_rules_of_today(
    room: Room, rules: RedactionRules, *, is_uploader: bool
) -> None:
    """No scan comes to a quarantined report; what else was in it may hold what a later rule finds."""
    uploader, found = user(), entry(FOUND, "2.txt")
    first = await room.begin(uploader, found, entry(SECRET.encode()))
    for content in (FOUND, SECRET.encode()):
        await room.put(uploader, first.id, content)
    assert await state_of(room, first.id) == "quarantined"
    await rules.create(ACTOR, room.workspace_id, RULE)
    await rescanning_of(room, rules).run_once()
    again = await room.sealed(uploader if is_uploader else user(), FOUND)
    assert await state_of(room, again) == "quarantined"


async def test_what_came_with_another_report_is_not_sealed_behind_the_scan(room: Room, rules: RedactionRules) -> None:
    rescanning, uploader = rescanning_of(room, rules), user()
    begun = await room.begin(uploader, entry(FOUND))
    await room.sealed(user(), FOUND)
    await rules.create(ACTOR, room.workspace_id, RULE)
    (due,) = await room.database.fetch("SELECT generation FROM redaction_set WHERE is_scanning = 1")
    assert await rescanning._step(room.workspace_id, due["generation"])
    assert (await room.reports.seal(uploader, room.workspace_id, begun.id)).state == "sealed"
    await rescanning.run_once()
    assert await state_of(room, begun.id) == "quarantined"


async def test_a_step_by_the_rules_of_before_counts_for_nothing(
    room: Room, rules: RedactionRules, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another connection sees a new rule a moment before this process forgets its scanner."""
    report_id, scanner_of = await room.sealed(user(), FOUND), rules.scanner_of
    given = [await scanner_of(room.workspace_id)]
    await rules.create(ACTOR, room.workspace_id, RULE)

    async def late(workspace_id: str) -> Scanner:
        now = await scanner_of(workspace_id)
        return given.pop() if given else now

    monkeypatch.setattr(rules, "scanner_of", late)
    await rescanning_of(room, rules).run_once()
    assert await state_of(room, report_id) == "quarantined"


async def test_what_older_built_in_rules_passed_is_scanned_at_the_start_of_a_version_that_has_others(
    room: Room, rules: RedactionRules
) -> None:
    await rules.scanner_of(room.workspace_id)
    assert await rules.renew() == 0  # they are the same

    async def older(_workspace_id: str) -> Scanner:
        return Scanner(rules=())

    room.reports._scanner_of = room.reports._beginning._scanner_of = older
    found, clean = await room.sealed(user(), f"key {SECRET}\n".encode()), await room.sealed(user(), CLEAN)
    assert await state_of(room, found) == "sealed"
    await room.database.write(lambda tx: tx.execute("UPDATE redaction_set SET rules_version = 'failgate-1-0'"))
    begun: list[str] = []

    async def begin(_tx: Transaction, workspace_id: str) -> None:
        begun.append(workspace_id)

    rules.also_begin(begin)
    assert (await rules.renew(), begun) == (1, [room.workspace_id])
    assert (await rules.page(room.workspace_id)).scan.state == "running"
    assert await rescanning_of(room, rules).run_once() == 2
    assert [await state_of(room, one) for one in (found, clean)] == ["quarantined", "sealed"]
    assert (await rules.renew(), begun) == (0, [room.workspace_id])


async def test_a_workspace_that_is_being_deleted_is_not_scanned_for_new_rules(
    room: Room, rules: RedactionRules
) -> None:
    await rules.scanner_of(room.workspace_id)
    await room.database.write(lambda tx: tx.execute("UPDATE redaction_set SET rules_version = 'failgate-1-0'"))
    room.audit.keep_ended([room.workspace_id])
    assert await rules.renew() == 0
    rows = await room.database.fetch("SELECT is_scanning FROM redaction_set")
    assert [row["is_scanning"] for row in rows] == [0]
