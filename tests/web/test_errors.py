"""What errors say, and what they keep to themselves."""

import html
import json
import re
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from litestar.exceptions import MethodNotAllowedException, NotFoundException

from failgate.base.errors import (
    BadInput,
    Conflict,
    FailgateError,
    NotFound,
    NotSignedIn,
    StorageUnavailable,
    TooManyRequests,
)
from failgate.sso.draft import Draft
from failgate.web.csrf import form_token
from failgate.web.errors import OtherStatus, own_path, problem_body, problem_of, sign_in_path
from tests.journeys.test_planted_secrets import planted, said
from tests.web.conftest import OPERATOR, cookies_of, session_of
from tests.web.test_cookies import GITHUB


def test_an_error_of_ours_is_a_problem_document():
    status, document, headers = problem_of(Conflict("It is denied.", hint="Ask again.", state="denied"), "r-1")
    assert status == 409
    assert document == {
        "type": "urn:failgate:error:conflict",
        "title": "The state of the thing forbids it",
        "status": 409,
        "detail": "It is denied.",
        "hint": "Ask again.",
        "state": "denied",
        "request_id": "r-1",
    }
    assert headers == {}


def test_facts_cannot_replace_what_the_document_says():
    _, document, _ = problem_of(BadInput("x", type="evil", status=200, detail="y"), None)
    assert document["status"] == 400
    assert document["type"] == "urn:failgate:error:bad-input"
    assert document["detail"] == "x"


def test_everything_that_is_absent_answers_alike():
    answers = {
        problem_body(problem_of(error, identifier)[1])
        for error in (NotFound("No command 1."), NotFound("foreign", hint="x", id="y"), NotFoundException())
        for identifier in ("r-1", "r-2")
    }
    assert len(answers) == 1


def test_an_unknown_exception_says_nothing_of_its_cause():
    status, document, _ = problem_of(ValueError("SELECT secret FROM /etc"), "r-1")
    assert status == 500
    assert "secret" not in json.dumps(document)
    assert document["request_id"] == "r-1"


def test_headers_that_belong_to_an_error_are_sent():
    assert problem_of(NotSignedIn("x"), None)[2]["www-authenticate"].startswith("Bearer")
    assert problem_of(TooManyRequests("x", retry_after_seconds=7), None)[2]["retry-after"] == "7"
    assert problem_of(StorageUnavailable("x"), None)[2]["retry-after"] == "1"


def test_errors_of_the_protocol_are_problem_documents_too():
    status, document, headers = problem_of(MethodNotAllowedException(headers={"allow": "GET"}), "r")
    assert (status, document["type"], headers["allow"]) == (405, "urn:failgate:error:method-not-allowed", "GET")
    assert problem_of(OtherStatus(408, "slow"), "r")[1]["title"] == "Request Timeout"


def test_no_secret_stands_in_a_problem_whether_it_was_quoted_or_not():
    """A quoted text has an escape in the place of a line's end, by which rules that read lines find nothing."""
    assert len(planted()) > 90
    for text, secrets in planted().items():
        for sentence in (f"The member {text!r} is not known.", f"The member {text} is not known."):
            document = json.dumps(problem_of(BadInput(sentence, member=text), None)[1])
            assert [secret for secret in secrets if said(secret, document)] == [], sentence


def test_facts_that_are_no_json_do_not_break_the_answer():
    body = problem_body(problem_of(FailgateError("x", thing=object(), lone="\ud800"), None)[1])
    assert json.loads(body)["detail"]


@pytest.mark.parametrize("path", ["/", "/w/acme/queue", "/w/acme/queue?state=pending", "/signin/code?next=%2Fw"])
def test_a_path_of_ours_is_a_place_to_go_to(path):
    assert own_path(path) == path


ELSEWHERE: tuple[str, ...] = (
    "", "queue", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/%2fevil.example", "/%5cevil.example",
    "/%2F/evil.example", "https://evil.example", "javascript:alert(1)", "/\tevil", "/\n/evil", "/ /evil", "/\x00", "/a\\b", "/\u2044evil",
    "\u3000/evil", "data:text/html,x", "/..//evil.example", "/" + "a" * 3000, "http:/evil.example", "/.//evil.example", " /w",
    "@evil.example", "/\x7f", "/%5C%5Cevil.example",
    *(before + "evil.example" + after for before in (
        "//", "///", "////", "/////", "\\/", "/\\/", "//\\", "\\\\", "/\t/", "\t//", "/\n/", "/\r/", "/\r\n/", "\x00//", "/\x0b/", " //", "/ //",
        "http://", "HTTPS://", "http:", "http:\\\\", "https:/", "https:///", "ftp://", "//user@", "//127.0.0.1@", "//127.0.0.1%40", "//evil%E3%80%82example@",
        "\u2028//", "\u202e//", "\ufeff//", "\u00a0//", "/\uff0f", "\uff0f\uff0f", "/\u2215", "/\u29f8/", "%2f%2f", "%252f%252f", "/%2f/", "/%5c", "/%2F%5C",
        "/.//", "/..//", "/%2f%2e%2e/", "javascript://", "view-source:http://", "blob:http://", "//[::ffff:1.2.3.4]@",
    ) for after in ("", "/w/acme/queue")),
    "//1.2.3.4", "//0x01020304", "//[::1]", "vbscript:x", "mailto:a@evil.example", "/\u0000/evil.example", "?next=//evil.example", "#//evil.example",
)  # fmt: skip


@pytest.mark.parametrize("path", [None, *ELSEWHERE], ids=repr)
def test_no_path_leads_to_another_site(path):
    assert own_path(path) == "/"


async def test_no_door_that_leads_on_leads_to_another_site(server, people):
    """Signed in, waiting for a factor and as a stranger: each place that is named, and each that a page keeps for later."""
    assert len(set(ELSEWHERE)) >= 120
    services, account = server.services, people.accounts["reviewer"]
    await services.sso.connections.create(people.acme, "github", Draft("GitHub", GITHUB), OPERATOR)
    plain = {"cookie": cookies_of(await session_of(services, account))}
    await services.second_factors.issue(people.accounts["owner"], OPERATOR)
    waiting = {"cookie": cookies_of(await session_of(services, people.accounts["owner"]))}
    seen = 0
    async with server.client() as client:
        for text in ELSEWHERE:
            for path, headers in (
                ("/signin", plain), ("/signin", {}), ("/signin/code", waiting), ("/signin/code", {}), ("/signin/sso", {}), ("/account/step-up", waiting),
                ("/account/step-up", plain), ("/account/step-up", {}),
            ):  # fmt: skip
                answer = await client.get(path, params={"next": text}, headers=headers)
                assert answer.status_code in {200, 303}, (path, text)
                leads = [answer.headers["location"]] if answer.status_code == 303 else NEXT.findall(answer.text)
                for place in leads:
                    assert is_ours(html.unescape(place)), (path, text, place)
                    seen += 1
            form = {"csrf_token": form_token(plain["cookie"].partition("=")[2]), "next": text, "code": "000000"}
            for path in ("/account/step-up/provider", "/signin/code", "/signin/sso"):
                answer = await client.post(path, data=form, headers={**plain, "origin": server.origin})
                assert is_ours(answer.headers.get("location", "/")), (path, text)
    assert seen >= 4 * len(ELSEWHERE)


NEXT = re.compile(r'(?:name="next" value|href|action)="([^"]*)"')


def is_ours(place: str) -> bool:
    """Tell whether a browser that is sent to `place` stays: also at the page that it is told to go to after that."""
    later = parse_qs(urlsplit(place).query).get("next", ["/"])
    readings = [
        variant
        for each in (place, *later)
        for variant in (each, each.replace("\\", "/"), re.sub(r"[\t\r\n]", "", each))
    ]
    stays = all(urlsplit(urljoin("http://ours.example/signin", each)).netloc == "ours.example" for each in readings)
    return stays and place.isascii() and place.isprintable()


def test_signing_in_comes_back_to_the_page_that_was_asked_for():
    scope = {"method": "GET", "raw_path": b"/w/acme/queue", "query_string": b"state=pending&x=1"}
    assert sign_in_path("/signin", scope) == "/signin?next=/w/acme/queue%3Fstate%3Dpending%26x%3D1"
    assert sign_in_path("/signin", {**scope, "method": "POST"}) == "/signin"
    assert sign_in_path("/signin", {**scope, "raw_path": b"/", "query_string": b""}) == "/signin"
