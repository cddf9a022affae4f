"""Who speaks, as the server sees it."""

from typing import Any

from litestar import Request

from failgate.access.role import Role
from failgate.web.context import services_of, visit_of
from failgate.wire.login import MembershipView, WhoAmI


async def whoami(request: Request[Any, Any, Any]) -> WhoAmI:
    """Name the principal of this credential and the workspaces in which it has a role."""
    principal, services = visit_of(request).principal, services_of(request)
    workspaces: list[MembershipView] = []
    email: str | None = None
    if principal.account_id is not None:
        account = await services.accounts.by_id(principal.account_id)
        email = account.email if account is not None else None
        workspaces += [
            MembershipView(one.workspace.slug, one.role)
            for one in await services.workspaces.memberships(principal.account_id)
            if principal.workspace_id in {None, one.workspace.id}
        ]
    elif principal.workspace_id is not None:
        workspace = await services.workspaces.by_id(principal.workspace_id)
        workspaces += [MembershipView(workspace.slug, Role.AGENT)] if workspace is not None else []
    return WhoAmI(principal.kind, principal.id, principal.label, workspaces, email)
