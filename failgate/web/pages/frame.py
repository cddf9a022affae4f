"""What stands around every page: who is signed in, in which workspace, and the ways that are open to them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from failgate.access.permission import Permission
from failgate.access.role import GRANTS, Role


@dataclass(frozen=True, slots=True)
class NavItem:
    """One way in the navigation; `icon` names a drawing of parts/icons.html."""

    label: str
    href: str
    icon: str
    is_current: bool = False
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace of the viewer and the viewer's role in it."""

    slug: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame of a page. `nonce` lets its scripts and styles run; `version` changes their addresses with them.

    `left_seconds` is how long the session of the page lives at most, and how long without a request. `observing` says
    what is only observed here and not gated.
    """

    title: str
    nonce: str
    csrf_token: str
    version: str
    email: str | None = None
    is_demo: bool = False
    workspace: Place | None = None
    workspaces: tuple[Place, ...] = ()
    nav: tuple[NavItem, ...] = ()
    left_seconds: tuple[float, float] | None = None
    observing: tuple[str, ...] = ()


_ROOMS: Final = (
    ("queue", "Queue", Permission.WORKSPACE_COMMAND_READ),
    ("commands", "Commands", Permission.WORKSPACE_COMMAND_READ),
    ("reports", "Reports", Permission.WORKSPACE_REPORT_READ),
    ("sessions", "Sessions", Permission.WORKSPACE_RECORDING_READ),
    ("agents", "Agents", Permission.WORKSPACE_AGENT_READ),
    ("audit", "Audit", Permission.WORKSPACE_AUDIT_READ),
    ("members", "Members", Permission.WORKSPACE_MEMBER_READ),
    ("settings", "Settings", Permission.WORKSPACE_SETTINGS_READ),
)
_INSTALLATION: Final = (
    NavItem("Workspaces", "/", "home"),
    NavItem("Installation", "/platform", "platform"),
    NavItem("Users", "/platform/users", "members"),
    NavItem("Plugins", "/platform/plugins", "branch"),
    NavItem("Exporters", "/platform/exporters", "download"),
    NavItem("Connections", "/platform/connections", "link"),
)


def navigation(
    place: Place | None,
    current: str,
    waiting: int | None = None,
    *,
    is_platform_admin: bool = False,
    is_relaying: bool = False,
    brought: Sequence[NavItem] = (),
) -> tuple[NavItem, ...]:
    """Return the ways from the room `current`: inside a workspace those that the role may enter, else one's own.

    `is_relaying`: the server takes sealed commands, so that there is a room of them. `brought` are the ways to what
    plugins bring for the installation.
    """
    if current.startswith("platform"):
        here = "/" + (current if "/" in current else current.replace("-", "/"))
        return tuple(replace(item, is_current=item.href == here) for item in (*_INSTALLATION, *brought))
    if place is None:
        own = (
            NavItem("Workspaces", "/", "home", current == "overview"),
            NavItem("Account", "/account", "account", current == "account"),
        )
        return (*own, NavItem("Installation", "/platform", "platform")) if is_platform_admin else own
    granted = GRANTS[Role(place.role)]
    ways = [
        NavItem(label, f"/w/{place.slug}/{room}", room, room == current, waiting if room == "queue" else None)
        for room, label, permission in _ROOMS
        if permission in granted
    ]
    if is_relaying and Permission.WORKSPACE_SEALED_DECIDE in granted:
        ways.insert(1, NavItem("Sealed", f"/w/{place.slug}/sealed", "shield", current == "sealed"))
    return tuple(ways)


def entry_room(role: str) -> str:
    """Return the room in which a member with `role` begins."""
    granted = GRANTS[Role(role)]
    return next((room for room, _, permission in _ROOMS if permission in granted), "members")


def may(role: str) -> str:
    """Return in a few words what a role may do."""
    said = {
        Role.OWNER: "decides, configures, reads the log",
        Role.ADMIN: "decides, configures",
        Role.REVIEWER: "decides on commands",
        Role.DEVELOPER: "asks, reads",
        Role.AUDITOR: "reads, the log too",
        Role.AGENT: "asks only",
    }
    return said[Role(role)]
