"""What an auditor takes along: a period of the log as a bundle that proves itself, or read as an evidence pack."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from litestar import Response
from litestar.response import Stream

from failgate.audit.bundle import Period
from failgate.audit.moments import moment_us
from failgate.audit.record import Actor
from failgate.base.errors import BadInput, FailgateError
from failgate.evidence.exports import BUNDLE, Exported, must_be_a_period
from failgate.evidence.packs import PACKS, Place, pack_of
from failgate.web.api.reports import until_stopped
from failgate.web.context import services_of, stop_of, visit_of
from failgate.web.pages.audit_filter import clock_of
from failgate.web.pages.showing import Asking, Page, show
from failgate.web.strict_query import single_values


@dataclass(frozen=True, slots=True)
class Kind:
    """Something that can be exported."""

    id: str
    title: str
    about: str


KINDS: Final = (
    Kind(
        BUNDLE, "The records, as a bundle",
        "Every record of the period with its proof, as failgate audit export writes it (.tar).",
    ),
    *(
        Kind(
            pack.id, f"Evidence pack: {pack.title}",
            pack.about,
        )
        for pack in PACKS
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExportPage:
    """The form; `since` and `until` as their fields want them."""

    kinds: tuple[Kind, ...]
    kind: str
    since: str
    until: str
    file: str
    verb: str
    vkey: str
    problem: str | None


async def form(request: Asking) -> Page:
    """Ask what, and of which period."""
    return await _show(request, single_values(request.scope["query_string"]))


async def export(request: Asking) -> Response[Any]:
    """Send it, as it is made; it is on record before the first byte."""
    visit = visit_of(request)
    typed = visit.form
    try:
        period = _period(typed)
        made = await _begin(request, typed.get("kind", ""), period)
    except BadInput as error:
        return await _show(request, typed, error)
    name = f"{_name(visit.here().slug, typed)}.{made.suffix}"
    headers = {
        "content-disposition": f'attachment; filename="{name}"',
        "content-security-policy": "sandbox; default-src 'none'",
    }
    return Stream(until_stopped(made.pieces, stop_of(request)), headers=headers, media_type=made.media_type)


async def _begin(request: Asking, kind: str, period: Period) -> Exported:
    visit, exports = visit_of(request), services_of(request).evidence.exports
    actor, here = Actor.of(visit.principal), visit.here()
    if kind == BUNDLE:
        return await exports.bundle(actor, here.id, period)
    if kind not in {pack.id for pack in PACKS}:
        raise BadInput("There is nothing of this kind to export.", hint="Choose one of the list.")
    return await exports.pack(actor, here.id, Place(here.slug, here.name), pack_of(kind), period)


def _period(typed: Mapping[str, str]) -> Period:
    """Return the period of the form, which both ends may leave open. Raises: BadInput."""
    since, until = typed.get("since", "").strip(), typed.get("until", "").strip()
    period = Period(moment_us(since, "From") if since else None, moment_us(until, "Until") if until else None)
    must_be_a_period(period, begin="From", end="Until")
    return period


def _name(slug: str, typed: Mapping[str, str]) -> str:
    days = [clock_of(typed.get(name, "").strip())[:10] for name in ("since", "until")]
    return "-".join(["failgate", slug, typed.get("kind", ""), *(day for day in days if day)])


async def _show(request: Asking, typed: Mapping[str, str], error: FailgateError | None = None) -> Page:
    visit, services = visit_of(request), services_of(request)
    kind = typed.get("kind", "")
    kind = kind if kind in {one.id for one in KINDS} else BUNDLE
    view = ExportPage(
        KINDS,
        kind,
        clock_of(typed.get("since", "").strip()),
        clock_of(typed.get("until", "").strip()),
        f"{_name(visit.here().slug, {'kind': kind})}.tar",
        "full" if kind == BUNDLE else "evidence",
        await services.audit.vkey(visit.here().id),
        str(error) if error else None,
    )
    return await show(
        request, "audit_export.html", view, title="Export", room="audit", status=error.status if error else 200
    )
