"""What errors say, and what they keep to themselves."""

import json

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
from failgate.web.errors import OtherStatus, own_path, problem_body, problem_of, sign_in_path


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


def test_facts_that_are_no_json_do_not_break_the_answer():
    body = problem_body(problem_of(FailgateError("x", thing=object(), lone="\ud800"), None)[1])
    assert json.loads(body)["detail"]


@pytest.mark.parametrize("path", ["/", "/w/acme/queue", "/w/acme/queue?state=pending", "/signin/code?next=%2Fw"])
def test_a_path_of_ours_is_a_place_to_go_to(path):
    assert own_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        None, "", "queue", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/%2fevil.example",
        "/%5cevil.example", "/%2F/evil.example", "https://evil.example", "javascript:alert(1)", "/\tevil", "/\n/evil",
        "/ /evil", "/\x00", "/a\\b", "/\u2044evil", "\u3000/evil", "data:text/html,x", "/..//evil.example", "/" + "a" * 3000,
        "http:/evil.example", "/.//evil.example", " /w", "@evil.example", "/\x7f", "/%5C%5Cevil.example",
    ],
)  # fmt: skip
def test_no_path_leads_to_another_site(path):
    assert own_path(path) == "/"


def test_signing_in_comes_back_to_the_page_that_was_asked_for():
    scope = {"method": "GET", "raw_path": b"/w/acme/queue", "query_string": b"state=pending&x=1"}
    assert sign_in_path("/signin", scope) == "/signin?next=/w/acme/queue%3Fstate%3Dpending%26x%3D1"
    assert sign_in_path("/signin", {**scope, "method": "POST"}) == "/signin"
    assert sign_in_path("/signin", {**scope, "raw_path": b"/", "query_string": b""}) == "/signin"
