"""The pages of the installation as plain values. Pure."""

from dataclasses import dataclass

from failgate.web.pages.text import Moment


@dataclass(frozen=True, slots=True)
class CheckLine:
    """A part of the server; `problem` None: it works."""

    name: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class PluginLine:
    """An enabled plugin instance and the code that it runs; `digest` is SHA-256 over its files."""

    name: str
    plugin: str
    version: str
    distribution: str
    digest: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and what stands beside it."""

    name: str
    value: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class MailLine:
    """How outgoing e-mail goes."""

    is_configured: bool
    host: str
    sent: int
    failed: int
    waiting: int
    failure: str | None
    failed_at: Moment | None


@dataclass(frozen=True, slots=True)
class InstallationView:
    """The installation: what runs, since when, whether it works, how much it holds."""

    version: str
    started: Moment
    facts: tuple[Fact, ...]
    checks: tuple[CheckLine, ...]
    storage: tuple[Fact, ...]
    mail: MailLine
    is_up_to_date: bool
    migrations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PluginsView:
    """Every enabled plugin instance."""

    rows: tuple[PluginLine, ...]


@dataclass(frozen=True, slots=True)
class ConnectionLine:
    """A connection to an identity provider that the config file declares."""

    slug: str
    title: str
    protocol: str
    state: str


@dataclass(frozen=True, slots=True)
class ConnectionsView:
    """The connections of the whole installation."""

    rows: tuple[ConnectionLine, ...]


@dataclass(frozen=True, slots=True)
class UserLine:
    """An account, for the installation's administrator: who, not what they work on."""

    id: str
    email: str
    created: Moment
    seen: Moment | None
    workspaces: int
    has_second_factor: bool
    has_password: bool
    is_platform_admin: bool
    is_disabled: bool
    is_self: bool


@dataclass(frozen=True, slots=True)
class UsersView:
    """A page of accounts."""

    rows: tuple[UserLine, ...]
    search: str
    total: int
    disabled: int
    next_href: str | None


@dataclass(frozen=True, slots=True)
class UserView:
    """One account and what may be done with it. `is_by_mail`: a reset goes to its owner, nobody sees the link."""

    user: UserLine
    is_by_mail: bool
    error: str | None = None
    done: str | None = None
