"""SCIM 2.0 as requests: who asks is a connection, which sees what it provisioned and nothing else.

What loads pydantic is imported inside of the handlers, in a thread: the first request pays for it, the start does not.

Source: RFC 7644 section 3.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import msgspec
from litestar import Request, Response
from litestar.params import FromPath

from failgate.base.errors import Forbidden, NotFound, WrongMediaType
from failgate.sso.connection import Connection
from failgate.sso.scim.directory import Directory
from failgate.sso.scim.errors import ScimError, invalid_value
from failgate.sso.scim.finding import Shown
from failgate.sso.scim.query import Query, query_of, search_of
from failgate.sso.scim.stored import Kind
from failgate.web.context import services_of, visit_of
from failgate.web.errors import SCIM_MEDIA_TYPE
from failgate.web.forms import read_whole
from failgate.web.headers import header
from failgate.web.strict_json import decode

Asking = Request[Any, Any, Any]
Answer = Response[bytes]
MAX_BODY_BYTES = 1_048_576
_MEDIA_TYPES = frozenset({SCIM_MEDIA_TYPE, "application/json"})
_KINDS: Mapping[str, tuple[Kind, ...]] = {"Users": ("User",), "Groups": ("Group",)}  # by endpoint
_encode = msgspec.json.Encoder().encode


# What is served


async def service_provider_config(request: Asking) -> Answer:
    """Answer what this server can do."""
    return _answer((await _described(request))["config"])


async def resource_types(request: Asking) -> Answer:
    """Answer the kinds of resources."""
    return _answer(_listed((await _described(request))["types"]))


async def resource_type(request: Asking, name: FromPath[str]) -> Answer:
    """Answer one kind of resource."""
    return _answer(_named((await _described(request))["types"], name))


async def schemas(request: Asking) -> Answer:
    """Answer the schemas."""
    return _answer(_listed((await _described(request))["schemas"]))


async def schema(request: Asking, name: FromPath[str]) -> Answer:
    """Answer one schema by its URN."""
    return _answer(_named((await _described(request))["schemas"], name))


async def bulk(request: Asking) -> Answer:
    """Refuse: many operations in one request are not served, as the config says.

    501 is what RFC 7644 section 3.12 has for an operation that a provider does not serve; 403 would blame the token.
    """
    await _connection(request)
    raise ScimError(501, "Bulk operations are not served.", hint="Send each operation by itself.")


# Resources: the path says of which kind


async def find(request: Asking) -> Answer:
    """Find resources; at the base address, of every kind."""
    return await _found(request, query_of(_parameters(request)))


async def search(request: Asking) -> Answer:
    """Find resources; what is asked for stands in the body."""
    return await _found(request, search_of(await _body(request)))


async def create(request: Asking) -> Answer:
    """Provision a person or a group."""
    connection, query, kind = await _connection(request), query_of(_parameters(request)), _kind(request)
    shown = await _directory(request).create(connection, kind, await _body(request), base_url(request))
    return await _one(shown, kind, query, status=201)


async def read(request: Asking, id: FromPath[str]) -> Answer:  # noqa: A002 - the path's word
    """Answer one resource, or 304 to who knows it as it is."""
    connection, query, kind = await _connection(request), query_of(_parameters(request)), _kind(request)
    shown = await _directory(request).read(connection, kind, id, base_url(request))
    given = {each.strip().removeprefix("W/") for each in (_header(request, "if-none-match") or "").split(",")}
    if shown.etag.removeprefix("W/") in given:
        return Response(b"", status_code=304, headers={"etag": shown.etag})
    return await _one(shown, kind, query)


async def replace(request: Asking, id: FromPath[str]) -> Answer:  # noqa: A002 - the path's word
    """Make a resource what the body says."""
    connection, query, kind = await _connection(request), query_of(_parameters(request)), _kind(request)
    shown = await _directory(request).replace(
        connection, kind, id, await _body(request), base_url(request), _header(request, "if-match")
    )
    return await _one(shown, kind, query)


async def patch(request: Asking, id: FromPath[str]) -> Answer:  # noqa: A002 - the path's word
    """Change parts of a resource; a group is not answered, as it may be large, unless attributes are asked for."""
    connection, query, kind = await _connection(request), query_of(_parameters(request)), _kind(request)
    shown = await _directory(request).patch(
        connection, kind, id, await _body(request), base_url(request), _header(request, "if-match")
    )
    if kind == "Group" and not query.attributes:
        return Response(b"", status_code=204, headers={"etag": shown.etag, "location": shown.location})
    return await _one(shown, kind, query)


async def delete(request: Asking, id: FromPath[str]) -> None:  # noqa: A002 - the path's word
    """Deprovision a person, or forget a group."""
    connection = await _connection(request)
    await _directory(request).delete(connection, _kind(request), id, _header(request, "if-match"))


# What they share


async def _found(request: Asking, query: Query) -> Answer:
    connection = await _connection(request)
    return _answer(await _directory(request).search(connection, _kinds(request), query, base_url(request)))


def _kinds(request: Asking) -> Sequence[Kind]:
    """Return the kinds of resources at the path: one below its endpoint, all at the base address."""
    endpoint = request.scope["path"].removeprefix("/scim/v2").split("/")[1:2]
    return _KINDS.get("".join(endpoint), ("User", "Group"))


def _kind(request: Asking) -> Kind:
    [kind] = _kinds(request)
    return kind


async def _one(shown: Shown, kind: Kind, query: Query, *, status: int = 200) -> Answer:
    document = shown.document
    if query.attributes or query.excluded:
        document = await asyncio.to_thread(_projected, document, kind, query)
    return _answer(document, status=status, headers={"etag": shown.etag, "location": shown.location})


def _projected(document: Mapping[str, Any], kind: Kind, query: Query) -> dict[str, Any]:
    from failgate.sso.scim.projection import Projection

    return Projection.of(query.attributes, query.excluded).apply(kind, document)


def _answer(document: Mapping[str, Any], *, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    return Response(_encode(document), status_code=status, media_type=SCIM_MEDIA_TYPE, headers=headers or {})


def _directory(request: Asking) -> Directory:
    return services_of(request).scim.directory


async def _connection(request: Asking) -> Connection:
    """Return the connection whose token this is. Raises: Forbidden (it is switched off), NotFound."""
    connection_id = visit_of(request).principal.connection_id
    connection = await services_of(request).sso.connections.by_id(connection_id or "")
    if connection is None:
        raise NotFound("The connection is gone.")
    if not connection.is_enabled:
        raise Forbidden("This connection is switched off.", hint="An owner switches it on again on its page.")
    return connection


async def _body(request: Asking) -> Any:
    """Return the JSON value of the body, at most 1 MiB and 32 levels. Raises: WrongMediaType, TooLarge, BadInput."""
    scope = cast("Any", request.scope)
    kind, _, parameters = (header(scope, b"content-type") or "").partition(";")
    if kind.strip().lower() not in _MEDIA_TYPES or parameters.strip().lower() not in {"", "charset=utf-8"}:
        raise WrongMediaType("The body is not SCIM.", hint=f"Send Content-Type: {SCIM_MEDIA_TYPE}.")
    if (header(scope, b"content-encoding") or "identity").lower() != "identity":
        raise WrongMediaType("The body is compressed.", hint="Send it as it is.")
    return decode(await read_whole(request, MAX_BODY_BYTES), MAX_BODY_BYTES)


def _parameters(request: Asking) -> dict[str, str]:
    """Return the parameters of the address, each once. Raises: ScimError."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in found:
            raise invalid_value(f"The parameter {name[:50]} stands twice.")
        found[name] = value
    return found


def _header(request: Asking, name: str) -> str | None:
    return header(cast("Any", request.scope), name.encode())


def base_url(request: Asking) -> str:
    """Return the address that the provider is given, under the name by which it asks."""
    public_url = services_of(request).config.server.public_url
    origin = public_url or f"{request.scope['scheme']}://{_header(request, 'host')}"
    return f"{origin.rstrip('/')}/scim/v2"


async def _described(request: Asking) -> dict[str, Any]:
    await _connection(request)
    return await asyncio.to_thread(_description, base_url(request))


@lru_cache(maxsize=16)
def _description(base_url: str) -> dict[str, Any]:
    from failgate.sso.scim import resources

    return {
        "config": resources.service_provider_config(base_url),
        "types": resources.resource_type_documents(base_url),
        "schemas": resources.schema_documents(base_url),
    }


def _listed(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": len(documents),
        "startIndex": 1,
        "itemsPerPage": len(documents),
        "Resources": documents,
    }


def _named(documents: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    for document in documents:
        if document["id"] == name:
            return document
    raise NotFound("There is no such description.")
