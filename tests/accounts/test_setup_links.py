import asyncio

import pytest

from failgate.access.role import Role
from failgate.accounts.setup_links import SignInLinks
from failgate.base.clock import FrozenClock
from failgate.base.errors import BadInput, Conflict, NotFound, NotSignedIn

FORM = ("ann@example.com", "correct horse battery staple", "payments", "Payments")


async def test_the_link_makes_the_first_account_and_its_workspace_with_their_records(room) -> None:
    token = await room.setup_links.mint()
    account = await room.setup_links.complete(token, *FORM)
    assert account.is_platform_admin
    workspace = await room.workspaces.by_slug("payments")
    assert await room.workspaces.role_of(workspace.id, account.id) is Role.OWNER
    assert await room.acts() == ["account.created", "platform_role.granted", "setup.completed"]
    assert await room.acts(workspace.id) == ["workspace.created", "member.added"]
    assert token not in await room.everything()
    await room.accounts.sign_in(FORM[0], FORM[1], "192.0.2.1")


async def test_a_used_link_says_what_to_do(room) -> None:
    token = await room.setup_links.mint()
    await room.setup_links.complete(token, *FORM)
    for _ in range(2):
        with pytest.raises(Conflict, match=r"set up already.*Sign in"):
            await room.setup_links.complete(token, *FORM)
    with pytest.raises(Conflict, match="set up already"):
        await room.setup_links.mint()


async def test_an_expired_link_says_what_to_do(room) -> None:
    token = await room.setup_links.mint()
    room.clock.advance(1799.999999)
    await room.setup_links.check(token)
    room.clock.advance(0.000001)
    with pytest.raises(Conflict, match=r"expired.*Restart `failgate serve`"):
        await room.setup_links.complete(token, *FORM)
    assert not await room.accounts.exist()


async def test_a_foreign_or_older_link_is_not_found(room) -> None:
    old = await room.setup_links.mint()
    new = await room.setup_links.mint()
    for token in (old, "", "x" * 43, "\ud800"):
        with pytest.raises(NotFound, match="failgate serve"):
            await room.setup_links.complete(token, *FORM)
    await room.setup_links.check(new)


async def test_a_mistake_in_the_form_leaves_the_link_usable_and_nothing_half_done(room) -> None:
    token = await room.setup_links.mint()
    for form in (
        ("ann", *FORM[1:]),
        (FORM[0], "short", *FORM[2:]),
        (*FORM[:2], "No Slug", "x"),
        (*FORM[:2], "admin", "x"),
        (*FORM[:3], ""),
        (*FORM[:3], "a\nb"),
    ):
        with pytest.raises(BadInput):
            await room.setup_links.complete(token, *form)
        assert not await room.accounts.exist()
        assert await room.workspaces.list() == []
        assert await room.acts() == []
    await room.setup_links.complete(token, *FORM)


async def test_one_link_used_ten_times_at_once_makes_one_account(room) -> None:
    token = await room.setup_links.mint()
    results = await asyncio.gather(
        *(room.setup_links.complete(token, f"ann{n}@example.com", FORM[1], f"payments{n}", "x") for n in range(10)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, Conflict) for result in results) == 9, results
    assert len(await room.workspaces.list()) == 1
    assert (await room.acts()).count("setup.completed") == 1


async def test_a_link_is_void_once_an_account_was_made_otherwise(room) -> None:
    token = await room.setup_links.mint()
    await room.account("bob@example.com")
    with pytest.raises(Conflict, match="set up already"):
        await room.setup_links.complete(token, *FORM)


def test_a_sign_in_link_works_once(clock: FrozenClock) -> None:
    links = SignInLinks(clock)
    token = links.mint("ann")
    assert links.redeem(token) == "ann"
    for again in (token, "", "x" * 43, "\ud800"):
        with pytest.raises(NotSignedIn):
            links.redeem(again)


def test_a_sign_in_link_ends_in_time_and_their_number_is_bounded(clock: FrozenClock) -> None:
    links = SignInLinks(clock, ttl_seconds=60)
    token = links.mint("ann")
    clock.advance(60)
    with pytest.raises(NotSignedIn):
        links.redeem(token)
    for _ in range(1000):
        links.mint("ann")
    with pytest.raises(Conflict):
        links.mint("ann")
    clock.advance(60)
    links.mint("ann")
