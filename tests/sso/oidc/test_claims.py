"""Which claim becomes what, and nothing breaks on odd ones."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.sso.oidc.claims import find_claim, is_anything_missing, make_assertion
from failgate.sso.oidc.id_token import CheckedIdToken
from failgate.sso.protocol import Refusal
from tests.sso.oidc.making import ISSUER, claims, connection, settings


def asserted(changed: dict, roles=(), **named):
    given_settings = settings(**named)
    full = claims(**changed)
    checked = CheckedIdToken(ISSUER, "alice", full)
    return make_assertion(connection(given_settings, roles=roles), given_settings, checked, full, "raw")


def test_every_part_of_an_assertion() -> None:
    found = asserted(
        {
            "email": " Alice@Example.org ",
            "groups": ["eng", "ops", "eng"],
            "amr": ["pwd", "otp"],
            "acr": "urn:mfa",
            "sid": "s1",
            "auth_time": 1_699_999_000,
        }
    )
    assert (found.issuer, found.subject, found.email, found.is_email_verified) == (
        ISSUER,
        "alice",
        "alice@example.org",
        True,
    )
    assert (found.name, found.groups) == ("Alice", ("eng", "ops"))
    assert (found.methods, found.context, found.provider_session) == (("pwd", "otp"), "urn:mfa", "s1")
    assert found.authenticated_us == 1_699_999_000 * 1_000_000
    assert found.logout_hint == "raw"
    assert found.attributes["groups"] == ("eng", "ops", "eng")
    assert "nonce" not in found.attributes


def test_a_claim_inside_of_others() -> None:
    inside = {"realm_access": {"roles": ["admin"]}, "https://a.example/groups": ["b"]}
    assert find_claim(inside, "realm_access.roles") == ["admin"]
    assert find_claim(inside, "https://a.example/groups") == ["b"]
    assert find_claim(inside, "realm_access.roles.x") is None
    assert asserted(inside, groups_claim="realm_access.roles").groups == ("admin",)


@pytest.mark.parametrize(
    "email", [..., None, "", "alice", "a@b@c", "x" * 400 + "@a.example", ["alice@example.org"], 5, "a\ud800@b.example"]
)
def test_without_a_usable_address_there_is_none(email) -> None:
    found = asserted({"email": email})
    assert (found.email, found.is_email_verified) == (None, False)


@pytest.mark.parametrize("name", [..., "", "  ", 5, "a\x00b", "a\u202eb", "\ud800"])
def test_without_a_usable_name_there_is_none(name) -> None:
    assert asserted({"name": name}).name is None


@pytest.mark.parametrize(
    "groups",
    [[1.5], [None], ["a", ["b"]], [{"name": "a"}], ["x" * 257], [str(n) for n in range(1001)], {"a": 1}, ["a\n"]],
)
def test_groups_that_cannot_be_read_are_not_read_as_none(groups) -> None:
    with pytest.raises(Refusal) as refused:
        asserted({"groups": groups})
    assert refused.value.reason == "groups_malformed"


def test_one_group_may_be_a_text() -> None:
    assert asserted({"groups": "eng"}).groups == ("eng",)
    assert asserted({}).groups == ()


@pytest.mark.parametrize("elsewhere", [{"hasgroups": True}, {"_claim_names": {"groups": "src1"}}])
def test_groups_that_stand_elsewhere_are_not_read_as_none(elsewhere: dict) -> None:
    assert asserted(elsewhere).groups == ()
    with pytest.raises(Refusal) as refused:
        asserted(elsewhere, roles=(("eng", "developer"),))
    assert refused.value.reason == "groups_elsewhere"


def test_what_leads_to_the_userinfo_endpoint() -> None:
    full = claims()
    assert not is_anything_missing(connection(), settings(), full)
    assert is_anything_missing(connection(), settings(), claims(email=...))
    assert is_anything_missing(connection(roles=(("a", "admin"),)), settings(), full)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["email", "name", "groups", "amr", "acr", "sid", "auth_time", "x", "\ud800"]), JSON)
)
def test_no_claim_breaks_the_reader(changed: dict) -> None:
    try:
        found = asserted(changed)
    except Refusal:
        return
    msgspec.json.encode(dict(found.attributes))
    msgspec.json.encode([found.email, found.name, found.groups, found.methods, found.context, found.provider_session])
