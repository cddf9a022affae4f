"""Sealed commands are told of as others are, and with nothing of their content: the server has none (B9 E13 E18)."""

import pytest

from failgate.access.principal import Principal
from failgate.audit.record import SERVER
from tests.notify.conftest import House
from tests.relay.conftest import Place
from tests.relay.parties import MARKER, Reviewer, Sealed


@pytest.fixture
def settings() -> str:
    return 'relay = "e2ee"'


class Room(Place):
    """The house's workspace, sealed: its reviewers are real members, its agent has a name."""

    async def begin(self, house: House, *names: str, need: int = 1) -> Sealed:
        people = [await house.person(name) for name in names]
        agent = await house.services.agents.create(house.workspace, "builder", house.owner.account_id or "", SERVER)
        self.bot = Principal(
            kind="agent", agent_id=agent.id, owner_account_id=house.owner.account_id, workspace_id=self.ws
        )
        made = Sealed(self.ws, [Reviewer(one.account_id or "", number) for number, one in enumerate(people)],
                      self.now, need)  # fmt: skip
        for one in made.people:
            await self.enrol_both(one)
        await self.enrol_agent(made)
        await self.accept(made.next(), [made.policy])
        return made


def sealed(house: House) -> Room:
    return Room(house.services.db, house.services.audit, house.clock, ws=house.workspace)


async def said(house: House, target: str) -> list[tuple[str, str]]:
    page = await house.room.outbox.page(house.workspace, target, 100)
    return [(entry.event, entry.notification.title) for entry in reversed(page)]


async def test_a_sealed_command_is_told_of_when_it_waits_and_when_it_is_decided(house: House) -> None:
    place = sealed(house)
    made, hook = await place.begin(house, "ann", "bob", need=2), await house.hook(details=True)
    ann, bob = made.people
    body, ctx = made.asked("/bin/echo", MARKER)
    await place.submit(body)
    await place.decide(ann, ctx.cid, made.decided(ann, ctx))  # one of two: nothing is decided yet
    await place.decide(bob, ctx.cid, made.decided(bob, ctx))
    body, denied = made.asked()
    await place.submit(body)
    await place.decide(ann, denied.cid, made.decided(ann, denied, "deny"))
    await house.route()
    assert await said(house, hook) == [
        ("command.pending", "A sealed command of builder waits"),
        ("command.decided", "Approved: a sealed command of builder"),
        ("command.pending", "A sealed command of builder waits"),
        ("command.decided", "Denied: a sealed command of builder"),
    ]
    page = await house.room.outbox.page(house.workspace, hook, 9)
    first = page[-1].notification
    assert first.facts["command"] == {
        "id": ctx.cid, "digest": ctx.commit, "agent": "builder", "sealed": True,
        "expires_at": first.facts["command"]["expires_at"],
    }  # fmt: skip
    assert ("Open it with", f"failgate review show {ctx.cid}") in first.lines
    assert first.url == "http://127.0.0.1:8440/w/acme/queue"
    rows = await house.services.db.fetch("SELECT * FROM notification")
    assert len(rows) == 4
    for kept in (repr(page), repr([dict(row) for row in rows])):
        assert MARKER not in kept
        assert "vault-host" not in kept  # the host stands in the sealed part too


async def test_what_expires_and_what_is_withdrawn_is_told(house: House) -> None:
    place = sealed(house)
    made, hook = await place.begin(house, "ann"), await house.hook("command.decided")
    (late, _), (gone, ctx) = made.asked(), made.asked()
    await place.submit(late)
    await place.submit(gone)
    await place.withdraw(ctx.cid)
    house.clock.advance(301)
    assert await house.services.relay_room.commands.expire_due() == 1
    await house.route()
    assert [title for _, title in await said(house, hook)] == [
        "Cancelled: a sealed command of builder", "Expired: a sealed command of builder",
    ]  # fmt: skip


async def test_reviewers_hear_of_what_waits_and_who_answers_for_the_agent_how_it_ended(house: House) -> None:
    place = sealed(house)
    made = await place.begin(house, "ann", "bob")
    ann, bob = made.people
    for account in (ann.account, bob.account, house.owner.account_id or ""):
        await house.room.preferences.choose(SERVER, house.workspace, account, ["command.pending", "command.decided"])
    (body, ctx), (gone, withdrawn) = made.asked(), made.asked()
    await place.submit(body)
    await place.decide(ann, ctx.cid, made.decided(ann, ctx))
    await place.submit(gone)
    await place.withdraw(withdrawn.cid)
    await house.route()
    for account in (ann.account, bob.account):
        assert [event for event, _ in await said(house, account)] == ["command.pending"] * 2
    own = await said(house, house.owner.account_id or "")
    assert own == [("command.decided", "Approved: a sealed command of builder")]
