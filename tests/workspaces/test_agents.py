import pytest

from failgate.access.role import Role
from failgate.base.errors import BadInput, Conflict, NotFound


async def workspace(rooms, slug: str = "payments"):
    return await rooms.workspaces.create(slug, "x", "ann", rooms.operator)


async def test_an_agent_belongs_to_a_workspace_and_a_member(rooms) -> None:
    # F21
    place = await workspace(rooms)
    agent = await rooms.agents.create(place.id, "build-bot", "ann", rooms.operator)
    assert await rooms.agents.in_workspace(place.id, agent.id) == agent
    assert await rooms.agents.in_workspace("absent", agent.id) is None
    assert agent.is_enabled
    assert await rooms.agents.list(place.id) == [agent]
    assert (await rooms.acts(place.id))[-1] == "agent.created"
    with pytest.raises(NotFound):
        await rooms.agents.create(place.id, "other", "stranger", rooms.operator)
    with pytest.raises(NotFound):
        await rooms.agents.create("absent", "other", "ann", rooms.operator)


async def test_a_name_is_taken_once_in_a_workspace(rooms) -> None:
    place, other = await workspace(rooms), await workspace(rooms, "billing")
    await rooms.agents.create(place.id, "build-bot", "ann", rooms.operator)
    await rooms.agents.create(other.id, "build-bot", "ann", rooms.operator)
    with pytest.raises(Conflict):
        await rooms.agents.create(place.id, "build-bot", "ann", rooms.operator)


async def test_a_name_must_be_readable(rooms) -> None:
    place = await workspace(rooms)
    for name in ("", " ", "-a", "a-", "a" * 65, "a\nb", "a\x1b[31m", "аgent", "a/b", "\ud800"):
        with pytest.raises(BadInput):
            await rooms.agents.create(place.id, name, "ann", rooms.operator)


async def test_a_disabled_agent_is_known_as_such_at_once(rooms) -> None:
    place, other = await workspace(rooms), await workspace(rooms, "billing")
    agent = await rooms.agents.create(place.id, "build-bot", "ann", rooms.operator)
    assert (await rooms.agents.in_workspace(place.id, agent.id)).is_enabled
    for place_id, agent_id in ((other.id, agent.id), (place.id, "absent")):
        with pytest.raises(NotFound, match="There is no such agent"):
            await rooms.agents.disable(place_id, agent_id, rooms.operator)
    await rooms.agents.disable(place.id, agent.id, rooms.operator)
    await rooms.agents.disable(place.id, agent.id, rooms.operator)
    assert not (await rooms.agents.in_workspace(place.id, agent.id)).is_enabled
    assert rooms.disabled == [agent.id]
    assert (await rooms.acts(place.id)).count("agent.disabled") == 1
    assert await rooms.workspaces.role_of(place.id, "ann") is Role.OWNER
