"""E23: sign-in and logout with the certified provider `oidc-provider`, through its login form."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from failgate.base.clock import Clock, FrozenClock, SystemClock
from failgate.base.outbound import Outbound
from failgate.sso.assertion import Assertion
from failgate.sso.connection import Connection, OidcSettings, SamlSettings
from failgate.sso.oidc.exchange import Tokens
from failgate.sso.oidc.oidc import OpenIdConnect
from failgate.sso.protocol import Departure, Refusal
from tests.peers.oidc_provider.peer import CLIENT_ID, CLIENT_SECRET, FAULTS, OidcProvider, Visitor
from tests.sso.oidc.making import connection
from tests.sso.oidc.serving import origin

RP = "http://127.0.0.1:1"
REDIRECT = f"{RP}/sso/peer/callback"


def connected(peer: OidcProvider, *, secret: str | None = CLIENT_SECRET, **changed) -> Connection:
    given = {
        "issuer": peer.issuer,
        "client_id": CLIENT_ID,
        "scopes": ("openid", "email", "profile", "groups"),
        **changed,
    }
    return connection(OidcSettings(**given), client_secret=secret)


def relying(clock: Clock | None = None) -> OpenIdConnect:
    return OpenIdConnect(Outbound(allow_loopback=True), clock or SystemClock())


async def visit(url: str, login: str = "alice", *, is_cancelling: bool = False) -> dict[str, str]:
    with Visitor() as visitor:
        back = await asyncio.to_thread(visitor.sign_in, url, login, back_to=RP, is_cancelling=is_cancelling)
    return dict(parse_qsl(urlsplit(back).query))


async def sign_in(rp: OpenIdConnect, bound: Connection, login: str = "alice") -> Assertion:
    departure = await rp.begin(bound, REDIRECT)
    return await rp.finish(bound, REDIRECT, await visit(departure.url, login), departure.kept)


async def reason_of(rp: OpenIdConnect, bound: Connection, query: dict[str, str], departure: Departure) -> str:
    with pytest.raises(Refusal) as refused:
        await rp.finish(bound, REDIRECT, query, departure.kept)
    return refused.value.reason


async def test_a_person_signs_in_through_the_providers_form(peer: OidcProvider) -> None:
    peer.serve(RP)  # with a back-channel door, so that the token names the provider's session
    found = await sign_in(relying(), connected(peer))
    assert (found.issuer, found.subject) == (peer.issuer, "alice")
    assert (found.email, found.is_email_verified, found.name) == ("alice@example.org", True, "Alice")
    assert found.groups == ("eng", "ops")
    assert found.provider_session
    assert found.logout_hint


async def test_an_address_that_the_provider_does_not_vouch_for(peer: OidcProvider) -> None:
    found = await sign_in(relying(), connected(peer, is_email_trusted=True), "bob")
    assert (found.email, found.is_email_verified) == ("bob@example.org", False)


async def test_claims_that_are_missing_are_asked_for(peer: OidcProvider) -> None:
    peer.configure(only_userinfo=True)
    try:
        found = await sign_in(relying(), connected(peer))
    finally:
        peer.configure(only_userinfo=False)
    assert (found.email, found.is_email_verified, found.name) == ("alice@example.org", True, "Alice")
    assert found.groups == ("eng", "ops")


async def test_a_person_without_an_address(peer: OidcProvider) -> None:
    """Neither token nor userinfo endpoint has one."""
    peer.say("carol", name="Carol")
    found = await sign_in(relying(), connected(peer), "carol")
    assert (found.subject, found.email, found.name) == ("carol", None, "Carol")


WHY = {
    "iss": "token_issuer",
    "aud": "token_audience",
    "expired": "token_expired",
    "nonce": "token_nonce",
    "future": "token_future",
    "sub": "token_subject",
    "at_hash": "token_at_hash",
    "azp": "token_azp",
    "unsigned-kid": "token_key_unknown",
    "none": "token_algorithm",
    "hs256": "token_algorithm",
    "wrongkey": "token_signature",
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_spoiled_token_signs_nobody_in(peer: OidcProvider, fault: str) -> None:
    rp, bound = relying(), connected(peer)
    departure = await rp.begin(bound, REDIRECT)
    query = await visit(departure.url)
    peer.spoil(fault)
    assert await reason_of(rp, bound, query, departure) == WHY[fault]
    assert (await sign_in(rp, bound)).subject == "alice"


@pytest.mark.parametrize("drop", [False, True])
async def test_keys_may_change_in_the_middle_of_a_sign_in(peer: OidcProvider, drop: bool) -> None:
    rp, bound = relying(), connected(peer)
    await sign_in(rp, bound)  # the old keys are at hand now
    departure = await rp.begin(bound, REDIRECT)
    query = await visit(departure.url)
    peer.rotate(drop=drop)
    assert (await rp.finish(bound, REDIRECT, query, departure.kept)).subject == "alice"


async def test_a_code_is_good_once(peer: OidcProvider) -> None:
    rp, bound = relying(), connected(peer)
    departure = await rp.begin(bound, REDIRECT)
    query = await visit(departure.url)
    await rp.finish(bound, REDIRECT, query, departure.kept)
    assert await reason_of(rp, bound, query, departure) == "code_refused"


async def test_a_code_is_of_one_browser(peer: OidcProvider) -> None:
    """A stolen code with the state of the thief's own sign-in: its PKCE verifier does not fit (RFC 9700 section 4.5)."""
    rp, bound = relying(), connected(peer)
    victim, thief = await rp.begin(bound, REDIRECT), await rp.begin(bound, REDIRECT)
    query = await visit(victim.url)
    assert await reason_of(rp, bound, {**query, "state": thief.request_id}, thief) == "code_refused"


async def test_a_token_is_of_one_sign_in(peer: OidcProvider) -> None:
    rp, bound = relying(), connected(peer)
    departure = await rp.begin(bound, REDIRECT)
    query = await visit(departure.url)
    other = Departure(url="", kept={**departure.kept, "nonce": "another"})
    assert await reason_of(rp, bound, query, other) == "token_nonce"


async def test_an_answer_of_another_provider_is_refused(peer: OidcProvider, second_peer: OidcProvider) -> None:
    """Mix-up (RFC 9700 section 4.4): the honest provider's answer comes back to the other one's connection."""
    rp, honest, other = relying(), connected(peer), connected(second_peer)
    asked, began = await rp.begin(honest, REDIRECT), await rp.begin(other, REDIRECT)
    query = {**await visit(asked.url), "state": began.request_id}
    assert await reason_of(rp, other, query, began) == "response_issuer"
    assert await reason_of(rp, other, {k: v for k, v in query.items() if k != "iss"}, began) == "response_issuer"
    assert await reason_of(rp, other, {**query, "iss": second_peer.issuer}, began) == "code_refused"


async def test_one_name_at_two_providers_is_two_people(peer: OidcProvider, second_peer: OidcProvider) -> None:
    rp = relying()
    one, two = await sign_in(rp, connected(peer)), await sign_in(rp, connected(second_peer))
    assert (one.subject, one.email) == (two.subject, two.email)
    assert one.issuer != two.issuer


async def test_who_cancels_is_not_signed_in(peer: OidcProvider) -> None:
    rp, bound = relying(), connected(peer)
    departure = await rp.begin(bound, REDIRECT)
    query = await visit(departure.url, is_cancelling=True)
    assert await reason_of(rp, bound, query, departure) == "consent_cancelled"


async def test_a_changed_connection_ends_what_was_begun(peer: OidcProvider, second_peer: OidcProvider) -> None:
    rp, bound = relying(), connected(peer)
    departure = await rp.begin(bound, REDIRECT)
    query = await visit(departure.url)
    assert await reason_of(rp, connected(second_peer), query, departure) == "request_stale"


async def test_a_wrong_secret_is_named_to_the_operator(peer: OidcProvider) -> None:
    rp, bound = relying(), connected(peer, secret="wrong")
    departure = await rp.begin(bound, REDIRECT)
    assert await reason_of(rp, bound, await visit(departure.url), departure) == "client_refused"


async def test_a_client_that_proves_itself_in_the_form(peer: OidcProvider) -> None:
    peer.configure(auth_method="client_secret_post")
    try:
        assert (await sign_in(relying(), connected(peer))).subject == "alice"
    finally:
        peer.configure(auth_method="client_secret_basic")


async def test_a_wrong_clock_is_named_to_the_operator(peer: OidcProvider) -> None:
    for seconds, reason in ((-120, "token_future"), (2 * 3600, "token_expired")):
        rp, bound = relying(FrozenClock(SystemClock().now_us() + seconds * 1_000_000)), connected(peer)
        departure = await rp.begin(bound, REDIRECT)
        assert await reason_of(rp, bound, await visit(departure.url), departure) == reason


async def test_twenty_people_at_once(peer: OidcProvider) -> None:
    rp, bound = relying(), connected(peer)
    found = await asyncio.gather(*(sign_in(rp, bound, ("alice", "bob")[n % 2]) for n in range(20)))
    assert [one.subject for one in found] == ["alice", "bob"] * 10


async def test_an_issuer_that_is_not_there() -> None:
    bound = connection(OidcSettings(issuer="http://127.0.0.1:9", client_id=CLIENT_ID))
    with pytest.raises(Refusal) as refused:
        await relying().begin(bound, REDIRECT)
    assert refused.value.reason == "provider_unreachable"
    assert await relying().end_session_url(bound, id_token_hint=None, return_to=RP, state="s") is None


async def test_an_issuer_that_differs_by_a_slash(peer: OidcProvider) -> None:
    with pytest.raises(Refusal) as refused:
        await relying().begin(connected(peer, issuer=f"{peer.issuer}/"), REDIRECT)
    assert refused.value.reason == "issuer_mismatch"


async def test_a_token_endpoint_without_an_id_token() -> None:
    async with origin() as idp:
        idp.publish()
        idp.answers["/token"] = {"access_token": "at", "token_type": "bearer"}
        rp, bound = relying(), connection(idp.settings())
        departure = await rp.begin(bound, REDIRECT)
        query = {"state": departure.request_id, "code": "abc"}
        assert await reason_of(rp, bound, query, departure) == "token_response"


async def test_a_connection_of_another_kind_is_refused() -> None:
    bound = connection(SamlSettings(entity_id="x", sso_url="https://idp.example/sso"))
    with pytest.raises(Refusal):
        await relying().begin(bound, REDIRECT)


async def test_a_connection_is_probed(peer: OidcProvider) -> None:
    metadata = await relying().probe(connected(peer))
    assert metadata is not None
    assert metadata.is_iss_returned
    async with origin() as idp:
        idp.publish()
        with pytest.raises(Refusal) as refused:
            await relying().probe(connection(idp.settings()))
        assert refused.value.reason == "provider_status"  # the key set is not there


class Received:
    """What came to the back-channel door."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.came = threading.Event()
        self.url = ""


@pytest.fixture
def door() -> Iterator[Received]:
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            received.tokens += parse_qs(body)["logout_token"]
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            received.came.set()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    received.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


async def test_logout_goes_both_ways(peer: OidcProvider, door: Received) -> None:
    """RP-initiated logout in the browser; the provider tells every client of that session by the back channel."""
    peer.configure(backchannel_logout_uri=door.url, post_logout_redirect_uris=[f"{RP}/signin"])
    rp, bound = relying(), connected(peer)
    departure = await rp.begin(bound, REDIRECT)
    with Visitor() as visitor:
        back = await asyncio.to_thread(visitor.sign_in, departure.url, "alice", back_to=RP)
        found = await rp.finish(bound, REDIRECT, dict(parse_qsl(urlsplit(back).query)), departure.kept)
        url = await rp.end_session_url(bound, id_token_hint=found.logout_hint, return_to=f"{RP}/signin", state="s1")
        assert url is not None
        page = await asyncio.to_thread(visitor.client.get, url)
        done = await asyncio.to_thread(visitor.submit, page, logout="yes")
        assert done.headers["location"] == f"{RP}/signin?state=s1"
    assert await asyncio.to_thread(door.came.wait, 10)
    logout = await rp.read_logout_token(bound, door.tokens[0])
    assert (logout.issuer, logout.subject) == (peer.issuer, "alice")
    assert logout.provider_sessions == (found.provider_session,)
    assert len(logout.message_ids) == 1

    header, body, signature = door.tokens[0].split(".")
    assert found.logout_hint is not None
    for wrong in (f"{header}.{body}.{signature[::-1]}", found.logout_hint, "", f"{header}.{body}.", "a" * 9000):
        with pytest.raises(Refusal):
            await rp.read_logout_token(bound, wrong)
    with pytest.raises(Refusal):  # and a logout token is no ID token
        metadata = await rp._documents.metadata(bound.settings)
        await rp._assertion(bound, bound.settings, metadata, Tokens("at", door.tokens[0]), "nonce")


@pytest.mark.parametrize(("kind", "is_typed", "is_read"), [("JWT", True, False), ("JWT", False, True)])
async def test_a_logout_token_of_another_type_ends_nothing(kind: str, is_typed: bool, is_read: bool) -> None:
    from tests.sso.oidc.making import KEYS, sign
    from tests.sso.oidc.test_logout_token import logout_claims

    async with origin() as idp:
        idp.publish()
        idp.answers["/keys"] = {"keys": list(KEYS)}
        bound, now = connection(idp.settings(is_logout_typed=is_typed)), SystemClock().now_us() // 1_000_000
        token = sign(logout_claims(iss=idp.url, aud="failgate", iat=now, exp=now + 120), typ=kind)
        if is_read:
            assert (await relying().read_logout_token(bound, token)).subject == "alice"
            return
        with pytest.raises(Refusal) as refused:
            await relying().read_logout_token(bound, token)
        assert refused.value.reason == "token_type"


async def test_a_flood_of_forged_logout_tokens_asks_the_provider_once(peer: OidcProvider) -> None:
    from tests.sso.oidc.making import KEYS, RSA_OTHER, claims, sign

    async with origin() as idp:
        idp.publish()
        idp.answers["/keys"] = {"keys": list(KEYS)}
        rp, bound = relying(), connection(idp.settings())
        for number in range(50):
            with contextlib.suppress(Refusal):
                await rp.read_logout_token(bound, sign(claims(), RSA_OTHER, kid=f"unknown-{number}", typ="logout+jwt"))
        assert idp.asked["/keys"] == 2
