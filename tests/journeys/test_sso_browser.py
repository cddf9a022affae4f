"""Single sign-on in a real browser over TLS, with the provider on another site: cookies, content policy, pages. E24"""

import contextlib
import json
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect

from tests.journeys import team
from tests.journeys.camera import Scheme
from tests.journeys.harness import NewDatabase, Server, browser, free_port, on_sqlite
from tests.journeys.team import PASSWORD, Person, codes, person
from tests.peers.simplesaml import SimpleSamlPhp, entry_in
from tests.peers.simplesaml import person as anybody
from tests.web.authority import Authority

SIGN_IN = "/w/acme/settings/sign-in"


class Place:
    """A server at https://localhost and a provider at http://127.0.0.1: two sites."""

    def __init__(self, server: Server, url: str, idp: SimpleSamlPhp, chromium: Browser, owner: Person) -> None:
        self.server, self.url, self.idp, self.chromium, self.owner = server, url, idp, chromium, owner
        self.violations: list[str] = []
        self.signed_in: list = []
        self.connection: tuple[str, tuple[str, ...]] = ("redirect", ())

    def have(self, *, binding: str = "redirect", trusted: tuple[str, ...] = ()) -> None:
        """Make the connection so, whatever test came before; the server reads it at its next start."""
        if self.connection == (binding, trusted):
            return
        was = self.connection[0]
        change = "UPDATE sso_connection SET settings = replace(settings, $1, $2), trusted_methods = $3"
        team.sql(self.server, change, f'"sso_binding":"{was}"', f'"sso_binding":"{binding}"', json.dumps(list(trusted)))
        self.server.stop()
        self.server.start(timeout=60)
        self.connection = (binding, trusted)

    def context(self, **how: object) -> BrowserContext:
        context = self.chromium.new_context(ignore_https_errors=True, **how)
        context.on("console", lambda message: self._note(message.text))
        return context

    def _note(self, text: str) -> None:
        if "Content Security Policy" in text or "Refused to" in text or "TrustedHTML" in text:
            self.violations.append(text)

    def sign_in_by_password(self, page: Page) -> None:
        """Sign the owner in; from the second time on with the session of the first, for a code is good once."""
        if self.signed_in:
            page.context.add_cookies(self.signed_in)
            return
        page.goto(f"{self.url}/signin")
        page.get_by_label("E-mail").fill(self.owner.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        assert self.owner.totp is not None
        for code in codes(self.owner.totp):
            page.locator("input[name=code]").fill(code)
            with page.expect_navigation():
                page.locator("input[name=code]").press("Enter")
            if "/signin" not in page.url:
                self.signed_in = page.context.cookies(self.url)
                return

    def at_the_provider(self, page: Page, who: tuple[str, str]) -> None:
        page.locator("input[name=username]").fill(who[0])
        page.locator("input[name=password]").fill(who[1])
        page.locator("input[name=password]").press("Enter")


def connect_school(place: Place) -> None:
    """Connect the provider as an owner does, try it, and link the owner's own sign-in."""
    with place.context() as context:
        page = context.new_page()
        place.sign_in_by_password(page)
        page.goto(f"{place.url}{SIGN_IN}/new?kind=saml")
        page.get_by_label("Name for people").fill("School")
        page.get_by_label("Short name").fill("school")
        expect(page.locator("[data-address=acs]")).to_have_text(f"{place.url}/sso/school/acs")
        page.locator("[data-metadata-file]").set_input_files(
            files=[{"name": "idp.xml", "mimeType": "text/xml", "buffer": place.idp.metadata()}]
        )
        expect(page.locator("[data-metadata]")).not_to_have_value("")
        page.get_by_role("button", name="Connect", exact=True).click()
        expect(page.get_by_role("heading", name="School")).to_be_visible()
        here = page.url
        team.admin(place.server, "sso.verify_domain", connection="school", domain="school.example")
        place.idp.serve([entry_in(context.request.get(f"{place.url}/sso/school/metadata").body())])
        page.get_by_role("link", name="Test this connection").click()
        place.at_the_provider(page, anybody(1))
        expect(page.locator("[data-verdict]")).to_contain_text("no verified domain")
        page.goto(f"{place.url}/account/sign-ins")
        page.get_by_role("button", name="Link School").click()
        expect(page.get_by_text("linked")).to_be_visible()  # the provider knows the browser by now
        assert page.url == f"{place.url}/account/sign-ins"
        assert here.startswith(f"{place.url}{SIGN_IN}/")


@pytest.fixture(scope="module")
def place(
    new_database: NewDatabase, simplesamlphp: SimpleSamlPhp, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    folder, port = tmp_path_factory.mktemp("sso"), free_port()
    certificate, key = Authority().server("localhost").write(folder, "server")
    url = f"https://localhost:{port}"
    config = (
        f'[server]\npublic_url = "{url}"\nallow_loopback = true\n'
        f'[server.tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
    )
    made = Server(
        folder / "data", database_url=new_database(), config=config, arguments=("--listen", f"127.0.0.1:{port}")
    )
    with browser() as chromium, team.served(made) as server:
        team.found_acme(server)
        made = Place(server, url, simplesamlphp, chromium, person(server, "olga", "owner"))
        connect_school(made)
        yield made


def test_an_owner_connects_a_provider_and_a_person_signs_in_by_it(place: Place) -> None:
    place.have()
    with place.context() as context:
        page = context.new_page()
        page.goto(f"{place.url}/signin?next=/w/acme/queue")
        page.get_by_role("link", name="Continue with School").click()
        place.at_the_provider(page, anybody(1))
        expect(page).to_have_url(re.compile("/signin/code"))  # olga has a second factor here
        kept = {cookie["name"]: cookie for cookie in context.cookies(place.url)}
        assert (kept["__Host-fg_sso"]["sameSite"], kept["__Host-fg_sso"]["secure"]) == ("None", True)
        assert (kept["__Host-fg_session"]["sameSite"], kept["__Host-fg_session"]["httpOnly"]) == ("Lax", True)
        with contextlib.suppress(Error):  # ERR_CACHE_MISS: it may ask before it sends the provider's form once more
            page.go_back()
        page.wait_for_load_state("networkidle")  # the provider's page may lead on by itself
        page.goto(f"{place.url}/signin/code")
        expect(page.locator("input[name=code]")).to_be_visible()
    assert place.violations == []


@on_sqlite
def test_a_request_by_post_leaves_through_a_page_of_ours(place: Place) -> None:
    place.have(binding="post")
    with place.context() as context:
        page = context.new_page()
        page.goto(f"{place.url}/sso/school/start")
        page.click("[data-ask]")
        place.at_the_provider(page, anybody(2))
        expect(page.get_by_text("You are not signed in")).to_be_visible()  # nobody knows them: that is linking's word
        expect(page.locator("[data-reference]")).to_be_visible()
    assert place.violations == []


def test_a_step_up_comes_back_from_the_other_site(place: Place) -> None:
    """The answer is a form of another site, with which no session cookie travels: it brings the session's new one."""
    place.have(trusted=("urn:oasis:names:tc:SAML:2.0:ac:classes:Password",))
    with place.context() as context:
        page = context.new_page()
        page.goto(f"{place.url}/sso/school/start?next=/account/sessions")
        page.click("[data-ask]")
        place.at_the_provider(page, anybody(1))
        expect(page).to_have_url(f"{place.url}/account/sessions")  # the provider's factor is taken for olga's own
        page.goto(f"{place.url}/account/step-up?next=/account/sessions")
        expect(page.get_by_label("Code of your authenticator")).to_be_visible()
        before = {cookie["name"]: cookie["value"] for cookie in context.cookies(place.url)}
        page.get_by_role("button", name="Confirm with School").click()
        expect(page.locator("input[name=username]")).to_be_visible()  # asked anew
        place.at_the_provider(page, anybody(1))
        expect(page).to_have_url(f"{place.url}/account/sessions")
        expect(page.get_by_text("second factor of the identity provider")).to_be_visible()
        after = {cookie["name"]: cookie["value"] for cookie in context.cookies(place.url)}
        assert after["__Host-fg_session"] != before["__Host-fg_session"]
    assert place.violations == []


def test_what_the_provider_confirmed_is_fresh_at_once_and_not_behind_a_link_of_another_site(place: Place) -> None:
    """`SameSite=Strict` as Chromium has it: the page asks for a fresh proof before it is shown."""
    place.have(trusted=("urn:oasis:names:tc:SAML:2.0:ac:classes:Password",))
    sensitive = f"{place.url}/account/away"
    with place.context() as context:
        page = context.new_page()
        page.goto(f"{place.url}/sso/school/start?next=/account/away")
        page.click("[data-ask]")
        place.at_the_provider(page, anybody(1))
        expect(page).to_have_url(sensitive)  # signed in with the provider's factor: not asked again
        fresh = {cookie["name"]: cookie for cookie in context.cookies(place.url)}["__Host-fg_fresh"]
        assert (fresh["sameSite"], fresh["httpOnly"], fresh["secure"], fresh["path"]) == ("Strict", True, True, "/")
        assert 0 < fresh["expires"] - time.time() <= 300
        context.route(
            "http://elsewhere.example/",
            lambda route: route.fulfill(content_type="text/html", body=f'<a href="{sensitive}">your leave</a>'),
        )
        page.goto("http://elsewhere.example/")
        page.get_by_text("your leave").click()
        expect(page).to_have_url(f"{place.url}/account/step-up?next=/account/away")
        page.get_by_role("button", name="Confirm with School").click()
        expect(page.locator("input[name=username]")).to_be_visible()
        place.at_the_provider(page, anybody(1))
        expect(page).to_have_url(sensitive)
        again = {cookie["name"]: cookie for cookie in context.cookies(place.url)}["__Host-fg_fresh"]
        assert again["value"] != fresh["value"]
        page.goto(f"{place.url}/account")
        page.goto(sensitive)
        expect(page).to_have_url(sensitive)
        # Somebody took the session's cookie alone.
        context.clear_cookies(name="__Host-fg_fresh")
        page.goto(sensitive)
        expect(page).to_have_url(f"{place.url}/account/step-up?next=/account/away")
    assert place.violations == []


@pytest.mark.parametrize(
    ("new_database", "width", "height", "scheme"),
    [("sqlite", 1280, 900, "light"), ("postgres", 390, 844, "dark"), ("sqlite", 320, 640, "light")],
    indirect=["new_database"],
    scope="module",
)
def test_the_pages_are_accessible_and_fit(place: Place, width: int, height: int, scheme: Scheme) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with place.context(viewport={"width": width, "height": height}, color_scheme=scheme, bypass_csp=True) as context:
        page = context.new_page()
        place.sign_in_by_password(page)
        page.goto(f"{place.url}{SIGN_IN}")
        here = page.locator(".rows a.button").first.get_attribute("href")
        paths = [SIGN_IN, f"{SIGN_IN}/new?kind=saml", f"{SIGN_IN}/new?kind=microsoft", here, "/account/sign-ins"]
        strange = ["/signin", "/signin/sso", "/sso/school/callback?state=x"]
        for path in paths:
            _check(Axe(), page, f"{place.url}{path}")
    with place.context(viewport={"width": width, "height": height}, color_scheme=scheme, bypass_csp=True) as context:
        page = context.new_page()
        for path in strange:
            _check(Axe(), page, f"{place.url}{path}")


def _check(axe, page: Page, url: str) -> None:
    page.goto(url)
    found = axe.run(page)
    assert found.violations_count == 0, (url, found.generate_report())
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), url
