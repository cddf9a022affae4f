"""Signing in through SimpleSAMLphp, a SAML provider of its own processes, at a real server. E24 B4"""

import re
from collections.abc import Iterator
from typing import Self

import httpx
import pytest

from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, at_port
from tests.journeys.sso import NameServer, way_back
from tests.journeys.team import Visitor, form, person, sign_in
from tests.peers.simplesaml import EMPLOYEE, STUDENT, SimpleSamlPhp, Walker, entry_in
from tests.peers.simplesaml import person as anybody

SIGN_IN = "/w/acme/settings/sign-in"


@pytest.fixture(scope="module")
def place(
    new_database: NewDatabase,
    simplesamlphp: SimpleSamlPhp,
    names: NameServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator["Place"]:
    data = tmp_path_factory.mktemp("sso") / "data"
    config = f'[sso]\nresolvers = ["127.0.0.1:{names.port}"]\n'
    with team.served(at_port(Server(data, database_url=new_database(), config=config))) as server:
        team.found_acme(server)
        with sign_in(server, person(server, "olga", "owner")) as owner:
            yield Place(server, owner, simplesamlphp, names)


class Place:
    """A server whose owner has connected the provider by its metadata."""

    def __init__(self, server: Server, owner: Visitor, idp: SimpleSamlPhp, names: NameServer) -> None:
        self.server, self.owner, self.idp = server, owner, idp
        made = form(
            owner, f"{SIGN_IN}/new?kind=saml", to=SIGN_IN, kind="saml", title="School", slug="school",
            metadata=idp.metadata().decode(),
        )  # fmt: skip
        assert made.status_code == 303, re.sub(r"<[^>]+>", " ", made.text)[-3000:]
        self.here = made.headers["location"]
        idp.serve([entry_in(owner.get("/sso/school/metadata").content)])
        claimed = form(owner, self.here, to=f"{self.here}/domains", action="claim", domain="example.org")
        record = re.search(r"failgate-domain=[\w-]+", claimed.text)
        domain_id = re.search(r'name="domain_id" value="([^"]+)"', claimed.text)
        assert record is not None
        assert domain_id is not None
        names.texts["_failgate.example.org."] = [record[0]]
        verified = form(owner, self.here, to=f"{self.here}/domains", action="verify", domain_id=domain_id[1])
        assert "example.org is verified" in verified.text

    def map(self, **fields: str) -> None:
        done = form(
            self.owner, self.here, to=f"{self.here}/mapping", **{"default_role": "", "trusted_methods": "", **fields}
        )
        assert done.status_code == 200, done.text

    def reasons(self) -> list[str]:
        """Why answers were refused, newest first, as the owner reads it."""
        page = self.owner.get(self.here).text
        return re.findall(r'sso\.refused</span></td>\s*<td class="wrap">(\w+)', page)


class Browser:
    """A browser that is at the provider and at ours with one jar of cookies."""

    def __init__(self, place: Place, visitor: Visitor | None = None) -> None:
        self.place = place
        self.walker = Walker()
        if visitor is not None:
            self.walker.client.cookies.update(visitor.cookies)
        self.url = place.server.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.walker.client.close()

    def get(self, path: str) -> httpx.Response:
        return self.walker.client.get(f"{self.url}{path}")

    def to_answer(self, who: tuple[str, str], path: str = "/sso/school/start"):
        """Go to the provider and sign in there; return the form with which the browser would come back."""
        acs = f"{self.url}/sso/school/acs"
        page = self.walker.open(f"{self.url}{path}", until=acs)
        return self.walker.sign_in(page, who, until=acs) if isinstance(page, httpx.Response) else page

    def post(self, answer, **fields: str) -> httpx.Response:
        return self.walker.client.post(
            answer.url,
            data=answer.fields | fields,
            headers={"origin": self.place.idp.url, "sec-fetch-site": "cross-site"},
        )

    def sign_in(self, who: tuple[str, str], path: str = "/sso/school/start") -> httpx.Response:
        return self.post(self.to_answer(who, path))

    @property
    def role(self) -> str | None:
        answer = self.get("/api/v1/whoami")
        if answer.status_code != 200:
            return "nobody"
        return next((one["role"] for one in answer.json()["workspaces"] if one["workspace"] == "acme"), None)


@pytest.fixture
def browser(place: Place) -> Iterator[Browser]:
    """A browser of somebody whom a sign-in makes a member, whatever the test before left."""
    place.map(group_0="staff", role_0="reviewer", default_role="developer")
    with Browser(place) as made:
        yield made


def test_the_test_page_shows_everything_and_signs_nobody_in(place: Place) -> None:
    place.map()
    with Browser(place, place.owner) as browser:
        answered = browser.sign_in(STUDENT, f"{place.here}/test")
        assert answered.status_code == 303, answered.text
        shown = browser.get(answered.headers["location"]).text
        assert "an account would be made" in shown
        assert "student@example.org" in shown
        assert browser.get("/account").text.count("olga@acme.example") > 0
    with Browser(place, place.owner) as other:
        assert other.get(answered.headers["location"]).status_code == 200
    assert "sso_connection.tested" in place.owner.get(place.here).text


def test_a_person_gets_an_account_a_role_and_is_sent_where_they_wanted(place: Place, browser: Browser) -> None:
    answered = browser.sign_in(EMPLOYEE, "/sso/school/start?next=/w/acme/commands")
    assert way_back(answered) == "/w/acme/commands"
    assert browser.role in {"reviewer", "developer"}
    assert browser.get("/w/acme/commands").status_code == 200


@pytest.mark.parametrize(
    "relay_state", ["", "x", "https://evil.example/", "//evil.example", "/w/acme/queue", "\u2028", "x" * 5000]
)
def test_relay_state_is_no_place_to_go_and_nothing_else_either(
    place: Place, browser: Browser, relay_state: str
) -> None:
    answer = browser.to_answer(anybody(4))
    refused = browser.post(answer, RelayState=relay_state)
    assert refused.status_code == 403
    assert "location" not in refused.headers
    assert browser.role == "nobody"


def test_a_sign_in_that_begins_at_the_provider_is_refused_unless_switched_on(place: Place) -> None:
    def begun_there(who: tuple[str, str]) -> tuple[int, str | None]:
        with Browser(place) as browser:
            acs = f"{browser.url}/sso/school/acs"
            page = browser.walker.open(place.idp.initiation(f"{browser.url}/sso/school/metadata"), until=acs)
            answer = browser.walker.sign_in(page, who, until=acs)
            asked = browser.post(answer)
            if asked.status_code != 200:
                return asked.status_code, browser.role
            # It asks first, and takes its own word alone for the answer.
            assert browser.role == "nobody"
            assert "Continue with School" in asked.text
            said = browser.walker.form(asked)
            assert said is not None
            assert said.url == acs
            with Browser(place) as thief:
                assert "Continue with School" in thief.post(said).text
                assert thief.role == "nobody"
            assert "Continue with School" in browser.post(said, word="0" * 64).text
            assert browser.role == "nobody"
            return browser.post(said).status_code, browser.role

    assert begun_there(anybody(5)) == (403, "nobody")
    form(place.owner, place.here, to=f"{place.here}/provider", title="School", listed="on", idp_initiated="on")
    status, role = begun_there(anybody(5))
    assert status == 200
    assert role != "nobody"
    form(place.owner, place.here, to=f"{place.here}/provider", title="School", listed="on")
    assert begun_there(anybody(5)) == (403, "nobody")


def certificates_of(place: Place) -> set[str]:
    metadata = place.owner.get("/sso/school/metadata").text
    return {"".join(found.split()) for found in re.findall(r"X509Certificate>([^<]{99,})<", metadata)}


def test_our_key_rolls_over_in_two_steps(place: Place) -> None:
    before = certificates_of(place)
    assert len(before) == 1
    form(place.owner, place.here, to=f"{place.here}/keys", action="next")
    both = certificates_of(place)
    assert len(both) == 2
    assert before < both
    form(place.owner, place.here, to=f"{place.here}/keys", action="switch")
    assert certificates_of(place) == both - before
