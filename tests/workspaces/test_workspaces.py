import asyncio
import contextlib
import itertools

import pytest

from failgate.access.role import Role
from failgate.base.errors import BadInput, Conflict, Forbidden, NotFound
from failgate.workspaces.names import check_slug
from failgate.workspaces.workspaces import Workspaces, may_grant


@pytest.mark.parametrize("slug", ["ab", "a1", "payments", "payments-team", "a-b-c", "0x", "a" * 40])
def test_a_slug_is_accepted(slug: str) -> None:
    assert check_slug(slug) == slug


@pytest.mark.parametrize(
    "slug",
    [
        "",
        "a",
        "a" * 41,
        "-ab",
        "ab-",
        "a--b",
        "Ab",
        "a_b",
        "a b",
        "a.b",
        "ab\n",
        "ａｂ",
        "٣٤",
        "../..",
        "admin",
        "system",
        "api",
        "w",
        "\ud800x",
    ],
)
def test_another_text_is_no_slug(slug: str) -> None:
    with pytest.raises(BadInput):
        check_slug(slug)


async def test_who_makes_a_workspace_for_an_owner_gets_both_records(rooms) -> None:
    workspace = await rooms.workspaces.create("payments", " Payments ", "ann", rooms.operator)
    assert workspace.name == "Payments"
    assert await rooms.workspaces.by_slug("payments") == workspace
    assert await rooms.workspaces.by_id(workspace.id) == workspace
    assert await rooms.workspaces.role_of(workspace.id, "ann") is Role.OWNER
    assert await rooms.acts(workspace.id) == ["workspace.created", "member.added"]


async def test_a_slug_is_taken_once(rooms) -> None:
    results = await asyncio.gather(
        *(rooms.workspaces.create("payments", "x", f"ann{n}", rooms.operator) for n in range(5)), return_exceptions=True
    )
    assert sum(isinstance(result, Conflict) for result in results) == 4
    assert len(await rooms.workspaces.list()) == 1


async def test_absent_and_malformed_names_find_nothing(rooms) -> None:
    # F4 F5
    for slug in ("absent", "", "A", "x" * 10_000, "\ud800", "a'b"):
        assert await rooms.workspaces.by_slug(slug) is None
    assert await rooms.workspaces.by_id("absent") is None
    assert await rooms.workspaces.role_of("absent", "ann") is None


async def test_slugs_and_roles_come_from_memory(rooms, monkeypatch) -> None:
    workspace = await rooms.workspaces.create("payments", "x", "ann", rooms.operator)
    await rooms.workspaces.by_slug("payments")
    await rooms.workspaces.role_of(workspace.id, "ann")
    monkeypatch.setattr(rooms.database, "fetch", None)
    monkeypatch.setattr(rooms.database, "fetch_one", None)
    assert await rooms.workspaces.by_slug("payments") == workspace
    assert await rooms.workspaces.role_of(workspace.id, "ann") is Role.OWNER


async def test_a_role_counts_at_once_when_given_changed_and_taken(rooms) -> None:
    # B4
    workspace = await rooms.workspaces.create("payments", "x", "ann", rooms.operator)
    assert await rooms.workspaces.role_of(workspace.id, "bob") is None
    await rooms.workspaces.add_member(workspace.id, "bob", Role.DEVELOPER, rooms.operator)
    assert await rooms.workspaces.role_of(workspace.id, "bob") is Role.DEVELOPER
    await rooms.workspaces.change_role(workspace.id, "bob", Role.REVIEWER, rooms.operator)
    assert await rooms.workspaces.role_of(workspace.id, "bob") is Role.REVIEWER
    await rooms.workspaces.remove_member(workspace.id, "bob", rooms.operator)
    assert await rooms.workspaces.role_of(workspace.id, "bob") is None
    assert rooms.left == [(workspace.id, "bob")]
    assert (await rooms.acts(workspace.id))[2:] == ["member.added", "member.changed", "member.removed"]


async def test_members_and_memberships_are_listed(rooms) -> None:
    one = await rooms.workspaces.create("payments", "x", "ann", rooms.operator)
    two = await rooms.workspaces.create("billing", "y", "bob", rooms.operator)
    await rooms.workspaces.add_member(two.id, "ann", Role.AUDITOR, rooms.operator)
    assert [(m.workspace.slug, m.role) for m in await rooms.workspaces.memberships("ann")] == [
        ("billing", Role.AUDITOR), ("payments", Role.OWNER),
    ]  # fmt: skip
    assert [(m.account_id, m.role) for m in await rooms.workspaces.members(two.id)] == [
        ("bob", Role.OWNER),
        ("ann", Role.AUDITOR),
    ]
    assert [m.account_id for m in await rooms.workspaces.members(one.id)] == ["ann"]


async def test_a_member_is_added_once(rooms) -> None:
    workspace = await rooms.workspaces.create("payments", "x", "ann", rooms.operator)
    with pytest.raises(Conflict):
        await rooms.workspaces.add_member(workspace.id, "ann", Role.DEVELOPER, rooms.operator)
    assert await rooms.workspaces.role_of(workspace.id, "ann") is Role.OWNER
    with pytest.raises(NotFound):
        await rooms.workspaces.add_member("absent", "ann", Role.DEVELOPER, rooms.operator)


async def test_the_last_owner_stays(rooms) -> None:
    workspace = await rooms.workspaces.create("payments", "x", "ann", rooms.operator)
    with pytest.raises(Conflict, match="last owner"):
        await rooms.workspaces.remove_member(workspace.id, "ann", rooms.operator)
    with pytest.raises(Conflict, match="last owner"):
        await rooms.workspaces.change_role(workspace.id, "ann", Role.ADMIN, rooms.operator)
    await rooms.workspaces.add_member(workspace.id, "bob", Role.OWNER, rooms.operator)
    results = await asyncio.gather(
        rooms.workspaces.remove_member(workspace.id, "ann", rooms.operator),
        rooms.workspaces.remove_member(workspace.id, "bob", rooms.operator),
        return_exceptions=True,
    )
    assert sum(isinstance(result, Conflict) for result in results) == 1


async def test_a_role_is_given_and_taken_only_by_who_may(rooms) -> None:
    # B4: an administrator makes no owner, and nobody below makes anybody
    for number, (giver, given) in enumerate(itertools.product(Role, Role)):
        allowed = giver is Role.OWNER or (giver is Role.ADMIN and given is not Role.OWNER)
        assert may_grant(giver, given) is allowed
        place = await rooms.workspaces.create(f"place{number}", "x", "owner", rooms.operator)
        await rooms.workspaces.add_member(place.id, "giver", giver, rooms.operator)
        await rooms.workspaces.add_member(place.id, "given", given, rooms.operator)
        actor = rooms.as_user("giver")
        for verb in (
            rooms.workspaces.add_member(place.id, "fresh", given, actor),
            rooms.workspaces.change_role(place.id, "given", Role.DEVELOPER, actor),
            rooms.workspaces.remove_member(place.id, "given", actor),
        ):
            with contextlib.nullcontext() if allowed else pytest.raises(Forbidden):
                await verb


async def test_no_admin_raises_themselves_and_no_outsider_gives_roles(rooms) -> None:
    workspace = await rooms.workspaces.create("payments", "x", "ann", rooms.operator)
    await rooms.workspaces.create("elsewhere", "x", "eve", rooms.operator)
    await rooms.workspaces.add_member(workspace.id, "bob", Role.ADMIN, rooms.operator)
    with pytest.raises(Forbidden):
        await rooms.workspaces.change_role(workspace.id, "bob", Role.OWNER, rooms.as_user("bob"))
    with pytest.raises(Forbidden):
        await rooms.workspaces.add_member(workspace.id, "eve", Role.OWNER, rooms.as_user("eve"))
    await rooms.workspaces.remove_member(workspace.id, "bob", rooms.as_user("bob"))


async def test_what_one_process_remembers_was_committed(rooms) -> None:
    workspace = await rooms.workspaces.create("payments", "x", "ann", rooms.operator)
    with pytest.raises(Conflict):
        await rooms.workspaces.remove_member(workspace.id, "ann", rooms.operator)
    fresh = Workspaces(rooms.database, rooms.audit, rooms.clock)
    assert await fresh.role_of(workspace.id, "ann") is await rooms.workspaces.role_of(workspace.id, "ann") is Role.OWNER
