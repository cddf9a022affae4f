"""Groups become roles. B4"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.access.role import Role
from failgate.base.errors import BadInput
from failgate.sso.connection import Connection, OidcSettings
from failgate.sso.roles import STRENGTH, check_rules, map_groups, named_workspaces, split_target

OIDC = OidcSettings(issuer="https://id.example", client_id="x")


def connection(*rules: tuple[str, str], default: str | None = None, workspace_id: str | None = "w") -> Connection:
    return Connection("c", "c", "C", OIDC, workspace_id=workspace_id, roles=rules, default_role=default)


def roles(one: Connection, *groups: str) -> dict[str | None, Role]:
    return {given.workspace: given.role for given in map_groups(one, groups).given}


def test_the_strongest_role_of_those_that_fit_holds() -> None:
    one = connection(("dev", "developer"), ("ops", "admin"), ("night", "reviewer"))
    assert roles(one, "dev", "night", "ops") == {None: Role.ADMIN}
    assert roles(one, "night", "dev") == {None: Role.REVIEWER}


def test_groups_are_compared_exactly() -> None:
    one = connection(("dev", "developer"))
    assert [roles(one, group) for group in ("Dev", "dev ", "devs", "de", "", "*")] == [{}] * 6


def test_a_group_that_is_called_like_the_mark_for_everybody_gives_nothing_more() -> None:
    assert roles(connection(("admins", "owner")), "*") == {}


def test_everybody_gets_the_default_and_a_group_gets_more() -> None:
    one = connection(("ops", "admin"), default="developer")
    assert roles(one) == {None: Role.DEVELOPER}
    assert roles(one, "ops") == {None: Role.ADMIN}


def test_a_rule_of_the_installation_names_its_workspace() -> None:
    one = connection(("ops", "pay:admin"), ("ops", "web:reviewer"), ("*", "web:developer"), workspace_id=None)
    assert roles(one, "ops") == {"pay": Role.ADMIN, "web": Role.REVIEWER}
    assert roles(one) == {"web": Role.DEVELOPER}
    assert named_workspaces(one) == {"pay", "web"}


def test_groups_that_no_rule_names_are_told() -> None:
    assert map_groups(connection(("a", "admin")), ("b", "a", "b")).unmapped == ("b",)


@pytest.mark.parametrize("target", ["platform", "agent", "root", "", "acme:", "acme:platform", "Owner", "owner "])
def test_no_rule_gives_a_role_that_people_do_not_hold(target: str) -> None:
    with pytest.raises(BadInput):
        split_target(target)


@pytest.mark.parametrize(
    ("rules", "names_workspace"),
    [
        ([("", "owner")], False),
        ([("g" * 257, "owner")], False),
        ([("a\x00b", "owner")], False),
        ([("g", "owner"), ("g", "admin")], False),
        ([("g", "acme:owner")], False),
        ([("g", "owner")], True),
        ([(f"g{number}", "owner") for number in range(201)], False),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(rules: list[tuple[str, str]], names_workspace: bool) -> None:
    with pytest.raises(BadInput):
        check_rules(rules, names_workspace=names_workspace)


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from([role.value for role in STRENGTH]))),
    st.sets(st.sampled_from("abcdx")),
)
def test_no_more_is_given_than_the_strongest_rule_of_ones_groups(
    rules: list[tuple[str, str]], groups: set[str]
) -> None:
    rules = list(dict(rules).items())
    found = roles(connection(*rules), *groups)
    fitting = [Role(role) for group, role in rules if group in groups]
    assert found == ({None: min(fitting, key=STRENGTH.index)} if fitting else {})
