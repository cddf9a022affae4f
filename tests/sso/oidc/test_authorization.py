"""The departure and the answer in the browser: state, PKCE, issuer, errors."""

import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.sso.oidc.authorization import anew, depart, read_code
from failgate.sso.protocol import Refusal
from tests.sso.oidc.making import CLIENT, ISSUER

REDIRECT = "https://failgate.example/sso/peer/callback"


def departed(**changed):
    options = {
        "issuer": ISSUER,
        "client_id": CLIENT,
        "redirect_uri": REDIRECT,
        "scopes": ("openid", "email"),
        "extras": {},
    }
    return depart(f"{ISSUER}/auth?a=b", **{**options, **changed})


def read(query: dict, kept: dict, *, is_iss_expected: bool = False, **changed) -> str:
    options = {"issuer": ISSUER, "redirect_uri": REDIRECT, **changed}
    return read_code(query, kept, is_iss_expected=is_iss_expected, is_accepted=lambda iss: iss == ISSUER, **options)


def test_a_departure_carries_state_nonce_and_challenge() -> None:
    departure = departed(extras={"hd": "example.org"})
    query = {name: values[0] for name, values in parse_qs(urlsplit(departure.url).query).items()}
    challenge = base64.urlsafe_b64encode(hashlib.sha256(departure.kept["verifier"].encode()).digest()).rstrip(b"=")
    assert query == {
        "a": "b",
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": REDIRECT,
        "scope": "openid email",
        "state": departure.request_id,
        "nonce": departure.kept["nonce"],
        "code_challenge": challenge.decode(),
        "code_challenge_method": "S256",
        "hd": "example.org",
    }
    assert departure.fields == ()
    assert departure.kept["verifier"] not in departure.url


def test_every_departure_is_another() -> None:
    values = [departed().kept for _ in range(100)]
    for name in ("state", "nonce", "verifier"):
        assert len({kept[name] for kept in values}) == 100
        assert all(len(kept[name]) >= 43 for kept in values)  # 256 bits; RFC 7636 section 4.1


def test_a_right_answer_has_a_code() -> None:
    departure = departed()
    right = {"state": departure.request_id, "code": "abc"}
    assert read(right, dict(departure.kept)) == "abc"
    assert read({**right, "iss": ISSUER}, dict(departure.kept), is_iss_expected=True) == "abc"


@pytest.mark.parametrize(
    ("changed", "options", "reason"),
    [
        ({"state": "other"}, {}, "state_mismatch"),
        ({"state": ...}, {}, "state_mismatch"),
        ({"state": ""}, {}, "state_mismatch"),
        ({"state": "\ud800"}, {}, "state_mismatch"),
        ({"iss": "https://evil.example"}, {}, "response_issuer"),
        ({"iss": ISSUER + "/"}, {}, "response_issuer"),
        ({"iss": ""}, {}, "response_issuer"),
        ({}, {"is_iss_expected": True}, "response_issuer"),
        ({"code": ...}, {}, "code_missing"),
        ({"code": ""}, {}, "code_missing"),
        ({"code": "a b"}, {}, "code_missing"),
        ({"code": "a\n"}, {}, "code_missing"),
        ({"code": "x" * 8193}, {}, "code_missing"),
        ({"error": "access_denied"}, {}, "consent_cancelled"),
        ({"error": "login_required"}, {}, "interaction_required"),
        ({"error": "server_error"}, {}, "provider_error"),
        ({"error": "<script>"}, {}, "provider_error"),
        ({"error": "access_denied", "iss": "https://evil.example"}, {}, "response_issuer"),
        ({}, {"issuer": "https://new.example"}, "request_stale"),
        ({}, {"redirect_uri": "https://other.example/cb"}, "request_stale"),
    ],
)
def test_another_answer_is_refused(changed: dict, options: dict, reason: str) -> None:
    departure = departed()
    query = {"state": departure.request_id, "code": "abc", **changed}
    with pytest.raises(Refusal) as refused:
        read({name: value for name, value in query.items() if value is not ...}, dict(departure.kept), **options)
    assert refused.value.reason == reason
    assert "<" not in refused.value.detail


def test_nothing_kept_fits_no_answer() -> None:
    with pytest.raises(Refusal):
        read({"state": "", "code": "abc"}, {})


@given(st.dictionaries(st.sampled_from(["state", "code", "error", "iss", "x"]), st.text(max_size=40)))
def test_no_query_breaks_the_reader(query: dict) -> None:
    with pytest.raises(Refusal):
        read(query, dict(departed().kept))


@pytest.mark.parametrize(
    ("trusted", "offered", "asked"),
    [
        ((), (), None),
        (("mfa",), (), None),
        (("mfa",), ("1", "gold"), None),
        (("mfa", "gold"), ("silver", "gold"), "gold"),
        (("gold", "mfa", "silver"), ("silver", "gold"), "gold silver"),
    ],
)
def test_to_be_asked_anew_is_asked_for_and_a_context_only_where_it_is_offered(
    trusted: tuple[str, ...], offered: tuple[str, ...], asked: str | None
) -> None:
    found = anew(trusted, offered)
    assert (found["prompt"], found["max_age"], found.get("acr_values")) == ("login", "0", asked)
