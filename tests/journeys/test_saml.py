"""Signing in through SAML at a real server: SimpleSAMLphp in processes of its own, forged and faulty answers, logout. E24"""

import base64
import itertools
import json
import re
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from lxml import etree, html
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from failgate.sso.saml.certificates import bare
from failgate.sso.saml.service import KeyPair, ServiceProvider, service_of
from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, at_port, browser, on_postgres, on_sqlite
from tests.journeys.sso import connection, way_back
from tests.journeys.team import Visitor
from tests.peers.simplesaml import EMPLOYEE, NOWHERE, SimpleSamlPhp, Walker, entry, person
from tests.sso.saml import attacks
from tests.sso.saml.provider import Provider, encoded, key_pair, now_us, sign, write_instant

MD = "urn:oasis:names:tc:SAML:2.0:metadata"
NETWORKS = itertools.count(1)
FORGE = Provider(entity_id="https://forge.example/metadata")


def stranger(server: Server) -> Visitor:
    """A browser whose every request comes from an address of its own: what is counted for one is tested elsewhere."""

    def move(request: httpx.Request) -> None:
        number = next(NETWORKS)
        request.headers["x-forwarded-for"] = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"

    visitor = team.stranger(server)
    visitor.event_hooks = {"request": [move]}
    return visitor


def only_post(metadata: bytes) -> bytes:
    """The metadata of a provider that takes posts alone."""
    root = etree.fromstring(metadata)
    for endpoint in root.findall(".//*[@Binding='urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect']"):
        endpoint.getparent().remove(endpoint)
    return etree.tostring(root)


def metadata_of(provider: Provider, *keys: KeyPair) -> bytes:
    """The metadata of a provider that exists in this test alone."""
    listed = "".join(
        f'<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{bare(key.certificate)}'
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        for key in keys or provider.keys
    )
    redirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
    return f"""<md:EntityDescriptor xmlns:md="{MD}" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="{provider.entity_id}"
><md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">{listed}
<md:SingleLogoutService Binding="{redirect}" Location="https://forge.example/slo"/>
<md:SingleSignOnService Binding="{redirect}" Location="https://forge.example/sso"/></md:IDPSSODescriptor></md:EntityDescriptor>""".encode()


@contextmanager
def serving(
    folder: Path, documents: dict[str, bytes], database_url: str | None = None, **options: dict[str, Any]
) -> Iterator[Server]:
    """A server with one connection for each metadata document; `options` are more settings of the one so named."""
    config = ""
    for slug, document in documents.items():
        (folder / f"{slug}.xml").write_bytes(document)
        config += connection(
            slug, ("admin", "reviewer"), ("*", "developer"), protocol="saml", metadata_file=str(folder / f"{slug}.xml"),
            **options.get(slug, {}),
        )  # fmt: skip
    made = Server(folder / "data", database_url=database_url, config=config)
    with team.served(at_port(made, 'trusted_proxies = ["127.0.0.1"]')) as server:
        team.found_acme(server)
        yield server


@pytest.fixture(scope="module")
def real(
    new_database: NewDatabase, simplesamlphp: SimpleSamlPhp, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server whose connections all lead to SimpleSAMLphp."""
    found = simplesamlphp.metadata()
    documents = {"corp": found, "post": only_post(found), "crypt": found, "loose": found}
    options = {"crypt": {"require_encryption": True}, "loose": {"idp_initiated": True}}
    with serving(tmp_path_factory.mktemp("real"), documents, new_database(), **options) as server:
        simplesamlphp.serve(
            [
                entry(service_at(server, "corp")),
                entry(service_at(server, "post"), sls_binding="HTTP-POST"),
                entry(service_at(server, "crypt"), encrypt=True, sign_response=False),
                entry(service_at(server, "loose")),
            ]
        )
        yield server


@pytest.fixture(scope="module")
def forged(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose provider signs whatever the test wants, with two keys."""
    documents = {"forge": metadata_of(FORGE, key_pair("idp"), key_pair("idp2")), "open": metadata_of(FORGE)}
    folder = tmp_path_factory.mktemp("forged")
    with serving(folder, documents, new_database(), open={"idp_initiated": True}) as server:
        yield server


def service_at(server: Server, slug: str) -> ServiceProvider:
    """What the server says it is, in its metadata."""
    root = etree.fromstring(httpx.get(f"{server.url}/sso/{slug}/metadata", trust_env=False).content)
    armoured = OneLogin_Saml2_Utils.format_cert(root.find(f".//{{{MD}}}KeyDescriptor//{{*}}X509Certificate").text)
    made = service_of(server.url, slug, (KeyPair(armoured, key_pair("sp").private_key),))
    assert root.get("entityID") == made.entity_id
    return made


class Browser(Walker):
    """Goes between our server and SimpleSAMLphp."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def enter(
        self, server: Server, slug: str, who: tuple[str, str] | None, after: str = "/w/acme/queue"
    ) -> httpx.Response:
        """Sign in through `slug`; `who` None: the provider still knows this browser."""
        page = self.open(f"{server.url}/sso/{slug}/start?next={after}")
        if who is not None:
            page = self.sign_in(page, who, until=NOWHERE)
        assert isinstance(page, httpx.Response)
        return page

    def sign_out(self, server: Server) -> None:
        """Press the button of the account page, and go where that leads."""
        page = self.client.get("/account")
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert token is not None
        answer = self.client.post("/signout", data={"csrf_token": token[1]}, headers={"origin": server.url})
        assert answer.is_redirect or "data-leave" in answer.text, answer.text
        if answer.is_redirect:
            self.open(urljoin(str(answer.url), answer.headers["location"]))
            return
        left = html.fromstring(answer.text).xpath("//*[@data-leave]")[0]
        if left.tag == "a":
            self.open(left.get("href"))
        else:
            self.open(left.action, fields=dict(left.fields))


def email_in(client: Visitor) -> str | None:
    found = re.search(r'data-account-email="([^"]*)"', client.get("/account").text)
    return found[1] if found else None


def records(server: Server, act: str) -> list[dict[str, Any]]:
    """What the audit log says of `act`, in order."""
    leaves = (row[0] for row in team.rows(server, "SELECT leaf FROM audit_record ORDER BY position"))
    return [leaf for leaf in map(json.loads, leaves) if leaf["act"] == act]


def reasons(server: Server) -> list[str]:
    """Why answers were refused, as the server's own log says it of each."""
    lines = [json.loads(line) for line in list(server.logs) if '"sso.refused"' in line]
    return [line["reason"] for line in lines]


def assert_reason(server: Server, *words: str) -> None:
    """The last refusal has one of `words`; the log is read by another thread."""
    deadline = time.monotonic() + 60
    while not (found := reasons(server)) or found[-1] not in words:
        assert time.monotonic() < deadline, found[-5:]
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("slug", "who", "role"),
    [("corp", EMPLOYEE, "reviewer"), ("post", person(1), "developer"), ("crypt", person(2), "developer")],
)
def test_people_sign_in_and_have_the_role_of_their_group(
    real: Server, slug: str, who: tuple[str, str], role: str
) -> None:
    """By redirect, by POST, encrypted; a browser that the provider knows needs no password there."""
    with stranger(real) as client:
        browser = Browser(client)
        page = browser.enter(real, slug, who)
        assert (page.status_code, page.url.path) == (200, "/w/acme/queue"), page.text
        assert email_in(client) == f"{who[0]}@example.org"
        found = client.get("/api/v1/whoami").json()["workspaces"]
        assert [one["role"] for one in found if one["workspace"] == "acme"] == [role]
        token = team.session_of(client)
        page = browser.enter(real, slug, None, "/account")
        assert page.url.path == "/account"
        assert team.session_of(client) != token


def test_another_connection_does_not_take_an_account_over_by_its_address(real: Server) -> None:
    with stranger(real) as client:
        assert Browser(client).enter(real, "corp", person(3)).status_code == 200
    with stranger(real) as client:
        page = Browser(client).enter(real, "post", person(3))
        assert page.status_code == 403
        assert "There is an account with your e-mail address" in page.text
        assert email_in(client) is None
    assert_reason(real, "account_exists")
    assert records(real, "sso.refused")[-1]["data"]["reason"] == "account_exists"


def test_a_sign_in_that_begins_at_the_provider_needs_leave(real: Server, simplesamlphp: SimpleSamlPhp) -> None:
    with stranger(real) as client:
        browser = Browser(client)
        page = browser.open(simplesamlphp.initiation(f"{real.url}/sso/corp/metadata"))
        page = browser.sign_in(page, person(4), until=NOWHERE)
        assert isinstance(page, httpx.Response)
        assert page.status_code == 403
        assert email_in(client) is None
        assert_reason(real, "request_unknown", "unsolicited")
        page = browser.open(simplesamlphp.initiation(f"{real.url}/sso/loose/metadata", "https://evil.example/"))
        assert isinstance(page, httpx.Response)
        assert page.status_code == 200
        assert str(page.url).startswith(real.url)
        assert email_in(client) is None
        assert "Nothing has happened here yet" in page.text
        said = browser.form(page)
        assert said is not None
        browser.open(said.url, fields=said.fields)
        assert email_in(client) == "person4@example.org"


@pytest.mark.parametrize(("slug", "who"), [("corp", person(5)), ("post", person(6))])
def test_signing_out_ends_both_sessions_whoever_begins(
    real: Server, simplesamlphp: SimpleSamlPhp, slug: str, who: tuple[str, str]
) -> None:
    with stranger(real) as client:
        browser = Browser(client)
        browser.enter(real, slug, who)
        token = team.session_of(client)
        browser.sign_out(real)
        assert email_in(client) is None
        # The provider's session ended too: it asks for the password again.
        page = browser.open(f"{real.url}/sso/{slug}/start")
        assert isinstance(page, httpx.Response)
        assert str(page.url).startswith(simplesamlphp.url)
        page = browser.sign_in(page, who, until=NOWHERE)
        assert email_in(client) == f"{who[0]}@example.org"
        assert team.session_of(client) != token

        end = browser.open(simplesamlphp.logout(f"{real.url}/signin"))
        assert isinstance(end, httpx.Response)
        assert (end.status_code, end.url.path) == (200, "/signin"), end.text
        assert email_in(client) is None
    assert records(real, "sso.logged_out")[-1]["data"]["sessions"] == 1


# From here on the provider signs what the test wants.


def begin(client: Visitor, slug: str = "forge") -> str:
    """Begin a sign-in; return the ID of the request that the provider would read."""
    answer = client.get(f"/sso/{slug}/start", params={"next": "/account"})
    fields = parse_qs(urlsplit(answer.headers["location"]).query)
    request = etree.fromstring(OneLogin_Saml2_Utils.decode_base64_and_inflate(fields["SAMLRequest"][0]))
    assert fields["RelayState"] == [request.get("ID")]
    return str(request.get("ID"))


def deliver(client: Visitor, document: bytes, relay_state: str, slug: str = "forge") -> httpx.Response:
    """Post a response as a browser does that comes from the provider's page."""
    fields = encoded(document) | ({"RelayState": relay_state} if relay_state else {})
    headers = {"origin": "https://forge.example", "sec-fetch-site": "cross-site"}
    return client.post(f"/sso/{slug}/acs", data=fields, headers=headers)


def assert_nobody(client: Visitor, answer: httpx.Response) -> None:
    assert answer.status_code in {403, 413}, answer.text
    assert "fg_session" not in answer.cookies
    assert email_in(client) is None


@pytest.mark.parametrize(
    ("new_database", "signs"),
    [("sqlite", "assertion"), ("postgres", "response"), ("sqlite", "both")],
    indirect=["new_database"],
    scope="module",
)
def test_no_variant_of_a_captured_answer_signs_anybody_in(
    forged: Server, signs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each variant of a fresh and valid answer, delivered where it was asked for: 0 sign in. Then one that is valid."""
    monkeypatch.setattr(attacks, "mkcert", cache(attacks.mkcert))
    service = service_at(forged, "forge")
    certificates = [key_pair("idp").certificate.encode(), service.signing.certificate.encode()]
    with stranger(forged) as client:

        def variants(request_id: str) -> list[attacks.V]:
            captured = FORGE.respond(service, request_id, signs=signs, subject="victim@example.org")
            return attacks.variants(captured, *certificates)

        names = [variant.name for variant in variants("_x") if not variant.ctx]
        assert len(names) > 60
        before = len(reasons(forged))
        for position, name in enumerate(names):
            request_id = begin(client)
            variant = variants(request_id)[position]
            assert variant.name == name
            assert_nobody(client, deliver(client, variant.xml, request_id))
        deadline = time.monotonic() + 60
        while len(reasons(forged)) < before + len(names) - 5:
            assert time.monotonic() < deadline
            time.sleep(0.01)

        request_id = begin(client)
        valid = FORGE.respond(service, request_id, signs=signs, subject=f"{signs}@example.org")
        assert way_back(deliver(client, valid, request_id)) == "/account"
        assert email_in(client) == f"{signs}@example.org"

    with stranger(forged) as other:  # the same answer again: from elsewhere, and to another request
        assert_nobody(other, deliver(other, valid, request_id))
        assert_nobody(other, deliver(other, valid, begin(other)))
        assert_nobody(other, deliver(other, valid, ""))


def test_of_twenty_deliveries_of_one_answer_one_signs_in(forged: Server) -> None:
    """Where the provider may begin there is no request to use up: the assertion itself is used once."""
    document = FORGE.respond(service_at(forged, "open"), None, subject="once@example.org")

    def one(_: int) -> int:
        with stranger(forged) as client:
            asked = deliver(client, document, "", "open")
            assert "data-ask" in asked.text
            said = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', asked.text))
            return client.post("/sso/open/acs", data=said).status_code

    with ThreadPoolExecutor(20) as pool:
        assert sorted(pool.map(one, range(20))) == [200, *[403] * 19]
    assert_reason(forged, "replayed")


def test_an_answer_belongs_to_the_browser_that_asked(forged: Server) -> None:
    with stranger(forged) as asked, stranger(forged) as other:
        request_id = begin(asked)
        document = FORGE.respond(service_at(forged, "forge"), request_id, subject="browser@example.org")
        assert_nobody(other, deliver(other, document, request_id))  # it began nothing
        assert_reason(forged, "other_browser")
        begin(other)
        assert_nobody(other, deliver(other, document, request_id))
        assert_reason(forged, "other_browser")
        assert way_back(deliver(asked, document, request_id)) == "/account"


def test_two_tabs_and_the_back_button(forged: Server) -> None:
    service = service_at(forged, "forge")
    with stranger(forged) as client:
        first, second = begin(client), begin(client)
        documents = {one: FORGE.respond(service, one, subject="tabs@example.org") for one in (first, second)}
        assert_nobody(client, deliver(client, documents[first], second))
        third = begin(client)
        signed_in = deliver(client, FORGE.respond(service, third, subject="tabs@example.org"), third)
        assert way_back(signed_in) == "/account"
        again = deliver(client, documents[first], first)
        assert way_back(again) == "/account"
        back = deliver(client, documents[first], first)
        assert back.status_code == 403
        assert_reason(forged, "request_used")
        assert "Try again" in back.text
        assert email_in(client) == "tabs@example.org"


@on_postgres
def test_both_keys_of_a_rollover_sign_in_and_a_third_does_not(forged: Server) -> None:
    service = service_at(forged, "forge")
    for name, status in (("idp", 200), ("idp2", 200), ("idp3", 403)):
        with stranger(forged) as client:
            request_id = begin(client)
            document = FORGE.respond(service, request_id, key=key_pair(name), subject="rolling@example.org")
            assert deliver(client, document, request_id).status_code == status
    assert_reason(forged, "signature")


@on_postgres
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (
            lambda at, asked: Provider(entity_id=FORGE.entity_id, clock_off_seconds=-3600).respond(at, asked),
            "issue_instant",
        ),
        (
            lambda at, asked: Provider(entity_id=FORGE.entity_id, clock_off_seconds=3600).respond(at, asked),
            "issue_instant",
        ),
        (lambda at, asked: Provider(entity_id="https://other.example").respond(at, asked), "issuer"),
        (lambda at, asked: FORGE.respond(service_of(at.entity_id[:-9], "x", at.keys), asked), "destination"),
        (lambda at, asked: FORGE.respond(at, None), "in_response_to"),
        (lambda at, asked: cancelled(at, asked), "cancelled"),
        (lambda at, asked: b"<x/>", "root"),
        (lambda at, asked: b"\xff\x00" * 1000, "encoding"),
        (lambda at, asked: b"<!DOCTYPE x>" + FORGE.respond(at, asked), "markup"),
        (lambda at, asked: FORGE.respond(at, asked, encrypt_to=key_pair("sp").certificate), "encryption"),
    ],
)
def test_the_person_reads_one_page_and_the_operator_the_reason(forged: Server, make: Any, reason: str) -> None:
    with stranger(forged) as client:
        request_id = begin(client)
        answer = deliver(client, make(service_at(forged, "forge"), request_id), request_id)
        assert_nobody(client, answer)
        assert_reason(forged, reason)
        assert said(answer) == said(deliver(client, b"<x/>", begin(client)))  # whatever the reason
        assert "/sso/forge/start" in answer.text


def said(answer: httpx.Response) -> str:
    """What a page says to a person, without its reference."""
    return re.sub(r"Reference [0-9a-f-]{36}", "", html.fromstring(answer.text).text_content())


def cancelled(service: ServiceProvider, request_id: str) -> bytes:
    """What a provider answers when the person does not agree."""
    root = etree.fromstring(FORGE.respond(service, request_id, signs=""))
    root.remove(root[-1])
    code = root.find(".//{*}StatusCode")
    code.set("Value", "urn:oasis:names:tc:SAML:2.0:status:Responder")
    etree.SubElement(code, code.tag, Value="urn:oasis:names:tc:SAML:2.0:status:AuthnFailed")
    return sign(root, key_pair("idp"))


def test_a_forged_logout_ends_nothing_and_a_signed_one_once(forged: Server) -> None:
    service = service_at(forged, "forge")
    with stranger(forged) as client, stranger(forged) as provider:
        request_id = begin(client)
        subject = "leaver@example.org"
        deliver(client, FORGE.respond(service, request_id, subject=subject), request_id)
        assert email_in(client) == subject
        message = FORGE.logout_request(service, subject=subject)
        unsigned = FORGE.query("SAMLRequest", message).partition("&SigAlg")[0]
        foreign = FORGE.query("SAMLRequest", message, key=key_pair("idp3"))
        elsewhere = FORGE.query("SAMLRequest", FORGE.logout_request(service_at(forged, "open"), subject=subject))
        posted = base64.b64encode(etree.tostring(message)).decode()
        for query in (unsigned, foreign, elsewhere, "", "SAMLRequest=x", "SAMLResponse=x"):
            assert provider.get(f"/sso/forge/logout?{query}").status_code == 403
        assert provider.post("/sso/forge/logout", data={"SAMLRequest": posted}).status_code == 403
        assert email_in(client) == subject

        query = FORGE.query("SAMLRequest", message, relay_state="theirs")
        answer = provider.get(f"/sso/forge/logout?{query}")
        assert answer.headers["location"].startswith("https://forge.example/slo?SAMLResponse=")
        assert "RelayState=theirs" in answer.headers["location"]
        assert email_in(client) is None

        request_id = begin(client)
        deliver(client, FORGE.respond(service, request_id, subject=subject), request_id)
        assert provider.get(f"/sso/forge/logout?{query}").status_code == 403
        assert_reason(forged, "replayed")
        assert email_in(client) == subject


@on_sqlite
def test_noise_at_the_doors_is_refused_and_never_a_failure(forged: Server) -> None:
    """The server's log is read for failures when it stops."""
    with stranger(forged) as client:
        for size in (0, 1, 100, 10_000, 300_000):
            noise = base64.b64encode(secrets.token_bytes(size)).decode()
            for door in ("acs", "logout"):
                for name in ("SAMLResponse", "SAMLRequest"):
                    answer = client.post(f"/sso/forge/{door}", data={name: noise, "RelayState": noise[:40]})
                    assert 400 <= answer.status_code < 500
            assert client.get("/sso/forge/logout", params={"SAMLRequest": noise[:8000]}).status_code in {403, 414}
        for body in (b"", b"SAMLResponse", b"SAMLResponse=%", b"\xff=\xfe", b"SAMLResponse=a&SAMLResponse=b"):
            headers = {"content-type": "application/x-www-form-urlencoded"}
            assert 400 <= client.post("/sso/forge/acs", content=body, headers=headers).status_code < 500
        assert client.post("/sso/none/acs", data={"SAMLResponse": "x"}).status_code == 404


@on_postgres
def test_metadata_that_expires_is_fetched_anew_at_the_next_sign_in(new_database: NewDatabase, tmp_path: Path) -> None:
    """The address answers with another document by then; when it does not answer, the person reads what to do."""
    served = {"/metadata": b""}

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(served[self.path])

        def log_message(self, *_: object) -> None:
            pass

    def document(seconds: int, sso: str) -> bytes:
        end = write_instant(now_us() + seconds * 1_000_000)
        text = metadata_of(FORGE).replace(b"entityID=", f'validUntil="{end}" entityID='.encode())
        return text.replace(b"forge.example/sso", f"forge.example/{sso}".encode())

    with HTTPServer(("127.0.0.1", 0), Door) as door, ExitStack() as stack:
        Thread(target=door.serve_forever, daemon=True).start()
        stack.callback(door.shutdown)
        config = connection("forge", protocol="saml", metadata_url=f"http://127.0.0.1:{door.server_port}/metadata")
        with (
            team.served(at_port(Server(tmp_path / "data", database_url=new_database(), config=config))) as server,
            stranger(server) as client,
        ):
            team.found_acme(server)
            served["/metadata"] = document(4, "first")
            assert client.get("/sso/forge/start").headers["location"].startswith("https://forge.example/first?")
            deadline = time.monotonic() + 60
            served["/metadata"] = document(5, "second")
            while "/first?" in (answer := client.get("/sso/forge/start")).headers["location"]:
                assert time.monotonic() < deadline
                time.sleep(0.1)
                served["/metadata"] = document(5, "second")  # from now: valid whenever it is fetched
            assert answer.headers["location"].startswith("https://forge.example/second?")
            door.shutdown()
            door.server_close()
            while (answer := client.get("/sso/forge/start")).status_code == 303:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert answer.status_code == 403
            assert_reason(server, "metadata_unreachable", "metadata_expired")  # it may have ended while it was read


@pytest.fixture
def chromium(real: Server) -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.mark.parametrize(
    ("slug", "who", "width"), [("corp", person(7), 1280), ("post", person(8), 390)], ids=["redirect", "post"]
)
def test_a_browser_signs_in_and_out_by_the_pages(
    real: Server,
    simplesamlphp: SimpleSamlPhp,
    chromium: Any,
    slug: str,
    who: tuple[str, str],
    width: int,
    tmp_path: Path,
) -> None:
    """Cookies, the content policy and forms that post themselves are the browser's own here."""
    context = chromium.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    violations: list[str] = []
    page.on("console", lambda said: violations.append(said.text) if "Content Security Policy" in said.text else None)

    def through_the_provider() -> None:
        page.wait_for_url(f"{simplesamlphp.url}/**")
        page.fill("#username", who[0])
        page.fill("#password", who[1])
        page.press("#password", "Enter")
        page.wait_for_url(f"{real.url}/**")

    page.goto(f"{real.url}/signin?next=/w/acme/queue")
    page.screenshot(path=tmp_path / "signin.png")
    page.click(f'[data-connection="{slug}"]')
    through_the_provider()
    page.wait_for_url(f"{real.url}/w/acme/queue")
    page.screenshot(path=tmp_path / "queue.png")

    page.goto(f"{real.url}/account")
    page.screenshot(path=tmp_path / "account.png", full_page=True)
    page.locator('form[action="/signout"] button').last.click()
    page.wait_for_url(re.compile(rf"{real.url}/(sso/{slug}/logout|signin).*"))
    page.screenshot(path=tmp_path / "out.png")
    page.goto(f"{real.url}/account")
    page.wait_for_url(f"{real.url}/signin**")

    page.click(f'[data-connection="{slug}"]')
    through_the_provider()  # it asks again: its own session ended too
    page.goto(simplesamlphp.logout(f"{real.url}/signin"))
    page.wait_for_url(f"{real.url}/signin**")
    page.goto(f"{real.url}/account")
    page.wait_for_url(f"{real.url}/signin**")
    assert violations == []

    page.goto(f"{real.url}/signin")
    page.click('[data-connection="crypt"]')
    page.wait_for_url(f"{simplesamlphp.url}/**")
    page.fill("#username", who[0])
    page.fill("#password", who[1])
    page.press("#password", "Enter")
    page.wait_for_url(f"{real.url}/**")
    page.screenshot(path=tmp_path / "refused.png")
    assert "There is an account with your e-mail address" in page.inner_text("main")
    context.close()
