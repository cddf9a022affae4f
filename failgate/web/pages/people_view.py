"""Members, invitations, agents and their credentials as plain values. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from failgate.access.permission import Permission
from failgate.access.role import Role
from failgate.accounts.token import Token
from failgate.accounts.token_limits import offered_scopes
from failgate.base.clock import MICROSECONDS
from failgate.base.errors import BadInput
from failgate.web.pages.frame import may
from failgate.web.pages.report_view import ReportRow
from failgate.web.pages.text import Moment, moment
from failgate.workspaces.certificates import AgentCertificate

PEOPLE: Final = (Role.OWNER, Role.ADMIN, Role.REVIEWER, Role.DEVELOPER, Role.AUDITOR)
LIFETIMES: Final = (("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("", "no end"))
GRACES: Final = (("0", "at once"), ("3600", "in an hour"), ("86400", "in a day"), ("604800", "in seven days"))
_KINDS: Final = {"uri": "URI", "dns": "host", "email": "e-mail"}
_ABOUT: Final = {
    Permission.WORKSPACE_COMMAND_SUBMIT: "ask for commands",
    Permission.WORKSPACE_COMMAND_READ: "read commands",
    Permission.WORKSPACE_SEALED_DECIDE: "enrol keys of devices, decide on sealed commands",
    Permission.WORKSPACE_COMMAND_CONSUME: "use approvals",
    Permission.WORKSPACE_RULE_READ: "read rules",
    Permission.WORKSPACE_RULE_WRITE: "change rules",
    Permission.WORKSPACE_REPORT_READ: "read reports, with everything in them",
    Permission.WORKSPACE_CONTEXT_READ: "read the context of reports, for programs",
    Permission.WORKSPACE_REPORT_CREATE: "upload reports",
    Permission.WORKSPACE_REPORT_DELETE: "delete reports and recordings, say how long they are kept",
    Permission.WORKSPACE_REPORT_TRIAGE: "resolve and ignore failures",
    Permission.WORKSPACE_REPORT_HOLD: "put reports under legal hold",
    Permission.WORKSPACE_REDACTION_READ: "read redaction rules",
    Permission.WORKSPACE_REDACTION_WRITE: "change redaction rules",
    Permission.WORKSPACE_NOTIFICATION_READ: "read destinations of notifications",
    Permission.WORKSPACE_NOTIFICATION_WRITE: "change destinations of notifications",
    Permission.WORKSPACE_USAGE_READ: "read usage",
    Permission.WORKSPACE_RECORDING_CREATE: "record terminal sessions",
    Permission.WORKSPACE_RECORDING_READ: "watch recordings",
    Permission.WORKSPACE_SHARE_READ: "list share links",
    Permission.WORKSPACE_SHARE_WRITE: "make and revoke share links",
    Permission.WORKSPACE_SHARING_WRITE: "switch share links off and on",
    Permission.WORKSPACE_AGENT_READ: "read agents",
    Permission.WORKSPACE_AGENT_WRITE: "change agents",
    Permission.WORKSPACE_MEMBER_READ: "read members",
    Permission.WORKSPACE_MEMBER_WRITE: "change members, invite",
    Permission.WORKSPACE_KEY_READ: "list own API keys",
    Permission.WORKSPACE_AUDIT_READ: "read the audit log",
    Permission.WORKSPACE_AUDIT_EXPORT: "export from the audit log",
    Permission.WORKSPACE_AUDIT_VIEW_WRITE: "save views of the audit log",
    Permission.WORKSPACE_SETTINGS_READ: "read settings",
    Permission.WORKSPACE_SETTINGS_WRITE: "change settings",
    Permission.WORKSPACE_OBSERVING_WRITE: "let commands run that are only observed",
    Permission.WORKSPACE_SIGN_IN_READ: "read sign-in settings",
    Permission.WORKSPACE_SIGN_IN_WRITE: "change sign-in settings",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several in a form: what is sent, what is shown, a word more."""

    value: str
    label: str
    about: str = ""
    is_chosen: bool = False


@dataclass(frozen=True, slots=True)
class TokenLine:
    """A token in a list. `limits` says in words what it is limited to."""

    id: str
    label: str
    workspace: str
    created: Moment
    expires: Moment | None
    is_expired: bool
    used: Moment | None
    used_from: str | None
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeysView:
    """One's own API keys. `has_workspace`: there is one in which a key could work."""

    rows: tuple[TokenLine, ...]
    has_workspace: bool


@dataclass(frozen=True, slots=True)
class NewKeyView:
    """The form for a new API key."""

    workspaces: tuple[Choice, ...]
    workspace: str
    role: str
    scopes: tuple[Choice, ...]
    lifetimes: tuple[Choice, ...]
    label: str = ""
    networks: str = ""
    is_limited: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ShownView:
    """A secret that is shown this once: what it is, how it is used, where to go on."""

    title: str
    secret: str
    about: str
    snippet: str
    back_href: str
    back_label: str
    note: str | None = None


@dataclass(frozen=True, slots=True)
class AgentLine:
    """An agent."""

    id: str
    name: str
    model: str | None
    owner: str
    created: Moment
    is_enabled: bool = True
    used: Moment | None = None


@dataclass(frozen=True, slots=True)
class AgentsView:
    """All agents of a workspace."""

    rows: tuple[AgentLine, ...]
    may_change: bool = False


@dataclass(frozen=True, slots=True)
class NewAgentView:
    """The form for a new agent."""

    owners: tuple[Choice, ...]
    name: str = ""
    model: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class CertificateLine:
    """A name in client certificates that stands for an agent; `kind` is what sort of name it is, for people."""

    id: str
    kind: str
    name: str
    created: Moment


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run of an agent, in its own words; `led_to` says in words what its commands ended with."""

    id: str
    name: str
    model: str | None
    session: str | None
    began: Moment
    last: Moment
    commands: int
    led_to: str


@dataclass(frozen=True, slots=True)
class AgentView:
    """One agent, its tokens, its names in certificates, and what may be changed of it.

    `takes_certificates`: the server asks for client certificates. `san` is what was typed last. `reports` are the
    newest that it uploaded; None for a reader who may not see them.
    """

    agent: AgentLine
    tokens: tuple[TokenLine, ...]
    certificates: tuple[CertificateLine, ...]
    takes_certificates: bool
    owners: tuple[Choice, ...]
    lifetimes: tuple[Choice, ...]
    graces: tuple[Choice, ...]
    may_change: bool
    san: str = ""
    error: str | None = None
    reports: tuple[ReportRow, ...] | None = None
    runs: tuple[RunLine, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberLine:
    """A member; `may` says in words what the role allows. `has_providers_factor`: their identity provider's counts."""

    id: str
    email: str
    role: str
    may: str
    has_second_factor: bool
    is_disabled: bool
    is_self: bool
    since: Moment | None
    has_providers_factor: bool = False


@dataclass(frozen=True, slots=True)
class MemberView:
    """One member, and what may be changed of the membership. `agents` are the names of those they answer for."""

    member: MemberLine
    roles: tuple[Choice, ...]
    agents: tuple[str, ...]
    may_remove: bool
    may_reset: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class InviteView:
    """The form for an invitation. `is_mailed`: a letter goes to the address."""

    roles: tuple[Choice, ...]
    is_mailed: bool
    takes_password: bool
    email: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class AcceptView:
    """An invitation that is about to be accepted.

    `email` is the only address that may, or None; `signed_in` the address of who is signed in. `takes_password`: an
    account may be made here.
    """

    token: str
    workspace: str
    role: str
    may: str
    email: str | None
    signed_in: str | None
    takes_password: bool
    typed_email: str = ""
    error: str | None = None

    @property
    def is_for_another(self) -> bool:
        """Tell whether who is signed in is not who is invited."""
        return self.signed_in is not None and self.email is not None and self.email != self.signed_in


@dataclass(frozen=True, slots=True)
class ResetView:
    """Asking for a new password, and choosing it. `step` is `ask`, `sent`, `choose` or `done`."""

    step: str
    is_by_mail: bool = True
    token: str = ""
    email: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SettingsView:
    """A workspace's settings."""

    name: str
    slug: str
    id: str
    created: Moment
    owners: tuple[str, ...]
    may_change: bool
    sign_in_href: str | None = None
    error: str | None = None
    is_saved: bool = False
    sharing_href: str | None = None
    may_keep: bool = False
    redaction_href: str | None = None
    may_delete: bool = False
    is_deletion_waiting: bool = False
    rules_href: str | None = None
    notifications_href: str | None = None
    observing_href: str | None = None


def role_choices(roles: tuple[Role, ...], chosen: Role) -> tuple[Choice, ...]:
    """Return `roles` for a form."""
    return tuple(Choice(role.value, role.value, may(role.value), role is chosen) for role in roles)


def scope_choices(role: Role, chosen: frozenset[str] = frozenset()) -> tuple[Choice, ...]:
    """Return what a token under `role` may be limited to, for a form."""
    return tuple(
        Choice(one.value, _ABOUT.get(one, one.value), one.value, one in chosen) for one in offered_scopes(role)
    )


def choices(pairs: tuple[tuple[str, str], ...], chosen: str) -> tuple[Choice, ...]:
    """Return pairs of value and label for a form."""
    return tuple(Choice(value, label, "", value == chosen) for value, label in pairs)


def token_line(token: Token, workspace: str, now_us: int) -> TokenLine:
    """Return `token` for a list."""
    limits: list[str] = []
    if token.scopes is not None:
        known = {one.value: about for one, about in _ABOUT.items()}
        limits.append("only: " + ", ".join(known.get(scope, scope) for scope in sorted(token.scopes)))
    if token.networks:
        limits.append("from " + ", ".join(token.networks))
    return TokenLine(
        token.id,
        token.label,
        workspace,
        moment(token.created_us, now_us),
        moment(token.expires_us, now_us) if token.expires_us is not None else None,
        token.expires_us is not None and token.expires_us <= now_us,
        moment(token.last_used_us, now_us) if token.last_used_us is not None else None,
        token.last_used_address,
        tuple(limits),
    )


def certificate_line(certificate: AgentCertificate, now_us: int) -> CertificateLine:
    """Return the name `certificate` for a list."""
    kind, _, name = certificate.san.partition(":")
    return CertificateLine(certificate.id, _KINDS[kind], name, moment(certificate.created_us, now_us))


def expiry_of(days: str, now_us: int) -> int | None:
    """Return the end (microseconds since 1970) that a form says by its number of days, None for no end.

    Raises: BadInput.
    """
    if not days:
        return None
    if days not in {value for value, _ in LIFETIMES}:
        raise BadInput("That is not one of the offered times.", hint="Choose one of the list.")
    return now_us + int(days) * 86_400 * MICROSECONDS


def networks_of(text: str) -> list[str]:
    """Return the addresses and networks of a text field, parted by commas, spaces or lines."""
    return [part for part in text.replace(",", " ").split() if part]


def chosen_scopes(form: Mapping[str, str]) -> list[str] | None:
    """Return the permissions that were ticked; None when all that the role gives was chosen."""
    if form.get("limit") != "some":
        return None
    return [name.removeprefix("scope ") for name in form if name.startswith("scope ")]


def grace_of(text: str) -> int:
    """Return the number of seconds that a form says.

    Raises: BadInput.
    """
    if text not in {value for value, _ in GRACES}:
        raise BadInput("That is not one of the offered times.", hint="Choose one of the list.")
    return int(text)


def role_of(text: str) -> Role:
    """Return the role that a form says.

    Raises: BadInput.
    """
    role = next((role for role in PEOPLE if role.value == text), None)
    if role is None:
        raise BadInput("That is not a role of people.", hint="Choose one of the list.")
    return role
