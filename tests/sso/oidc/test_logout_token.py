"""Back-channel logout: which logout token ends sessions. OpenID Connect Back-Channel Logout 1.0 section 2.6."""

import pytest

from failgate.sso.oidc.logout_token import EVENT, check_logout_token, logout_token_types
from failgate.sso.oidc.metadata import ALGORITHMS
from failgate.sso.oidc.token import SignedToken, open_token
from failgate.sso.protocol import Refusal
from tests.sso.oidc.making import CLIENT, ISSUER, KEYS, NOW, NOW_US, claims, settings, sign


def logout_claims(**changed) -> dict:
    right = {
        "iss": ISSUER,
        "aud": CLIENT,
        "iat": NOW,
        "exp": NOW + 120,
        "jti": "j1",
        "sub": "alice",
        "sid": "s1",
        "events": {EVENT: {}},
        **changed,
    }
    return {name: value for name, value in right.items() if value is not ...}


def check(changed: dict):
    return check_logout_token(SignedToken("RS256", logout_claims(**changed)), settings(), NOW_US)


def test_a_right_token_names_person_session_and_id() -> None:
    logout = check({})
    assert (logout.issuer, logout.subject, logout.provider_sessions, logout.message_ids) == (
        ISSUER,
        "alice",
        ("s1",),
        ("j1",),
    )
    assert logout.valid_until_us == (NOW + 150) * 1_000_000


def test_a_token_without_an_end_ends_with_its_age() -> None:
    assert check({"exp": ...}).valid_until_us == (NOW + 630) * 1_000_000


def test_a_token_names_a_person_or_a_session() -> None:
    assert check({"sid": ...}).provider_sessions == ()
    assert check({"sub": ...}).subject is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"sub": ..., "sid": ...}, "token_subject"),
        ({"sub": ""}, "token_subject"),
        ({"sid": 5}, "token_subject"),
        ({"sid": "x" * 256}, "token_subject"),
        ({"nonce": "n"}, "token_nonce"),
        ({"nonce": None}, "token_nonce"),
        ({"events": ...}, "token_event"),
        ({"events": {}}, "token_event"),
        ({"events": [EVENT]}, "token_event"),
        ({"events": {EVENT: None}}, "token_event"),
        ({"events": {EVENT + "x": {}}}, "token_event"),
        ({"events": EVENT}, "token_event"),
        ({"jti": ...}, "token_id"),
        ({"jti": ""}, "token_id"),
        ({"jti": "x" * 256}, "token_id"),
        ({"iss": "https://evil.example"}, "token_issuer"),
        ({"aud": "other"}, "token_audience"),
        ({"aud": [CLIENT, "other"]}, "token_azp"),
        ({"iat": ...}, "token_time"),
        ({"iat": NOW + 3600, "exp": NOW + 3700}, "token_future"),
        ({"iat": NOW - 700}, "token_expired"),
        ({"exp": None}, "token_time"),
        ({"exp": ..., "iat": NOW - 700}, "token_expired"),
        ({"exp": ..., "iat": True}, "token_time"),
        ({"exp": NOW - 31}, "token_expired"),
    ],
)
def test_a_mutated_token_ends_nothing(changed: dict, reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        check(changed)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("kind", "is_typed", "is_read"),
    [
        ("logout+jwt", True, True),
        ("Logout+JWT", True, True),
        ("JWT", True, False),
        (..., True, False),
        ("at+jwt", True, False),
        ("logout+jwt", False, True),
        ("JWT", False, True),
        (..., False, True),
        ("at+jwt", False, False),
    ],
)
def test_the_header_says_that_it_is_a_logout_token(kind, is_typed: bool, is_read: bool) -> None:
    """A provider that writes no type is taken only where its connection says so."""
    token, types = sign(logout_claims(), typ=kind), logout_token_types(settings(is_logout_typed=is_typed))
    if is_read:
        open_token(token, KEYS, algorithms=ALGORITHMS, types=types)
    else:
        with pytest.raises(Refusal) as refused:
            open_token(token, KEYS, algorithms=ALGORITHMS, types=types)
        assert refused.value.reason == "token_type"


def test_without_another_word_a_connection_wants_the_type() -> None:
    assert logout_token_types(settings()) == ("logout+jwt",)


def test_an_id_token_is_no_logout_token() -> None:
    with pytest.raises(Refusal) as refused:
        check_logout_token(SignedToken("RS256", claims(sid="s1", jti="j1")), settings(), NOW_US)
    assert refused.value.reason == "token_event"
