"""Which client certificate is which agent (E9)."""

import pytest

from failgate.access.role import Role
from failgate.audit.record import Actor
from failgate.base.errors import BadInput, Conflict, NotFound
from failgate.workspaces.agents import Agents
from failgate.workspaces.certificates import AgentCertificates, check_san
from failgate.workspaces.workspaces import Workspaces

NAME = "spiffe://acme.example/builder"


class World:
    def __init__(self, rooms) -> None:
        self.rooms = rooms
        self.certificates = AgentCertificates(rooms.database, rooms.audit, rooms.clock)
        ends = self.certificates
        self.agents = Agents(
            rooms.database, rooms.audit, rooms.clock,
            disablings=[ends.end_of_agent], owner_changes=[ends.end_at_owner_change],
        )  # fmt: skip
        self.workspaces = Workspaces(rooms.database, rooms.audit, rooms.clock, leavings=[ends.end_in_workspace])
        self.ended: list[str] = []
        self.certificates.on_ended(self.ended.append)

    async def account(self, account_id: str) -> None:
        await self.rooms.database.write(
            lambda tx: tx.execute(
                "INSERT INTO account (id, email, password_hash, password_changed_us, is_platform_admin, created_us)"
                " VALUES ($1, $2, 'x', 0, 0, 0)",
                account_id,
                f"{account_id}@acme.example",
            )
        )

    async def open(self, slug: str, owner: str = "ann"):
        place = await self.workspaces.create(slug, slug, owner, self.rooms.operator)
        agent = await self.agents.create(place.id, "builder", owner, self.rooms.operator)
        return place, agent

    async def named(self) -> list[str]:
        return [each.agent_id for each in await self.certificates.resolve([f"uri:{NAME}"])]


@pytest.fixture
async def world(rooms) -> World:
    made = World(rooms)
    for account_id in ("ann", "bob"):
        await made.account(account_id)
    return made


async def test_a_name_says_which_account_registered_it(world) -> None:
    """E5: who holds its key could speak as the agent."""
    place, agent = await world.open("acme")
    await world.certificates.register(place.id, agent.id, NAME, Actor("user", "bob"))
    [found] = await world.certificates.resolve([f"uri:{NAME}"])
    assert found.principal.maker_account_id == "bob"


async def test_a_registered_name_is_the_agent_from_then_on_and_recorded_without_the_name(world) -> None:
    place, agent = await world.open("acme")
    assert await world.named() == []
    made = await world.certificates.register(place.id, agent.id, NAME, world.rooms.operator)
    [found] = await world.certificates.resolve([f"uri:{NAME}", "dns:other"])
    assert found == made
    assert (found.principal.kind, found.principal.auth) == ("agent", ("cert",))
    assert (found.principal.agent_id, found.principal.owner_account_id) == (agent.id, "ann")
    assert found.principal.workspace_id == place.id
    assert await world.certificates.list(place.id, agent.id) == [made]
    stored = (await world.rooms.audit.records(place.id, None, 100))[-1].record
    assert stored["act"] == "certificate.registered"
    assert "spiffe" not in str(stored)


async def test_nothing_is_asked_of_the_database_for_a_name_that_was_seen(world, monkeypatch) -> None:
    place, agent = await world.open("acme")
    await world.certificates.register(place.id, agent.id, NAME, world.rooms.operator)
    names = [f"uri:{NAME}", "dns:unknown.example"]
    await world.certificates.resolve(names)
    monkeypatch.setattr(world.rooms.database, "fetch", None)
    assert len(await world.certificates.resolve(names)) == 1


async def test_a_name_is_one_agent_in_a_workspace_and_says_nothing_of_others(world) -> None:
    place, agent = await world.open("acme")
    other, foreign = await world.open("other", "bob")
    await world.certificates.register(place.id, agent.id, NAME, world.rooms.operator)
    with pytest.raises(Conflict):
        await world.certificates.register(place.id, agent.id, f"uri:{NAME}", world.rooms.operator)
    await world.certificates.register(other.id, foreign.id, NAME, world.rooms.operator)
    assert await world.named() == [agent.id, foreign.id]
    with pytest.raises(NotFound):
        await world.certificates.register(place.id, foreign.id, "dns:x.example", world.rooms.operator)


async def test_a_revoked_name_is_forgotten_told_and_may_be_registered_again(world) -> None:
    place, agent = await world.open("acme")
    other, _ = await world.open("other", "bob")
    made = await world.certificates.register(place.id, agent.id, NAME, world.rooms.operator)
    assert await world.named() == [agent.id]
    with pytest.raises(NotFound):
        await world.certificates.revoke(other.id, made.id, world.rooms.operator)
    await world.certificates.revoke(place.id, made.id, world.rooms.operator)
    assert await world.named() == []
    assert world.ended == [made.id]
    assert (await world.rooms.acts(place.id))[-1] == "certificate.revoked"
    with pytest.raises(NotFound):
        await world.certificates.revoke(place.id, made.id, world.rooms.operator)
    await world.certificates.register(place.id, agent.id, NAME, world.rooms.operator)
    assert await world.named() == [agent.id]


async def test_a_name_is_revoked_as_one_of_the_agent_whose_it_is(world) -> None:
    place, agent = await world.open("acme")
    second = await world.agents.create(place.id, "second", "ann", world.rooms.operator)
    made = await world.certificates.register(place.id, agent.id, NAME, world.rooms.operator)
    with pytest.raises(NotFound):
        await world.certificates.revoke(place.id, made.id, world.rooms.operator, second.id)
    assert await world.named() == [agent.id]
    await world.certificates.revoke(place.id, made.id, world.rooms.operator, agent.id)
    assert await world.named() == []


async def test_names_end_with_the_agent_its_owner_and_the_membership(world) -> None:
    for slug, end in (
        ("one", lambda place, agent: world.agents.disable(place.id, agent.id, world.rooms.operator)),
        ("two", lambda place, _: world.workspaces.remove_member(place.id, "ann", world.rooms.operator)),
        ("three", lambda place, agent: world.agents.change_owner(place.id, agent.id, "bob", world.rooms.operator)),
        ("four", lambda _p, _a: world.rooms.database.write(
            lambda tx: world.certificates.end_of_account(tx, "ann", world.rooms.operator)
        )),
    ):  # fmt: skip
        place, agent = await world.open(slug)
        await world.workspaces.add_member(place.id, "bob", Role.OWNER, world.rooms.operator)
        made = await world.certificates.register(place.id, agent.id, NAME, world.rooms.operator)
        assert await world.named() == [agent.id]
        await end(place, agent)
        assert await world.named() == [], slug
        assert world.ended.pop() == made.id


async def test_the_agent_of_a_disabled_account_gets_no_name(world) -> None:
    place, agent = await world.open("acme")
    await world.rooms.database.write(lambda tx: tx.execute("UPDATE account SET disabled_us = 1 WHERE id = 'ann'"))
    with pytest.raises(NotFound):
        await world.certificates.register(place.id, agent.id, NAME, world.rooms.operator)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("spiffe://acme.example/ns/ci", "uri:spiffe://acme.example/ns/ci"),
        ("uri:spiffe://Acme.example/X", "uri:spiffe://Acme.example/X"),
        ("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "uri:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
        ("Build-1.Acme.example", "dns:build-1.acme.example"),
        ("dns:build-1", "dns:build-1"),
        ("bot@acme.example", "email:bot@acme.example"),
        ("email:Bot@acme.example", "email:Bot@acme.example"),
    ],
)
def test_a_name_is_kept_with_its_kind(given: str, kept: str) -> None:
    assert check_san(given) == kept


@pytest.mark.parametrize(
    "given",
    [
        "", "dns:", "uri:", "email:", "uri:x", "dns:*.acme.example", "*.acme.example", "dns:a b", "email:@x", "email:a@",
        "email:a@b@c", "uri:spiffe://a b", "uri:spiffe://\u00e9", "dns:\u00e9.example", "dns:-a", "dns:a.", "dns:a..b",
        "spiffe://a\n", "dns:" + "a" * 300, "uri:x://" + "a" * 2000,
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused(given: str) -> None:
    with pytest.raises(BadInput):
        check_san(given)
