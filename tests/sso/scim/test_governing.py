"""What provisioning means for accounts, roles and what is open. # B1 B4"""

from typing import Any

import pytest

from failgate.base.errors import NotFound
from failgate.sso.scim.errors import ScimError
from tests.sso.scim.conftest import BASE, OPERATOR, PATCH, Room

OFF = {"op": "replace", "path": "active", "value": False}
ON = {"op": "replace", "path": "active", "value": True}


async def account_of(room: Room, document: dict[str, Any]) -> str | None:
    return (await room.row(document["id"]))["account_id"]


async def test_a_person_of_a_verified_domain_gets_an_account_and_the_role_of_their_groups(room: Room):
    ann = await room.user("ann")
    account = await account_of(room, ann)
    assert account is not None
    assert (await room.accounts.by_email("ann@acme.example")).id == account
    assert await room.role(account) is None
    await room.group("Reviewers", ann["id"])
    assert await room.role(account) == "reviewer"


@pytest.mark.parametrize(
    ("body", "gap"),
    [
        ({"emails": [{"value": "ann@other.example"}]}, "domain_not_covered"),
        ({"emails": [{"value": "ann@sub.acme.example"}]}, "domain_not_covered"),
        ({"emails": [{"value": "ann@acme.example.evil.example"}]}, "domain_not_covered"),
        ({"emails": [{"value": "no address"}]}, "no_email"),
        ({"emails": [], "userName": "ann"}, "no_email"),
        ({"active": False}, "inactive"),
    ],
)
async def test_nobody_else_gets_one_and_the_reason_is_kept(room: Room, body: dict[str, Any], gap: str):
    row = await room.row((await room.user("ann", **body))["id"])
    assert (row["account_id"], row["gap"]) == (None, gap)
    assert len(await room.database.fetch("SELECT id FROM account")) == 1


async def test_the_primary_address_decides_then_the_one_for_work(room: Room):
    emails = [{"value": "x@other.example"}, {"value": "w@acme.example", "type": "work"}]
    assert await account_of(room, await room.user("ann", emails=emails)) is not None
    emails = [{"value": "y@other.example", "primary": True}, {"value": "v@acme.example", "type": "work"}]
    assert await account_of(room, await room.user("bob", emails=emails)) is None


async def test_an_account_that_is_there_is_never_taken(room: Room):
    """Who asserts an address does not get what its owner has."""
    account = await room.account("ann@acme.example")
    with pytest.raises(ScimError) as refused:
        await room.user("ann")
    assert (refused.value.http_status, refused.value.scim_type) == (409, "uniqueness")
    assert "owner" in (refused.value.hint or "")
    assert await room.database.fetch("SELECT id FROM scim_resource") == []
    inactive = await room.user("ann", active=False)
    with pytest.raises(ScimError):
        await room.patch("User", inactive["id"], ON)
    assert (await room.row(inactive["id"]))["is_active"] == 0
    assert await room.accounts.is_enabled_within(room.database, account)


async def test_an_account_that_an_owner_allows_is_linked(room: Room):
    account = await room.account("ann@acme.example")
    await room.workspaces.add_member(room.acme, account, _role("developer"), OPERATOR)
    await room.directory.allow(room.connection, "ANN@acme.example", OPERATOR)
    ann = await room.user("ann")
    assert await account_of(room, ann) == account
    assert await room.role(account) == "developer"  # given by hand: no group maps, so it stays
    await room.group("Reviewers", ann["id"])
    assert await room.role(account) == "reviewer"


@pytest.mark.parametrize("email", ["stranger@acme.example", "nobody@acme.example", "x"])
async def test_only_a_member_is_allowed_by_a_workspace(room: Room, email: str):
    """An owner says nothing about people who are not theirs: absent and foreign are one answer."""
    await room.account("stranger@acme.example")
    with pytest.raises(NotFound):
        await room.directory.allow(room.connection, email, OPERATOR)


async def test_roles_follow_groups(room: Room):
    ann = await room.user("ann")
    account = await account_of(room, ann)
    reviewers, admins = await room.group("Reviewers", ann["id"]), await room.group("Admins", ann["id"])
    assert await room.role(account) == "admin"
    await room.patch("Group", admins["id"], {"op": "remove", "path": f'members[value eq "{ann["id"]}"]'})
    assert await room.role(account) == "reviewer"
    await room.patch("Group", reviewers["id"], {"op": "replace", "path": "displayName", "value": "Others"})
    assert await room.role(account) is None
    await room.patch("Group", reviewers["id"], {"op": "replace", "path": "displayName", "value": "Reviewers"})
    assert await room.role(account) == "reviewer"
    await room.directory.delete(room.connection, "Group", reviewers["id"], None)
    assert await room.role(account) is None


async def test_a_group_is_known_by_its_external_id_too(room: Room):
    ann = await room.user("ann")
    await room.group("Anything", ann["id"], externalId="0000-owners")
    assert await room.role(await account_of(room, ann)) == "owner"


async def test_deactivation_through_a_workspace_ends_the_membership_and_what_is_open(room: Room):
    ann = await room.user("ann")
    account = await account_of(room, ann)
    await room.group("Reviewers", ann["id"])
    session, _ = await room.sessions.open(account, "127.0.0.1", "t", ("saml",))
    key = await room.tokens.mint("usr", account, room.acme, "k", actor=OPERATOR)
    await room.patch("User", ann["id"], OFF)
    assert await room.sessions.resolve(session) is None
    assert await room.tokens.resolve(key) is None
    assert await room.role(account) is None
    assert (await room.accounts.by_id(account)).is_enabled  # it may have a life elsewhere


@pytest.mark.parametrize("whose", ["workspace", "installation"])
async def test_deactivation_forgets_the_devices_that_the_person_trusted(room: Room, whose: str):
    """The next sign-in asks for the code again, wherever it is to; the log says why."""
    connection, domain = room.connection, "acme.example"
    if whose == "installation":
        connection, domain = await room.connect("entra", None, domain="corp.example"), "corp.example"
    ann = await room.user("ann", at=domain, connection=connection)
    account = await account_of(room, ann)
    _, session = await room.sessions.open(account, "127.0.0.1", "t", ("pwd", "otp"), awaits_second_factor=False)
    proven = await room.sessions.prove_second_factor(session, "otp")
    device = await room.devices.trust(await room.sessions.resolve(proven), "Firefox")
    assert await room.devices.is_of(account, device)
    await room.patch("User", ann["id"], OFF, connection=connection)
    assert not await room.devices.is_of(account, device)
    assert await room.devices.list(account) == []
    await room.patch("User", ann["id"], ON, connection=connection)
    assert not await room.devices.is_of(account, device)
    revoked = [record for record in await room.records("system") if record["act"] == "device.revoked"]
    reason = "deprovisioned" if whose == "workspace" else "account_disabled"
    assert [record["data"] for record in revoked] == [{"reason": reason}]


async def test_reactivation_restores_nothing_by_itself(room: Room):
    ann = await room.user("ann")
    account = await account_of(room, ann)
    await room.group("Reviewers", ann["id"])
    session, _ = await room.sessions.open(account, "127.0.0.1", "t", ("saml",))
    key = await room.tokens.mint("usr", account, room.acme, "k", actor=OPERATOR)
    await room.patch("User", ann["id"], OFF)
    await room.patch("User", ann["id"], ON)
    assert await room.role(account) == "reviewer"  # the groups say so now
    assert await room.sessions.resolve(session) is None
    assert await room.tokens.resolve(key) is None


async def test_through_the_installation_the_account_is_disabled_and_let_in_again(room: Room):
    corp = await room.connect("entra", None, domain="corp.example", roles=(("Reviewers", "acme:reviewer"),))
    ann = await room.user("ann", at="corp.example", connection=corp)
    account = await account_of(room, ann)
    await room.group("Reviewers", ann["id"], connection=corp)
    assert await room.role(account) == "reviewer"
    await room.patch("User", ann["id"], OFF, connection=corp)
    assert not (await room.accounts.by_id(account)).is_enabled
    await room.patch("User", ann["id"], ON, connection=corp)
    assert (await room.accounts.by_id(account)).is_enabled
    await room.directory.delete(corp, "User", ann["id"], None)
    assert not (await room.accounts.by_id(account)).is_enabled
    again = await room.user("ann", at="corp.example", connection=corp)
    assert await account_of(room, again) == account
    assert (await room.accounts.by_id(account)).is_enabled


async def test_nobody_lifts_a_bar_that_an_operator_put_up(room: Room):
    corp = await room.connect("entra", None, domain="corp.example")
    ann = await room.user("ann", at="corp.example", connection=corp)
    account = await account_of(room, ann)
    await room.accounts.disable(account, OPERATOR)
    await room.patch("User", ann["id"], OFF, connection=corp)
    await room.patch("User", ann["id"], ON, connection=corp)
    assert not (await room.accounts.by_id(account)).is_enabled
    assert (await room.row(ann["id"]))["gap"] == "barred"


async def test_the_last_owner_stays_owner_and_everything_open_of_theirs_ends(room: Room):
    await room.directory.allow(room.connection, "owner@acme.example", OPERATOR)
    owner = await room.user("owner")
    await room.group("Anything", owner["id"], externalId="0000-owners")
    session, _ = await room.sessions.open(room.owner, "127.0.0.1", "t", ("pwd",))
    key = await room.tokens.mint("usr", room.owner, room.acme, "k", actor=OPERATOR)
    await room.patch("User", owner["id"], OFF)
    assert await room.role(room.owner) == "owner"
    assert await room.sessions.resolve(session) is None
    assert await room.tokens.resolve(key) is None


async def test_who_may_enter_without_single_sign_on_is_not_locked_out(room: Room):
    corp = await room.connect("entra", None, domain="acme.example")

    async def verb(tx: Any) -> None:
        await tx.execute(
            "INSERT INTO sso_enforcement (id, break_glass_account_id, since_us) VALUES ($1, $2, 1)",
            room.acme,
            room.owner,
        )

    await room.database.write(verb)
    await room.directory.allow(corp, "owner@acme.example", OPERATOR)
    owner = await room.user("owner", connection=corp)
    session, _ = await room.sessions.open(room.owner, "127.0.0.1", "t", ("pwd",))
    await room.patch("User", owner["id"], OFF, connection=corp)
    assert (await room.accounts.by_id(room.owner)).is_enabled
    assert await room.sessions.resolve(session) is None


async def test_a_connection_sees_and_moves_nobody_elses(room: Room):
    other = await room.connect("other", room.acme, domain="acme.example")
    ann = await room.user("ann")
    group = await room.group("Reviewers", ann["id"])
    for kind, document in (("User", ann), ("Group", group)):
        with pytest.raises(NotFound):
            await room.directory.read(other, kind, document["id"], BASE)
        with pytest.raises(NotFound):
            await room.directory.delete(other, kind, document["id"], None)
        with pytest.raises(NotFound):
            await room.directory.patch(
                other, kind, document["id"], {"schemas": [PATCH], "Operations": [OFF]}, BASE, None
            )
    with pytest.raises(ScimError):
        await room.group("Mine", ann["id"], connection=other)
    with pytest.raises(ScimError):
        await room.user("ann", connection=other)


async def test_the_log_tells_who_was_provisioned_and_holds_no_name(room: Room):
    ann = await room.user("ann")
    await room.group("Reviewers", ann["id"])
    await room.patch("User", ann["id"], OFF)
    records = await room.records(room.acme)
    acts = [record["act"] for record in records]
    assert acts[-4:] == ["scim_user.changed", "scim_user.changed", "scim_user.changed", "scim_user.changed"] or {
        "scim_user.created", "scim_group.created", "scim_user.changed", "member.added", "member.removed",
    } <= set(acts)  # fmt: skip
    mine = [record for record in records if record["act"].startswith("scim_")]
    assert {record["actor"]["id"] for record in mine} == {room.connection.id}
    assert "ann@" not in str(records)


async def test_a_closed_session_says_why(room: Room):
    ann = await room.user("ann")
    account = await account_of(room, ann)
    await room.sessions.open(account, "127.0.0.1", "t", ("saml",))
    await room.patch("User", ann["id"], OFF)
    closed = [record for record in await room.records("system") if record["act"] == "session.closed"]
    assert closed[-1]["data"]["reason"] == "deprovisioned"
    assert closed[-1]["actor"] == {"auth": ["saml"], "id": room.connection.id, "sid_h": None, "t": "sso_connection"}


def _role(name: str):
    from failgate.access.role import Role

    return Role(name)
