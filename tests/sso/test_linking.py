"""Whose account an assertion is for, and which roles come with it. E23 E24 B4"""

import pytest

from failgate.access.role import Role
from failgate.base.errors import Conflict, NotFound
from failgate.sso.assertion import Assertion
from failgate.sso.connection import Connection
from failgate.sso.linking import Verdict
from tests.sso.conftest import OPERATOR, Place, asserted

DEV, ADMIN = ("dev", "developer"), ("ops", "admin")


async def judge(place: Place, connection: Connection, assertion: Assertion) -> Verdict:
    return await place.database.write(lambda tx: place.room.linking.judge(tx, connection, assertion))


async def admit(place: Place, connection: Connection, assertion: Assertion) -> str:
    """Sign the person in, as far as linking goes; return the account's id."""
    linking = place.room.linking

    async def verb(tx):
        verdict = await linking.judge(tx, connection, assertion)
        assert verdict.kind != "refused", verdict.reason
        _, steps = await linking.plan(tx, connection, assertion, verdict.account_id)
        account_id = await linking.admit(tx, connection, assertion, verdict, None)
        await linking.carry_out(tx, connection, account_id, steps)
        return account_id

    return await place.database.write(verb)


async def role(place: Place, account_id: str) -> Role | None:
    return await place.workspaces.role_of(place.acme.id, account_id)


async def test_a_new_person_gets_an_account_without_a_password(place: Place) -> None:
    one = await place.connection()
    account_id = await admit(place, one, asserted("ann"))
    account = await place.accounts.by_id(account_id)
    assert account is not None
    assert (account.email, account.password_changed_us) == ("ann@corp.example", None)
    assert await admit(place, one, asserted("ann", email="renamed@corp.example")) == account_id
    assert "identity.linked" in await place.acts()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"email": None}, "no_email"),
        ({"email": "no address"}, "no_email"),
        ({"email": "a@b@corp.example"}, "no_email"),
        ({"email": "ann@corp.example.evil"}, "domain_not_covered"),
        ({"email": "ann@evil-corp.example"}, "domain_not_covered"),
        ({"email": "ann@sub.corp.example"}, "domain_not_covered"),
        ({"is_email_verified": False}, "email_not_verified"),
    ],
)
async def test_who_is_not_let_in(place: Place, changes: dict, reason: str) -> None:
    assert (await judge(place, await place.connection(), asserted("ann", **changes))).reason == reason


async def test_an_unverified_domain_lets_nobody_in(place: Place) -> None:
    one = await place.connection()
    await place.room.domains.claim(place.acme.id, one.id, "other.example", OPERATOR)
    found = await place.room.connections.by_slug(one.slug)
    assert found is not None
    assert (await judge(place, found, asserted("ann", email="ann@other.example"))).reason == "domain_not_covered"


async def test_an_address_never_finds_an_account(place: Place) -> None:
    await place.account("ann@corp.example")
    one = await place.connection()
    for spelling in ("ann@corp.example", "ANN@Corp.Example", " ann@corp.example "):
        assert (await judge(place, one, asserted("ann", email=spelling))).reason == "account_exists"


async def test_another_connection_with_the_same_issuer_and_subject_is_another_person(place: Place) -> None:
    """The owner of a workspace writes down whatever issuer and key they like."""
    one, rival = await place.declared(), await place.connection("rival")
    await admit(place, one, asserted("ann"))
    assert (await judge(place, rival, asserted("ann"))).reason == "account_exists"
    assert (await judge(place, rival, asserted("ann", email=None))).reason == "no_email"
    assert (await judge(place, one, Assertion(issuer="https://other.example", subject="ann"))).reason == "no_email"


async def test_a_disabled_account_is_refused(place: Place) -> None:
    one = await place.connection()
    account_id = await admit(place, one, asserted("ann"))
    await place.accounts.disable(account_id, OPERATOR)
    assert (await judge(place, one, asserted("ann"))).reason == "account_disabled"


async def test_a_person_is_linked_once(place: Place) -> None:
    one, bob, eve = await place.connection(), await place.account("bob@x.example"), await place.account("eve@x.example")
    linking = place.room.linking
    await place.database.write(lambda tx: linking.link(tx, one, asserted("ann"), bob.id))
    for account in (bob, eve):
        with pytest.raises(Conflict):
            await place.database.write(lambda tx, account=account: linking.link(tx, one, asserted("ann"), account.id))
    assert (await judge(place, one, asserted("ann"))).account_id == bob.id
    (identity,) = await linking.identities(bob.id)
    with pytest.raises(NotFound):
        await linking.unlink(eve.id, identity.id, OPERATOR)
    await linking.unlink(bob.id, identity.id, OPERATOR)
    assert await linking.identities(bob.id) == []


async def test_the_only_way_into_an_account_is_not_unlinked(place: Place) -> None:
    account_id = await admit(place, await place.connection(), asserted("ann"))
    (identity,) = await place.room.linking.identities(account_id)
    with pytest.raises(Conflict):
        await place.room.linking.unlink(account_id, identity.id, OPERATOR)


async def test_roles_follow_the_groups(place: Place) -> None:
    one = await place.connection(roles=(DEV, ADMIN))
    held = []
    for groups in (("dev",), ("dev", "ops"), ("other",), ("ops",), ()):
        account_id = await admit(place, one, asserted("ann", groups=groups))
        held.append(await role(place, account_id))
    assert held == [Role.DEVELOPER, Role.ADMIN, None, Role.ADMIN, None]
    acts = [act for act in await place.acts(place.acme.id) if act.startswith("member.")]
    assert acts[-4:] == ["member.changed", "member.removed", "member.added", "member.removed"]


async def test_a_role_given_by_hand_stays_until_a_group_maps(place: Place) -> None:
    one = await place.connection(roles=(DEV, ADMIN), default_role="developer")
    bob = await place.account("bob@x.example", Role.REVIEWER)
    await place.database.write(lambda tx: place.room.linking.link(tx, one, asserted("bob"), bob.id))
    held = []
    for groups in ((), ("other",), ("ops",), ()):
        await admit(place, one, asserted("bob", groups=groups))
        held.append(await role(place, bob.id))
    assert held == [Role.REVIEWER, Role.REVIEWER, Role.ADMIN, Role.DEVELOPER]


async def test_the_last_owner_is_never_demoted(place: Place) -> None:
    one = await place.connection(roles=(DEV,))
    await place.database.write(lambda tx: place.room.linking.link(tx, one, asserted("own"), place.owner.id))
    await admit(place, one, asserted("own", groups=("dev",)))
    assert await role(place, place.owner.id) is Role.OWNER
    await place.account("second@x.example", Role.OWNER)
    await admit(place, one, asserted("own", groups=("dev",)))
    assert await role(place, place.owner.id) is Role.DEVELOPER


async def test_a_workspaces_connection_gives_roles_there_alone(place: Place) -> None:
    """Even if a rule that names another workspace stood in the row."""
    one = await place.connection(roles=(DEV,))
    await place.workspaces.create("other", "Other", place.owner.id, OPERATOR)
    await place.database.write(
        lambda tx: tx.execute("UPDATE sso_connection SET roles = $1 WHERE id = $2", '[["dev", "other:owner"]]', one.id)
    )
    place.room.connections._by_slug.forget(one.slug)
    changed = await place.room.connections.by_slug(one.slug)
    assert changed is not None
    account_id = await admit(place, changed, asserted("ann", groups=("dev",)))
    assert list(await place.workspaces.memberships(account_id)) == []


async def test_the_installations_connection_gives_roles_in_named_workspaces(place: Place) -> None:
    other = await place.workspaces.create("other", "Other", place.owner.id, OPERATOR)
    one = await place.declared(roles=(("dev", "acme:developer"), ("*", "other:auditor"), ("dev", "nowhere:owner")))
    account_id = await admit(place, one, asserted("ann", groups=("dev",)))
    assert await role(place, account_id) is Role.DEVELOPER
    assert await place.workspaces.role_of(other.id, account_id) is Role.AUDITOR
