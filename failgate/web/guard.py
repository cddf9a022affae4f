"""The one guard. It stands at every door, decides by `failgate.access.decision`, and lets nobody through by default.

In this order: the path is written as paths of ours are; who speaks, by bearer token, client certificate or cookie;
whether a browser sent it from a page of ours; which workspace and role; the decision; the fresh second factor. A
workspace that does not exist and one that the visitor is no member of raise the same error at the same point.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from litestar.connection import ASGIConnection, Request
from litestar.handlers import BaseRouteHandler

from failgate.access.decision import ANY_SIGN_IN, Decision, decide
from failgate.access.permission import Permission
from failgate.access.principal import ANONYMOUS, Principal
from failgate.access.role import Role
from failgate.accounts.token_text import digest_of
from failgate.base.db import workspace_scope
from failgate.base.errors import Forbidden, NotFound, NotSignedIn, SsoRequired, StepUpRequired
from failgate.base.ids import is_id
from failgate.web import csrf
from failgate.web.asgi import Scope
from failgate.web.certified import certified, check_one_speaker, identify, still
from failgate.web.context import Visit, services_of, visit_of
from failgate.web.cookies import FORM, FRESH, SESSION, read_cookie
from failgate.web.denials import Denials
from failgate.web.door import Door
from failgate.web.errors import OtherStatus
from failgate.web.forms import FORM_BYTES, read_form
from failgate.web.freshness import check_anew, check_second_factor, check_step_up
from failgate.web.headers import header, own_origins
from failgate.web.keeping_up import must_keep_up
from failgate.web.strict_query import single_values
from failgate.web.uploads import is_multipart, read_upload
from failgate.workspaces.names import is_slug

if TYPE_CHECKING:
    from failgate.roster import Services

_LONGEST_TOKEN = 256
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_WRITTEN: dict[str, Callable[[str], bool]] = {
    "workspace": is_slug,
    "connection": is_slug,
    "id": is_id,
    "trial": is_id,
    "token": is_id,
    "link": is_id,
    "delivery": is_id,
    "certificate": is_id,
    "run": is_id,
    "sha256": lambda text: _SHA256.fullmatch(text) is not None,
}
_NOT_SIGNED_IN = "The credential is missing or not valid."
_SIGN_IN = "Sign in, or send Authorization: Bearer with a token that is neither expired nor revoked."


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let the visitor pass the door that `handler` stands at, or raise the error that says why not.

    Afterwards the visit names principal, workspace and role.

    Raises: NotFound, NotSignedIn, Forbidden, StepUpRequired, CrossSite, BadInput, TooLarge, WrongMediaType.
    """
    door = handler.opt.get("door")
    if connection.scope.get("method") == "OPTIONS":
        raise OtherStatus(405, "This path does not take this method.")
    if not isinstance(door, Door):
        raise NotFound("A door that is not in the table.")
    visit = visit_of(connection)
    visit.door = door
    _check_path(connection.path_params)
    services = services_of(connection)
    scope = cast("Scope", connection.scope)
    by_cookie = await _identify(scope, visit, door, services)
    await _check_site(connection, visit, door, services, by_cookie=by_cookie)
    await admit(scope, visit, door, services, connection.app.state.denials)
    must_keep_up(door, services)


async def admit(scope: Scope, visit: Visit, door: Door, services: Services, denials: Denials) -> None:
    """Decide whether the visitor, who is identified, may pass `door`; note a denial in the log of its workspace.

    Raises: NotFound, NotSignedIn, Forbidden, StepUpRequired.
    """
    principal = visit.principal
    if door.is_open_to_loopback and _is_loopback(scope):
        return
    await check_second_factor(visit, door, services)
    if door.workspace is not None:
        if principal.kind == "anonymous":
            raise NotSignedIn(_NOT_SIGNED_IN, hint=_SIGN_IN)
        visit.workspace, visit.role = await _membership(scope, principal, door, services)
        workspace_scope.set(visit.workspace.id if visit.workspace is not None else None)
        await _check_entry(visit, services)
    decision = await _decide(visit, door, services)
    if not decision.allowed:
        if visit.workspace is not None and decision.reason != "second_factor_needed":
            denials.note(visit.workspace.id, principal, door, decision.reason)
        raise _refusal(decision)
    await _check_reach(visit, door, services)
    if principal.kind == "user" and door.asks_anew is not None:
        await check_anew(visit, door.asks_anew, services)
    elif door.is_sensitive and principal.kind == "user":
        await check_step_up(visit, door, services)


def digest_of_agent(visit: Visit) -> str | None:
    """Return the digest of the token by which an agent speaks here, for `may_at_once`; None when none does alone."""
    if visit.certificate_id is not None or visit.credential is None or not visit.credential.startswith("fg_agt_"):
        return None
    return digest_of(visit.credential)


def may_at_once(visit: Visit, token_digest: str, permission: Permission, services: Services) -> bool:
    """Tell of an agent whose token is in memory that it has `permission` now; otherwise `may_still` has to be asked.

    It is what `may_still` says of such a one, at a tenth of the cost: an agent has one role, in one workspace.
    """
    principal = services.tokens.recall(token_digest, visit.ip)
    if principal is None or visit.workspace is None or principal.workspace_id != visit.workspace.id:
        return False
    visit.principal, visit.role = principal, Role.AGENT
    return decide(principal, permission, workspace_id=visit.workspace.id, role=Role.AGENT).allowed


async def may_still(visit: Visit, permission: Permission, services: Services) -> bool:
    """Tell whether the visitor of an open socket has `permission` now: asked again for every message.

    A token and a certificate are resolved again. A session is not, for that would count as a sign of life:
    `OpenSockets` closes the sockets of a session in the moment when it ends.
    """
    if visit.certificate_id is not None:
        visit.principal = await still(visit, services)
    elif visit.session is None and visit.credential is not None:
        visit.principal = await _bearer(visit.credential, visit, services) or ANONYMOUS
    if visit.workspace is not None:
        visit.role = await _role(visit.principal, visit.workspace.id, services)
        if await services.sso.enforcements.entry(visit.principal, visit.workspace.id, visit.role) == "refused":
            return False
        return decide(visit.principal, permission, workspace_id=visit.workspace.id, role=visit.role).allowed
    return decide(visit.principal, permission).allowed


async def _check_reach(visit: Visit, door: Door, services: Services) -> None:
    """Check that a session which one workspace's provider opened changes no account that reaches further.

    Raises: Forbidden.
    """
    principal = visit.principal
    is_change = door.permission.startswith("account:") and door.permission not in ANY_SIGN_IN
    if not is_change or principal.kind != "user" or principal.workspace_id is None or principal.account_id is None:
        return
    account = await services.accounts.by_id(principal.account_id)
    memberships = await services.workspaces.memberships(principal.account_id)
    is_far = account is None or account.is_platform_admin
    if is_far or any(one.workspace.id != principal.workspace_id for one in memberships):
        raise _refusal(Decision(allowed=False, reason="other_sign_in_needed"))


async def _check_entry(visit: Visit, services: Services) -> None:
    """Check that a member comes in as the workspace demands; a break-glass entry is recorded before it is answered.

    Raises: SsoRequired.
    """
    workspace_id = visit.here().id
    entry = await services.sso.enforcements.entry(visit.principal, workspace_id, visit.role)
    if entry == "refused":
        raise SsoRequired(
            "This workspace is entered through its identity provider.",
            hint=f"Sign in at /signin/sso?next=/w/{visit.here().slug}/queue.",
        )
    if entry == "break_glass":
        await services.sso.enforcements.note_break_glass(visit.principal, workspace_id)


async def _identify(scope: Scope, visit: Visit, door: Door, services: Services) -> bool:
    """Fill in who speaks; return whether a cookie says so. A bearer token that is not valid is never passed over."""
    authorization = header(scope, b"authorization")
    found = await certified(visit, door, services)
    if authorization is not None and "bearer" in door.accepted:
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer":
            raise NotSignedIn(_NOT_SIGNED_IN, hint=_SIGN_IN)
        principal = await _bearer(token, visit, services)
        if principal is None:
            raise NotSignedIn(_NOT_SIGNED_IN, hint=_SIGN_IN)
        check_one_speaker(found, principal)
        visit.principal, visit.credential = principal, token
        return False
    if found:
        if read_cookie(header(scope, b"cookie"), SESSION, is_https=visit.is_https) is not None:
            check_one_speaker(found, ANONYMOUS)
        await identify(scope, visit, door, services, found)
        return False
    if "cookie" not in door.accepted:
        return False
    cookies = header(scope, b"cookie")
    visit.form_key = read_cookie(cookies, FORM, is_https=visit.is_https)
    visit.credential = read_cookie(cookies, SESSION, is_https=visit.is_https)
    fresh = read_cookie(cookies, FRESH, is_https=visit.is_https)
    visit.principal, visit.session = await _resolve(visit, services, fresh)
    return visit.credential is not None


async def _bearer(token: str, visit: Visit, services: Services) -> Principal | None:
    """Return who speaks by a bearer token: one that we minted, or an access token of a login."""
    if token.startswith("fg_scim_"):
        return await services.scim.tokens.resolve(token)
    if token.startswith("fg_"):
        return await services.tokens.resolve(token, visit.ip) if len(token) <= _LONGEST_TOKEN else None
    return await services.access_tokens.resolve(token)


async def _resolve(visit: Visit, services: Services, fresh: str | None) -> tuple[Principal, Any]:
    if visit.credential is None:
        return ANONYMOUS, None
    session = await services.sessions.resolve(visit.credential)
    return (session.principal_with(fresh), session) if session is not None else (ANONYMOUS, None)


async def _check_site(
    connection: ASGIConnection[Any, Any, Any, Any], visit: Visit, door: Door, services: Services, *, by_cookie: bool
) -> None:
    scope = cast("Scope", connection.scope)
    if door.is_cross_site:
        return
    is_certified = visit.certificate_id is not None
    if door.method != "WS" and (door.is_safe or not (by_cookie or is_certified or door.kind == "page")):
        return
    origin = header(scope, b"origin")
    origins = own_origins(scope, services.config.server.public_url)
    if is_certified and door.method != "WS":
        csrf.check_certified_origin(header(scope, b"sec-fetch-site"), origin, origins)
        return
    if door.method == "WS":
        if by_cookie or origin is not None:
            csrf.check_socket_origin(origin, origins)
        return
    csrf.check_origin(header(scope, b"sec-fetch-site"), origin, origins)
    if door.kind == "page":
        request = cast("Request[Any, Any, Any]", connection)
        if door.admit is not None:
            door.admit(visit.ip)
        form_bytes = door.form_bytes or FORM_BYTES
        if door.files is not None and is_multipart(request):
            visit.form = await read_upload(request, visit, form_bytes, door.files)
        else:
            visit.form = await read_form(request, form_bytes)
        key = visit.credential if visit.session is not None else visit.form_key
        csrf.check_form_token(visit.form.get(csrf.FIELD), key)


async def _membership(scope: Scope, principal: Principal, door: Door, services: Services) -> tuple[Any, Role]:
    if door.workspace == "credential" and principal.workspace_id is not None:
        workspace = await services.workspaces.by_id(principal.workspace_id)
    else:
        slug = _slug(scope, door)
        workspace = await services.workspaces.by_slug(slug) if slug is not None else None
    role = await _role(principal, workspace.id, services) if workspace is not None else None
    if workspace is None or role is None:
        raise NotFound("No such workspace.")
    return workspace, role


async def _role(principal: Principal, workspace_id: str, services: Services) -> Role | None:
    if principal.workspace_id is not None and principal.workspace_id != workspace_id:
        return None
    if principal.kind == "agent":
        return Role.AGENT if principal.workspace_id == workspace_id else None
    if principal.account_id is None:
        return None
    return await services.workspaces.role_of(workspace_id, principal.account_id)


async def _decide(visit: Visit, door: Door, services: Services) -> Decision:
    workspace_id = visit.workspace.id if visit.workspace is not None else None
    is_platform_admin = False
    if door.permission.startswith("platform:") and visit.principal.account_id is not None:
        account = await services.accounts.by_id(visit.principal.account_id)
        is_platform_admin = account is not None and account.is_platform_admin
    decision = decide(
        visit.principal,
        door.permission,
        workspace_id=workspace_id,
        role=visit.role,
        is_platform_admin=is_platform_admin,
    )
    if door.own_permission is None or decision.reason != "role_lacks_it" or visit.principal.kind != "agent":
        return decision
    return decide(visit.principal, door.own_permission, workspace_id=workspace_id, role=visit.role)


def _refusal(decision: Decision) -> Exception:
    match decision.reason:
        case "not_signed_in":
            return NotSignedIn(_NOT_SIGNED_IN, hint=_SIGN_IN)
        case "not_a_member" | "other_workspace" | "platform_role_needed":
            return NotFound("Not a member.")
        case "other_sign_in_needed":
            return Forbidden(
                "This sign-in vouches for one workspace, not for your account.",
                hint="Sign in with your password to change your account.",
            )
        case "second_factor_needed":
            return StepUpRequired("This needs a second factor in this session.", hint="Enrol one, or show it.")
        case _:
            return Forbidden("Your role does not allow this.", hint="Ask an owner or admin of the workspace.")


def _slug(scope: Scope, door: Door) -> str | None:
    if door.workspace == "path":
        return cast("str", scope["path_params"]["workspace"])
    given = single_values(scope["query_string"]).get("workspace", "")
    return given if is_slug(given) else None


def _check_path(parameters: dict[str, Any]) -> None:
    for name, value in parameters.items():
        is_written = _WRITTEN.get(name)
        if is_written is not None and not is_written(str(value)):
            raise NotFound("The path is not written as paths of ours are.")


def _is_loopback(scope: Scope) -> bool:
    """Tell whether the peer is this machine itself, and not somebody behind a proxy on it."""
    client: tuple[str, int] | None = scope.get("client")
    if not client or any(name in {b"x-forwarded-for", b"forwarded", b"x-real-ip"} for name, _ in scope["headers"]):
        return False
    return client[0] == "::1" or client[0].startswith("127.")
