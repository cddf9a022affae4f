"""The page of sealed commands: the browser enrols its keys, opens and decides; the server gives the page alone."""

from dataclasses import dataclass

from failgate.web.bundle import bundle_digest, bundle_files, integrity_map, integrity_of
from failgate.web.context import visit_of
from failgate.web.pages.showing import Asking, Page, show


@dataclass(frozen=True, slots=True)
class SealedPage:
    """Whose keys the browser holds, what the manifests of this workspace call it, what the page itself is made of."""

    workspace: str
    account: str
    bundle: str
    files: int
    style: str
    integrity: dict[str, dict[str, str]]


async def page(request: Asking) -> Page:
    """Show the page; everything on it comes from the API and is verified by the browser."""
    visit = visit_of(request)
    view = SealedPage(
        visit.here().id, visit.principal.account_id or "", bundle_digest(), len(bundle_files()),
        integrity_of("failgate.css"), integrity_map(),
    )  # fmt: skip
    return await show(request, "sealed.html", view, title="Sealed commands", room="sealed")
