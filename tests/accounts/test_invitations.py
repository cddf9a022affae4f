"""B4: a link, used once, by whom it is for, in a role that its giver may give."""

import asyncio

import pytest

from failgate.access.role import Role
from failgate.accounts.invitations import INVITATION_DAYS
from failgate.accounts.token_text import write_token
from failgate.audit.record import Actor
from failgate.base.errors import BadInput, Conflict, Forbidden, NotFound, TooManyRequests
from failgate.base.ids import new_id

PASSWORD = "several words that are long"


def by(account):
    return Actor(t="user", id=account.id)


@pytest.fixture
async def acme(room):
    owner = await room.account("owner@acme.example")
    workspace = await room.workspaces.create("acme", "Acme", owner.id, room.operator)
    return owner, workspace


async def member(room, workspace, role):
    account = await room.account(f"{role.value}@acme.example")
    await room.workspaces.add_member(workspace.id, account.id, role, room.operator)
    return account


async def test_a_new_person_joins_by_the_link_once(room, acme) -> None:
    owner, workspace = acme
    made, text = await room.invitations.create(workspace.id, Role.REVIEWER, by(owner))
    assert text.startswith("fg_inv_")
    assert text not in await room.everything()
    account, found = await room.invitations.accept_as_new(text, "New@acme.example", PASSWORD, "192.0.2.1")
    assert (account.email, found.id) == ("new@acme.example", made.id)
    assert await room.workspaces.role_of(workspace.id, account.id) is Role.REVIEWER
    assert (await room.acts(workspace.id))[-3:] == ["invitation.created", "member.added", "invitation.accepted"]
    assert await room.invitations.list(workspace.id) == []
    with pytest.raises(NotFound):
        await room.invitations.accept_as_new(text, "other@acme.example", PASSWORD, "192.0.2.1")


async def test_of_twenty_who_use_one_link_at_once_one_joins(room, acme) -> None:
    owner, workspace = acme
    people = [await room.account(f"p{number}@acme.example") for number in range(20)]
    _, text = await room.invitations.create(workspace.id, Role.DEVELOPER, by(owner))
    answers = await asyncio.gather(
        *(room.invitations.accept(text, one.id, by(one)) for one in people), return_exceptions=True
    )
    assert sum(not isinstance(answer, Exception) for answer in answers) == 1
    assert {type(answer) for answer in answers if isinstance(answer, Exception)} == {NotFound}
    assert len(await room.workspaces.members(workspace.id)) == 2


async def test_an_invitation_for_one_address_is_accepted_by_no_other(room, acme) -> None:
    owner, workspace = acme
    _, text = await room.invitations.create(workspace.id, Role.ADMIN, by(owner), email="X@acme.example")
    other = await room.account("y@acme.example")
    with pytest.raises(Forbidden, match="another e-mail"):
        await room.invitations.accept(text, other.id, by(other))
    with pytest.raises(Forbidden, match="another e-mail"):
        await room.invitations.accept_as_new(text, "z@acme.example", PASSWORD, "192.0.2.1")
    assert await room.accounts.by_email("z@acme.example") is None
    assert (await room.acts(workspace.id))[-2:] == ["invitation.refused"] * 2
    account, _ = await room.invitations.accept_as_new(text, "x@acme.example", PASSWORD, "192.0.2.1")
    assert await room.workspaces.role_of(workspace.id, account.id) is Role.ADMIN


async def test_the_role_is_bounded_by_the_inviter_when_made_and_when_used(room, acme) -> None:
    owner, workspace = acme
    admin, developer = await member(room, workspace, Role.ADMIN), await member(room, workspace, Role.DEVELOPER)
    for giver, role in ((admin, Role.OWNER), (developer, Role.AUDITOR), (developer, Role.DEVELOPER)):
        with pytest.raises(Forbidden):
            await room.invitations.create(workspace.id, role, by(giver))
    _, text = await room.invitations.create(workspace.id, Role.ADMIN, by(admin))
    await room.workspaces.change_role(workspace.id, admin.id, Role.DEVELOPER, by(owner))
    guest = await room.account("guest@acme.example")
    with pytest.raises(Forbidden, match="Who invited you"):
        await room.invitations.accept(text, guest.id, by(guest))
    assert await room.workspaces.role_of(workspace.id, guest.id) is None
    assert (await room.records(workspace.id))[-1]["data"] == {"reason": "inviter_lost_role"}


async def test_an_invitation_ends_after_seven_days_and_when_it_is_revoked(room, acme) -> None:
    owner, workspace = acme
    made, first = await room.invitations.create(workspace.id, Role.OWNER, by(owner))
    _, second = await room.invitations.create(workspace.id, Role.DEVELOPER, by(owner))
    await room.invitations.revoke(workspace.id, made.id, by(owner))
    for foreign in (made.id, new_id()):
        with pytest.raises(NotFound):
            await room.invitations.revoke(workspace.id, foreign, by(owner))
    room.clock.advance(INVITATION_DAYS * 86_400 - 1)
    assert [one.role for one in await room.invitations.list(workspace.id)] == [Role.DEVELOPER]
    await room.invitations.check(second)
    room.clock.advance(1)
    for text in (first, second, write_token("inv", new_id()), "fg_inv_x", "", "\ud800"):
        with pytest.raises(NotFound):
            await room.invitations.check(text)


async def test_an_admin_revokes_no_invitation_of_an_owner(room, acme) -> None:
    owner, workspace = acme
    admin = await member(room, workspace, Role.ADMIN)
    made, _ = await room.invitations.create(workspace.id, Role.OWNER, by(owner))
    with pytest.raises(Forbidden):
        await room.invitations.revoke(workspace.id, made.id, by(admin))
    other = await room.workspaces.create("other", "Other", admin.id, room.operator)
    with pytest.raises(NotFound):
        await room.invitations.revoke(other.id, made.id, by(admin))


async def test_who_is_a_member_already_leaves_the_invitation_as_it_is(room, acme) -> None:
    owner, workspace = acme
    _, text = await room.invitations.create(workspace.id, Role.DEVELOPER, by(owner))
    with pytest.raises(Conflict, match="member already"):
        await room.invitations.accept(text, owner.id, by(owner))
    await room.invitations.check(text)
    assert await room.workspaces.role_of(workspace.id, owner.id) is Role.OWNER


async def test_an_address_with_an_account_is_told_to_sign_in_and_asking_on_is_slowed(room, acme) -> None:
    owner, workspace = acme
    _, text = await room.invitations.create(workspace.id, Role.DEVELOPER, by(owner))
    with pytest.raises(Conflict, match="Sign in with it"):
        await room.invitations.accept_as_new(text, owner.email, PASSWORD, "192.0.2.1")
    with pytest.raises(TooManyRequests):
        for _ in range(10):
            with pytest.raises(Conflict):
                await room.invitations.accept_as_new(text, owner.email, PASSWORD, "192.0.2.1")


async def test_a_bad_password_or_address_leaves_the_link_good(room, acme) -> None:
    owner, workspace = acme
    _, text = await room.invitations.create(workspace.id, Role.DEVELOPER, by(owner))
    for email, password in (("new@acme.example", "short"), ("no address", PASSWORD)):
        with pytest.raises(BadInput):
            await room.invitations.accept_as_new(text, email, password, "192.0.2.1")
    await room.invitations.check(text)
    with pytest.raises(BadInput):
        await room.invitations.create(workspace.id, Role.AGENT, by(owner))


async def test_where_a_provider_signs_people_in_the_link_makes_no_account(room, acme, monkeypatch) -> None:
    owner, workspace = acme
    _, text = await room.invitations.create(workspace.id, Role.DEVELOPER, by(owner))

    async def is_sso_only(workspace_id: str) -> bool:
        return workspace_id == workspace.id

    monkeypatch.setattr(room.invitations, "_is_sso_only", is_sso_only)
    assert not await room.invitations.takes_password(workspace.id)
    with pytest.raises(Forbidden, match="identity provider"):
        await room.invitations.accept_as_new(text, "new@acme.example", PASSWORD, "192.0.2.1")
    guest = await room.account("guest@acme.example")
    await room.invitations.accept(text, guest.id, by(guest))
