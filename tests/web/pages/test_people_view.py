"""What forms of people, agents and keys offer."""

from failgate.access.role import Role
from failgate.web.pages.people_view import scope_choices


def test_every_permission_that_a_token_may_be_limited_to_has_words() -> None:
    offered = [one for role in Role for one in scope_choices(role)]
    assert [one.value for one in offered if one.label == one.value] == []
    assert "workspace:context:read" in {one.value for one in scope_choices(Role.DEVELOPER)}
