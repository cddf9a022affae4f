"""How a browser leaves for an identity provider, and the one page for an answer that is refused."""

from urllib.parse import urlsplit

from failgate.base.errors import Conflict, FailgateError
from failgate.sso.protocol import Departure, Refusal
from failgate.sso.requests import Errand, new_browser_key
from failgate.sso.sso import NotLinked
from failgate.sso.step_up import NotConfirmed
from failgate.web.asgi import Scope
from failgate.web.context import services_of, visit_of
from failgate.web.cookies import BROWSER, browser_cookie, read_cookie
from failgate.web.errors import own_path
from failgate.web.headers import content_policy, header
from failgate.web.pages.showing import Asking, Page, frame_of, show, with_next
from failgate.web.pages.sso_view import LeaveView, RefusedView
from failgate.web.render import page, redirect


async def depart(request: Asking, slug: str, errand: Errand) -> Page:
    """Return the answer with which the browser leaves for the provider of `slug`, bound to itself by a cookie.

    Raises: Refusal (of a test alone: an owner is told what stands in the way, a stranger reads a reference).
    """
    visit = visit_of(request)
    key = browser_key_of(request) or new_browser_key()
    try:
        departure = await services_of(request).sso.sign_on.begin(slug, errand, key, visit.ip or "")
    except Refusal as refusal:
        if errand.purpose == "test":
            raise
        is_step_up = errand.purpose == "step_up"
        return await refused(request, slug, NotConfirmed(refusal.reason, errand.return_to) if is_step_up else refusal)
    visit.set_cookies.append(browser_cookie(key, is_https=visit.is_https))
    return await leave(request, departure, slug)


async def leave(request: Asking, departure: Departure, slug: str) -> Page:
    """Return the answer that takes the browser to a provider: a redirect, or a form that sends itself.

    After a form of ours only a page of ours may be the answer (the content policy covers redirects), so a redirect that
    follows one is a page with a link that follows itself.
    """
    visit = visit_of(request)
    if not departure.fields and request.method == "GET":
        return redirect(departure.url)
    target = urlsplit(departure.url)
    view = LeaveView(departure.url, departure.fields, target.netloc, slug)
    # The provider may send the posted form on to another host of its own.
    forms = f"{target.scheme}://{target.netloc} https:" if departure.fields else ""
    headers = {"content-security-policy": content_policy(visit.nonce, forms)}
    frame = await frame_of(request, "To your identity provider", "")
    return page("sso_leave.html", headers=headers, frame=frame, view=view)


def browser_key_of(request: Asking) -> str | None:
    """Return the key that binds requests to this browser, or None."""
    visit = visit_of(request)
    scope: Scope = request.scope  # type: ignore[assignment]  # Litestar's own type of the same mapping
    key = read_cookie(header(scope, b"cookie"), BROWSER, is_https=visit.is_https)
    return key if key is not None and len(key) == len(new_browser_key()) else None


async def refused(request: Asking, slug: str, error: FailgateError) -> Page:
    """Show the one page for every refused answer; for a person whom nobody knows here, what they can do."""
    visit = visit_of(request)
    title, again = error.title, own_path(f"/sso/{slug}/start")
    back, label = "/signin", "Other ways to sign in"
    if isinstance(error, NotConfirmed):
        again, back, label = with_next("/account/step-up", error.return_to), error.return_to, "Back to where you were"
    elif isinstance(error, Conflict):
        title, back, label = "This sign-in was not linked", "/account/sign-ins", "Back to your sign-ins"
    elif isinstance(error, NotLinked) and error.reason == "account_exists":
        back, label = "/signin?next=/account/sign-ins", "Sign in and link it"
    view = RefusedView(
        title, error.sentence, error.hint or "", visit.request_id, slug, again, back, label,
        is_about_person=isinstance(error, NotLinked | Conflict), is_step_up=isinstance(error, NotConfirmed),
    )  # fmt: skip
    return await show(request, "sso_refused.html", view, title="Sign-in", status=403)
