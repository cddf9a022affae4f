"""The doors of the pages about people, agents, credentials and the installation; `doors.py` joins them to the rest."""

from collections.abc import Callable
from typing import Any, Final

from failgate.access.permission import Permission as P  # noqa: N817 - the table is read in columns
from failgate.web.door import Door
from failgate.web.pages import (
    agents,
    deletion,
    invite,
    keys,
    members,
    platform,
    platform_exporters,
    platform_users,
    reset,
    runs,
    settings,
)

_ROOM: Final = "/w/{workspace}"


def _page(
    name: str, method: str, path: str, handler: Callable[..., Any], needs: P, *, is_sensitive: bool = False
) -> Door:
    """Return a door of the pages."""
    return Door(
        name=name, method=method, path=path, handler=handler, permission=needs, kind="page", is_sensitive=is_sensitive
    )


def _room(
    name: str, method: str, path: str, handler: Callable[..., Any], needs: P, *, is_sensitive: bool = False
) -> Door:
    """Return a door of the pages inside a workspace."""
    return _page(name, method, _ROOM + path, handler, needs, is_sensitive=is_sensitive)


def _account(
    name: str, method: str, path: str, handler: Callable[..., Any], needs: P, *, is_sensitive: bool = False
) -> Door:
    """Return a door of the pages of one's own account."""
    return _page(name, method, "/account" + path, handler, needs, is_sensitive=is_sensitive)


def _platform(
    name: str, method: str, path: str, handler: Callable[..., Any], needs: P, *, is_sensitive: bool = False
) -> Door:
    """Return a door of the pages of the installation."""
    return _page(name, method, "/platform" + path, handler, needs, is_sensitive=is_sensitive)


# A form for something sensitive stands on a sensitive page: the second factor is asked for before it is filled in.
PEOPLE: Final = (
    _page("page.invite", "GET", "/invite", invite.form, P.PUBLIC_PAGE_READ),
    _page("page.invite_accept", "POST", "/invite/accept", invite.accept, P.ACCOUNT_SELF_WRITE),
    _page("page.invite_join", "POST", "/invite/join", invite.join, P.PUBLIC_INVITATION_ACCEPT),
    _page("page.reset", "GET", "/reset", reset.form, P.PUBLIC_PAGE_READ),
    _page("page.reset_ask", "POST", "/reset", reset.ask, P.PUBLIC_PASSWORD_RESET),
    _page("page.reset_new", "GET", "/reset/new", reset.choose_form, P.PUBLIC_PAGE_READ),
    _page("page.reset_choose", "POST", "/reset/new", reset.choose, P.PUBLIC_PASSWORD_RESET),
    _account("page.keys", "GET", "/api-keys", keys.listing, P.ACCOUNT_SELF_READ),
    _account("page.key_new", "GET", "/api-keys/new", keys.form, P.ACCOUNT_SELF_READ, is_sensitive=True),
    _account("page.key_create", "POST", "/api-keys", keys.create, P.ACCOUNT_SELF_WRITE, is_sensitive=True),
    _account("page.key_revoke", "POST", "/api-keys/{id}/revoke", keys.revoke, P.ACCOUNT_SELF_WRITE),
    _room("page.agents", "GET", "/agents", agents.listing, P.WORKSPACE_AGENT_READ),
    _room("page.agent_new", "GET", "/agents/new", agents.form, P.WORKSPACE_AGENT_WRITE, is_sensitive=True),
    _room("page.agent_create", "POST", "/agents", agents.create, P.WORKSPACE_AGENT_WRITE, is_sensitive=True),
    _room("page.agent", "GET", "/agents/{id}", agents.one, P.WORKSPACE_AGENT_READ),
    _room("page.agent_run", "GET", "/agents/{id}/runs/{run}", runs.one, P.WORKSPACE_COMMAND_READ),
    _room("page.agent_describe", "POST", "/agents/{id}", agents.describe, P.WORKSPACE_AGENT_WRITE),
    _room("page.agent_owner", "POST", "/agents/{id}/owner", agents.change_owner, P.WORKSPACE_AGENT_WRITE,
          is_sensitive=True),
    _room("page.agent_rotate", "POST", "/agents/{id}/tokens", agents.rotate, P.WORKSPACE_AGENT_WRITE,
          is_sensitive=True),
    _room("page.agent_revoke", "POST", "/agents/{id}/tokens/{token}/revoke", agents.revoke, P.WORKSPACE_AGENT_WRITE),
    _room("page.agent_certify", "POST", "/agents/{id}/certificates", agents.certify, P.WORKSPACE_AGENT_WRITE,
          is_sensitive=True),
    _room("page.agent_decertify", "POST", "/agents/{id}/certificates/{certificate}/revoke", agents.decertify,
          P.WORKSPACE_AGENT_WRITE, is_sensitive=True),
    _room("page.agent_disable", "POST", "/agents/{id}/disable", agents.disable, P.WORKSPACE_AGENT_WRITE),
    _room("page.members", "GET", "/members", members.listing, P.WORKSPACE_MEMBER_READ),
    _room("page.member_invite", "GET", "/members/invite", members.invite_form, P.WORKSPACE_MEMBER_WRITE,
          is_sensitive=True),
    _room("page.member", "GET", "/members/{id}", members.one, P.WORKSPACE_MEMBER_WRITE, is_sensitive=True),
    _room("page.member_role", "POST", "/members/{id}/role", members.change_role, P.WORKSPACE_MEMBER_WRITE,
          is_sensitive=True),
    _room("page.member_remove", "POST", "/members/{id}/remove", members.remove, P.WORKSPACE_MEMBER_WRITE,
          is_sensitive=True),
    _room("page.member_reset", "POST", "/members/{id}/reset-link", members.reset_link, P.WORKSPACE_MEMBER_WRITE,
          is_sensitive=True),
    _room("page.invitation_create", "POST", "/invitations", members.invite, P.WORKSPACE_MEMBER_WRITE,
          is_sensitive=True),
    _room("page.invitation_revoke", "POST", "/invitations/{id}/revoke", members.revoke, P.WORKSPACE_MEMBER_WRITE),
    _room("page.settings", "GET", "/settings", settings.page, P.WORKSPACE_SETTINGS_READ),
    _room("page.settings_rename", "POST", "/settings", settings.rename, P.WORKSPACE_SETTINGS_WRITE),
    _room("page.deletion", "GET", "/settings/delete", deletion.page, P.WORKSPACE_DELETION_WRITE, is_sensitive=True),
    _room("page.deletion_ask", "POST", "/settings/delete", deletion.ask, P.WORKSPACE_DELETION_WRITE,
          is_sensitive=True),
    _room("page.deletion_confirm", "POST", "/settings/delete/{id}/confirm", deletion.confirm,
          P.WORKSPACE_DELETION_WRITE, is_sensitive=True),
    _room("page.deletion_withdraw", "POST", "/settings/delete/{id}/withdraw", deletion.withdraw,
          P.WORKSPACE_DELETION_WRITE),
    _account("page.deleted_workspaces", "GET", "/deleted-workspaces", deletion.deleted, P.ACCOUNT_SELF_READ),
)  # fmt: skip

PLATFORM: Final = (
    _platform("page.platform", "GET", "", platform.installation, P.PLATFORM_INSTALLATION_READ),
    _platform("page.platform_plugins", "GET", "/plugins", platform.plugins, P.PLATFORM_INSTALLATION_READ),
    _platform("page.platform_exporters", "GET", "/exporters", platform_exporters.listing,
              P.PLATFORM_INSTALLATION_READ),
    _platform("page.platform_exporter_test", "POST", "/exporters/{exporter}/test", platform_exporters.test,
              P.PLATFORM_EXPORTER_WRITE, is_sensitive=True),
    _platform("page.platform_exporter_resend", "POST", "/exporters/{exporter}/resend", platform_exporters.resend,
              P.PLATFORM_EXPORTER_WRITE, is_sensitive=True),
    _platform("page.platform_witnesses_try", "POST", "/witnesses/try", platform_exporters.try_witnesses,
              P.PLATFORM_EXPORTER_WRITE, is_sensitive=True),
    _platform("page.platform_connections", "GET", "/connections", platform.connections, P.PLATFORM_INSTALLATION_READ),
    _platform("page.platform_users", "GET", "/users", platform_users.listing, P.PLATFORM_USER_READ),
    _platform("page.platform_user", "GET", "/users/{id}", platform_users.one, P.PLATFORM_USER_READ,
              is_sensitive=True),
    _platform("page.platform_disable", "POST", "/users/{id}/disable", platform_users.disable, P.PLATFORM_USER_WRITE,
              is_sensitive=True),
    _platform("page.platform_enable", "POST", "/users/{id}/enable", platform_users.enable, P.PLATFORM_USER_WRITE,
              is_sensitive=True),
    _platform("page.platform_factor", "POST", "/users/{id}/reset-factor", platform_users.reset_factor,
              P.PLATFORM_USER_WRITE, is_sensitive=True),
    _platform("page.platform_reset", "POST", "/users/{id}/reset-link", platform_users.reset_link,
              P.PLATFORM_USER_WRITE, is_sensitive=True),
    _platform("page.platform_role", "POST", "/users/{id}/platform-role", platform_users.change_platform_role,
              P.PLATFORM_USER_WRITE, is_sensitive=True),
)  # fmt: skip
