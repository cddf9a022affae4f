"""PATCH as providers write it becomes PATCH as the RFC has it, whatever they write. # B1"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failgate.sso.scim.dialects import PATCH_SCHEMA, MemberChange, canonical_operations, split_members
from failgate.sso.scim.errors import ScimError
from failgate.sso.scim.reading import patch_resource
from tests.sso.scim.conftest import ENTERPRISE, USER


def canonical(*operations: Any) -> list[dict[str, Any]]:
    return canonical_operations({"schemas": [PATCH_SCHEMA], "Operations": list(operations)})


@pytest.mark.parametrize(
    ("given_", "meant"),
    [
        ({"op": "Replace", "path": "active", "value": "False"}, [{"op": "replace", "path": "active", "value": "False"}]),
        ({"op": "replace", "path": "", "value": {"active": False}}, [{"op": "replace", "value": {"active": False}}]),
        ({"op": "replace", "value": {"id": "x", "displayName": "n"}}, [{"op": "replace", "value": {"displayName": "n"}}]),
        (
            {"op": "Add", "value": {'emails[type eq "work"].value': "a", "title": "t"}},
            [{"op": "add", "path": 'emails[type eq "work"].value', "value": "a"}, {"op": "add", "value": {"title": "t"}}],
        ),
        (
            {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "m"},
            [{"op": "add", "path": f"{ENTERPRISE}:manager.value", "value": "m"}],
        ),
        ({"op": "Replace", "path": "manager", "value": ""}, [{"op": "remove", "path": "manager"}]),
        (
            {"op": "add", "value": {ENTERPRISE: {"manager": "m"}}},
            [{"op": "add", "value": {ENTERPRISE: {"manager": {"value": "m"}}}}],
        ),
    ],
)  # fmt: skip
def test_a_dialect_is_understood(given_: Any, meant: Any):
    assert canonical(given_) == meant


@pytest.mark.parametrize(
    ("operation", "change"),
    [
        ({"op": "add", "path": "members", "value": [{"value": "a"}, {"value": "b"}]}, MemberChange("add", ("a", "b"))),
        ({"op": "Add", "path": "members", "value": {"value": "a"}}, MemberChange("add", ("a",))),
        ({"op": "Remove", "path": "members", "value": [{"$ref": None, "value": "a"}]}, MemberChange("remove", ("a",))),
        ({"op": "remove", "path": 'members[value eq "a"]'}, MemberChange("remove", ("a",))),
        ({"op": "remove", "path": "members"}, MemberChange("remove", None)),
        ({"op": "replace", "path": "members", "value": []}, MemberChange("set", ())),
        ({"op": "replace", "value": {"members": [{"value": "a"}]}}, MemberChange("set", ("a",))),
    ],
)
def test_members_are_changed_without_looking_at_the_others(operation: Any, change: MemberChange):
    assert split_members(canonical(operation)) == ([], [change])


def test_members_that_are_picked_by_more_than_their_id_are_looked_at():
    assert split_members(canonical({"op": "remove", "path": 'members[type eq "User"]'})) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
operations = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["add", "Add", "remove", "Replace", "jump"]) | json_values,
        "path": st.sampled_from(["title", "emails", "name.givenName", "members", 'emails[type eq "work"].value', f"{ENTERPRISE}:manager", "id", ""]) | json_values,
        "value": json_values,
    },
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(operations | json_values, max_size=4))
def test_any_operations_change_a_resource_or_are_refused_and_the_resource_is_whole(given_: list[Any]):
    """PATCH is all or nothing, and what it leaves is a resource that can be read again."""
    before = {"schemas": [USER], "userName": "ann", "title": "t", "emails": [{"value": "a", "type": "work"}]}
    kept = {**before, "emails": [dict(before["emails"][0])]}
    try:
        after = patch_resource("User", before, canonical(*given_))
    except ScimError as error:
        after = before
        refused = error.http_status in {400, 413}
    else:
        refused = True
    assert refused
    assert before == kept
    assert patch_resource("User", after, [{"op": "add", "path": "nickName", "value": "n"}])["nickName"] == "n"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from("abcde"), max_size=6), st.lists(st.sampled_from("abcde"), max_size=6, unique=True))
def test_adding_and_removing_values_is_what_sets_do(added: list[str], removed: list[str]):
    resource: dict[str, Any] = {"schemas": [USER], "userName": "ann"}
    for one in added:
        resource = patch_resource("User", resource, [{"op": "add", "path": "phoneNumbers", "value": [{"value": one}]}])
    for one in removed:
        resource = patch_resource("User", resource, [{"op": "remove", "path": f'phoneNumbers[value eq "{one}"]'}])
    left = {each["value"] for each in resource.get("phoneNumbers") or []}
    assert left == set(added) - set(removed)
