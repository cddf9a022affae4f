"""Signing in and out through the certified OpenID provider and through GitHub, at a real server. F6 E23"""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx
import pytest

from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, at_port
from tests.journeys.sso import MockProvider, callback_of, connection, start, travel
from tests.journeys.team import stranger
from tests.peers import github as peer_github
from tests.peers.github import GitHub, github_stand_in
from tests.peers.oidc_provider.peer import CLIENT_ID, CLIENT_SECRET, FAULTS, OidcProvider, read_form

QUEUE = "/w/acme/queue"
SCOPES = ["openid", "email", "profile", "groups"]


@pytest.fixture(scope="module")
def github() -> Iterator[GitHub]:
    with github_stand_in() as running:
        running.add("mallory", 7, [{"email": "owner@acme.example", "primary": True, "verified": True}])
        running.add("newcomer", 8, [{"email": "new@example.org", "primary": True, "verified": False}])
        yield running


@contextmanager
def serving(
    folder: Path, peer: OidcProvider, *more: str, database_url: str | None = None, is_door_ours: bool = True
) -> Iterator[Server]:
    """Run a server with the connection `peer`; afterwards its log holds no failure of its own."""
    secret = folder / "peer-secret"
    secret.write_text(CLIENT_SECRET + "\n")
    config = trusted("peer", peer.issuer, CLIENT_ID, secret, scopes=SCOPES) + "".join(more)
    with team.served(at_port(Server(folder / "data", database_url=database_url, config=config))) as server:
        if is_door_ours:
            peer.serve(server.url)
        team.found_acme(server)
        yield server


def trusted(slug: str, issuer: str, client_id: str, secret: Path, **more: Any) -> str:
    """A connection whose group `ops` reviews in the workspace."""
    return connection(
        slug, ("ops", "reviewer"), protocol="oidc", issuer=issuer, client_id=client_id, client_secret=secret, **more
    )  # fmt: skip


@pytest.fixture
def either(new_database: NewDatabase, peer: OidcProvider, tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, peer, database_url=new_database()) as server:
        yield server


@pytest.fixture(scope="module")
def server(
    peer: OidcProvider, second: MockProvider, github: GitHub, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One server with every connection: the certified provider, another one, GitHub, and one that is not there."""
    folder = tmp_path_factory.mktemp("oidc")
    (folder / "second").write_text("not-so-secret\n")
    (folder / "github").write_text(peer_github.CLIENT_SECRET + "\n")
    more = (
        trusted("second", second.url, "failgate", folder / "second", email_verified=True),
        trusted("gone", "http://127.0.0.1:9", "failgate", folder / "second"),
        connection(
            "github", ("*", "reviewer"), protocol="github", issuer=github.url, client_id=peer_github.CLIENT_ID,
            client_secret=folder / "github",
        ),
    )  # fmt: skip
    with serving(folder, peer, *more, "[sso]\nrsa_bits = 2048\n") as running:  # what the second one signs with
        yield running


def leave(client: httpx.Client, slug: str = "peer", next_path: str = QUEUE) -> httpx.Response:
    return client.get(f"/sso/{slug}/start", params={"next": next_path})


def enter(client: httpx.Client, login: str, slug: str = "peer") -> httpx.Response:
    return travel(client, leave(client, slug), login)


def come_back(client: httpx.Client, login: str, slug: str = "peer", **options: Any) -> str:
    """Go to the provider and return the address of ours with which it sends the browser back."""
    return callback_of(client, leave(client, slug), login, **options)


def is_signed_in(client: httpx.Client) -> bool:
    return client.get("/account").status_code == 200


def reasons(server: Server) -> list[str]:
    entries = [json.loads(line) for line in list(server.logs) if '"sso.refused"' in line]
    return [entry["reason"] for entry in entries if entry["event"] == "sso.refused"]


def refused_for(server: Server, page: httpx.Response, reason: str) -> None:
    """Check that the stranger reads the one page, and the operator the reason."""
    assert page.status_code == 403
    assert "data-reference" in page.text
    assert reason not in page.text
    deadline = time.monotonic() + 60
    while reasons(server)[-1:] != [reason]:
        assert time.monotonic() < deadline, reasons(server)
        time.sleep(0.01)


def gone_within_a_second(client: httpx.Client) -> bool:
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        if not is_signed_in(client):
            return True
        time.sleep(0.02)
    return False


def test_a_person_signs_in_and_the_logout_goes_both_ways(either: Server, peer: OidcProvider) -> None:
    with stranger(either) as desk, stranger(either) as phone:
        page = enter(phone, "alice")
        assert (page.status_code, page.url.path) == (200, QUEUE), page.text
        # The keys at hand are gone when the second answer comes back.
        back = come_back(desk, "alice")
        peer.rotate(drop=True)
        assert travel(desk, desk.get(back), "alice").url.path == QUEUE
        assert 'data-account-email="alice@example.org"' in desk.get("/account").text
        roles = desk.get("/api/v1/whoami").json()["workspaces"]
        assert [one["role"] for one in roles if one["workspace"] == "acme"] == ["reviewer"]

        # Ours first: the browser goes on to the provider, ends the session there too, and comes back.
        token = re.search(r'name="csrf_token" value="([^"]+)"', desk.get("/account").text)
        assert token is not None
        out = desk.post("/signout", data={"csrf_token": token[1]}, headers={"origin": either.url})
        page = travel(desk, out, "alice")
        assert page.url.path == "/sso/peer/logout", page.text
        assert not is_signed_in(desk)
        assert is_signed_in(phone)  # another session of the provider

        # Then the provider's: it tells us by the back channel, which names this one session.
        page = phone.get(f"{peer.issuer}/session/end")
        action, fields = read_form(page.text)
        phone.post(urljoin(str(page.url), action), data={**fields, "logout": "yes"})
        assert gone_within_a_second(phone)
    assert either.verify().returncode == 0


def test_a_provider_may_add_a_key_in_the_middle_of_a_sign_in(server: Server, peer: OidcProvider) -> None:
    with stranger(server) as client:
        enter(client, "alice")
    with stranger(server) as client:
        back = come_back(client, "alice")
        peer.rotate(drop=False)
        assert travel(client, client.get(back), "alice").url.path == QUEUE


@pytest.mark.parametrize("fault", FAULTS)
def test_a_spoiled_token_signs_nobody_in(server: Server, peer: OidcProvider, fault: str) -> None:
    from tests.sso.oidc.test_oidc import WHY

    with stranger(server) as client:
        back = come_back(client, "alice")
        peer.spoil(fault)
        refused_for(server, client.get(back), WHY[fault])
        assert not is_signed_in(client)
        assert enter(client, "alice").url.path == QUEUE  # the person just tries again


def test_every_refusal_shows_the_same_page(server: Server, peer: OidcProvider) -> None:
    pages = set()
    for fault in ("iss", "none", "nonce"):
        with stranger(server) as client:
            back = come_back(client, "alice")
            peer.spoil(fault)
            text = client.get(back).text
            pages.add(re.sub(r'data-reference>[^<]*|nonce="[^"]*"|value="[^"]*"|content="[^"]*"', "", text))
    assert len(pages) == 1


def test_an_answer_is_of_one_browser_and_good_once(server: Server) -> None:
    with stranger(server) as client, stranger(server) as thief:
        back = come_back(client, "alice")
        assert thief.get(back).status_code == 403
        assert not is_signed_in(thief)
    with stranger(server) as client, stranger(server) as thief:
        back = come_back(client, "alice")
        assert travel(client, client.get(back), "alice").url.path == QUEUE
        client.cookies.delete("fg_session")
        assert client.get(back).status_code == 403  # the back button
        assert not is_signed_in(client)
        assert thief.get(back).status_code == 403


def test_an_answer_that_nobody_asked_for_is_refused(server: Server) -> None:
    with stranger(server) as client:
        for query in (
            "",
            "code=abc",
            "code=abc&state=x",
            "error=access_denied",
            "state=x&state=y&code=z",
            "code=%00&state=%ff",
        ):
            answer = client.get(f"/sso/peer/callback?{query}")
            assert answer.status_code in {400, 403}, answer.text
        assert not is_signed_in(client)


def test_changed_parts_of_an_answer_are_refused(server: Server) -> None:
    for changed in ({"iss": "https://evil.example"}, {"iss": None}, {"code": "x" * 50}, {"code": None}):
        with stranger(server) as client:
            url = urlsplit(come_back(client, "alice"))
            query = {name: values[0] for name, values in parse_qs(url.query).items()} | changed
            kept = {name: value for name, value in query.items() if value is not None}
            assert client.get(f"{url.path}?{urlencode(kept)}").status_code == 403, changed
            assert not is_signed_in(client)


def test_who_cancels_comes_back_to_a_page_that_says_what_to_do(server: Server) -> None:
    with stranger(server) as client:
        page = travel(client, leave(client), "alice", is_cancelling=True)
        refused_for(server, page, "consent_cancelled")
        assert "Try again" in page.text


def test_a_provider_that_is_not_there_is_a_page_not_a_failure(server: Server) -> None:
    with stranger(server) as client:
        refused_for(server, leave(client, "gone"), "provider_unreachable")


def test_two_tabs_each_come_back(server: Server) -> None:
    with stranger(server) as client:
        one, two = come_back(client, "alice"), come_back(client, "alice")
        assert travel(client, client.get(two), "alice").url.path == QUEUE
        assert travel(client, client.get(one), "alice").url.path == QUEUE


def test_an_unverified_address_brings_nobody_in(server: Server) -> None:
    with stranger(server) as client:
        page = enter(client, "bob")
        assert page.status_code == 403
        assert not is_signed_in(client)


def test_a_person_without_an_address_reads_what_to_do(server: Server, peer: OidcProvider) -> None:
    peer.say("carol", name="Carol", groups=["ops"])
    with stranger(server) as client:
        page = enter(client, "carol")
        assert page.status_code == 403
        assert "e-mail" in page.text


def test_another_provider_with_the_same_subject_and_address_is_somebody_else(
    server: Server, second: MockProvider
) -> None:
    """A provider cannot take over an account by asserting its e-mail or its subject."""
    with stranger(server) as client:
        assert enter(client, "alice").url.path == QUEUE
    second.person("alice", email="alice@example.org", email_verified=True, groups=["ops"])
    second.person("owner", email="owner@acme.example", email_verified=True, groups=["ops"])
    for subject in ("alice", "owner"):
        with stranger(server) as client:
            assert start(client, "second", QUEUE, subject=subject).status_code == 403
            assert not is_signed_in(client)


def test_a_person_of_the_second_provider_signs_in(server: Server, second: MockProvider) -> None:
    second.person("dora", email="dora@example.org", email_verified=True, groups=["ops"])
    with stranger(server) as client:
        assert start(client, "second", QUEUE, subject="dora").url.path == QUEUE
        assert 'data-account-email="dora@example.org"' in client.get("/account").text


def test_without_the_setting_a_provider_with_a_short_key_signs_nobody_in(
    peer: OidcProvider, second: MockProvider, tmp_path: Path
) -> None:
    # ASVS 5.0 11.2.3
    second.person("dora", email="dora@example.org", email_verified=True, groups=["ops"])
    short = trusted("second", second.url, "failgate", tmp_path / "peer-secret", email_verified=True)
    with serving(tmp_path, peer, short, is_door_ours=False) as server, stranger(server) as client:
        page = start(client, "second", QUEUE, subject="dora")
        assert (page.status_code, page.url.path) == (403, "/sso/second/callback")
        assert not is_signed_in(client)
        refused_for(server, page, "key_length")


def test_github_signs_in_by_number_and_verified_primary_address(server: Server) -> None:
    with stranger(server) as client:
        page = enter(client, "octocat", "github")
        assert (page.status_code, page.url.path) == (200, QUEUE), page.text
        assert 'data-account-email="octocat@example.org"' in client.get("/account").text
    for login in ("mallory", "newcomer", "nobody"):
        with stranger(server) as client:
            assert enter(client, login, "github").status_code == 403
            assert not is_signed_in(client)


def test_a_renamed_github_account_stays_the_same_person(server: Server, github: GitHub) -> None:
    def account_id(login: str) -> str:
        with stranger(server) as client:
            assert enter(client, login, "github").url.path == QUEUE
            found = re.search(r'data-account-id="([^"]+)"', client.get("/account").text)
            assert found is not None
            return found[1]

    before = account_id("octocat")
    github.add("monalisa", 583231, [{"email": "new-name@example.org", "primary": True, "verified": True}])
    assert account_id("monalisa") == before


@pytest.fixture
def captured() -> Iterator[list[str]]:
    """The logout tokens that the provider sends, and `str` of the address to which."""
    tokens: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            tokens.extend(parse_qs(body)["logout_token"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    door = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=door.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    tokens.append(f"http://127.0.0.1:{door.server_port}/")
    try:
        yield tokens
    finally:
        door.shutdown()
        door.server_close()
        thread.join(5)


def test_a_logout_token_is_used_once_and_nothing_else_is_one(
    server: Server, peer: OidcProvider, captured: list[str]
) -> None:
    """The provider's token is caught on its way, so that it can be sent twice."""
    peer.configure(backchannel_logout_uri=captured[0])
    try:
        with stranger(server) as client, stranger(server) as provider_itself:
            assert enter(client, "alice").url.path == QUEUE
            page = client.get(f"{peer.issuer}/session/end")
            action, fields = read_form(page.text)
            client.post(urljoin(str(page.url), action), data={**fields, "logout": "yes"})
            deadline = time.monotonic() + 60
            while len(captured) < 2:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            token = captured[1]
            assert is_signed_in(client)

            def send(**body: str) -> int:
                return provider_itself.post("/sso/peer/backchannel-logout", data=body).status_code

            header, payload, signature = token.split(".")
            for wrong in (
                "",
                "x",
                "a.b.c",
                f"{header}.{payload}.",
                f"{header}.{payload}.{signature[::-1]}",
                "a" * 20_000,
            ):
                assert send(logout_token=wrong) == 400
            assert send(other="x") == 400
            assert provider_itself.get("/sso/peer/backchannel-logout").status_code == 405
            assert (
                provider_itself.post("/sso/second/backchannel-logout", data={"logout_token": token}).status_code == 400
            )
            assert is_signed_in(client)
            assert send(logout_token=token) == 200
            assert gone_within_a_second(client)
            assert enter(client, "alice").url.path == QUEUE
            assert send(logout_token=token) == 400
            assert is_signed_in(client)
    finally:
        peer.serve(server.url)


def test_a_page_whose_session_ends_lets_the_person_go_where_they_are_going(
    server: Server, peer: OidcProvider, chromium: Any
) -> None:
    """The queue loads itself anew when its session ends: not while a person's own way to another page is under way."""
    context = chromium.new_context()
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(f"{server.url}/signin?next={QUEUE}")
    page.click("[data-connection=peer]")
    page.fill("[name=login]", "alice")
    page.fill("[name=password]", "any")
    with page.expect_websocket() as opened:
        page.press("[name=password]", "Enter")
        page.get_by_role("button", name="Continue").click()
    token = page.locator('form[action="/signout"] [name=csrf_token]').last.get_attribute("value")
    held: list[Any] = []
    page.route(f"{server.url}/account", lambda route: held.append(route))
    with page.expect_request(f"{server.url}/account"):
        page.evaluate("location.assign('/account')")
    with opened.value.expect_event("close"):
        form = {"csrf_token": token or ""}
        context.request.post(f"{server.url}/signout", form=form, headers={"origin": server.url}, max_redirects=0)
    page.wait_for_timeout(300)  # in which a page that goes its own way would have gone
    held[0].continue_()
    page.wait_for_url(f"{server.url}/signin?next=/account")
    context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_signing_out_in_a_browser_ends_the_providers_session_too(
    server: Server, peer: OidcProvider, chromium: Any, width: int
) -> None:
    """RP-initiated logout, with the cookies, redirects and content policy of a real browser."""
    context = chromium.new_context(viewport={"width": width, "height": 840})
    context.set_default_timeout(60_000)  # a busy machine
    page = context.new_page()
    violations: list[str] = []
    page.on("console", lambda said: violations.append(said.text) if "Content Security Policy" in said.text else None)
    page.goto(f"{server.url}/signin?next={QUEUE}")
    page.click("[data-connection=peer]")
    page.fill("[name=login]", "alice")
    page.fill("[name=password]", "any")
    page.press("[name=password]", "Enter")
    page.get_by_role("button", name="Continue").click()  # the consent
    page.wait_for_url(f"{server.url}{QUEUE}**")
    page.wait_for_load_state("networkidle")  # the queue has opened its socket: nothing else moves this page
    page.goto(f"{server.url}/sso/peer/start?next=/account")
    page.click("[data-ask]")
    page.wait_for_url(f"{server.url}/account")  # the provider knows this browser and asked nothing
    assert page.url == f"{server.url}/account", page.inner_text("body")[:500]

    page.locator('form[action="/signout"] button').last.click()
    page.wait_for_url(f"{peer.issuer}/**")
    page.click("[name=logout]")
    page.wait_for_url(f"{server.url}/sso/peer/logout**")
    assert page.get_by_role("heading", name="You are signed out").is_visible()
    page.goto(f"{server.url}/account")
    page.wait_for_url(f"{server.url}/signin**")
    page.click("[data-connection=peer]")
    page.wait_for_url(f"{peer.issuer}/**")
    assert page.locator("[name=login]").is_visible()  # it asks who this is: its session has ended
    assert violations == []
    context.close()


def test_nothing_of_a_sign_in_stands_in_the_log(server: Server) -> None:
    with stranger(server) as client:
        back = come_back(client, "alice")
        code = parse_qs(urlsplit(back).query)["code"][0]
        travel(client, client.get(back), "alice")
    text = "".join(server.logs + server.lines)
    assert code not in text
    assert CLIENT_SECRET not in text
    assert "eyJ" not in text


def test_no_token_of_a_provider_is_in_anything_that_a_browser_gets(server: Server, peer: OidcProvider) -> None:
    """Headers, cookies and bodies of every answer of ours. ASVS 10.1.1.

    At sign-out the ID token, which opens nothing, goes back to the provider that made it, as OpenID Connect
    RP-Initiated Logout wants it: in that one address.
    """
    seen: list[tuple[str, str]] = []

    def note(answer: httpx.Response) -> None:
        answer.read()
        if str(answer.url).startswith(server.url):
            seen.append((str(answer.url), f"{answer.headers.raw!r} {answer.text}"))

    before = len(peer.handed())
    with stranger(server) as client:
        client.event_hooks = {"response": [note]}
        assert enter(client, "alice").url.path == QUEUE
        pages = ("/", QUEUE, "/account", "/account/sessions", "/account/sign-ins", "/account/logins", "/api/v1/whoami")
        for path in pages:
            assert client.get(path).status_code == 200, path
        enter(client, "alice")  # once more, over the open session
        token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/account").text)
        assert token is not None
        signed_in = len(seen)
        out = client.post("/signout", data={"csrf_token": token[1]}, headers={"origin": server.url})
        assert out.is_redirect or out.status_code == 200
    handed = peer.handed()[before:]
    assert len(handed) == 2
    assert all(len(answer["access_token"]) > 20 and answer["id_token"].count(".") == 2 for answer in handed)
    assert signed_in >= len(pages) + 2
    for answer in handed:
        for kind in ("access_token", "refresh_token"):
            assert [url for url, text in seen if kind in answer and answer[kind] in text] == []
    # An ID token, whole or in parts, also one of another sign-in.
    assert [url for url, text in seen[:signed_in] if "eyJ" in text] == []
    parted = [text for _, text in seen[signed_in:] if "eyJ" in text]
    hint = re.compile(rf"{re.escape(peer.issuer)}/session/end\?[^\s\"'<>]*id_token_hint=eyJ[\w.-]+")
    assert parted, "the provider is told who signs out"
    assert [text for text in parted if "eyJ" in hint.sub("", text)] == []


def test_no_token_of_github_is_in_anything_that_a_browser_gets(server: Server, github: GitHub) -> None:
    seen: list[str] = []

    def note(answer: httpx.Response) -> None:
        answer.read()
        if str(answer.url).startswith(server.url):
            seen.append(f"{answer.headers.raw!r} {answer.text}")

    before = set(github.tokens)
    with stranger(server) as client:
        client.event_hooks = {"response": [note]}
        assert enter(client, "octocat", "github").url.path == QUEUE
        for path in ("/account", "/account/sessions", "/account/sign-ins", "/api/v1/whoami"):
            assert client.get(path).status_code == 200, path
    [token] = set(github.tokens) - before
    assert token.startswith("gho_")
    assert [text for text in seen if token in text or "gho_" in text] == []
