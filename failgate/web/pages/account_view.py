"""Sign-in, setup, account and membership pages as plain values. Pure."""

from dataclasses import dataclass

from failgate.web.pages.text import Moment


@dataclass(frozen=True, slots=True)
class SignInView:
    """The first step of signing in. `next_path` is a path of our own; `takes_password` is the operator's setting."""

    next_path: str = "/"
    email: str = ""
    error: str | None = None
    message: str | None = None
    takes_password: bool = True


@dataclass(frozen=True, slots=True)
class CodeView:
    """The second step. `demo_code` is the code itself, in demo mode only."""

    next_path: str = "/"
    error: str | None = None
    demo_code: str | None = None


@dataclass(frozen=True, slots=True)
class LinkView:
    """A one-click link that is about to be used."""

    token: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SetupView:
    """The first account and workspace."""

    token: str
    email: str = ""
    workspace: str = ""
    workspace_name: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class AccountView:
    """One's own account."""

    account_id: str
    email: str
    has_second_factor: bool
    session_count: int


@dataclass(frozen=True, slots=True)
class SecondFactorView:
    """The second factor: none, begun (`secret_groups`, `qr_uri`), just confirmed (`backup_codes`), or set up."""

    is_enrolled: bool = False
    secret_groups: tuple[str, ...] = ()
    qr_uri: str = ""
    backup_codes: tuple[str, ...] = ()
    is_confirming: bool = False
    next_path: str = "/"
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A browser that is signed in."""

    id: str
    browser: str
    address: str
    opened: Moment
    seen: Moment
    is_current: bool
    has_second_factor: bool


@dataclass(frozen=True, slots=True)
class SessionsView:
    """All of them."""

    rows: tuple[SessionLine, ...]


@dataclass(frozen=True, slots=True)
class WorkspaceTile:
    """A workspace on the overview; `entry` is the room in which one begins."""

    slug: str
    name: str
    role: str
    entry: str
    waiting: int


@dataclass(frozen=True, slots=True)
class OverviewView:
    """All workspaces of a person."""

    tiles: tuple[WorkspaceTile, ...]
    has_second_factor: bool


@dataclass(frozen=True, slots=True)
class AgentLine:
    """An agent."""

    id: str
    name: str
    owner: str
    created: Moment
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class AgentsView:
    """All agents of a workspace."""

    rows: tuple[AgentLine, ...]


@dataclass(frozen=True, slots=True)
class MemberLine:
    """A member; `may` says in words what the role allows."""

    email: str
    role: str
    may: str
    has_second_factor: bool
    is_disabled: bool
    is_self: bool
    since: Moment | None


@dataclass(frozen=True, slots=True)
class MembersView:
    """All members of a workspace."""

    rows: tuple[MemberLine, ...]


def groups_of_four(secret: str) -> tuple[str, ...]:
    """Return `secret` in groups of four characters."""
    return tuple(secret[place : place + 4] for place in range(0, len(secret), 4))


def browser_of(user_agent: str) -> str:
    """Return the browser and the system that `user_agent` claims, for people; what is unknown stays as it was sent."""
    browsers = (
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    )
    systems = (
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    )
    browser = next((name for mark, name in browsers if mark in user_agent), "")
    system = next((name for mark, name in systems if mark in user_agent), "")
    if browser and system:
        return f"{browser} on {system}"
    return browser or user_agent[:60] or "An unknown browser"
