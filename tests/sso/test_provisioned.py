"""A provider's directory and its sign-in are one word. # B1 E24"""

from dataclasses import replace
from typing import Any

from failgate.audit.record import Actor
from failgate.sso.assertion import Assertion
from failgate.sso.linking import Verdict
from tests.sso.scim.conftest import Room
from tests.sso.scim.conftest import room as room

SAID = Assertion(issuer="https://idp.example", subject="ann-1", email="ann@acme.example", is_email_verified=True)
OFF = {"op": "replace", "path": "active", "value": False}


async def judged(room: Room, assertion: Assertion = SAID, connection: Any = None) -> Verdict:
    async def verb(tx: Any) -> Verdict:
        return await room.linking.judge(tx, connection or room.connection, assertion)

    return await room.database.write(verb)


async def enters(room: Room, assertion: Assertion = SAID) -> str:
    async def verb(tx: Any) -> str:
        verdict = await room.linking.judge(tx, room.connection, assertion)
        account = await room.linking.admit(tx, room.connection, assertion, verdict, None)
        _, steps = await room.linking.plan(tx, room.connection, assertion, account)
        await room.linking.carry_out(tx, room.connection, account, steps)
        return account

    return await room.database.write(verb)


async def test_who_was_provisioned_signs_in_to_that_account_and_keeps_the_role_of_the_directory(room: Room):
    ann = await room.user("ann")
    await room.group("Reviewers", ann["id"])
    account = (await room.row(ann["id"]))["account_id"]
    assert (await judged(room)).kind == "provisioned"
    assert await enters(room) == account
    assert await room.role(account) == "reviewer"  # the assertion named no group
    assert (await judged(room)).kind == "known"


async def test_an_address_that_is_given_to_somebody_else_opens_nothing(room: Room):
    await room.user("ann")
    await enters(room)
    verdict = await judged(room, replace(SAID, subject="another-ann"))
    assert (verdict.kind, verdict.reason) == ("refused", "account_exists")


async def test_a_sign_in_that_was_unlinked_comes_back_by_its_owner_alone(room: Room):
    ann = await room.user("ann")
    account = (await room.row(ann["id"]))["account_id"]
    await enters(room)
    other = await room.connect("other", room.acme, domain="acme.example")
    await room.database.write(lambda tx: room.linking.link(tx, other, SAID, account))
    (own, _) = await room.linking.identities(account)
    await room.linking.unlink(account, own.id, Actor(t="user", id=account))
    for subject in ("ann-1", "another-ann"):
        assert (await judged(room, replace(SAID, subject=subject))).reason == "account_exists"
    await room.database.write(lambda tx: room.linking.link(tx, room.connection, SAID, account))
    verdict = await judged(room)
    assert (verdict.kind, verdict.account_id, verdict.is_origin) == ("known", account, False)


async def test_neither_another_connection_nor_an_unverified_word_enters(room: Room):
    await room.user("ann")
    other = await room.connect("other", room.acme, domain="acme.example")
    assert (await judged(room, connection=other)).reason == "account_exists"
    assert (await judged(room, replace(SAID, is_email_verified=False))).reason == "email_not_verified"


async def test_an_account_that_was_only_allowed_is_entered_by_its_owner_alone(room: Room):
    """Provisioning governs the membership; it does not open what somebody else made."""
    from failgate.access.role import Role
    from tests.sso.scim.conftest import OPERATOR

    account = await room.account("ann@acme.example")
    await room.workspaces.add_member(room.acme, account, Role.DEVELOPER, OPERATOR)
    await room.directory.allow(room.connection, "ann@acme.example", OPERATOR)
    await room.user("ann")
    assert (await judged(room)).reason == "account_exists"


async def test_who_was_deactivated_does_not_come_back_by_signing_in(room: Room):
    ann = await room.user("ann")
    await enters(room)
    await room.patch("User", ann["id"], OFF)
    assert (await judged(room)).reason == "deprovisioned"
    await room.directory.delete(room.connection, "User", ann["id"], None)
    assert (await judged(room)).reason == "deprovisioned"
    await room.user("ann")
    assert (await judged(room)).kind == "known"


async def test_who_was_deactivated_before_the_first_sign_in_does_not_come_in(room: Room):
    ann = await room.user("ann")
    await room.patch("User", ann["id"], OFF)
    assert (await judged(room)).reason == "account_exists"
