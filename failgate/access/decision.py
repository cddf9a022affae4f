"""The one place where a permission is given or refused. It reads top to bottom and ends in deny."""

from dataclasses import dataclass
from typing import Literal

from failgate.access.permission import Permission
from failgate.access.principal import Principal
from failgate.access.role import GRANTS, Role

Reason = Literal[
    "public",
    "self",
    "role",
    "not_signed_in",
    "not_a_member",
    "role_lacks_it",
    "out_of_scope",
    "other_workspace",
    "other_sign_in_needed",
    "second_factor_needed",
    "connection",
    "platform_role",
    "platform_role_needed",
    "no_rule",
]

# Acts that a person may only do with a second factor proven in this session.
NEEDS_SECOND_FACTOR = frozenset(
    {Permission.WORKSPACE_COMMAND_VOTE, Permission.PLATFORM_PLUGIN_READ, Permission.PLATFORM_PLUGIN_WRITE}
)
# Acts that a person does in person: no API key, no agent token.
PERSON_ONLY = frozenset(
    {
        Permission.WORKSPACE_COMMAND_VOTE,
        # What counts here is the signature of an enrolled key, and the login that brings it is a person's.
        Permission.WORKSPACE_SEALED_DECIDE,
        Permission.WORKSPACE_KEY_WRITE,
        Permission.WORKSPACE_DELETION_WRITE,
    }
)

# Acts on one's account that any session may do: what is let in by one reaches no further than the session.
ANY_SIGN_IN = frozenset({Permission.ACCOUNT_SELF_READ, Permission.ACCOUNT_LOGIN_OPEN, Permission.ACCOUNT_LOGIN_CLOSE})

# A scope that gives more than another gives that too: who may read a report may be told it.
WIDER: dict[Permission, Permission] = {Permission.WORKSPACE_CONTEXT_READ: Permission.WORKSPACE_REPORT_READ}

_SCOPE = {permission: permission.partition(":")[0] for permission in Permission}


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it is allowed, and why; the reason is for the audit record, never for a stranger."""

    allowed: bool
    reason: Reason


_BY_ROLE = Decision(allowed=True, reason="role")  # the answer to nearly every question


def decide(
    principal: Principal,
    permission: Permission,
    *,
    workspace_id: str | None = None,
    role: Role | None = None,
    is_platform_admin: bool = False,
) -> Decision:
    """Decide whether `principal` has `permission`, in the workspace `workspace_id` where it holds `role`.

    `role` is the membership's role (for an API key: of its owner; for an agent: `Role.AGENT`), or None without one.
    """
    scope = _SCOPE[permission]
    if scope == "public":
        return Decision(allowed=True, reason="public")
    if principal.kind == "anonymous":
        return Decision(allowed=False, reason="not_signed_in")
    if scope == "account" and principal.kind in {"user", "api_key"}:
        is_program = principal.kind == "api_key" or "device" in principal.auth
        if is_program and permission is not Permission.ACCOUNT_SELF_READ:
            return Decision(allowed=False, reason="out_of_scope")
        if not principal.may_change_account and permission not in ANY_SIGN_IN:
            return Decision(allowed=False, reason="other_sign_in_needed")
        return Decision(allowed=True, reason="self")
    if scope == "account" and principal.kind == "agent" and permission is Permission.ACCOUNT_SELF_READ:
        return Decision(allowed=True, reason="self")
    if scope == "scim":
        is_provider = principal.kind == "scim" and principal.connection_id is not None
        return Decision(allowed=is_provider, reason="connection" if is_provider else "out_of_scope")
    if scope == "platform":
        return _decide_on_platform(principal, permission, is_platform_admin=is_platform_admin)
    if scope == "workspace":
        return _decide_in_workspace(principal, permission, workspace_id, role)
    return Decision(allowed=False, reason="no_rule")


def _decide_on_platform(principal: Principal, permission: Permission, *, is_platform_admin: bool) -> Decision:
    # What one workspace's provider says of a person opens that workspace alone, never the installation.
    if not (is_platform_admin and principal.kind == "user" and principal.workspace_id is None):
        return Decision(allowed=False, reason="platform_role_needed")
    if permission in NEEDS_SECOND_FACTOR and principal.second_factor_us is None:
        return Decision(allowed=False, reason="second_factor_needed")
    return Decision(allowed=True, reason="platform_role")


def _decide_in_workspace(
    principal: Principal, permission: Permission, workspace_id: str | None, role: Role | None
) -> Decision:
    if workspace_id is None or role is None:
        return Decision(allowed=False, reason="not_a_member")
    if principal.workspace_id is not None and principal.workspace_id != workspace_id:
        return Decision(allowed=False, reason="other_workspace")
    if permission not in GRANTS[role]:
        return Decision(allowed=False, reason="role_lacks_it")
    if principal.scopes is not None and not {permission, WIDER.get(permission, permission)} & principal.scopes:
        return Decision(allowed=False, reason="out_of_scope")
    if permission in PERSON_ONLY and principal.kind != "user":
        return Decision(allowed=False, reason="out_of_scope")
    if permission in NEEDS_SECOND_FACTOR and principal.second_factor_us is None:
        return Decision(allowed=False, reason="second_factor_needed")
    return _BY_ROLE
