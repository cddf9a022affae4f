"""F6, E23: GitHub's OAuth 2 flow, against a stand-in with its five endpoints."""

import asyncio
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest

from failgate.base.clock import SystemClock
from failgate.base.outbound import Outbound
from failgate.sso.connection import Connection
from failgate.sso.oidc.github import places, read_person
from failgate.sso.oidc.oidc import OpenIdConnect
from failgate.sso.protocol import Refusal
from tests.peers.github import CLIENT_ID, CLIENT_SECRET, GitHub, github_stand_in
from tests.peers.oidc_provider.peer import Visitor
from tests.sso.oidc.making import connection, settings

RP = "http://127.0.0.1:1"
REDIRECT = f"{RP}/sso/github/callback"


@pytest.fixture
def github() -> Iterator[GitHub]:
    with github_stand_in() as running:
        yield running


def connected(github: GitHub, **changed) -> Connection:
    given = settings(preset="github", issuer=github.url, client_id=CLIENT_ID)
    return connection(given, **{"client_secret": CLIENT_SECRET, **changed})


def relying() -> OpenIdConnect:
    return OpenIdConnect(Outbound(allow_loopback=True), SystemClock())


async def visit(url: str, login: str) -> dict[str, str]:
    with Visitor() as visitor:
        back = await asyncio.to_thread(visitor.sign_in, url, login, back_to=RP)
    return dict(parse_qsl(urlsplit(back).query))


async def test_a_person_is_the_number_of_the_account(github: GitHub) -> None:
    rp, bound = relying(), connected(github)
    departure = await rp.begin(bound, REDIRECT)
    found = await rp.finish(bound, REDIRECT, await visit(departure.url, "octocat"), departure.kept)
    assert (found.issuer, found.subject) == (github.url, "583231")
    assert (found.email, found.is_email_verified) == ("octocat@example.org", True)
    assert found.name == "The octocat"
    assert github.scopes == ["read:user user:email"]


async def test_a_code_is_good_once_and_for_its_verifier(github: GitHub) -> None:
    rp, bound = relying(), connected(github)
    departure = await rp.begin(bound, REDIRECT)
    query = await visit(departure.url, "octocat")
    with pytest.raises(Refusal) as refused:
        await rp.finish(bound, REDIRECT, query, {**departure.kept, "verifier": "x" * 43})
    assert refused.value.reason == "code_refused"
    with pytest.raises(Refusal) as refused:
        await rp.finish(bound, REDIRECT, query, departure.kept)
    assert refused.value.reason == "code_refused"


async def test_who_cancels_is_not_signed_in(github: GitHub) -> None:
    rp, bound = relying(), connected(github)
    departure = await rp.begin(bound, REDIRECT)
    with pytest.raises(Refusal) as refused:
        await rp.finish(bound, REDIRECT, await visit(departure.url, "nobody"), departure.kept)
    assert refused.value.reason == "consent_cancelled"


async def test_a_wrong_secret_and_another_state_are_refused(github: GitHub) -> None:
    rp, bound = relying(), connected(github, client_secret="wrong")
    departure = await rp.begin(bound, REDIRECT)
    query = await visit(departure.url, "octocat")
    with pytest.raises(Refusal) as refused:
        await rp.finish(bound, REDIRECT, query, departure.kept)
    assert refused.value.reason == "client_refused"
    with pytest.raises(Refusal) as refused:
        await rp.finish(bound, REDIRECT, {**query, "state": "x"}, departure.kept)
    assert refused.value.reason == "state_mismatch"


async def test_github_sends_no_logout(github: GitHub) -> None:
    rp, bound = relying(), connected(github)
    assert await rp.end_session_url(bound, id_token_hint=None, return_to=RP, state="s") is None
    assert await rp.probe(bound) is None
    with pytest.raises(Refusal):
        await rp.read_logout_token(bound, "a.b.c")


VERIFIED = {"email": "alice@example.org", "primary": True, "verified": True}


@pytest.mark.parametrize(
    ("emails", "email"),
    [
        ([VERIFIED], "alice@example.org"),
        ([], None),
        ([{**VERIFIED, "verified": False}], None),
        ([{**VERIFIED, "primary": False}], None),
        ([{**VERIFIED, "verified": "true"}], None),
        ([{**VERIFIED, "primary": False}, {**VERIFIED, "verified": False}], None),
        ([VERIFIED, {**VERIFIED, "email": "bob@example.org"}], None),
        ([{**VERIFIED, "email": 5}], None),
        ([{**VERIFIED, "email": "no address"}], None),
        ([5, VERIFIED], "alice@example.org"),
    ],
)
def test_the_primary_address_counts_when_it_is_verified(emails: list, email: str | None) -> None:
    found = read_person(settings(preset="github", issuer="https://github.com"), {"id": 1, "login": "alice"}, emails)
    assert (found.email, found.is_email_verified) == (email, email is not None)
    assert found.name == "alice"


@pytest.mark.parametrize(
    "user", [{}, [], None, {"id": "1"}, {"id": True}, {"id": 0}, {"id": -1}, {"id": 2**70}, {"id": 1.0}]
)
def test_an_account_without_a_number_is_nobody(user) -> None:
    with pytest.raises(Refusal) as refused:
        read_person(settings(preset="github", issuer="https://github.com"), user, [VERIFIED])
    assert refused.value.reason == "userinfo_malformed"


@pytest.mark.parametrize("emails", [{}, None, "x"])
def test_addresses_that_are_no_list_are_refused(emails) -> None:
    with pytest.raises(Refusal):
        read_person(settings(preset="github", issuer="https://github.com"), {"id": 1}, emails)


def test_where_the_public_github_and_a_companys_own_are_asked() -> None:
    public = places(settings(preset="github", issuer="https://github.com"))
    assert public.authorize_url == "https://github.com/login/oauth/authorize"
    assert public.token_url == "https://github.com/login/oauth/access_token"
    assert public.api_url == "https://api.github.com"
    assert places(settings(preset="github", issuer="https://ghe.example")).api_url == "https://ghe.example/api/v3"
