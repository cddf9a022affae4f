"""What an owner changes of an identity provider: settings, rules, domains, keys; and the demand to sign in by it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from litestar.params import FromPath

from failgate.audit.record import Actor
from failgate.base.errors import BadInput, FailgateError
from failgate.sso.connection import Connection
from failgate.sso.draft import Draft, draft_of
from failgate.web.context import services_of, visit_of
from failgate.web.pages.connection_forms import changed_from, methods_from, rules_from
from failgate.web.pages.connections import MISTAKES, show_listing, show_one
from failgate.web.pages.showing import Asking, Page

Doing = Callable[[str, Connection, Actor], Awaitable[str]]
"""Do it for the connection of this workspace, as this actor; return what to say."""


async def provider(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Change the title and what is known of the provider."""
    services, form = services_of(request), visit_of(request).form
    room = services.sso

    async def do(workspace_id: str, connection: Connection, actor: Actor) -> str:
        allow_loopback = services.config.server.allow_loopback
        draft = await changed_from(form, connection, room.speakers, allow_loopback=allow_loopback)
        await room.connections.change(workspace_id, connection.id, lambda _: draft, "provider", actor)
        return "Saved. Test the connection before people need it."

    return await _do(request, id, do)


async def mapping(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Change which group gives which role, and what counts as a second factor."""
    room, form = services_of(request).sso, visit_of(request).form

    async def do(workspace_id: str, connection: Connection, actor: Actor) -> str:
        rules, methods = rules_from(form), methods_from(form)

        def make(before: Connection) -> Draft:
            default_role = form.get("default_role") or None
            return replace(draft_of(before), roles=rules, default_role=default_role, trusted_methods=methods)

        await room.connections.change(workspace_id, connection.id, make, "mapping", actor)
        return "Saved. Roles follow at each person's next sign-in."

    return await _do(request, id, do)


async def domains(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Claim, verify or give up a mail domain."""
    room, form = services_of(request).sso, visit_of(request).form

    async def do(workspace_id: str, connection: Connection, actor: Actor) -> str:
        action, domain_id = form.get("action", ""), form.get("domain_id", "")

        def forget(tx: object) -> None:
            room.connections.forget(tx, connection)  # type: ignore[arg-type]  # the transaction of the verb

        if action == "claim":
            claimed = await room.domains.claim(workspace_id, connection.id, form.get("domain", ""), actor)
            return f"Add the DNS record for {claimed.domain}, then verify it."
        if action == "verify":
            verified = await room.domains.verify(workspace_id, connection.id, domain_id, actor, forget)
            return f"{verified.domain} is verified."
        if action == "remove":
            await room.domains.remove(workspace_id, connection.id, domain_id, actor, forget)
            return "The domain is removed."
        raise _no_such_action()

    return await _do(request, id, do)


async def keys(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Roll our own key over: make the next one, then switch to it."""
    room, form = services_of(request).sso, visit_of(request).form

    async def do(workspace_id: str, connection: Connection, actor: Actor) -> str:
        action = form.get("action", "")
        if action == "next":
            material = await room.speakers.with_next_key(connection)
            said = "The next key stands in our metadata beside the one in use. Give the provider our metadata again."
        elif action == "switch":
            material = await room.speakers.with_switched_key(connection)
            said = "The next key is in use, the old one is gone."
        else:
            raise _no_such_action()
        await room.connections.replace_signing_material(workspace_id, connection.id, material, f"key_{action}", actor)
        return said

    return await _do(request, id, do)


async def switch(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Switch a connection on or off."""
    room, form = services_of(request).sso, visit_of(request).form

    async def do(workspace_id: str, connection: Connection, actor: Actor) -> str:
        if form.get("action") == "enable":
            await room.connections.enable(workspace_id, connection.id, actor)
            return "People can sign in through it again."
        await room.connections.disable(workspace_id, connection.id, actor)
        return "Nobody signs in through it; the sessions that it opened have ended."

    return await _do(request, id, do)


async def remove(request: Asking, id: FromPath[str]) -> Page:  # noqa: A002 - the path's word
    """Remove a connection for good, once its short name was typed."""
    visit, room = visit_of(request), services_of(request).sso
    workspace_id = visit.here().id
    kept = await room.connections.one_of(workspace_id, id)
    if visit.form.get("slug", "").strip() != kept.connection.slug:
        return await show_one(
            request, id, BadInput("The short name is another one.", hint="Type it as it stands here.")
        )
    await room.connections.remove(workspace_id, id, Actor.of(visit.principal))
    return await show_listing(request, message=f"{kept.connection.title} is removed.")


async def enforce(request: Asking) -> Page:
    """Demand single sign-on for the workspace, naming the owner for emergencies."""
    visit, room = visit_of(request), services_of(request).sso
    try:
        owner = visit.form.get("owner", "")
        await room.enforcements.enforce(visit.here().id, owner, Actor.of(visit.principal))
    except MISTAKES as error:
        return await show_listing(request, error)
    return await show_listing(request, message="From now on members enter through single sign-on alone.")


async def release(request: Asking) -> Page:
    """Demand it no more."""
    visit, room = visit_of(request), services_of(request).sso
    await room.enforcements.release(visit.here().id, Actor.of(visit.principal))
    return await show_listing(request, message="Members may enter by any sign-in again.")


async def _do(request: Asking, connection_id: str, do: Doing) -> Page:
    visit, room = visit_of(request), services_of(request).sso
    workspace_id = visit.here().id
    kept = await room.connections.one_of(workspace_id, connection_id)
    try:
        message = await do(workspace_id, kept.connection, Actor.of(visit.principal))
    except MISTAKES as error:
        return await show_one(request, connection_id, error)
    return await show_one(request, connection_id, message=message)


def _no_such_action() -> FailgateError:
    return BadInput("There is no such action.", hint="Use the buttons of the page.")
