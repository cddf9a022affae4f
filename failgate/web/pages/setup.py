"""The first start: the single-use link makes the first account and the first workspace."""

from failgate.base.errors import BadInput, Conflict, FailgateError, NotFound, TooLarge
from failgate.web.context import services_of, visit_of
from failgate.web.pages import link
from failgate.web.pages.account_view import SetupView
from failgate.web.pages.showing import Asking, Page, enter, show


async def form(request: Asking) -> Page:
    """Ask for the first account, when the link is good."""
    if link.is_from_before(request):
        return link.to_paste()
    token = link.token_of(request)
    try:
        await services_of(request).setup_links.check(token)
    except (NotFound, Conflict) as error:
        return await _refuse(request, error)
    return await show(request, "setup.html", SetupView(token), title="Set up")


async def complete(request: Asking) -> Page:
    """Make account and workspace and sign the owner in; a mistake is shown and the link stays good."""
    visit, services = visit_of(request), services_of(request)
    given = {name: visit.form.get(name, "") for name in ("token", "email", "workspace", "workspace_name")}
    try:
        account = await services.setup_links.complete(
            given["token"], given["email"], visit.form.get("password", ""), given["workspace"], given["workspace_name"]
        )
    except (BadInput, TooLarge) as error:
        view = SetupView(**given, error=str(error))
        return await show(request, "setup.html", view, title="Set up", status=error.status)
    except (NotFound, Conflict) as error:
        return await _refuse(request, error)
    link.forget(request)
    user_agent = request.headers.get("user-agent", "")
    token, _ = await services.sessions.open(account.id, visit.ip or "", user_agent, ("pwd",))
    return enter(visit, token, f"/account/second-factor?next=/w/{given['workspace']}/queue")


async def _refuse(request: Asking, error: FailgateError) -> Page:
    view = {
        "title": "This link does not work",
        "status": error.status,
        "sentence": error.sentence,
        "hint": error.hint,
        "request_id": None,
    }
    return await show(request, "error.html", view, title="Set up", status=error.status)
