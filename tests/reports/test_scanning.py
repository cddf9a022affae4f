"""Artifacts and a real clamd: nobody gets what it did not see or found something in; it may come and go. ASVS 5.4.3"""

import asyncio
from collections.abc import Iterator

import pytest

from failgate.artifacts.clamd import ScannerFailed
from failgate.base.clock import FrozenClock
from failgate.base.errors import Conflict
from failgate.config.scan import ScanSection
from failgate.config.units import Size
from failgate.reports.scanning import Scanning
from failgate.reports.withholding import NOT_SCANNED
from tests.peers import clamav
from tests.peers.clamav import EICAR, STREAM_BYTES, WORD, Clamav

from .conftest import Room, sha256, user

CLEAN = b"1 failed\n"


@pytest.fixture(scope="module")
def shared_peer() -> Iterator[Clamav]:
    with clamav.running() as one:
        yield one


@pytest.fixture
def peer(shared_peer: Clamav) -> Iterator[Clamav]:
    """A clamd that is up, whatever the test before did to it."""
    yield shared_peer
    shared_peer.stop()
    shared_peer.start()


def scanned_by(room: Room, peer: Clamav, **how: object) -> Scanning:
    """Let the room be scanned from now on, as `open_services` builds it."""
    section = ScanSection(clamd=peer.socket, **{"limit": Size("512KiB"), **how})
    scanning = Scanning(room.database, room.audit, FrozenClock(), room.artifacts, section)
    room.reports._scanning, room.reports._withholding = scanning, scanning.withholding
    return scanning


async def refusal(room: Room, report_id: str, content: bytes) -> object:
    """Return why nobody gets an artifact, as door and view say it; None when it is given."""
    [view] = [one for one in (await room.reports.page(user(), room.workspace_id)).items if one.id == report_id]
    [artifact] = [one for one in view.artifacts if one.sha256 == sha256(content)]
    if artifact.withheld is None:
        assert artifact.is_shown
        assert await room.read(user(), report_id, content) == content
        return None
    with pytest.raises(Conflict) as refused:
        await room.read(user(), report_id, content)
    assert not artifact.is_shown
    assert refused.value.facts == {"withheld": artifact.withheld}
    return artifact.withheld


async def test_nobody_gets_an_artifact_before_it_was_scanned_and_a_clean_one_everybody(
    room: Room, peer: Clamav
) -> None:
    scanning = scanned_by(room, peer)
    report_id = await room.sealed(user(), CLEAN)
    assert await refusal(room, report_id, CLEAN) == "waiting"
    assert "artifact.read" not in await room.acts()
    version, waiting = await scanning.standing() or ("", 0)
    assert (version.partition(" ")[0], waiting) == ("ClamAV", 1)
    assert await scanning.run_once() == 1
    assert await refusal(room, report_id, CLEAN) is None
    assert (await scanning.run_once(), (await scanning.standing() or ("", -1))[1]) == (0, 0)


@pytest.mark.parametrize("content", [EICAR, b"-" * 200_000 + WORD + b"-"], ids=["EICAR", "within a file"])
async def test_what_the_scanner_finds_is_quarantined_for_everybody_for_good_and_on_record(
    room: Room, peer: Clamav, content: bytes
) -> None:
    scanning, uploader = scanned_by(room, peer), user()
    report_id = await room.sealed(uploader, content, CLEAN)
    other_id = await room.sealed(user(), content, title="another report with the same file")
    assert await scanning.run_once() == 2
    for identifier in (report_id, other_id):
        assert await refusal(room, identifier, content) == "malware"
    assert await refusal(room, report_id, CLEAN) is None
    with pytest.raises(Conflict, match=r"found (Eicar-Test|Failgate\.Test)") as refused:
        await room.read(uploader, report_id, content)
    assert "capture it again" in str(refused.value)
    records = [one.record for one in await room.audit.records(room.workspace_id)]
    found = [one for one in records if one["act"] == "artifact.quarantined"]
    assert [one["obj"]["id"] for one in found] == sorted([report_id, other_id])
    assert {one["data"]["sha256"] for one in found} == {sha256(content)}
    assert all(one["data"]["malware"].endswith(".UNOFFICIAL") for one in found)
    later_id = await room.sealed(user(), content, title="sent once more")
    assert await refusal(room, later_id, content) == "malware"
    room.reports._withholding = NOT_SCANNED  # the operator takes the scanner out
    assert await refusal(room, report_id, content) == "malware"


async def test_while_the_scanner_is_away_nothing_new_is_given_and_all_of_it_once_it_is_back(
    room: Room, peer: Clamav
) -> None:
    scanning = scanned_by(room, peer)
    seen_id = await room.sealed(user(), CLEAN)
    await scanning.run_once()
    peer.stop()
    contents = [b"one\n", b"two\n", WORD]
    ids = [await room.sealed(user(), content, title=str(number)) for number, content in enumerate(contents)]
    assert await scanning.run_once() == 0
    assert "cannot be asked" in (scanning.problem or "")
    with pytest.raises(ScannerFailed):
        await scanning.standing()
    assert [await refusal(room, one, content) for one, content in zip(ids, contents, strict=True)] == ["waiting"] * 3
    assert await refusal(room, seen_id, CLEAN) is None
    peer.start()
    assert await scanning.run_once() == 3
    assert scanning.problem is None
    said = [await refusal(room, one, content) for one, content in zip(ids, contents, strict=True)]
    assert said == [None, None, "malware"]


@pytest.mark.parametrize(("larger", "says"), [("withhold", "too_large"), ("show", None)])
async def test_what_is_larger_than_the_limit_is_given_only_where_the_config_says_so(
    room: Room, peer: Clamav, larger: str, says: str | None
) -> None:
    scanning = scanned_by(room, peer, limit=Size("1KiB"), larger=larger)
    large = b"x" * 1025
    report_id = await room.sealed(user(), large, b"x" * 1024)
    assert await scanning.run_once() == 1
    assert await refusal(room, report_id, large) == says
    assert await refusal(room, report_id, b"x" * 1024) is None


async def test_one_that_the_scanner_does_not_take_holds_up_no_other_and_stays_withheld(
    room: Room, peer: Clamav
) -> None:
    scanning = scanned_by(room, peer, limit=Size("8MiB"))
    first = await room.sealed(user(), CLEAN)
    large = b"x" * (4 * STREAM_BYTES)
    second = await room.sealed(user(), large)
    lost = await room.sealed(user(), b"lost\n")
    [row] = await room.database.fetch("SELECT id FROM artifact WHERE sha256 = $1", sha256(b"lost\n"))
    await room.store.unlink(row["id"])
    assert await scanning.run_once() == 1
    assert "StreamMaxLength" in (scanning.problem or "")
    assert [await refusal(room, one, content) for one, content in ((first, CLEAN), (second, large))] == [
        None,
        "waiting",
    ]
    [row] = await room.database.fetch("SELECT scanned_us FROM artifact WHERE sha256 = $1", sha256(b"lost\n"))
    assert row["scanned_us"] is None
    assert lost


async def test_an_object_that_lost_bytes_is_not_called_clean(room: Room, peer: Clamav) -> None:
    scanning = scanned_by(room, peer)
    await room.sealed(user(), CLEAN + WORD)
    [stored] = room.objects()
    stored.write_bytes(CLEAN)
    assert await scanning.run_once() == 0
    [row] = await room.database.fetch("SELECT scanned_us FROM artifact")
    assert row["scanned_us"] is None


async def test_it_scans_by_itself_soon_after_an_upload(room: Room, peer: Clamav) -> None:
    scanning = scanned_by(room, peer)
    scanning.due.start()
    try:
        await asyncio.sleep(0.05)  # its first look, which finds nothing
        report_id = await room.sealed(user(), WORD)
        async with asyncio.timeout(20):  # less than it waits by itself
            while (await room.database.fetch("SELECT scanned_us FROM artifact"))[0]["scanned_us"] is None:
                await asyncio.sleep(0.02)
    finally:
        await scanning.due.close()
    assert await refusal(room, report_id, WORD) == "malware"


async def test_without_a_scanner_everything_is_given_and_nothing_waits(room: Room) -> None:
    scanning = Scanning(room.database, room.audit, FrozenClock(), room.artifacts, None)
    room.reports._scanning, room.reports._withholding = scanning, scanning.withholding
    report_id = await room.sealed(user(), EICAR)
    assert (await scanning.run_once(), await scanning.standing()) == (0, None)
    assert await refusal(room, report_id, EICAR) is None


async def test_the_redaction_rules_still_look_into_what_is_withheld(room: Room, peer: Clamav) -> None:
    """What is given once it is clean has to be looked through for secrets before, too."""
    scanned_by(room, peer)
    await room.sealed(user(), CLEAN)
    pieces = [piece async for piece in room.artifacts.open(room.workspace_id, sha256(CLEAN))]
    assert b"".join(pieces) == CLEAN
