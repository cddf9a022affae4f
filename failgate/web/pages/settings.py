"""A workspace's settings: its name, who owns it, where the rest is set."""

from failgate.access.permission import Permission
from failgate.access.role import Role
from failgate.audit.record import Actor
from failgate.base.errors import BadInput
from failgate.web.context import Visit, services_of, visit_of
from failgate.web.pages.people_view import SettingsView
from failgate.web.pages.showing import Asking, Page, grants, show
from failgate.web.pages.text import moment


async def page(request: Asking) -> Page:
    """Show the settings."""
    return await _show(request)


async def rename(request: Asking) -> Page:
    """Give the workspace another name for people."""
    visit = visit_of(request)
    name = visit.form.get("name", "")
    try:
        await services_of(request).workspaces.rename(visit.here().id, name, Actor.of(visit.principal))
    except BadInput as error:
        return await _show(request, error)
    visit.workspace = await services_of(request).workspaces.by_id(visit.here().id)
    return await _show(request, is_saved=True)


async def _show(request: Asking, error: BadInput | None = None, *, is_saved: bool = False) -> Page:
    visit, services = visit_of(request), services_of(request)
    workspace = visit.here()
    owners = [one.account_id for one in await services.workspaces.members(workspace.id) if one.role is Role.OWNER]
    accounts = await services.accounts.by_ids(owners)
    view = SettingsView(
        visit.form.get("name", workspace.name)[:200] if error else workspace.name,
        workspace.slug,
        workspace.id,
        moment(workspace.created_us, services.clock.now_us()),
        tuple(accounts[one].email for one in owners if one in accounts),
        grants(visit, Permission.WORKSPACE_SETTINGS_WRITE),
        _sign_in_href(visit),
        str(error) if error else None,
        is_saved,
        _sharing_href(visit),
        grants(visit, Permission.WORKSPACE_REPORT_DELETE),
        f"/w/{workspace.slug}/settings/redaction" if grants(visit, Permission.WORKSPACE_REDACTION_READ) else None,
        grants(visit, Permission.WORKSPACE_DELETION_WRITE),
        await services.deletion.waiting(workspace.id) is not None,
        f"/w/{workspace.slug}/settings/rules" if grants(visit, Permission.WORKSPACE_RULE_READ) else None,
        _notifications_href(visit),
        f"/w/{workspace.slug}/settings/observing" if grants(visit, Permission.WORKSPACE_COMMAND_READ) else None,
    )
    status = error.status if error else 200
    return await show(request, "settings.html", view, title="Settings", room="settings", status=status)


def _sign_in_href(visit: Visit) -> str | None:
    """Return where the workspace's identity providers are set, for who may look there."""
    if not grants(visit, Permission.WORKSPACE_SIGN_IN_READ):
        return None
    return f"/w/{visit.here().slug}/settings/sign-in"


def _notifications_href(visit: Visit) -> str | None:
    """Return where the workspace's destinations are, for who may look there."""
    if not grants(visit, Permission.WORKSPACE_NOTIFICATION_READ):
        return None
    return f"/w/{visit.here().slug}/settings/notifications"


def _sharing_href(visit: Visit) -> str | None:
    """Return where share links are switched, for who may."""
    if not grants(visit, Permission.WORKSPACE_SHARING_WRITE):
        return None
    return f"/w/{visit.here().slug}/settings/sharing"
