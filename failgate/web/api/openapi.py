"""The OpenAPI 3.1 document of the JSON API, made from the doors themselves, and a reader for it that runs no script."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import msgspec
from litestar import Litestar, Request, Response, Router
from litestar.enums import ParamType
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.spec import (
    Components,
    OpenAPIMediaType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
    SecurityScheme,
)
from litestar.openapi.spec.enums import OpenAPIType
from litestar.types import ControllerRouterHandler

from failgate import __version__
from failgate.web.api.reports import is_known
from failgate.web.context import visit_of
from failgate.web.door import Door
from failgate.web.errors import Problem
from failgate.web.pages.frame import Frame
from failgate.web.render import page, static_version
from failgate.wire.manifest_schema import schema_text

_DESCRIPTION = """\
Errors are problem documents (RFC 9457) whose `type` is `urn:failgate:error:<slug>`. What belongs to another workspace
answers exactly as what does not exist. Times are RFC 3339 in UTC, digests of commands base64url, of artifacts hex.
JSON bodies hold no duplicate key, no unknown member, at most 32 levels.
"""
_PROBLEMS = {
    400: "The request is malformed",
    401: "The credential is missing or not valid",
    403: "The credential does not allow this, or a second factor is needed",
    404: "Absent, or of another workspace",
    409: "The state of the thing forbids it",
    413: "The body is too large",
    415: "The body is of another media type",
    422: "Well-formed, yet it cannot be true",
    429: "Too many requests",
    503: "Nothing was kept: ask again",
}


_RAW_BODIES = frozenset({"reports.upload", "recordings.extend"})
_OTHER_ANSWERS = {  # what is no JSON, by the name of its door
    "reports.download": "application/octet-stream",
    "usage.export": "text/csv",
    "recordings.download": "application/x-asciicast",
    "audit.checkpoint": "text/plain",
    "audit.tile": "application/octet-stream",
}
_LED_ELSEWHERE = frozenset({"reports.download", "recordings.download"})  # by `[server] artifact_url`
_PROOFS = frozenset({"audit.inclusion", "audit.consistency"})  # of a size that the log may not have


class _Unserved(Router):
    """Registers nothing: the document is served by doors of our own, which have a permission."""

    def register(self, value: ControllerRouterHandler) -> list[Any]:
        """Leave `value` out."""
        del value
        return []


def openapi_config() -> OpenAPIConfig:
    """Return how Litestar builds the document."""
    return OpenAPIConfig(
        title="Failgate",
        version=__version__,
        description=_DESCRIPTION,
        use_handler_docstrings=True,
        openapi_router=_Unserved(path="/api", route_handlers=[]),
        components=Components(
            security_schemes={
                "token": SecurityScheme(
                    type="http", scheme="bearer", description="A token `fg_…`, or an access token of `failgate login`."
                ),
                "session": SecurityScheme(
                    type="apiKey",
                    name="fg_session",
                    security_scheme_in="cookie",
                    description="For pages of this server.",
                ),
            }
        ),
    )


def security_of(door: Door) -> list[dict[str, list[str]]]:
    """Return which credentials open `door`, for the document."""
    if door.permission.startswith("public:"):
        return []
    names = {"bearer": "token", "cookie": "session"}
    return [{names[credential]: []} for credential in sorted(door.accepted)]


def answers_of(door: Door) -> dict[int, ResponseSpec] | None:
    """Return the problems that `door` may answer, and what it answers when that is no JSON, for the document."""
    if not door.is_documented:
        return None
    statuses = {400, 401, 403, 404, 429, 503} | (set() if door.is_safe else {409, 413, 415, 422})
    if door.name in _PROOFS:
        statuses.add(422)
    if door.permission.startswith("public:"):
        statuses = {400, 503}
    other = _OTHER_ANSWERS.get(door.name)
    content = (
        {}
        if other is None
        else {door.status: ResponseSpec(bytes, description="The bytes.", media_type=other, generate_examples=False)}
    )
    if door.name in _LED_ELSEWHERE:
        content[307] = ResponseSpec(
            bytes, description="A page is sent to the artifact host.", media_type="text/plain", generate_examples=False
        )
    return content | {
        status: ResponseSpec(
            data_container=Problem,
            description=_PROBLEMS[status],
            media_type="application/problem+json",
            generate_examples=False,
        )
        for status in sorted(statuses)
    }


def _in_path(name: str) -> Parameter:
    described = {
        "workspace": "The workspace's slug.",
        "id": "An identifier of ours.",
        "token": "The id of a token.",
        "sha256": "64 hex digits.",
    }
    text = Schema(type=OpenAPIType.STRING)
    return Parameter(name=name, param_in=ParamType.PATH, required=True, schema=text, description=described.get(name))


@dataclass
class _InWorkspace(Operation):
    """An operation whose handler does not ask for the slug in its path: the guard has looked it up."""

    def __post_init__(self) -> None:
        """Name the slug, once: Litestar makes an operation anew from itself."""
        known = self.parameters or []
        is_named = any(isinstance(one, Parameter) and one.name == "workspace" for one in known)
        self.parameters = [*known] if is_named else [_in_path("workspace"), *known]


@dataclass
class _Upload(_InWorkspace):
    """An operation whose body is raw bytes."""

    def __post_init__(self) -> None:
        """Name the body."""
        super().__post_init__()
        octets = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, content_media_type="application/octet-stream"))
        self.request_body = RequestBody(required=True, content={"application/octet-stream": octets})


def operation_of(door: Door) -> type[Operation]:
    """Return the class that describes `door`."""
    if door.name in _RAW_BODIES:
        return _Upload
    return _InWorkspace if "{workspace}" in door.path else Operation


async def document(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answer the OpenAPI document of this server's JSON API."""
    return Response(_described(request.app).octets, media_type="application/json")


async def manifest_schema(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answer the JSON Schema of a report's manifest, version 1: the bytes that `failgate report schema` prints.

    Its `$id` is a URN, so that every server publishes the same document.
    """
    octets, tag = _published()
    headers = {"etag": tag, "cache-control": "public, max-age=3600"}
    if is_known(request.headers.get("if-none-match"), tag):
        return Response(b"", status_code=304, headers=headers)
    return Response(octets, headers=headers, media_type="application/schema+json")


@functools.cache
def _published() -> tuple[bytes, str]:
    octets = schema_text().encode()
    return octets, f'"{hashlib.sha256(octets).hexdigest()}"'


async def reader(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show the OpenAPI document as a page: every operation, its parameters, bodies and answers."""
    frame = Frame(title="API", nonce=visit_of(request).nonce, csrf_token="", version=static_version())
    return page("openapi.html", frame=frame, view=_described(request.app).view)


class _Described(NamedTuple):
    octets: bytes
    view: dict[str, Any]


def _described(app: Litestar) -> _Described:
    """Return the document of `app`, made once: it costs more than a hundred other requests, and strangers may ask."""
    known: object = app.state.get("openapi")
    if not isinstance(known, _Described):
        schema = app.openapi_schema.to_schema()
        known = _Described(msgspec.json.encode(schema), readable(schema))
        app.state["openapi"] = known
    return known


def readable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document as the template wants it: operations by tag, schemas by name with their members."""
    operations: dict[str, list[dict[str, Any]]] = {}
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            if not isinstance(operation, dict) or "responses" not in operation:
                continue
            shown = _operation(path, method, cast("dict[str, Any]", operation))
            operations.setdefault(shown["tag"], []).append(shown)
    schemas = schema.get("components", {}).get("schemas", {})
    return {
        "title": schema["info"]["title"],
        "version": schema["info"]["version"],
        "description": [
            {"text": text, "is_code": bool(place % 2)}
            for place, text in enumerate(schema["info"].get("description", "").split("`"))
        ],
        "tags": [{"name": tag, "operations": operations[tag]} for tag in sorted(operations)],
        "schemas": [
            {"name": name, "description": kind.get("description", ""), "members": _members(kind)}
            for name, kind in sorted(schemas.items())
        ],
    }


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    return {
        "tag": (operation.get("tags") or ["other"])[0],
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": operation.get("description") or operation.get("summary") or "",
        "parameters": [
            {
                "name": parameter["name"],
                "where": parameter["in"],
                "required": parameter.get("required", False),
                "type": type_name(parameter.get("schema", {})),
                "description": parameter.get("description") or "",
            }
            for parameter in operation.get("parameters", ())
        ],
        "body": [{"media_type": kind, "type": type_name(body.get("schema", {}))} for kind, body in content.items()],
        "answers": [
            {
                "status": status,
                "description": answer.get("description", ""),
                "types": [type_name(body.get("schema", {})) for body in answer.get("content", {}).values()],
            }
            for status, answer in sorted(operation["responses"].items())
        ],
    }


def _members(kind: Mapping[str, Any]) -> list[dict[str, Any]]:
    required = set(kind.get("required", ()))
    return [
        {"name": name, "type": type_name(member), "required": name in required}
        for name, member in kind.get("properties", {}).items()
    ]


def type_name(schema: Mapping[str, Any]) -> str:
    """Return a JSON schema in a few words: `integer or null`, `list of VoteView`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    choices: Sequence[Mapping[str, Any]] = schema.get("oneOf") or schema.get("anyOf") or ()
    if choices:
        return " or ".join(dict.fromkeys(type_name(choice) for choice in choices))
    if "enum" in schema:
        return " | ".join("null" if choice is None else str(choice) for choice in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(str(one) for one in kind)
    if kind == "array":
        return f"list of {type_name(schema.get('items', {}))}"
    return str(kind)
