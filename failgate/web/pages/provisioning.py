"""The owner's page about provisioning through a connection: its token, what is kept here, who is allowed."""

from litestar.params import FromPath

from failgate.audit.record import Actor
from failgate.base.errors import BadInput, FailgateError, NotFound
from failgate.web.context import services_of, visit_of
from failgate.web.pages.provisioning_view import GAPS, GapLine, ProvisioningView
from failgate.web.pages.showing import Asking, Page, show
from failgate.web.pages.text import moment
from failgate.web.scim.doors import base_url


async def show_page(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Show how the provider provisions. Raises: NotFound."""
    return await _show(request, id)


async def change(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Make a token, end it, or allow an account that is there already. Raises: NotFound, BadInput."""
    visit, services = visit_of(request), services_of(request)
    kept = await services.sso.connections.one_of(visit.here().id, id)
    actor, action = Actor.of(visit.principal), visit.form.get("action", "")
    if action == "mint":
        token = await services.scim.tokens.mint(kept.connection, actor)
        return await _show(request, id, token=token)
    if action == "revoke":
        await services.scim.tokens.revoke(kept.connection, actor)
        return await _show(request, id, message="The token has ended. The provider changes nothing here any more.")
    if action != "allow":
        raise BadInput("The page has no such button.", hint="Open it again.")
    email = visit.form.get("email", "")
    try:
        await services.scim.directory.allow(kept.connection, email, actor)
    except NotFound:
        error = BadInput("No member of this workspace has this address.", hint="Invite them first, or check it.")
        return await _show(request, id, error=error)
    return await _show(request, id, message="Allowed. The provider's next attempt takes that member over.")


async def _show(
    request: Asking,
    connection_id: str,
    *,
    token: str | None = None,
    error: FailgateError | None = None,
    message: str | None = None,
) -> Page:
    visit, services = visit_of(request), services_of(request)
    connection = (await services.sso.connections.one_of(visit.here().id, connection_id)).connection
    current, now_us = await services.scim.tokens.current(connection.id), services.clock.now_us()
    used_us = current.last_used_us if current is not None else None
    standing = await services.scim.directory.standing(connection.id)
    view = ProvisioningView(
        workspace=visit.here().slug,
        id=connection.id,
        title=connection.title,
        url=base_url(request),
        is_enabled=connection.is_enabled,
        minted=moment(current.created_us, now_us) if current is not None else None,
        used=moment(used_us, now_us) if used_us is not None else None,
        people=standing.people,
        groups=standing.groups,
        gaps=tuple(GapLine(many, GAPS.get(gap, gap)) for gap, many in standing.gaps.items()),
        token=token,
        error=str(error) if error is not None else None,
        message=message,
    )
    status = error.status if error is not None else 200
    return await show(request, "provisioning.html", view, title="Provisioning", room="settings", status=status)
