"""E23, SECURITY.md section 1 (OIDC row): which claims sign somebody in, and which do not."""

import hashlib

import pytest

from failgate.sso.oidc.id_token import check_id_token
from failgate.sso.oidc.token import SignedToken
from failgate.sso.protocol import Refusal
from tests.sso.oidc.making import CLIENT, NONCE, NOW, NOW_US, claims, settings

ACCESS = "access-token"


def half_hash(text: str, name: str = "sha256") -> str:
    import base64

    digest = hashlib.new(name, text.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def check(changed: dict, *, now_us: int = NOW_US, access_token: str | None = ACCESS, algorithm: str = "RS256", **named):
    token = SignedToken(algorithm, claims(**changed))
    return check_id_token(token, settings(**named), nonce=NONCE, access_token=access_token, now_us=now_us)


RIGHT = [
    {},
    {"aud": [CLIENT]},
    {"aud": [CLIENT], "azp": CLIENT},
    {"aud": CLIENT, "azp": CLIENT},
    {"aud": [CLIENT, "other"], "azp": CLIENT},
    {"at_hash": half_hash(ACCESS)},
    {"exp": NOW + 0.5, "iat": NOW - 0.5},
    {"exp": NOW - 29},
    {"iat": NOW + 30, "exp": NOW + 300},
    {"iat": NOW - 600},
    {"nbf": NOW + 30},
    {"sub": "a" * 255},
    {"sub": "auth0|5f7c 8ec7"},
]


@pytest.mark.parametrize("changed", RIGHT)
def test_a_right_token_signs_in(changed: dict) -> None:
    checked = check(changed)
    assert checked.issuer == "https://idp.example"
    assert checked.subject == changed.get("sub", "alice")


MUTATIONS = [
    ({"iss": "https://evil.example"}, "token_issuer"),
    ({"iss": "https://idp.example/"}, "token_issuer"),
    ({"iss": "https://IDP.example"}, "token_issuer"),
    ({"iss": "http://idp.example"}, "token_issuer"),
    ({"iss": ["https://idp.example"]}, "token_issuer"),
    ({"iss": ...}, "token_issuer"),
    ({"aud": "other"}, "token_audience"),
    ({"aud": []}, "token_audience"),
    ({"aud": ...}, "token_audience"),
    ({"aud": "failgate2"}, "token_audience"),
    ({"aud": "FAILGATE"}, "token_audience"),
    ({"aud": {"failgate": 1}}, "token_audience"),
    ({"aud": [CLIENT, 5], "azp": CLIENT}, "token_audience"),
    ({"aud": [CLIENT, "other"]}, "token_azp"),
    ({"aud": [CLIENT, "other"], "azp": "other"}, "token_azp"),
    ({"azp": "other"}, "token_azp"),
    ({"azp": [CLIENT]}, "token_azp"),
    ({"exp": NOW - 30}, "token_expired"),
    ({"exp": NOW - 7200, "iat": NOW - 7500}, "token_expired"),
    ({"exp": ...}, "token_time"),
    ({"exp": str(NOW + 300)}, "token_time"),
    ({"exp": True}, "token_time"),
    ({"exp": 1e400}, "token_time"),
    ({"exp": -1}, "token_time"),
    ({"exp": (NOW + 300) * 1000}, "token_time"),
    ({"exp": NOW + 32 * 24 * 3600}, "token_time"),
    ({"iat": ...}, "token_time"),
    ({"iat": None}, "token_time"),
    ({"iat": NOW + 31}, "token_future"),
    ({"iat": NOW + 86400, "exp": NOW + 90000}, "token_future"),
    ({"iat": NOW - 631}, "token_expired"),
    ({"nbf": NOW + 31}, "token_future"),
    ({"nbf": "now"}, "token_time"),
    ({"nonce": "x"}, "token_nonce"),
    ({"nonce": ...}, "token_nonce"),
    ({"nonce": None}, "token_nonce"),
    ({"nonce": ""}, "token_nonce"),
    ({"nonce": [NONCE]}, "token_nonce"),
    ({"nonce": NONCE + "\ud800"}, "token_nonce"),
    ({"at_hash": "AAAA"}, "token_at_hash"),
    ({"at_hash": half_hash("other")}, "token_at_hash"),
    ({"at_hash": ""}, "token_at_hash"),
    ({"at_hash": None}, "token_at_hash"),
    ({"sub": ...}, "token_subject"),
    ({"sub": ""}, "token_subject"),
    ({"sub": " alice"}, "token_subject"),
    ({"sub": "a" * 256}, "token_subject"),
    ({"sub": "alice\n"}, "token_subject"),
    ({"sub": "alicé"}, "token_subject"),
    ({"sub": 5}, "token_subject"),
    ({"sub": ["alice"]}, "token_subject"),
]


@pytest.mark.parametrize(("changed", "reason"), MUTATIONS)
def test_a_mutated_token_signs_nobody_in(changed: dict, reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        check(changed)
    assert refused.value.reason == reason
    assert "identity provider" in refused.value.sentence


def test_there_are_mutations_enough() -> None:
    assert len(MUTATIONS) >= 25


@pytest.mark.parametrize(("seconds", "is_accepted"), [(0, True), (29, True), (30, False), (31, False)])
def test_expiry_has_thirty_seconds_of_leeway(seconds: int, is_accepted: bool) -> None:
    if is_accepted:
        check({"exp": NOW}, now_us=NOW_US + seconds * 1_000_000)
    else:
        with pytest.raises(Refusal):
            check({"exp": NOW}, now_us=NOW_US + seconds * 1_000_000)


def test_the_hash_of_the_access_token_follows_the_algorithm() -> None:
    check({"at_hash": half_hash(ACCESS, "sha512")}, algorithm="EdDSA")
    with pytest.raises(Refusal):
        check({"at_hash": half_hash(ACCESS)}, algorithm="EdDSA")


def test_a_hash_without_an_access_token_is_refused() -> None:
    with pytest.raises(Refusal):
        check({"at_hash": half_hash("")}, access_token=None)


def test_one_subject_at_two_issuers_is_two_people() -> None:
    one = check({})
    two = check({"iss": "https://other.example"}, issuer="https://other.example")
    assert one.subject == two.subject
    assert (one.issuer, one.subject) != (two.issuer, two.subject)


TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
OTHER = "9188040d-6c67-4c5b-b112-36a304b66dad"
MANY = "https://login.microsoftonline.com/organizations/v2.0"


def tenant_issuer(tenant: str) -> str:
    return f"https://login.microsoftonline.com/{tenant}/v2.0"


def check_tenant(changed: dict, *, key_issuer: str | None = None, issuer: str = MANY, tenants=(TENANT,)):
    token = SignedToken("RS256", claims(**{"iss": tenant_issuer(TENANT), "tid": TENANT, **changed}), key_issuer)
    named = settings(preset="microsoft", issuer=issuer, tenants=tenants)
    return check_id_token(token, named, nonce=NONCE, access_token=None, now_us=NOW_US)


@pytest.mark.parametrize("key_issuer", [None, tenant_issuer("{tenantid}"), tenant_issuer(TENANT)])
def test_an_accepted_tenant_signs_in_under_its_own_issuer(key_issuer: str | None) -> None:
    assert check_tenant({}, key_issuer=key_issuer).issuer == tenant_issuer(TENANT)
    assert check_tenant({}, issuer=tenant_issuer(TENANT), tenants=()).issuer == tenant_issuer(TENANT)


@pytest.mark.parametrize(
    ("changed", "options", "reason"),
    [
        ({"tid": OTHER, "iss": tenant_issuer(OTHER)}, {}, "tenant_not_allowed"),
        ({"tid": ...}, {}, "tenant_not_allowed"),
        ({"tid": "common"}, {}, "tenant_not_allowed"),
        ({"tid": TENANT + "/../x"}, {}, "tenant_not_allowed"),
        ({"iss": tenant_issuer(OTHER)}, {}, "token_issuer"),
        ({"iss": tenant_issuer("{tenantid}")}, {}, "token_issuer"),
        ({"iss": MANY}, {}, "token_issuer"),
        ({}, {"tenants": ()}, "tenant_not_allowed"),
        ({}, {"key_issuer": tenant_issuer(OTHER)}, "token_issuer"),
        ({"tid": OTHER, "iss": tenant_issuer(OTHER)}, {"issuer": tenant_issuer(TENANT), "tenants": ()}, "token_issuer"),
    ],
)
def test_another_tenant_signs_nobody_in(changed: dict, options: dict, reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_tenant(changed, **options)
    assert refused.value.reason == reason
