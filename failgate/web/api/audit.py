"""The audit log's doors: read, never write. Source: `AUDIT.md` section 8 points 2 and 3."""

from typing import Annotated, Any, cast

import msgspec
from litestar import Request, Response
from litestar.params import FromPath, QueryParameter

from failgate.audit.beside import bodies_of, told
from failgate.audit.proof import Proof, entries_tile, tlog_proof
from failgate.audit.tiles import MEDIA_TYPE, tile_at
from failgate.audit.tree import TILE_WIDTH
from failgate.base.errors import NotFound
from failgate.web.context import services_of, visit_of

Asking = Request[Any, Any, Any]
_LARGEST = 2**53 - 1
Seq = Annotated[int, QueryParameter(name="seq", ge=0, le=_LARGEST, description="The number of the record.")]
Old = Annotated[int, QueryParameter(name="old", ge=0, le=_LARGEST, description="The size of the smaller tree.")]
AfterSeq = Annotated[
    int | None,
    QueryParameter(name="after", ge=0, le=_LARGEST, description="Records behind this number; else from the start."),
]
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=1000, description="How many at most.")]
Size = Annotated[int | None, QueryParameter(ge=0, le=_LARGEST, description="The size of the tree; else the newest.")]
OnlyCosigned = Annotated[bool, QueryParameter(description="The newest one that enough witnesses cosigned.")]
_TEXT = "text/plain"


class RecordView(msgspec.Struct, frozen=True):
    """One record: `leaf` is base64url of the bytes that are hashed, `record` the same for people.

    `body` is what the record commits to in `pd`: its members, `{"erased": TIME}` once it was erased, null when it
    commits to nothing.
    """

    seq: int
    leaf: str
    record: dict[str, Any]
    body: dict[str, Any] | None


class RecordPage(msgspec.Struct, frozen=True):
    """`GET audit/records`. `next` is the `after` of the next page, or null at the end."""

    records: list[RecordView]
    next: int | None


class ProofView(msgspec.Struct, frozen=True):
    """A proof: its hashes in base64, from the leaf upward; they lead to the root of the tree of `size` records.

    `checkpoint` is the newest signed note. It states this size, unless a smaller one was asked for: then
    `audit/proof/consistency?old=size` leads on to it. A smaller tree is not signed again.
    """

    hashes: list[str]
    size: int
    checkpoint: str


async def records(request: Asking, after: AfterSeq = None, limit: Limit = 100) -> RecordPage:
    """List records in their order."""
    log, services = visit_of(request).here().id, services_of(request)
    found = await services.audit.records(log, after, limit)
    bodies = await bodies_of(services.db, log, [one.seq for one in found])
    views = [msgspec.convert(one.as_json() | {"body": told(bodies.get(one.seq))}, RecordView) for one in found]
    return RecordPage(views, views[-1].seq if len(views) == limit else None)


async def checkpoint(request: Asking, *, cosigned: OnlyCosigned = False) -> Response[str]:
    """Answer the newest checkpoint as a signed note, with the cosignatures of witnesses that it has by now.

    With `cosigned=true` the newest one that enough witnesses have cosigned; 404 while there is none.
    """
    log, witnessing = visit_of(request).here().id, services_of(request).witnessing
    return Response(witnessing.cosigned(log) if cosigned else await witnessing.checkpoint(log), media_type=_TEXT)


async def inclusion(request: Asking, seq: Seq, size: Size = None) -> Response[ProofView]:
    """Prove that record `seq` is in the tree of `size` records, or in that of the newest checkpoint.

    As `text/plain` in the C2SP form, and then always for the newest checkpoint.
    """
    log, audit = visit_of(request).here().id, services_of(request).audit
    if _wants_text(request):
        text = tlog_proof(seq, await audit.inclusion(log, seq))
        return cast("Response[ProofView]", Response(text, media_type=_TEXT))
    return Response(_shown(await audit.inclusion(log, seq, size)))


async def consistency(request: Asking, old: Old, new: Size = None) -> Response[ProofView]:
    """Prove that the tree of `new` records (that of the newest checkpoint without) begins with the tree of `old`."""
    log, audit = visit_of(request).here().id, services_of(request).audit
    return Response(_shown(await audit.consistency(log, old, new)))


async def tile(request: Asking, place: FromPath[str]) -> Response[bytes]:
    """Answer a tile of hashes or of records, as C2SP tlog-tiles lays them out; one that is not full names its width."""
    log, audit, asked = visit_of(request).here().id, services_of(request).audit, tile_at(place.lstrip("/"))
    if asked.level is not None:
        content = b"".join(await audit.tile(log, asked.level, asked.number, asked.width))
    else:
        first = asked.number * TILE_WIDTH
        records = await audit.records(log, first - 1 if first else None, asked.width)
        if len(records) < asked.width or records[-1].seq != first + asked.width - 1:
            raise NotFound("The audit log has no such tile.")
        content = entries_tile(records)
    return Response(content, media_type=MEDIA_TYPE)


def _shown(proof: Proof) -> ProofView:
    return msgspec.convert(proof.as_json(), ProofView)


def _wants_text(request: Asking) -> bool:
    accept = request.headers.get("accept", "")
    return "text/plain" in accept and "application/json" not in accept
