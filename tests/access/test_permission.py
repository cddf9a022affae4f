"""The names of the permissions."""

import json
import re

from failgate.access.permission import Permission

NAME = re.compile(r"(public|account|workspace|scim|platform):[a-z]+(?:-[a-z]+)*:[a-z]+", re.ASCII)


def test_every_name_keeps_the_law_of_names() -> None:
    assert [one.value for one in Permission if NAME.fullmatch(one.value) is None] == []


def test_the_member_is_named_like_its_value() -> None:
    assert [one for one in Permission if one.name != one.value.translate({ord(":"): "_", ord("-"): "_"}).upper()] == []


def test_a_permission_is_the_text_that_a_scope_of_a_token_holds() -> None:
    """Scopes are stored as text; `permission in scopes` has to find them."""
    scopes = frozenset(json.loads('["workspace:command:submit"]'))
    assert Permission.WORKSPACE_COMMAND_SUBMIT in scopes
    assert Permission.WORKSPACE_COMMAND_VOTE not in scopes
