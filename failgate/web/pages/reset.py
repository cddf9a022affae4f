"""A forgotten password: asking for a link by e-mail, and choosing a new password by one."""

from failgate.base.errors import BadInput, FailgateError, Forbidden, NotFound, TooLarge, TooManyRequests
from failgate.web.context import services_of, visit_of
from failgate.web.pages import link
from failgate.web.pages.people_view import ResetView
from failgate.web.pages.showing import Asking, Page, show


async def form(request: Asking) -> Page:
    """Ask for the address of the account, or say whom to ask where no e-mail is sent."""
    return await _show(request, ResetView("ask", is_by_mail=services_of(request).password_reset.is_by_mail))


async def ask(request: Asking) -> Page:
    """Answer at once and the same for every address; the letter, if any, goes out behind the answer."""
    visit, services = visit_of(request), services_of(request)
    email = visit.form.get("email", "")[:254]
    try:
        services.password_reset.ask(email, visit.ip or "")
    except (TooManyRequests, Forbidden) as error:
        view = ResetView("ask", services.password_reset.is_by_mail, email=email, error=str(error))
        return await _show(request, view, error)
    return await _show(request, ResetView("sent", email=email))


async def choose_form(request: Asking) -> Page:
    """Ask for the new password, when the link is good."""
    if link.is_from_before(request):
        return link.to_paste()
    token = link.token_of(request)
    try:
        found = await services_of(request).password_reset.check(token)
    except NotFound as error:
        return await _gone(request, error)
    return await _show(request, ResetView("choose", token=token, email=found.email))


async def choose(request: Asking) -> Page:
    """Change the password; it opens no session: who it is signs in, with the second factor."""
    visit, services = visit_of(request), services_of(request)
    token = visit.form.get("token", "")
    try:
        await services.password_reset.complete(token, visit.form.get("password", ""))
    except NotFound as error:
        return await _gone(request, error)
    except (BadInput, TooLarge, TooManyRequests) as error:
        view = ResetView("choose", token=token, email=visit.form.get("email", "")[:254], error=str(error))
        return await _show(request, view, error)
    link.forget(request)
    return await _show(request, ResetView("done"))


async def _show(request: Asking, view: ResetView, error: FailgateError | None = None) -> Page:
    return await show(request, "reset.html", view, title="New password", status=error.status if error else 200)


async def _gone(request: Asking, error: NotFound) -> Page:
    view = {
        "title": "This link does not work any more",
        "status": error.status,
        "sentence": "It was used, replaced by a newer one, or is older than 15 minutes.",
        "hint": error.hint,
        "request_id": None,
        "href": "/reset",
        "label": "Ask for a new link",
    }
    return await show(request, "error.html", view, title="New password", status=error.status)
