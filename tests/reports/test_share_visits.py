"""F13: what the holder of a share link may do, and what ends it."""

import pytest

from failgate.accounts.password import Passwords
from failgate.accounts.throttle import Throttle
from failgate.audit.beside import bodies_of
from failgate.base.clock import FrozenClock
from failgate.base.errors import Forbidden, NotFound, TooManyRequests
from failgate.base.secretbox import SecretBox
from failgate.reports.share_visits import VISIT_SECONDS, Entered, ShareVisits
from failgate.reports.sharing import KEPT_VISITS, Sharing
from failgate.wire.shares import NewShare
from tests.reports.conftest import Room, sha256, user

OUTPUT = b"1 failed in 0.1s\n"
HIDDEN = b"not chosen\n"
PEER = "198.51.100.7"
PASSPHRASE = "four words in a row"


class Link:
    """A report with a link to it, and both sides of it."""

    def __init__(self, room: Room, clock: FrozenClock) -> None:
        self.room, self.who = room, user()
        passwords = Passwords(memory_kib=64, passes=1)
        self.sharing = Sharing(room.database, room.audit, clock, passwords, lambda: "")
        self.visits = ShareVisits(
            room.database, room.audit, clock, SecretBox(b"k" * 32),
            reading=room.reports, passwords=passwords, throttle=Throttle(clock),
        )  # fmt: skip
        self.report_id = ""

    async def made(self, **wish: object) -> tuple[str, str]:
        """Return id and token of a fresh link to the report; only its output is chosen."""
        if not self.report_id:
            self.report_id = await self.room.sealed(self.who, OUTPUT, HIDDEN)
        asked = NewShare(**{"artifacts": [sha256(OUTPUT)], **wish})  # type: ignore[arg-type]  # of the test's choice
        made = await self.sharing.create(self.who, self.room.workspace_id, self.report_id, asked)
        return made.id, (made.url or "").removeprefix("/link#")


@pytest.fixture
def link(room: Room, clock: FrozenClock) -> Link:
    return Link(room, clock)


async def test_a_token_opens_one_report_and_of_it_what_was_chosen(link: Link) -> None:
    share_id, token = await link.made()
    entered = await link.visits.open(token, PEER)
    assert (entered.share_id, entered.seconds) == (share_id, VISIT_SECONDS)
    assert token not in entered.visit
    admitted = await link.visits.admit(share_id, entered.visit)
    assert admitted.is_proven
    shown = await link.visits.report(admitted.share, PEER)
    assert [one.sha256 for one in shown.artifacts] == [sha256(OUTPUT)]
    assert shown.manifest is not None
    assert (shown.manifest["argv"], shown.manifest["exit_code"]) == (["pytest", "-q"], 1)
    assert not any(word in repr(shown) for word in ("/src", "build-1", "PATH", "dev@example.org", "LANG", "Linux"))
    opened = await link.visits.open_artifact(admitted.share, sha256(OUTPUT))
    assert b"".join([piece async for piece in await opened.read()]) == OUTPUT
    with pytest.raises(NotFound):
        await link.visits.open_artifact(admitted.share, sha256(HIDDEN))
    record = await link.room.last()
    assert (record["act"], record["actor"]["t"], record["actor"]["id"]) == ("artifact.read", "share", share_id)


async def test_visits_are_counted_with_the_network_alone(link: Link) -> None:
    _, token = await link.made()
    for address in (PEER, "2001:db8:1:2:3::4", "::ffff:203.0.113.9"):
        await link.visits.open(token, address)
    [listed] = (await link.sharing.page(link.room.workspace_id, link.report_id)).items
    assert listed.views == 3
    assert [one.network for one in listed.visits] == ["203.0.113.0/24", "2001:db8:1::/48", "198.51.100.0/24"]
    record = await link.room.last()
    assert (record["act"], record["data"]["count"]) == ("share.viewed", 3)
    [body] = (await bodies_of(link.room.database, link.room.workspace_id, [record["seq"]])).values()
    assert body.body == b'{"ip":"203.0.113.0/24"}'


async def test_the_view_log_is_bounded(link: Link) -> None:
    share_id, token = await link.made()
    for _ in range(3):
        await link.visits.open(token, PEER)
    fill = "INSERT INTO share_view (id, share_id, viewed_us, network) VALUES ($1, $2, 0, 'x')"
    for number in range(KEPT_VISITS):
        await link.room.database.write(lambda tx, number=number: tx.execute(fill, f"0{number}", share_id))
    await link.visits.open(token, PEER)
    assert len(await link.room.database.fetch("SELECT id FROM share_view")) == KEPT_VISITS
    assert (await link.sharing.page(link.room.workspace_id, link.report_id)).items[0].views == 4


async def test_a_passphrase_is_asked_for_and_only_then_the_view_counts(link: Link) -> None:
    share_id, token = await link.made(passphrase=PASSPHRASE)
    entered = await link.visits.open(token, PEER)
    waiting = await link.visits.admit(share_id, entered.visit)
    assert not waiting.is_proven
    with pytest.raises(Forbidden):
        await link.visits.prove(waiting, "wrong", PEER)
    assert (await link.room.last())["act"] == "share.refused"
    proven = await link.visits.prove(waiting, PASSPHRASE, PEER)
    assert (await link.visits.admit(share_id, proven.visit)).is_proven
    assert (await link.sharing.page(link.room.workspace_id, link.report_id)).items[0].views == 1


async def test_guesses_at_a_passphrase_are_slowed_and_the_right_one_too(link: Link) -> None:
    share_id, token = await link.made(passphrase=PASSPHRASE)
    waiting = await link.visits.admit(share_id, (await link.visits.open(token, PEER)).visit)
    for _ in range(5):
        with pytest.raises(Forbidden):
            await link.visits.prove(waiting, "wrong", PEER)
    for passphrase in ("wrong", PASSPHRASE):
        with pytest.raises(TooManyRequests):
            await link.visits.prove(waiting, passphrase, PEER)


async def test_a_flood_of_views_from_one_address_is_bounded(link: Link) -> None:
    share_id, token = await link.made()
    admitted = await link.visits.admit(share_id, (await link.visits.open(token, PEER)).visit)
    for _ in range(599):
        link.visits.slow(admitted.share, PEER)
    for opening in (link.visits.open(token, PEER), link.visits.report(admitted.share, PEER)):
        with pytest.raises(TooManyRequests):
            await opening
    await link.visits.open(token, "192.0.2.1")


async def end(link: Link, clock: FrozenClock, how: str, share_id: str) -> None:
    room = link.room
    if how == "expired":
        clock.advance(60)
    elif how == "revoked":
        await link.sharing.revoke(link.who, room.workspace_id, link.report_id, share_id)
    elif how == "switched off":
        await link.sharing.switch(link.who, room.workspace_id, is_on=False)
    elif how == "report deleted":
        await room.reports.delete(link.who, room.workspace_id, link.report_id)
    else:
        quarantine = "UPDATE report SET state = 'quarantined' WHERE id = $1"
        await room.database.write(lambda tx: tx.execute(quarantine, link.report_id))


@pytest.mark.parametrize("how", ["expired", "revoked", "switched off", "report deleted", "report quarantined"])
async def test_what_ends_a_link_ends_its_visits(link: Link, clock: FrozenClock, how: str) -> None:
    share_id, token = await link.made()
    if how == "expired":
        clock.advance(7 * 86_400 - 60)  # the visit is good to the end of the link, not for its hour
    entered = await link.visits.open(token, PEER)
    admitted = await link.visits.admit(share_id, entered.visit)
    assert entered.seconds == (60 if how == "expired" else VISIT_SECONDS)
    await end(link, clock, how, share_id)
    for opening in (link.visits.open(token, PEER), link.visits.admit(share_id, entered.visit)):
        with pytest.raises(NotFound, match=r"There is no such link\."):
            await opening
    if how == "report deleted":
        with pytest.raises(NotFound):
            await link.visits.report(admitted.share, PEER)


async def test_a_visit_is_over_after_an_hour_and_opens_no_other_link(link: Link, clock: FrozenClock) -> None:
    first, token = await link.made()
    second, _ = await link.made()
    entered = await link.visits.open(token, PEER)
    forged = Entered(first, entered.visit[:-4] + "AAAA", 1)
    for share_id, visit in (
        (second, entered.visit), (first, forged.visit), (first, None), (first, ""), (first, "ü"), ("x", entered.visit),
        (first, token),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            await link.visits.admit(share_id, visit)
    clock.advance(VISIT_SECONDS)
    with pytest.raises(NotFound):
        await link.visits.admit(first, entered.visit)


async def test_a_waiting_visit_is_not_made_proven_by_another_link(link: Link) -> None:
    """The seal names the link: who has one without a passphrase proves nothing for the other."""
    locked, locked_token = await link.made(passphrase=PASSPHRASE)
    _, free_token = await link.made()
    free = await link.visits.open(free_token, PEER)
    with pytest.raises(NotFound):
        await link.visits.admit(locked, free.visit)
    assert not (await link.visits.admit(locked, (await link.visits.open(locked_token, PEER)).visit)).is_proven


async def test_unknown_tokens_of_every_kind_are_the_same_nothing(link: Link) -> None:
    share_id, token = await link.made()
    for text in ("", "x", token[:-1], token + "0", token.replace("fg_shr", "fg_usr"), share_id, "\ud800", "a" * 9000):
        with pytest.raises(NotFound, match=r"There is no such link\."):
            await link.visits.open(text, PEER)
