"""F13: share links as their workspace has them."""

import msgspec
import pytest

from failgate.accounts.password import Passwords
from failgate.base.clock import FrozenClock
from failgate.base.errors import BadInput, Conflict, NotFound, Unprocessable
from failgate.base.idempotency import request_key
from failgate.reports.sharing import MAX_OPEN, Sharing
from failgate.wire.shares import NewShare
from tests.reports.conftest import Room, entry, sha256, user

OUTPUT = b"1 failed in 0.1s\n"
DAY = 86_400


@pytest.fixture
def sharing(room: Room, clock: FrozenClock) -> Sharing:
    passwords = Passwords(memory_kib=64, passes=1)
    return Sharing(room.database, room.audit, clock, passwords, lambda: "https://gate.example")


TREE = b"a tar\0".ljust(257, b"\0") + b"ustar\0" + bytes(249)


async def with_snapshot(room: Room, principal, tree: bytes = TREE) -> str:
    entries = [entry(OUTPUT), entry(tree, "source.tar", "snapshot", media_type="application/x-tar")]
    begun = await room.begin(principal, *entries)
    for content in (OUTPUT, tree):
        await room.put(principal, begun.id, content)
    await room.reports.seal(principal, room.workspace_id, begun.id)
    return begun.id


async def test_a_link_is_made_listed_and_revoked_and_its_secret_is_nowhere(room: Room, sharing: Sharing) -> None:
    who = user()
    report_id = await room.sealed(who, OUTPUT)
    made = await sharing.create(who, room.workspace_id, report_id, NewShare(passphrase="open sesame 5"))
    assert made.url is not None
    token = made.url.removeprefix("https://gate.example/link#")
    assert token.startswith("fg_shr_")
    assert made.artifacts == [sha256(OUTPUT)]
    [listed] = (await sharing.page(room.workspace_id, report_id)).items
    assert (listed.state, listed.views, listed.has_passphrase, listed.created_by) == ("open", 0, True, who.label)
    await sharing.revoke(who, room.workspace_id, report_id, made.id)
    with pytest.raises(NotFound):
        await sharing.revoke(who, room.workspace_id, report_id, made.id)
    assert (await sharing.page(room.workspace_id, report_id)).items[0].state == "revoked"
    assert (await room.acts())[-2:] == ["share.created", "share.revoked"]
    rows = [dict(row) for row in await room.database.fetch("SELECT * FROM share")]
    records = [stored.record for stored in await room.audit.records(room.workspace_id)]
    kept = repr(rows) + repr(records)
    assert token not in kept
    assert token.split("_")[3] not in kept
    assert "open sesame 5" not in kept
    assert rows[0]["passphrase_hash"].startswith("$argon2id$")


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        (NewShare(ttl_seconds=59), Unprocessable),
        (NewShare(ttl_seconds=90 * DAY + 1), Unprocessable),
        (NewShare(passphrase="short"), Unprocessable),
        (NewShare(passphrase="\ud800" * 9), Unprocessable),
        (NewShare(artifacts=["../etc/passwd"]), BadInput),
        (NewShare(artifacts=["a" * 64]), Unprocessable),
    ],
)
async def test_a_wish_out_of_bounds_is_refused(room: Room, sharing: Sharing, wish: NewShare, error: type) -> None:
    who = user()
    report_id = await room.sealed(who, OUTPUT)
    with pytest.raises(error):
        await sharing.create(who, room.workspace_id, report_id, wish)
    assert (await sharing.page(room.workspace_id, report_id)).items == []


async def test_only_a_sealed_report_of_the_workspace_is_shared(room: Room, sharing: Sharing) -> None:
    who = user()
    begun = await room.begin(who, entry(OUTPUT))
    with pytest.raises(Conflict):
        await sharing.create(who, room.workspace_id, begun.id, NewShare())
    sealed = await room.sealed(who, b"another\n")
    for workspace_id, report_id in (("elsewhere", sealed), (room.workspace_id, "absent")):
        with pytest.raises(NotFound):
            await sharing.create(who, workspace_id, report_id, NewShare())
        with pytest.raises(NotFound):
            await sharing.page(workspace_id, report_id)


async def test_a_source_snapshot_is_shared_after_somebody_looked_through_it(room: Room, sharing: Sharing) -> None:
    who, tree = user(), TREE
    report_id = await with_snapshot(room, who, tree)
    made = await sharing.create(who, room.workspace_id, report_id, NewShare())
    assert made.artifacts == [sha256(OUTPUT)]  # not by default either
    wish = NewShare(artifacts=[sha256(OUTPUT), sha256(tree)])
    with pytest.raises(Unprocessable, match="Nobody looked"):
        await sharing.create(who, room.workspace_id, report_id, wish)
    with pytest.raises(NotFound):
        await sharing.review(who, room.workspace_id, report_id, ["b" * 64])
    await sharing.review(who, room.workspace_id, report_id, [sha256(tree)])
    await sharing.review(who, room.workspace_id, report_id, [sha256(tree)])
    assert (await room.acts()).count("artifact.reviewed") == 1
    assert sha256(tree) in (await sharing.create(who, room.workspace_id, report_id, wish)).artifacts


async def test_a_review_is_of_one_report(room: Room, sharing: Sharing) -> None:
    """The same bytes in another report were not looked at there."""
    who, tree = user(), TREE
    first = await with_snapshot(room, who, tree)
    await sharing.review(who, room.workspace_id, first, [sha256(tree)])
    begun = await room.begin(who, entry(tree, "source.tar", "snapshot", media_type="application/x-tar"))
    assert begun.state == "sealed"
    with pytest.raises(Unprocessable):
        await sharing.create(who, room.workspace_id, begun.id, NewShare(artifacts=[sha256(tree)]))


async def test_switched_off_no_link_is_made(room: Room, sharing: Sharing) -> None:
    who = user()
    report_id = await room.sealed(who, OUTPUT)
    await sharing.create(who, room.workspace_id, report_id, NewShare())
    for _ in range(2):
        await sharing.switch(who, room.workspace_id, is_on=False)
    with pytest.raises(Conflict, match="switched off"):
        await sharing.create(who, room.workspace_id, report_id, NewShare())
    assert (await sharing.page(room.workspace_id, report_id)).items[0].state == "switched off"
    await sharing.switch(who, room.workspace_id, is_on=True)
    assert (await sharing.page(room.workspace_id, report_id)).items[0].state == "open"
    assert (await room.acts())[-2:] == ["sharing.stopped", "sharing.resumed"]


async def test_a_repeated_request_makes_one_link_and_does_not_keep_its_address(room: Room, sharing: Sharing) -> None:
    who = user()
    report_id, wish = await room.sealed(who, OUTPUT), NewShare()
    key = request_key("k" * 20, who.id, ("shares.create", room.workspace_id, report_id), wish)
    first = await sharing.create(who, room.workspace_id, report_id, wish, key)
    again = await sharing.create(who, room.workspace_id, report_id, wish, key)
    assert again == msgspec.structs.replace(first, url=None)
    assert len((await sharing.page(room.workspace_id, report_id)).items) == 1


async def test_open_links_of_one_report_are_bounded(room: Room, sharing: Sharing, clock: FrozenClock) -> None:
    who = user()
    report_id = await room.sealed(who, OUTPUT)
    for _ in range(MAX_OPEN):
        await sharing.create(who, room.workspace_id, report_id, NewShare(ttl_seconds=60))
    with pytest.raises(Conflict):
        await sharing.create(who, room.workspace_id, report_id, NewShare())
    assert await sharing.open_count(room.workspace_id, report_id) == MAX_OPEN
    clock.advance(61)
    made = await sharing.create(who, room.workspace_id, report_id, NewShare())
    assert await sharing.open_count(room.workspace_id, report_id) == 1
    await sharing.revoke(who, room.workspace_id, report_id, made.id)
    assert await sharing.open_count(room.workspace_id, report_id) == 0


async def test_the_sweep_forgets_what_ended_long_ago_and_what_lost_its_report(
    room: Room, sharing: Sharing, clock: FrozenClock
) -> None:
    who = user()
    kept, gone = await room.sealed(who, OUTPUT), await room.sealed(who, b"other\n")
    await sharing.create(who, room.workspace_id, kept, NewShare(ttl_seconds=90 * DAY))
    await sharing.create(who, room.workspace_id, kept, NewShare(ttl_seconds=60))
    await sharing.create(who, room.workspace_id, gone, NewShare())
    await room.reports.delete(who, room.workspace_id, gone)
    await sharing.sweep()
    assert len(await room.database.fetch("SELECT id FROM share")) == 2
    clock.advance(90 * DAY + 61)
    await sharing.sweep()
    assert len(await room.database.fetch("SELECT id FROM share")) == 1
