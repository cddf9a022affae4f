"""Sign-in, setup, account and membership pages as plain values. Pure."""

from dataclasses import dataclass

from failgate.web.pages.device_view import LoginLine
from failgate.web.pages.sso_view import Choice
from failgate.web.pages.text import Moment


@dataclass(frozen=True, slots=True)
class SignInView:
    """The first step of signing in. `next_path` is a path of our own; `takes_password` is the operator's setting."""

    next_path: str = "/"
    email: str = ""
    error: str | None = None
    message: str | None = None
    takes_password: bool = True
    takes_passkey: bool = False
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class CodeView:
    """The second step. `demo_code` is the code itself, in demo mode only.

    `takes_code` and `takes_passkey` say which factors there are; `trust_days` how long a browser may be trusted.
    """

    next_path: str = "/"
    error: str | None = None
    demo_code: str | None = None
    takes_code: bool = True
    takes_passkey: bool = False
    trust_days: int = 0


@dataclass(frozen=True, slots=True)
class StepUpView:
    """The factor that is asked for anew: by a code, a passkey, or at the identity provider called `provider`.

    `has_own`: there is a factor of ours, whether it works here or not; `may_set_up`: this session may set one up
    without showing the provider's. `wants` is what is asked for: the second factor, any factor, all of them;
    `takes_password`: the password is one of those. `provider_again` is the provider that signed the person in, which
    is asked to do so anew.
    """

    next_path: str = "/"
    error: str | None = None
    demo_code: str | None = None
    takes_code: bool = True
    takes_passkey: bool = False
    provider: str | None = None
    has_own: bool = True
    may_set_up: bool = True
    wants: str = "factor"
    takes_password: bool = False
    provider_again: str | None = None


@dataclass(frozen=True, slots=True)
class LinkView:
    """A one-click link that is about to be used."""

    token: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class LinkPageView:
    """The page that takes a link's token out of its address."""

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
class NewsLine:
    """A sign-in from a client or an address that the account never used before."""

    session_id: str
    browser: str
    address: str
    opened: Moment


@dataclass(frozen=True, slots=True)
class AccountView:
    """One's own account. `provider` is the identity provider whose second factor counts in this session."""

    account_id: str
    email: str
    has_second_factor: bool
    session_count: int
    has_authenticator: bool = False
    passkey_count: int = 0
    device_count: int = 0
    has_password: bool = True
    trust_days: int = 30
    provider: str | None = None
    news: tuple[NewsLine, ...] = ()
    has_deleted: bool = False


@dataclass(frozen=True, slots=True)
class PasswordView:
    """The form for another password."""

    has_password: bool = True
    error: str | None = None
    is_changed: bool = False


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A browser that is signed in. `how` says in words what was proven."""

    id: str
    browser: str
    address: str
    opened: Moment
    seen: Moment
    is_current: bool
    has_second_factor: bool
    how: str = ""
    awaits: bool = False
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """A browser in which no code is asked for at sign-in."""

    id: str
    name: str
    address: str
    trusted: Moment
    used: Moment | None
    ends: Moment
    is_current: bool


@dataclass(frozen=True, slots=True)
class SessionsView:
    """All of them, and what else speaks for the person: the devices that are trusted, the command lines."""

    rows: tuple[SessionLine, ...]
    devices: tuple[DeviceLine, ...] = ()
    logins: tuple[LoginLine, ...] = ()
    trust_days: int = 0


@dataclass(frozen=True, slots=True)
class DevicesView:
    """All of them; `trust_days` is 0 where devices are not trusted."""

    rows: tuple[DeviceLine, ...]
    trust_days: int


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
    news: tuple[NewsLine, ...] = ()


def how_of(auth: tuple[str, ...]) -> str:
    """Return in words what was proven when a session was opened, and since."""
    words = {
        "pwd": "password",
        "otp": "authenticator code",
        "recovery": "backup code",
        "passkey": "passkey",
        "provider": "second factor of the identity provider",
        "trusted_device": "trusted device",
        "link": "one-click link",
        "saml": "SAML",
        "oidc": "OpenID Connect",
    }
    return ", ".join(words.get(method, method) for method in auth)


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
