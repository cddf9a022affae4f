"""One's own API keys: listed, made, revoked."""

from litestar.params import FromPath

from failgate.access.decision import decide
from failgate.access.permission import Permission
from failgate.access.role import Role
from failgate.audit.record import Actor
from failgate.base.errors import BadInput, NotFound
from failgate.web.context import services_of, visit_of
from failgate.web.pages.people_view import (
    LIFETIMES,
    Choice,
    KeysView,
    NewKeyView,
    ShownView,
    choices,
    chosen_scopes,
    expiry_of,
    networks_of,
    scope_choices,
    token_line,
)
from failgate.web.pages.showing import Asking, Page, account_of, memberships_of, show
from failgate.web.render import redirect
from failgate.workspaces.workspaces import Membership

HERE = "/account/api-keys"


async def listing(request: Asking) -> Page:
    """List one's own API keys of every workspace."""
    visit, services = visit_of(request), services_of(request)
    account_id, now_us = account_of(visit), services.clock.now_us()
    places = await _places(request)
    names = {one.workspace.id: one.workspace.name for one in places}
    found = [token for token in await services.tokens.list(account_id) if token.kind == "usr"]
    rows = tuple(token_line(token, names[token.workspace_id], now_us) for token in found if token.workspace_id in names)
    return await show(request, "keys.html", KeysView(rows, bool(places)), title="API keys", room="account")


async def form(request: Asking) -> Page:
    """Ask what the new key shall be."""
    places = await _places(request)
    wanted = request.query_params.get("workspace")
    place = next((one for one in places if one.workspace.slug == wanted), places[0] if places else None)
    if place is None:
        raise NotFound("There is no workspace in which a key could work.")
    return await _show_form(request, places, place)


async def create(request: Asking) -> Page:
    """Make the key and show it, this once."""
    visit, services = visit_of(request), services_of(request)
    places = await _places(request)
    place = next((one for one in places if one.workspace.slug == visit.form.get("workspace")), None)
    if place is None:
        raise NotFound("There is no such workspace.")
    try:
        expires_us = expiry_of(visit.form.get("days", ""), services.clock.now_us())
        networks = networks_of(visit.form.get("networks", ""))
        token = await services.tokens.mint(
            "usr", account_of(visit), place.workspace.id, visit.form.get("label", ""), expires_us,
            actor=Actor.of(visit.principal), scopes=chosen_scopes(visit.form), networks=networks,
        )  # fmt: skip
    except BadInput as error:
        return await _show_form(request, places, place, error)
    base_url = services.config.server.base_url
    view = ShownView(
        "Your new API key",
        token,
        f"For {place.workspace.name}, with what your role of {place.role.value} allows now and no more.",
        f"curl -H 'Authorization: Bearer …' {base_url}/api/v1/whoami",
        HERE,
        "I have kept it",
    )
    return await show(request, "shown.html", view, title="API keys", room="account")


async def revoke(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """End one of one's own keys, at once."""
    visit = visit_of(request)
    await services_of(request).tokens.revoke(id, Actor.of(visit.principal), owner_id=account_of(visit))
    return redirect(HERE)


async def _places(request: Asking) -> list[Membership]:
    """Return the workspaces in which this visitor may make API keys: what holds at their doors holds here."""
    visit, services = visit_of(request), services_of(request)
    found: list[Membership] = []
    for one in await memberships_of(request):
        workspace_id, role = one.workspace.id, Role(one.role)
        decision = decide(visit.principal, Permission.WORKSPACE_KEY_WRITE, workspace_id=workspace_id, role=role)
        if decision.allowed and await services.sso.enforcements.entry(visit.principal, workspace_id, role) != "refused":
            found.append(one)
    return found


async def _show_form(
    request: Asking, places: list[Membership], place: Membership, error: BadInput | None = None
) -> Page:
    typed = visit_of(request).form
    view = NewKeyView(
        tuple(Choice(one.workspace.slug, one.workspace.name, one.role.value, one is place) for one in places),
        place.workspace.slug,
        place.role.value,
        scope_choices(place.role, frozenset(chosen_scopes(typed) or ())),
        choices(LIFETIMES, typed.get("days", "90")),
        typed.get("label", "")[:200],
        typed.get("networks", "")[:2000],
        typed.get("limit") == "some",
        str(error) if error else None,
    )
    return await show(
        request, "key_new.html", view, title="New API key", room="account", status=error.status if error else 200
    )
