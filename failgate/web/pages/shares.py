"""Share links from inside the workspace: of one report, of all of them, and the switch of the owners."""

from litestar.params import FromPath

from failgate.access.permission import Permission
from failgate.base.errors import BadInput, Conflict, FailgateError, TooManyRequests, Unprocessable
from failgate.reports.sharing import SHORTEST_SECONDS
from failgate.web.context import services_of, visit_of
from failgate.web.pages.people_view import ShownView
from failgate.web.pages.shared_view import LIFETIMES, SharesView, SharingView, lifetimes, picks, share_lines
from failgate.web.pages.showing import Asking, Page, grants, show
from failgate.web.render import redirect
from failgate.wire.shares import NewShare

_PICK = "artifact "


async def listing(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """List the links of a report, with the form for another."""
    return await _show(request, id)


async def create(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Make a link and show it, this once."""
    visit, services = visit_of(request), services_of(request)
    form = visit.form
    days = form.get("days", "")
    wish = NewShare(
        ttl_seconds=int(days) * 86_400 if days in dict(LIFETIMES) else SHORTEST_SECONDS - 1,
        artifacts=[name.removeprefix(_PICK) for name in form if name.startswith(_PICK)],
        passphrase=form.get("passphrase") or None,
    )
    try:
        made = await services.sharing.create(visit.principal, visit.here().id, id, wish)
    except (BadInput, Unprocessable, Conflict, TooManyRequests) as error:
        return await _show(request, id, error)
    about = "Whoever holds this address sees the report until the link ends; nothing else of this workspace."
    if wish.passphrase is not None:
        about += " The passphrase goes another way than the link."
    view = ShownView(
        "Your new share link", made.url or "", about, "", f"/w/{visit.here().slug}/reports/{id}/shares", "To the links"
    )
    return await show(request, "shown.html", view, title="Share link", room="reports")


async def revoke(request: Asking, id: FromPath[str], link: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """End a link, at once."""
    visit = visit_of(request)
    await services_of(request).sharing.revoke(visit.principal, visit.here().id, id, link)
    if visit.form.get("from") == "settings":
        return redirect(f"/w/{visit.here().slug}/settings/sharing")
    return redirect(f"/w/{visit.here().slug}/reports/{id}/shares")


async def review(request: Asking, id: FromPath[str], sha256: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Note that the visitor looked through a source snapshot."""
    visit, services = visit_of(request), services_of(request)
    # Whoever says so could have: it is there and open to them.
    await services.reports.open_artifact(visit.principal, visit.here().id, id, sha256)
    await services.sharing.review(visit.principal, visit.here().id, id, [sha256])
    return redirect(f"/w/{visit.here().slug}/reports/{id}/shares")


async def switch_page(request: Asking) -> Page:
    """Show the switch and every open link of the workspace."""
    return await _show_switch(request)


async def switch(request: Asking) -> Page:
    """Let the workspace's links answer, or none of them."""
    visit = visit_of(request)
    is_on = visit.form.get("sharing") == "on"
    await services_of(request).sharing.switch(visit.principal, visit.here().id, is_on=is_on)
    return await _show_switch(request, is_saved=True)


async def _show_switch(request: Asking, *, is_saved: bool = False) -> Page:
    visit, services = visit_of(request), services_of(request)
    found = await services.sharing.open_links(visit.here().id)
    view = SharingView(
        visit.here().slug,
        await services.sharing.is_stopped(visit.here().id),
        share_lines(found.items, services.clock.now_us()),
        is_saved,
    )
    return await show(request, "sharing.html", view, title="Share links", room="settings")


async def _show(request: Asking, report_id: str, error: FailgateError | None = None) -> Page:
    visit, services = visit_of(request), services_of(request)
    here = visit.here()
    report = await services.reports.view(visit.principal, here.id, report_id)
    found = await services.sharing.page(here.id, report_id)
    reviewed = await services.sharing.reviewed(here.id, report_id)
    view = SharesView(
        report_id,
        report.title,
        f"/w/{here.slug}/reports/{report_id}",
        share_lines(found.items, services.clock.now_us()),
        picks(report, reviewed, visit.form),
        lifetimes(visit.form.get("days", "7")),
        report.state == "sealed" and grants(visit, Permission.WORKSPACE_SHARE_WRITE),
        await services.sharing.is_stopped(here.id),
        str(error) if error else None,
    )
    status = error.status if error else 200
    return await show(request, "shares.html", view, title="Share", room="reports", status=status)
