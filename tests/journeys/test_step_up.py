"""Who has their provider's second factor alone steps up there, and signs a command line in: real providers. F9 B3"""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import httpx
import pytest

from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, at_port, failgate
from tests.journeys.pictures import picture
from tests.journeys.sso import callback_of, connection, travel, way_back, way_out
from tests.journeys.team import Visitor, form, stranger
from tests.journeys.terminal import Terminal
from tests.peers.oidc_provider.peer import CLIENT_ID, CLIENT_SECRET, OidcProvider
from tests.peers.simplesaml import SimpleSamlPhp, Walker, entry_in
from tests.peers.simplesaml import person as anybody

STEP_UP = "/account/step-up"
PASSWORD_CONTEXT = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"


@pytest.fixture(scope="module")
def server(
    new_database: NewDatabase,
    peer: OidcProvider,
    simplesamlphp: SimpleSamlPhp,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """One server with both providers, of the installation; each is trusted with the second factor."""
    folder = tmp_path_factory.mktemp("step-up")
    (folder / "secret").write_text(CLIENT_SECRET + "\n")
    (folder / "idp.xml").write_bytes(simplesamlphp.metadata())
    config = connection(
        "peer", ("ops", "reviewer"), protocol="oidc", issuer=peer.issuer, client_id=CLIENT_ID, client_secret=folder / "secret",
        scopes=["openid", "email", "profile", "groups"], trusted_methods=["mfa"],
    ) + connection(
        "school", ("member", "admin"), protocol="saml", title="School", metadata_file=str(folder / "idp.xml"),
        trusted_methods=[PASSWORD_CONTEXT],
    )  # fmt: skip
    with team.served(at_port(Server(folder / "data", database_url=new_database(), config=config))) as running:
        peer.serve(running.url)
        team.found_acme(running)
        simplesamlphp.serve([entry_in(httpx.get(f"{running.url}/sso/school/metadata", trust_env=False).content)])
        yield running


@pytest.fixture
def alice(server: Server, peer: OidcProvider) -> Iterator[Visitor]:
    """A browser in which alice signed in with her provider's second factor, longer than five minutes ago."""
    peer.show("alice", amr=["pwd", "mfa"])
    with stranger(server, origin=server.url) as client:
        entered = travel(client, client.get("/sso/peer/start"), "alice")
        assert entered.status_code == 200, entered.text
        yield client


def begin(client: Visitor, next_path: str = "/device") -> str:
    """Press *Confirm with …*; return where the browser leaves for."""
    left = form(client, f"{STEP_UP}?next={next_path}", to=f"{STEP_UP}/provider", next=next_path)
    assert left.status_code == 200, left.text
    return way_out(left)


def answer_of(client: Visitor, url: str, login: str) -> str:
    """Go to the provider by `url`; return the address of ours with which it sends the browser back."""
    return callback_of(client, client.get(url), login)


def reason(server: Server, refused: httpx.Response) -> str:
    """The word for a refusal in the server's own log, found by the reference that its page shows."""
    reference = re.search(r"data-reference>([^<]+)<", refused.text)
    assert reference is not None, refused.text
    return server.logged("sso.refused", request_id=reference[1])["reason"]


def is_fresh(client: Visitor) -> bool:
    return 'name="user_code"' in client.get("/device").text


def approve(client: Visitor, code: str) -> httpx.Response:
    shown = form(client, "/device", user_code=code)
    assert "data-user-code" in shown.text, shown.text
    token = re.search(r'name="csrf_token" value="([^"]+)"', shown.text)
    assert token is not None
    sent = {"csrf_token": token[1], "user_code": code, "decision": "approve", "mine": "yes"}
    return client.post("/device/decision", data=sent)


def test_a_command_line_is_approved_with_the_factor_of_an_openid_provider(
    server: Server, peer: OidcProvider, alice: Visitor, tmp_path: Path
) -> None:
    terminal = Terminal(tmp_path / "home", server.url)
    led = alice.get("/device")
    assert led.headers["location"] == f"{STEP_UP}?next=/device"
    assert "Confirm with The peer" in alice.get(led.headers["location"]).text
    before = alice.cookies["fg_session"]
    url = begin(alice)
    query = parse_qs(urlsplit(url).query)
    assert (query["prompt"], query["max_age"]) == (["login"], ["0"])
    back = answer_of(alice, url, "alice")
    ended = alice.get(back)
    assert way_back(ended) == "/device"
    assert alice.cookies["fg_session"] != before
    assert "is signed in" in approve(alice, terminal.code).text
    status, _, said = terminal.finish()
    assert status == 0, said
    home = {"FAILGATE_HOME": str(tmp_path / "home")}
    me = json.loads(failgate("whoami", "--json", env=home).stdout)
    assert (me["email"], me["workspaces"]) == ("alice@example.org", [{"workspace": "acme", "role": "reviewer"}])
    assert failgate("logout", env=home).returncode == 0


def test_a_person_does_it_in_a_browser(server: Server, peer: OidcProvider, chromium, tmp_path: Path) -> None:
    """The pages of it, with screenshots when FAILGATE_SCREENSHOTS names a folder."""
    peer.show("alice", amr=["pwd", "mfa"])
    terminal = Terminal(tmp_path / "home", server.url)
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    violations: list[str] = []
    page.on("console", lambda one: violations.append(one.text) if "Content Security Policy" in one.text else None)
    page.goto(f"{server.url}/sso/peer/start?next=/device")
    page.click("[data-ask]")
    at_the_provider(page)
    page.wait_for_url(f"{server.url}{STEP_UP}?next=/device")
    picture(page, "step-up")
    page.get_by_role("button", name="Confirm with The peer").click()
    at_the_provider(page, "bob")
    page.get_by_text("signed somebody else in than you").or_(page.get_by_text("The session that asked")).wait_for()
    picture(page, "step-up-refused")
    context.clear_cookies()
    page.goto(f"{server.url}/sso/peer/start?next=/device")
    page.click("[data-ask]")
    at_the_provider(page)
    page.get_by_role("button", name="Confirm with The peer").click()
    at_the_provider(page)
    page.wait_for_url(f"{server.url}/device")
    page.fill("[name=user_code]", terminal.code)
    page.click("main button[type=submit]")
    page.check("[name=mine]")
    page.click("[data-approve-login]")
    page.get_by_text("The command line is signed in").wait_for()
    assert terminal.finish()[0] == 0
    page.goto(f"{server.url}/account/sessions")
    page.wait_for_selector("[data-login]")
    picture(page, "sessions")
    page.locator("[data-login] button").first.click()
    page.wait_for_url(f"{server.url}/account/sessions")
    page.get_by_text("No command line speaks for you").wait_for()
    assert failgate("whoami", env={"FAILGATE_HOME": str(tmp_path / "home")}).returncode == 78
    picture(page, "sessions-ended")
    page.goto(f"{server.url}/account/second-factor")
    picture(page, "second-factor-of-the-provider")
    assert violations == []
    context.close()


def at_the_provider(page: Any, login: str = "alice") -> None:
    """Fill in the provider's forms until our own page stands there."""
    for _ in range(6):
        page.wait_for_load_state()
        if page.locator("[name=login]").count():
            page.fill("[name=login]", login)
            page.fill("[name=password]", "any")
            page.locator("[type=submit]").first.click()
        elif page.locator("[name=prompt][value=consent]").count():
            page.locator("[type=submit]").first.click()
        elif page.locator(".brand").count():
            return


def test_a_command_line_is_approved_with_the_factor_of_a_saml_provider(server: Server, tmp_path: Path) -> None:
    who, home = anybody(1), tmp_path / "home"
    acs = f"{server.url}/sso/school/acs"
    with Walker() as walker:
        asked = walker.open(f"{server.url}/sso/school/start", until=acs)
        entry = walker.sign_in(asked, who, until=acs)
        assert way_back(walker.client.post(entry.url, data=entry.fields)) == "/"
        client = Visitor(base_url=server.url, trust_env=False, timeout=20, headers={"origin": server.url})
        client.cookies.update(walker.client.cookies)
        stale(server, "person1@example.org")
        assert client.get("/device").headers["location"] == f"{STEP_UP}?next=/device"
        terminal = Terminal(home, server.url)
        url = begin(client)
        again = walker.open(url, until=acs)
        assert isinstance(again, httpx.Response), "the provider remembered the person instead of asking"
        answer = walker.sign_in(again, who, until=acs)
        ended = client.post(answer.url, data=answer.fields, headers={"origin": "null", "sec-fetch-site": "cross-site"})
        assert way_back(ended) == "/device"
        assert "is signed in" in approve(client, terminal.code).text
        status, _, said = terminal.finish()
        assert status == 0, said
        again = client.post(answer.url, data=answer.fields, headers={"origin": "null"})
        assert (again.status_code, reason(server, again)) == (403, "request_used")
        assert "This answer was used before" in again.text
        client.close()


def stale(server: Server, email: str) -> None:
    """Let the session be of half an hour ago, as far as its factor is concerned; the server reads it anew."""
    at_us = time.time_ns() // 1000 - 1_800_000_000
    team.sql(
        server,
        "UPDATE session SET second_factor_us = $1 WHERE account_id IN (SELECT id FROM account WHERE email = $2)",
        at_us,
        email,
    )
    server.stop()
    server.start(timeout=60)


def without(url: str, *names: str, **more: str) -> str:
    """Strike parameters out of an address, as whoever sits at the browser may."""
    parts = urlsplit(url)
    kept = {name: values[0] for name, values in parse_qs(parts.query).items() if name not in names}
    return urlunsplit(parts._replace(query=str(httpx.QueryParams(kept | more))))


def test_a_provider_that_is_kept_from_asking_steps_nothing_up(
    server: Server, peer: OidcProvider, alice: Visitor
) -> None:
    """Whoever sits at an open browser strikes out what asks the provider; the signed time tells."""
    peer.show("alice", amr=["pwd", "mfa"], seconds_ago=40)
    travel(alice, alice.get(begin(alice)), "alice")  # so that the provider knows a login of 40 seconds ago
    for url, word in (
        (without(begin(alice), "prompt", "max_age"), "step_up_undated"),
        (without(begin(alice), "prompt", max_age="86400"), "step_up_old"),
    ):
        refused = alice.get(answer_of(alice, url, "nobody is asked"))
        assert (refused.status_code, reason(server, refused)) == (403, word), refused.text
        assert 'href="/account/step-up?next=/device"' in refused.text
        assert 'href="/device"' in refused.text
    assert not is_fresh(alice)


def forget_the_provider(client: Visitor) -> None:
    """Let the provider know nothing of this browser; otherwise it ends alice's session when bob signs in there."""
    for cookie in list(client.cookies.jar):
        if not cookie.name.startswith("fg_"):
            client.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)


def test_who_becomes_somebody_else_at_the_provider_is_signed_out_by_it(
    server: Server, peer: OidcProvider, alice: Visitor
) -> None:
    """The provider ends alice's session when bob signs in in her browser, and says so by its back channel."""
    peer.show("bob", amr=["pwd", "mfa"])
    refused = alice.get(answer_of(alice, begin(alice), "bob"))
    assert (refused.status_code, reason(server, refused)) == (403, "step_up_session")
    assert alice.get("/account").headers["location"].startswith("/signin")


@pytest.mark.parametrize(
    ("login", "shows", "word", "sentence"),
    [
        ("alice", {"amr": ["pwd"]}, "step_up_no_factor", "did not say that you showed a second factor"),
        ("alice", {}, "step_up_no_factor", "did not say that you showed a second factor"),
        ("alice", {"amr": ["pwd", "mfa"], "seconds_ago": 3600}, "step_up_old", "did not ask you anew"),
        ("bob", {"amr": ["pwd", "mfa"]}, "step_up_other_person", "signed somebody else in than you"),
    ],
)
def test_another_person_factor_or_time_is_told_and_steps_nothing_up(
    server: Server, peer: OidcProvider, alice: Visitor, login: str, shows: dict, word: str, sentence: str
) -> None:
    peer.show(login, **shows)
    url = begin(alice)
    forget_the_provider(alice)
    refused = alice.get(answer_of(alice, url, login))
    assert (refused.status_code, reason(server, refused)) == (403, word), refused.text
    assert sentence in refused.text
    assert "data-reference" in refused.text
    assert alice.get("/account").status_code == 200
    assert not is_fresh(alice)


def test_an_answer_is_for_one_browser_one_session_and_one_use(
    server: Server, peer: OidcProvider, alice: Visitor
) -> None:
    back = answer_of(alice, begin(alice), "alice")
    with stranger(server, origin=server.url) as thief:
        assert reason(server, thief.get(back)) == "other_browser"
        travel(thief, thief.get("/sso/peer/start"), "alice")
        refused = thief.get(back)
        assert (refused.status_code, reason(server, refused)) == (403, "other_browser")
        assert "confirm" not in refused.text.lower()
        # The victim's session in the thief's browser, too: what began is bound to the browser that began it.
        thief.cookies.set("fg_session", alice.cookies["fg_session"])
        assert thief.get(back).status_code == 403
        assert not is_fresh(thief)
    (mine,) = [cookie for cookie in alice.cookies.jar if cookie.name == "fg_session"]
    alice.cookies.jar.clear(mine.domain, mine.path, mine.name)
    assert reason(server, alice.get(back)) == "step_up_session"
    alice.cookies.jar.set_cookie(mine)
    assert reason(server, alice.get(back)) == "request_used"
    assert not is_fresh(alice)
    assert way_back(alice.get(answer_of(alice, begin(alice), "alice"))) == "/device"
    assert is_fresh(alice)


def test_a_cancelled_step_up_leads_back(server: Server, alice: Visitor) -> None:
    state = parse_qs(urlsplit(begin(alice, "/account/passkeys")).query)["state"][0]
    refused = alice.get("/sso/peer/callback", params={"state": state, "error": "access_denied"})
    assert (refused.status_code, reason(server, refused)) in {(403, "consent_cancelled"), (403, "response_issuer")}
    assert "did not confirm that it is you" in refused.text
    assert 'href="/account/passkeys"' in refused.text


def test_a_stepped_up_admin_manages_and_enrols_a_factor_of_their_own(
    server: Server, peer: OidcProvider, alice: Visitor
) -> None:
    begun = form(alice, "/account/second-factor", to="/account/second-factor/begin", next="/")
    assert begun.headers["location"] == f"{STEP_UP}?next=/account/second-factor&for=all"
    assert way_back(alice.get(answer_of(alice, begin(alice, "/account/second-factor"), "alice"))) == (
        "/account/second-factor"
    )
    begun = form(alice, "/account/second-factor", to="/account/second-factor/begin", next="/")
    assert "data-secret" in begun.text
