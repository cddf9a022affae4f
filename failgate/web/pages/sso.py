"""The doors to identity providers: how a browser leaves for one, and what becomes of the answer it comes back with.

Whatever is wrong with an answer, the stranger reads one and the same page with a reference; the reason goes to the log.
"""

from litestar import Response
from litestar.params import FromPath

from failgate.base.errors import BadInput, Conflict, NotFound
from failgate.base.log import get_logger
from failgate.sso.protocol import Refusal
from failgate.sso.requests import Errand, is_word_for, new_browser_key, word_for
from failgate.sso.sso import Client, NotLinked, Outcome
from failgate.sso.step_up import NotConfirmed
from failgate.web.context import services_of, visit_of
from failgate.web.cookies import browser_cookie
from failgate.web.forms import read_form
from failgate.web.pages.departing import browser_key_of, depart, leave, refused
from failgate.web.pages.showing import Asking, Page, carry_on, enter, next_of, show, with_next
from failgate.web.pages.sso_view import AskView, BackView, LogoutView, NowhereView
from failgate.web.render import redirect
from failgate.web.strict_query import single_values

ANSWER_BYTES = 512 * 1024  # 256 KiB of XML as base64 in a form, and what stands beside it
log = get_logger(__name__)


async def start(request: Asking, connection: FromPath[str]) -> Page:
    """Send the browser to the provider to sign in, after a click on a page of ours; otherwise ask for one first.

    A provider that remembers the person signs them in without another word, and a link elsewhere, a picture or a script
    would be enough. Only a browser says by itself that somebody pressed something on a page of this site.
    Source: W3C Fetch Metadata sections 2.3 and 2.4; ASVS 5.0 7.6.2.
    """
    sent = request.headers
    if sent.get("sec-fetch-site") == "same-origin" and sent.get("sec-fetch-user") == "?1":
        return await go(request, connection)
    found = await services_of(request).sso.connections.by_slug(connection)
    if found is None or not found.is_enabled:
        raise NotFound("There is no such connection.")
    session, fields = visit_of(request).session, (("next", next_of(request)),)
    view = AskView(found.title, f"/sso/{found.slug}/start", fields, is_answered=False, is_signed_in=session is not None)
    return await show(request, "sso_ask.html", view, title="Single sign-on")


async def go(request: Asking, connection: FromPath[str]) -> Page:
    """Send the browser to the provider to sign in; `next` is where it goes afterwards."""
    session = visit_of(request).session
    errand = Errand("sign_in", next_of(request), session_id=session.id if session is not None else None)
    return await depart(request, connection, errand)


async def acs(request: Asking, connection: FromPath[str]) -> Page:
    """Take the answer of a SAML provider, which the browser posts from there."""
    try:
        fields = await read_form(request, ANSWER_BYTES)
    except BadInput:
        fields = {}
    return await _finish(request, connection, "saml", fields)


async def callback(request: Asking, connection: FromPath[str]) -> Page:
    """Take the answer of an OpenID provider or of GitHub."""
    return await _finish(request, connection, "oidc", single_values(request.scope["query_string"]))


async def metadata(request: Asking, connection: FromPath[str]) -> Response[bytes]:
    """Show what we are to a SAML provider."""
    room = services_of(request).sso
    found = await room.connections.by_slug(connection)
    if found is None or found.kind != "saml":
        raise NotFound("There is no such connection.")
    headers = {"content-disposition": f'inline; filename="failgate-{found.slug}.xml"'}
    body = await room.speakers.metadata(found)
    return Response(body, media_type="application/samlmetadata+xml", headers=headers)


async def logout(request: Asking, connection: FromPath[str]) -> Page:
    """Take a logout message that came by redirect, or the browser that comes back from an OpenID provider."""
    query: bytes = request.scope["query_string"]
    found = await services_of(request).sso.connections.by_slug(connection)
    if found is not None and found.kind == "oidc":
        return await show(request, "sso_logout.html", LogoutView(found.title, asks=True), title="Signed out")
    return await _logout(request, connection, query.decode("latin-1"), None)


async def logout_post(request: Asking, connection: FromPath[str]) -> Page:
    """Take a logout message that the browser posts from the provider."""
    try:
        fields = await read_form(request, ANSWER_BYTES)
    except BadInput:
        fields = {}
    return await _logout(request, connection, None, fields)


async def backchannel_logout(request: Asking, connection: FromPath[str]) -> Response[bytes]:
    """Take a logout token from the provider itself.

    Source: OpenID Connect Back-Channel Logout 1.0 section 2.8.
    """
    try:
        fields = await read_form(request)
        await services_of(request).sso.logouts.read_token(
            connection, fields.get("logout_token", ""), visit_of(request).ip or ""
        )
    except (Refusal, BadInput):
        body = b'{"error":"invalid_request","error_description":"The logout token is not accepted."}'
        return Response(body, status_code=400, media_type="application/json")
    return Response(b"", status_code=200, media_type="text/plain")


async def _finish(request: Asking, slug: str, kind: str, fields: dict[str, str]) -> Page:
    visit, services = visit_of(request), services_of(request)
    held = visit.session.id if visit.session is not None else ""
    key = browser_key_of(request)
    client = Client(
        visit.ip or "",
        request.headers.get("user-agent", ""),
        key,
        None if visit.door is not None and visit.door.is_cross_site else held,
        has_asked=is_word_for(fields.get("word", ""), key, fields.get("SAMLResponse", "")),
    )
    try:
        outcome = await services.sso.sign_on.finish(slug, kind, fields, client)
    except (Refusal, NotLinked, NotConfirmed, Conflict) as error:
        return await refused(request, slug, error)
    return await (_ask(request, outcome, fields) if outcome.asks else _go_on(request, outcome))


async def _ask(request: Asking, outcome: Outcome, fields: dict[str, str]) -> Page:
    """Ask whether the person wants the sign-in that their provider began; the form brings the answer once more.

    The word in it is of this browser and this answer, so that no other page sends the form.
    """
    visit, key, answer = visit_of(request), browser_key_of(request) or new_browser_key(), fields.get("SAMLResponse", "")
    visit.set_cookies.append(browser_cookie(key, is_https=visit.is_https))
    kept = (("SAMLResponse", answer), ("RelayState", fields.get("RelayState", "")), ("word", word_for(key, answer)))
    view = AskView(outcome.connection.title, f"/sso/{outcome.connection.slug}/acs", kept, is_answered=True)
    return await show(request, "sso_ask.html", view, title="Single sign-on")


async def _go_on(request: Asking, outcome: Outcome) -> Page:
    visit = visit_of(request)
    if outcome.purpose == "test":
        return redirect(f"{outcome.return_to}/{outcome.trial_id}")
    if outcome.token is None or outcome.session is None:
        return redirect(outcome.return_to)
    if outcome.purpose != "step_up" and outcome.session.awaits_second_factor:
        return enter(visit, outcome.token, with_next("/signin/code", outcome.return_to))
    carry_on(visit, outcome.token)
    if outcome.purpose == "step_up" or outcome.has_workspace:
        # A redirect would still be of the provider's making, and the cookie of what was shown there, which is `Strict`,
        # would stay behind: from a page of ours it comes along.
        return await show(request, "sso_back.html", BackView(outcome.return_to), title="Signed in")
    view = NowhereView(outcome.connection.title, outcome.session.email)
    return await show(request, "sso_nowhere.html", view, title="No workspace yet")


async def _logout(request: Asking, slug: str, query: str | None, fields: dict[str, str] | None) -> Page:
    room = services_of(request).sso
    try:
        answered = await room.logouts.read_saml(
            slug, query=query, form=fields, browser_key=browser_key_of(request), address=visit_of(request).ip or ""
        )
    except Refusal as refusal:
        return await refused(request, slug, refusal)
    if answered.departure is not None:
        return await leave(request, answered.departure, slug)
    connection = await room.connections.by_slug(slug)
    return await show(
        request, "sso_logout.html", LogoutView(connection.title if connection else ""), title="Signed out"
    )
