"""A workspace that is entered through its provider alone. B4"""

import pytest

from failgate.access.principal import Principal
from failgate.access.role import Role
from failgate.base.errors import BadInput, Conflict
from failgate.sso.scim.governing import Governing
from tests.sso.conftest import OPERATOR, Place


async def with_factor(place: Place, account_id: str) -> None:
    await place.database.write(
        lambda tx: tx.execute(
            "INSERT INTO totp_secret (id, account_id, sealed, created_us, confirmed_us) VALUES ($1, $1, $2, 1, 1)",
            account_id, b"x",
        )
    )  # fmt: skip


async def proven(place: Place):
    one = await place.connection()
    await place.database.write(
        lambda tx: place.room.connections.note_test(tx, one, "passed", OPERATOR, has_passed=True)
    )
    return one


def user(account_id: str, **changes) -> Principal:
    return Principal("user", account_id=account_id, session_id="s", **{"auth": ("pwd",), **changes})


async def test_who_may_enter(place: Place) -> None:
    one = await proven(place)
    other = await place.workspaces.create("other", "Other", place.owner.id, OPERATOR)
    foreign = await place.room.connections.create(other.id, "foreign", _draft(), OPERATOR)
    declared = await place.declared()
    await with_factor(place, place.owner.id)
    enforcements = place.room.enforcements
    bob = (await place.account("bob@x.example", Role.OWNER)).id
    assert await enforcements.entry(user(bob), place.acme.id, Role.OWNER) == "free"
    await enforcements.enforce(place.acme.id, place.owner.id, OPERATOR)

    async def entry(who: Principal, role: Role = Role.OWNER) -> str:
        return await enforcements.entry(who, place.acme.id, role)

    factor = {"auth": ("pwd", "otp"), "second_factor_us": 1}
    assert await entry(user(bob, **factor)) == "refused"
    assert await entry(user(bob, auth=("oidc",), connection_id=one.id)) == "through_provider"
    assert await entry(user(bob, auth=("oidc",), connection_id=declared.id)) == "through_provider"
    assert await entry(user(bob, auth=("oidc",), connection_id=foreign.id)) == "refused"
    assert await entry(user(bob, auth=("oidc",), connection_id="gone")) == "refused"
    assert await entry(user(bob, auth=("device",))) == "refused"
    assert await entry(user(place.owner.id)) == "refused"
    assert await entry(user(place.owner.id, auth=("link",), second_factor_us=1)) == "refused"
    assert await entry(user(place.owner.id, **factor)) == "break_glass"
    assert await entry(user(place.owner.id, **factor), Role.ADMIN) == "refused"
    assert await entry(Principal("api_key", account_id=bob, workspace_id=place.acme.id)) == "free"
    assert await entry(Principal("agent", agent_id="a", workspace_id=place.acme.id)) == "free"
    await place.room.connections.disable(place.acme.id, one.id, OPERATOR)
    assert await entry(user(bob, auth=("oidc",), connection_id=one.id)) == "refused"
    await enforcements.release(place.acme.id, OPERATOR)
    assert await entry(user(bob)) == "free"


def _draft():
    from failgate.sso.draft import Draft
    from tests.sso.conftest import OIDC

    return Draft(title="Foreign", settings=OIDC)


async def test_a_break_glass_entry_is_recorded_once_a_session(place: Place) -> None:
    for session in ("one", "one", "two"):
        who = Principal("user", account_id=place.owner.id, session_id=session)
        await place.room.enforcements.note_break_glass(who, place.acme.id)
    assert (await place.acts(place.acme.id)).count("break_glass.used") == 2


async def test_nobody_is_locked_out_by_demanding_it(place: Place) -> None:
    enforcements, owner = place.room.enforcements, place.owner.id
    with pytest.raises(Conflict):  # no connection
        await enforcements.enforce(place.acme.id, owner, OPERATOR)
    await place.connection("untested")
    with pytest.raises(Conflict):
        await enforcements.enforce(place.acme.id, owner, OPERATOR)
    await proven(place)
    with pytest.raises(BadInput, match="second factor"):
        await enforcements.enforce(place.acme.id, owner, OPERATOR)
    await with_factor(place, owner)
    reviewer = await place.account("rev@x.example", Role.REVIEWER)
    with pytest.raises(BadInput, match="no enabled owner"):
        await enforcements.enforce(place.acme.id, reviewer.id, OPERATOR)
    await enforcements.enforce(place.acme.id, owner, OPERATOR)


async def test_a_passkey_is_a_second_factor_of_the_break_glass_owner(place: Place) -> None:
    await proven(place)
    await place.database.write(
        lambda tx: tx.execute(
            "INSERT INTO passkey (id, account_id, credential_id, public_key, sign_count, transports, aaguid, name,"
            " created_us) VALUES ($1, $1, 'c', $2, 0, '', '', 'key', 1)",
            place.owner.id, b"x",
        )
    )  # fmt: skip
    await place.room.enforcements.enforce(place.acme.id, place.owner.id, OPERATOR)
    who = user(place.owner.id, auth=("pwd", "hwk"), second_factor_us=1)
    assert await place.room.enforcements.entry(who, place.acme.id, Role.OWNER) == "break_glass"


async def test_the_break_glass_owner_stays(place: Place) -> None:
    await proven(place)
    await with_factor(place, place.owner.id)
    await place.room.enforcements.enforce(place.acme.id, place.owner.id, OPERATOR)
    await place.account("second@x.example", Role.OWNER)
    with pytest.raises(Conflict, match="without single sign-on"):
        await place.workspaces.remove_member(place.acme.id, place.owner.id, OPERATOR)
    with pytest.raises(Conflict, match="without single sign-on"):
        await place.workspaces.change_role(place.acme.id, place.owner.id, Role.ADMIN, OPERATOR)
    await place.room.enforcements.release(place.acme.id, OPERATOR)
    await place.workspaces.change_role(place.acme.id, place.owner.id, Role.ADMIN, OPERATOR)


async def test_what_the_break_glass_owner_has_open_ends_all_the_same(place: Place) -> None:
    """A provider that deactivates them is not refused: the membership stays, what is open does not."""
    one = await proven(place)
    await with_factor(place, place.owner.id)
    await place.room.enforcements.enforce(place.acme.id, place.owner.id, OPERATOR)
    await place.account("second@x.example", Role.OWNER)
    token, _ = await place.sessions.open(place.owner.id, "127.0.0.1", "t", ("pwd",))
    governing = Governing(
        place.clock, accounts=place.accounts, sessions=place.sessions, devices=place.devices,
        workspaces=place.workspaces, linking=place.room.linking,
    )  # fmt: skip
    await place.database.write(lambda tx: governing.end(tx, one, place.owner.id))
    assert await place.sessions.resolve(token) is None
    assert await place.workspaces.role_of(place.acme.id, place.owner.id) is Role.OWNER
