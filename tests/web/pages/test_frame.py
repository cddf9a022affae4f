import pytest

from failgate.access.role import Role
from failgate.web.pages.frame import Place, entry_room, may, navigation


def rooms(role: str) -> list[str]:
    return [item.icon for item in navigation(Place("acme", "Acme", role), "queue", 3)]


def test_each_role_is_shown_only_the_ways_it_may_go() -> None:
    assert rooms("owner") == ["queue", "commands", "reports", "sessions", "agents", "audit", "members", "settings"]
    assert rooms("reviewer") == ["queue", "commands", "reports", "sessions", "agents", "members", "settings"]
    assert rooms("auditor") == ["queue", "commands", "sessions", "audit", "members"]


def test_the_way_that_one_is_on_is_marked_once() -> None:
    marked = [item.icon for item in navigation(Place("acme", "Acme", "owner"), "audit") if item.is_current]
    assert marked == ["audit"]


def test_outside_of_a_workspace_one_finds_home_and_account() -> None:
    assert [item.href for item in navigation(None, "overview")] == ["/", "/account"]


@pytest.mark.parametrize("role", list(Role))
def test_every_role_begins_somewhere_and_is_described(role: Role) -> None:
    assert entry_room(role.value)
    assert may(role.value)
