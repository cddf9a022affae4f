"""Broken glass: the page on which one person lets a command run without its quorum, and another reviews that."""

from litestar.params import FromPath

from failgate.access.role import Role
from failgate.base.errors import BadInput, Conflict, FailgateError, Forbidden, NotFound, Unprocessable
from failgate.web.context import services_of, visit_of
from failgate.web.pages.glass_view import GlassPageView, line_of
from failgate.web.pages.showing import Asking, Page, show
from failgate.web.pages.token_view import preview
from failgate.web.render import redirect
from failgate.wire.glass import GlassBreak, GlassVerdict

FIELDS = ("reason", "words", "confirm")
_REFUSALS = (BadInput, Unprocessable, Conflict, Forbidden)


async def page(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Show how the glass was broken and the review of that, or what breaking it would do."""
    return await _show(request, id)


async def break_it(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Let the command run without its quorum."""
    visit = visit_of(request)
    wish = GlassBreak(visit.form.get("digest", ""), visit.form.get("reason", ""), visit.form.get("confirm", "").strip())
    try:
        await services_of(request).gate.glass.break_glass(visit.principal, visit.here().id, id, wish)
    except _REFUSALS as error:
        return await _show(request, id, error)
    return redirect(f"/w/{visit.here().slug}/commands/{id}")


async def review(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Say whether it was justified."""
    visit = visit_of(request)
    verdict = visit.form.get("verdict")
    try:
        if verdict not in {"justified", "unjustified"}:
            raise BadInput("The form says neither justified nor not.", hint="Use the buttons of the page.")
        wish = GlassVerdict("justified" if verdict == "justified" else "unjustified", visit.form.get("words", ""))
        await services_of(request).gate.glass.review(visit.principal, visit.here().id, id, wish)
    except _REFUSALS as error:
        return await _show(request, id, error)
    return redirect(f"/w/{visit.here().slug}/commands/{id}")


async def _show(request: Asking, command_id: str, error: FailgateError | None = None) -> Page:
    visit, services = visit_of(request), services_of(request)
    command = await services.gate.view(visit.here().id, command_id, visit.principal)
    broken = await services.gate.glass.of_command(visit.here().id, command.id)
    if broken is None and command.break_glass is None and error is None:
        raise NotFound("Nobody breaks the glass for this command.", hint="It waits for its reviewers, or was decided.")
    view = GlassPageView(
        command.id,
        command.digest,
        command.host,
        command.agent,
        preview(command.rendering),
        command.waiting_for,
        command.break_glass == "reviewer" or (command.break_glass == "owner" and visit.role is Role.OWNER),
        command.state == "pending",
        None if broken is None else line_of(broken, services.clock.now_us()),
        broken is not None and broken.account_id == visit.principal.account_id,
        {name: visit.form.get(name, "") if error else "" for name in FIELDS},
        str(error) if error else None,
    )
    status = error.status if error else 200
    return await show(request, "glass.html", view, title="Broken glass", room="commands", status=status)
