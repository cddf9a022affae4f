"""Filters find in SQL what they mean: compared with an evaluation by hand and with the library's own. # B1"""

import operator
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scim2_models import ScimFilter

from failgate.sso.scim.errors import ScimError
from failgate.sso.scim.filtering import where
from failgate.sso.scim.query import MAX_PAGE
from failgate.sso.scim.resources import POLICY, model_of
from failgate.sso.scim.translation import Parameters
from tests.sso.scim.conftest import BASE, ENTERPRISE, USER, Room

WORDS = ["", "a", "A", "ann", "Ann", "annex", "bo%", "b_o", "Ö", "o", "work", "home", "ß", "x\\y", 'q"t', "日本"]
PEOPLE: list[dict[str, Any]] = [
    {"userName": "ann", "title": "Ann", "active": True, "name": {"familyName": "Österberg", "givenName": "ann"}},
    {"userName": "bob", "title": "bo%", "active": False, "emails": [{"value": "a", "type": "work", "primary": True}]},
    {
        "userName": "cyd",
        "emails": [{"value": "ann", "type": "home"}, {"value": "annex", "type": "work"}, {"type": "other"}],
        "name": {"givenName": "b_o"},
        ENTERPRISE: {"department": "work", "manager": {"value": "Ann"}},
    },
    {
        "userName": "dee",
        "title": "",
        "nickName": "x\\y",
        "emails": [{"value": "A"}],
        ENTERPRISE: {"department": "Work"},
    },
    {"userName": "eve", "externalId": "Ann", "title": "日本", "profileUrl": "https://Ann", "active": True},
    {"userName": "fay", "externalId": "ann", "title": 'q"t', "name": {"familyName": "x" * 70 + "1"}},
    {"userName": "gus", "name": {"familyName": "x" * 70 + "2"}, "phoneNumbers": [{"value": "ann"}, {"value": "a"}]},
]
TEXTS = ["userName", "title", "nickName", "externalId", "name.familyName", "name.givenName", "profileUrl",
         f"{ENTERPRISE}:department", f"{ENTERPRISE}:manager.value", "emails", "emails.value", "emails.type",
         "phoneNumbers.value"]  # fmt: skip
COMPLEX = ["name", "emails", "phoneNumbers", f"{ENTERPRISE}:manager", "addresses"]
OPERATORS = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]
EXACT = {"externalId", "profileUrl", f"{ENTERPRISE}:manager.value"}


def quoted(text: str) -> str:
    import json

    return json.dumps(text)


comparisons = st.builds(
    lambda path, op, value: (f"{path} {op} {quoted(value)}", ("compare", path, op, value)),
    st.sampled_from(TEXTS), st.sampled_from(OPERATORS), st.sampled_from([*WORDS, "x" * 70 + "1"]),
)  # fmt: skip
nulls = st.builds(
    lambda path, op: (f"{path} {op} null", ("compare", path, op, None)),
    st.sampled_from(TEXTS),
    st.sampled_from(["eq", "ne"]),
)
booleans = st.builds(
    lambda op, value: (f"active {op} {str(value).lower()}", ("compare", "active", op, value)),
    st.sampled_from(["eq", "ne"]), st.booleans(),
)  # fmt: skip
presences = st.builds(lambda path: (f"{path} pr", ("present", path)), st.sampled_from([*TEXTS, *COMPLEX, "active"]))
inner = st.builds(
    lambda path, op, value: (f"{path} {op} {quoted(value)}", ("compare", path, op, value)),
    st.sampled_from(["value", "type"]), st.sampled_from(OPERATORS), st.sampled_from(WORDS),
) | st.builds(lambda path: (f"{path} pr", ("present", path)), st.sampled_from(["value", "type", "primary"]))  # fmt: skip


def joined(parts):
    return st.builds(
        lambda a, b, how: (f"({a[0]}) {how} ({b[0]})", (how, a[1], b[1])), parts, parts, st.sampled_from(["and", "or"])
    ) | st.builds(lambda a: (f"not ({a[0]})", ("not", a[1])), parts)


selections = st.builds(
    lambda head, part: (f"{head}[{part[0]}]", ("select", head, part[1])),
    st.sampled_from(["emails", "phoneNumbers"]), st.recursive(inner, joined, max_leaves=3),
)  # fmt: skip
filters = st.recursive(comparisons | nulls | booleans | presences | selections, joined, max_leaves=5)


# The oracle: plain Python over the JSON that was sent.


def values_at(person: Any, path: str) -> list[Any] | None:
    """Return the values at `path`, None for each entry without it; None when the attribute itself is absent."""
    if path.startswith("urn:"):
        urn, _, path = path.rpartition(":")
        person = person.get(urn, {})
    head, _, sub = path.partition(".")
    found = person.get(head)
    if found is None:
        return None
    if isinstance(found, list):
        return [each.get(sub or "value") for each in found]
    return [found.get(sub)] if sub else [found]


def holds(value: Any, op: str, expected: Any, exact: bool) -> bool:
    if value is None or expected is None:
        return {"eq": value is expected, "ne": value is not expected}.get(op, False)
    if isinstance(value, str) and not exact:
        value, expected = value.lower(), expected.lower()
    if op in {"co", "sw", "ew"}:
        return {"co": expected in value, "sw": value.startswith(expected), "ew": value.endswith(expected)}[op]
    return getattr(operator, op)(value, expected)


def is_there(value: Any) -> bool:
    if isinstance(value, dict):
        return any(is_there(each) for each in value.values())
    return value not in {None, ""}


def expected_of(person: Any, node: Any) -> bool:
    match node:
        case ("and", a, b):
            return expected_of(person, a) and expected_of(person, b)
        case ("or", a, b):
            return expected_of(person, a) or expected_of(person, b)
        case ("not", a):
            return not expected_of(person, a)
        case ("present", path) if path in COMPLEX:
            whole = person.get(ENTERPRISE, {}).get("manager") if path.startswith("urn") else person.get(path)
            return any(is_there(each) for each in whole) if isinstance(whole, list) else is_there(whole)
        case ("present", path):
            return any(is_there(value) for value in values_at(person, path) or [])
        case ("compare", path, op, value):
            found = values_at(person, path)
            if found is None:
                return holds(None, op, value, exact=True)
            results = [holds(each, op, value, path in EXACT) for each in found]
            return all(results) if op == "ne" else any(results)
        case ("select", head, part):
            return any(expected_of(entry, part) for entry in person.get(head, []))
    raise AssertionError(node)


async def people(room: Room) -> None:
    for person in PEOPLE:
        await room.directory.create(room.connection, "User", {"schemas": [USER], **person}, BASE)


async def test_sql_finds_what_the_filter_means(room: Room):
    """Thousands of filters over the same people: the oracle, the library and both engines agree."""
    await people(room)
    stored = {each["userName"]: each for each in (await room.search(count=str(MAX_PAGE)))["Resources"]}
    kept = [{"schemas": [USER], **person} for person in PEOPLE]
    for person in kept:
        person["active"] = stored[person["userName"]]["active"]
    model = model_of("User")
    with POLICY:
        typed = [model.model_validate(person) for person in kept]
    asked: list[tuple[str, list[str]]] = []

    @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(filters)
    def collect(example: Any) -> None:
        text, node = example
        wanted = [person["userName"] for person in kept if expected_of(person, node)]
        with POLICY:
            filter_ = ScimFilter.__class_getitem__(model)(text)
            assert [one.user_name for one in typed if filter_.match(one)] == wanted, text
        asked.append((text, wanted))

    collect()
    wrong = []
    for text, wanted in asked:
        found = await room.names(filter=text)
        if found != wanted:
            wrong.append((text, wanted, found))
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('userName Eq "ANN"', ["ann"]),
        ('emails[type eq "work"].value eq "annex"', ["cyd"]),
        ('emails[type eq "work" and value co "ann"]', ["cyd"]),
        ('urn:ietf:params:scim:schemas:core:2.0:User:userName eq "bob"', ["bob"]),
        ('active eq "False"', ["bob"]),
        ('meta.resourceType eq "User" and userName sw "a"', ["ann"]),
        ('meta.created lt "2001-01-01T00:00:00Z"', []),
        ('meta.lastModified ge "2001-01-01T00:00:00Z" and userName eq "gus"', ["gus"]),
        ('schemas eq "urn:ietf:params:scim:schemas:core:2.0:User" and title eq "日本"', ["eve"]),
        ('userName eq "ann" or userName eq "bob" and title eq "nothing"', ["ann"]),
        ('not (userName gt "b") and userName pr', ["ann"]),
        ('id eq "nothing"', []),
    ],
)
async def test_filters_as_providers_write_them(room: Room, text: str, found: list[str]):
    await people(room)
    assert await room.names(filter=text) == found


async def test_members_and_groups_are_found_by_id(room: Room):
    ann, bob = await room.user("ann"), await room.user("bob")
    one = await room.group("One", ann["id"], bob["id"])
    await room.group("Two")
    groups = ("Group",)
    assert await room.names(groups, filter=f'members.value eq "{ann["id"]}"') == ["One"]
    assert await room.names(groups, filter=f'members[value eq "{ann["id"]}" and type eq "user"]') == ["One"]
    assert await room.names(groups, filter=f'id eq "{one["id"]}" and members eq "{ann["id"]}"') == ["One"]
    assert await room.names(groups, filter="not (members pr)") == ["Two"]
    assert await room.names(filter=f'groups.value eq "{one["id"]}"') == ["ann@acme.example", "bob@acme.example"]
    assert await room.names(("User", "Group"), filter='displayName eq "One" or userName sw "bob"') == [
        "bob@acme.example", "One",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "userName", "userName eq", 'userName eq "a', "userName eq 'a'", 'userName like "a"', '(userName eq "a"',
        'userName eq "a" and', 'nothing eq "a"', 'emails[nothing eq "a"]', "active gt true", 'active co "t"',
        'name[familyName eq "x"]', "emails[type eq]", 'emails[phoneNumbers[type eq "x"]]', 'userName eq "\\u0000"',
        'userName eq "\\ud800"', "userName eq 1e999", "((((" * 100, 'not userName eq "a"', '"a" eq userName',
        " or ".join(['userName eq "a"'] * 200), 'meta.version eq "1"', 'password eq "x"', 'userName eq "' + "x" * 5000 + '"',
        'meta.created gt "yesterday"', "or", ";DROP TABLE scim_value", 'userName eq "a"; DROP TABLE scim_value',
    ],
)  # fmt: skip
def test_a_filter_that_means_nothing_is_refused_by_the_keyword(text: str):
    with pytest.raises(ScimError) as refused:
        where(("User",), text, "$1", Parameters("c"))
    assert (refused.value.http_status, refused.value.scim_type) == (400, "invalidFilter")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=string.printable + "éß\u0000\ud800", max_size=60) | st.text(max_size=40))
def test_no_text_is_anything_but_a_filter_or_refused(text: str):
    try:
        sql = where(("User", "Group"), text, "$1", Parameters("c"))
    except ScimError as error:
        sql = "" if error.scim_type == "invalidFilter" else f"'{error}'"
    assert all(quote not in sql.replace("'User'", "").replace("'Group'", "").replace("''", "") for quote in "'\"")


@pytest.mark.parametrize(
    ("by", "how", "wanted"),
    [
        ("userName", "ascending", ["ann", "bob", "cyd", "dee", "eve", "fay", "gus"]),
        ("userName", "descending", ["gus", "fay", "eve", "dee", "cyd", "bob", "ann"]),
        ("name.familyName", "ascending", ["fay", "gus", "ann", "bob", "cyd", "dee", "eve"]),
        ("emails", "ascending", ["bob", "dee", "cyd", "ann", "eve", "fay", "gus"]),
        ("emails.value", "descending", ["ann", "eve", "fay", "gus", "cyd", "bob", "dee"]),
    ],
)
async def test_sorting_puts_those_without_the_value_last_or_first(room: Room, by: str, how: str, wanted: list[str]):
    await people(room)
    assert await room.names(sortBy=by, sortOrder=how) == wanted


async def test_pages_follow_one_another_and_leave_nothing_out(room: Room):
    for number in range(23):
        await room.directory.create(room.connection, "User", {"schemas": [USER], "userName": f"u{number:02}"}, BASE)
    seen: list[str] = []
    for start in range(1, 30, 5):
        page = await room.search(startIndex=str(start), count="5", sortBy="userName", filter='userName sw "u"')
        assert (page["totalResults"], page["startIndex"]) == (23, start)
        seen += [each["userName"] for each in page["Resources"]]
    assert seen == [f"u{number:02}" for number in range(23)]
    assert (await room.search(count="0"))["Resources"] == []
    assert (await room.search(startIndex="-3", count="2"))["startIndex"] == 1
