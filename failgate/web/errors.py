"""How an error is answered: a problem document for programs, a page for people. Never a traceback, a path, a query.

Everything that is absent, foreign or forbidden to be known answers with the same bytes: the sentence of a NotFound goes
no further than here, and its document carries no request id (the header does).
Source: RFC 9457.
"""

import json
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, cast
from urllib.parse import quote

import msgspec
from litestar import Response
from litestar.connection import Request
from litestar.exceptions import HTTPException, ValidationException

from failgate.accounts.device_grant import GrantRefused
from failgate.base.errors import (
    BadInput,
    FailgateError,
    NotFound,
    NotSignedIn,
    StorageUnavailable,
    TooManyRequests,
)
from failgate.base.log import get_logger, masked
from failgate.sso.scim.errors import ScimError, error_document
from failgate.web.context import Visit, visit_of
from failgate.web.door import Door
from failgate.web.pages.frame import Frame
from failgate.web.render import html, redirect, render, static_version

NOTHING_HERE = "There is nothing here under this name, or it is not yours to see."
SCIM_PATH = "/scim/"
SCIM_MEDIA_TYPE = "application/scim+json"
_PROBLEM = "application/problem+json"
_FIXED = frozenset({"type", "title", "status"})  # by the kind of error; everything else may repeat what was sent
_NO_CHARACTER = "22021"  # PostgreSQL's word for what no text of its can hold
_RESERVED = frozenset({"type", "title", "status", "detail", "hint", "request_id"})
_encode = msgspec.json.Encoder(order="deterministic").encode
log = get_logger(__name__)


class Problem(msgspec.Struct, frozen=True):
    """An error as a program reads it (RFC 9457); further members are facts of the error."""

    type: str
    title: str
    status: int
    detail: str
    hint: str | None = None
    request_id: str | None = None


def problem_of(error: Exception, request_id: str | None) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return status, document and further headers for `error`. An error that is not ours says nothing of its cause."""
    ours = as_failgate_error(error)
    headers: dict[str, str] = {}
    if isinstance(ours, NotFound):
        return 404, _document(_Kind(NotFound.slug, NotFound.title, 404), NOTHING_HERE), headers
    if isinstance(ours, NotSignedIn):
        headers["www-authenticate"] = 'Bearer realm="failgate"'
    if isinstance(ours, TooManyRequests):
        headers["retry-after"] = str(ours.retry_after_seconds)
    if isinstance(ours, StorageUnavailable):
        headers["retry-after"] = "1"
    if isinstance(ours, OtherStatus):
        headers |= ours.headers
    kind = _Kind(ours.slug, ours.title, ours.status)
    if isinstance(ours, OtherStatus):
        kind = _Kind(ours.other_slug, ours.other_title, ours.other_status)
    document = _document(kind, ours.sentence)
    document |= {key: value for key, value in ours.facts.items() if key not in _RESERVED and value is not None}
    document |= {"hint": ours.hint} if ours.hint else {}
    document |= _without_secrets(document)
    document |= {"request_id": request_id} if request_id else {}
    return kind.status, document, headers


def _without_secrets(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what in `document` may repeat what was sent, without secrets; those of a fact, in the sentence too."""
    cleaned: dict[str, Any] = {}
    detail = str(document["detail"])
    for key, value in document.items():
        if key in _FIXED or value is None or isinstance(value, int | float):
            continue
        cleaned[key] = masked(value)
        if isinstance(value, str) and key != "detail" and cleaned[key] != value:
            # Quoted, too: an escape in the place of a line's end hides the secret from rules that read lines.
            detail = detail.replace(repr(value), repr(cleaned[key])).replace(value, cleaned[key])
    return cleaned | {"detail": masked(detail)}


class OtherStatus(FailgateError):
    """An error of the protocol itself: a method that is not taken, a body that comes too slowly."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        """Keep the HTTP `status` and the `headers` that go with it."""
        super().__init__(sentence)
        phrase = HTTPStatus(status).phrase
        self.other_status = status
        self.other_slug = phrase.lower().replace(" ", "-")
        self.other_title = phrase
        self.headers = dict(headers or {})


def as_failgate_error(error: Exception) -> FailgateError:
    """Return `error` in our tree; what does not belong there becomes an error 500 without a cause."""
    if isinstance(error, FailgateError):
        return error
    if isinstance(error, HTTPException) and error.status_code < 500:
        if error.status_code == 404:
            return NotFound(NOTHING_HERE)
        if error.status_code == 405:
            allowed = {key.lower(): value for key, value in (error.headers or {}).items() if key.lower() == "allow"}
            return OtherStatus(405, "This path does not take this method.", allowed)
        if error.status_code == 400:
            return BadInput("The request is malformed.")
        return OtherStatus(error.status_code, "The request cannot be answered.")
    if getattr(error, "sqlstate", None) == _NO_CHARACTER:
        return BadInput("A text holds a NUL character.", hint="Remove it.")
    return FailgateError("The server met an error of its own.", hint="Give the request id to whoever runs this server.")


def problem_body(document: Mapping[str, Any]) -> bytes:
    """Return the bytes of a problem document. Facts that are no JSON become text."""
    try:
        return _encode(document)
    except (TypeError, ValueError, msgspec.MsgspecError):
        return json.dumps(document, default=str, sort_keys=True).encode("ascii", "replace")


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Return the answer to `error`: the handler of every exception that leaves a door or the router."""
    visit = visit_of(request)
    note_error(error)
    if isinstance(error, ValidationException):
        error = _invalid(error, request)
    if is_for_people(request.scope.get("path", "/"), visit, request.headers.get("accept", "")):
        return _page(visit, error, request)
    if visit.door is not None and visit.door.kind == "oauth":
        return _oauth_answer(error, visit.request_id)
    if request.scope.get("path", "/").startswith(SCIM_PATH):
        return _scim(error)
    status, document, headers = problem_of(error, visit.request_id)
    return Response(problem_body(document), status_code=status, media_type=_PROBLEM, headers=headers)


def _scim(error: Exception) -> Response[bytes]:
    """Return the answer to `error` at a SCIM door: the status that it has everywhere, in the form of RFC 7644."""
    ours = as_failgate_error(error)
    status, document, headers = problem_of(ours, None)
    detail, scim_type = str(document["detail"]), None
    if isinstance(ours, ScimError):
        status, scim_type = ours.http_status, ours.scim_type
    elif isinstance(ours, BadInput):
        scim_type = "invalidSyntax"
    if "hint" in document:
        detail = f"{detail} {document['hint']}"
    body = problem_body(error_document(status, detail, scim_type))
    return Response(body, status_code=status, media_type=SCIM_MEDIA_TYPE, headers=headers)


def note_error(error: Exception) -> None:
    """Log an error that is not one of ours, with its traceback; the others are part of the trade."""
    ours = as_failgate_error(error)
    if ours.status >= 500 and not isinstance(ours, StorageUnavailable | OtherStatus):
        log.error("request.failed", error=type(error).__name__, exc_info=error)


def is_for_people(path: str, visit: Visit, accept: str) -> bool:
    """Tell whether an error is shown as a page: at a page's door, and off every door when a browser asks."""
    if visit.door is not None:
        return visit.door.kind == "page"
    return "text/html" in accept and not path.startswith(("/api/", "/static/", SCIM_PATH))


def refused_handshake(error: Exception, request_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body with which a WebSocket handshake is refused because of `error`."""
    status, document, headers = problem_of(error, request_id)
    given = [(name.encode(), value.encode()) for name, value in headers.items()]
    return status, [*given, (b"content-type", _PROBLEM.encode())], problem_body(document)


def _oauth_answer(error: Exception, request_id: str) -> Response[bytes]:
    """Return an error as OAuth clients read it. Source: RFC 6749 section 5.2, RFC 8628 section 3.5."""
    ours = as_failgate_error(error)
    status, document, headers = problem_of(ours, request_id)
    if isinstance(ours, GrantRefused):
        word = ours.error
        status = 401 if word == "invalid_client" else 400
    elif status in {429, 503}:
        word = "temporarily_unavailable"
    else:
        word = "server_error" if status >= 500 else "invalid_request"
    headers |= {"cache-control": "no-store", "pragma": "no-cache"}
    told = " ".join(filter(None, (document["detail"], document.get("hint"))))
    said = "".join(" " if character in '"\\' or not " " <= character <= "~" else character for character in told)
    body = _encode({"error": word, "error_description": said})
    return Response(body, status_code=status, media_type="application/json", headers=headers)


class _Kind(NamedTuple):
    slug: str
    title: str
    status: int


def _document(kind: _Kind, detail: str) -> dict[str, Any]:
    return {
        "type": f"urn:failgate:error:{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
    }


def _invalid(error: ValidationException, request: Request[Any, Any, Any]) -> BadInput:
    """Return an error that names the parameter as the caller wrote it."""
    extra: Any = error.extra
    first: dict[str, Any] = extra[0] if isinstance(extra, list) and extra and isinstance(extra[0], dict) else {}
    known = request.route_handler.parsed_fn_signature.parameters.get(str(first.get("key", "")))
    if known is None:
        return BadInput("The request is malformed.")
    member = str(getattr(known.kwarg_definition, "name", None) or known.name)
    message = str(first.get("message", "")).rstrip(".")
    return BadInput(f"The parameter {member!r} does not fit: {message[:1].lower()}{message[1:]}.", member=member)


def _page(visit: Visit, error: Exception, request: Request[Any, Any, Any]) -> Response[bytes]:
    scope = cast("Mapping[str, Any]", request.scope)
    ours = as_failgate_error(error)
    status, document, headers = problem_of(ours, visit.request_id)
    if isinstance(ours, NotSignedIn) and visit.door is not None:
        awaits = visit.session is not None and visit.session.awaits_second_factor
        return redirect(sign_in_path("/signin/code" if awaits else "/signin", scope))
    if ours.slug == "sso-required":
        return redirect(sign_in_path("/signin/sso", scope))
    if ours.slug == "step-up-required":
        back = page_of_form(visit.door, str(scope["path"]), request.app.state.doors) if visit.door is not None else "/"
        wants = getattr(ours, "wants", "factor")
        place = "/account/second-factor" if wants == "enrol" else "/account/step-up"
        path = sign_in_path(place, scope, else_back_to=back)
        more = "" if wants in {"factor", "enrol"} else f"{'&' if '?' in path else '?'}for={wants}"
        return redirect(path + more)
    headers.pop("www-authenticate", None)
    view = {
        "status": status,
        "title": document["title"],
        "sentence": document["detail"],
        "hint": document.get("hint"),
        "request_id": visit.request_id if status >= 500 else None,
        "action_href": "/",
        "action_label": "Go to the start page",
    }
    frame = Frame(title=str(document["title"]), nonce=visit.nonce, csrf_token="", version=static_version())
    return html(render("error.html", frame=frame, view=view), status=status, headers=headers)


def sign_in_path(where: str, scope: Mapping[str, Any], *, else_back_to: str = "/") -> str:
    """Return `where` with the page that was asked for as `next`; `else_back_to` when that cannot be asked for again."""
    path = else_back_to
    if scope.get("method") in {"GET", "HEAD"}:
        raw: bytes = scope.get("raw_path") or b"/"
        query: bytes = scope.get("query_string") or b""
        path = raw.decode("latin-1") + (f"?{query.decode('latin-1')}" if query else "")
    return where if path == "/" else f"{where}?next={quote(path, safe='/')}"


def page_of_form(door: Door, path: str, doors: Collection[Door]) -> str:
    """Return the page on which the form for `door` stands, asked for at `path`: the nearest page at or above it."""
    pages = {other.path for other in doors if other.kind == "page" and other.method == "GET"}
    here, pattern = path.split("/"), door.path.split("/")
    for length in range(len(pattern), 1, -1):
        if "/".join(pattern[:length]) in pages:
            return "/".join(here[:length])
    return "/"


def own_path(text: str | None) -> str:
    """Return `text` when it is a path of our own that a redirect may name, else `/`.

    It begins with one slash and holds no backslash, control character, space, or second slash in any spelling.
    """
    if not text or len(text) > 2048 or not text.startswith("/"):
        return "/"
    lowered = text.lower()
    if text.startswith("//") or lowered.startswith(("/%2f", "/%5c", "/.//", "/..")) or "\\" in text:
        return "/"
    if any(ord(char) <= 0x20 or ord(char) >= 0x7F for char in text):
        return "/"
    return text
