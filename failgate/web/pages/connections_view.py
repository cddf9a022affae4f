"""The owner's pages about identity providers as plain values. Pure."""

import json
from dataclasses import dataclass
from typing import Final

from failgate.access.role import Role
from failgate.sso.roles import STRENGTH
from failgate.web.pages.text import Moment

EMPTY_RULES: Final = 3  # rows offered below the rules that are there
MOST_ROWS: Final = 100
ROLES: Final = tuple(role.value for role in STRENGTH)
KINDS: Final = {
    "saml": "SAML 2.0",
    "oidc": "OpenID Connect",
    "google": "Google",
    "microsoft": "Microsoft Entra ID",
    "github": "GitHub",
}


@dataclass(frozen=True, slots=True)
class ConnectionLine:
    """A connection in a list."""

    id: str
    slug: str
    title: str
    kind: str
    is_enabled: bool
    domains: tuple[str, ...]
    tested: Moment | None


@dataclass(frozen=True, slots=True)
class OwnerChoice:
    """An owner who could be named for emergencies."""

    id: str
    email: str


@dataclass(frozen=True, slots=True)
class SignInView:
    """How people sign in to a workspace: its connections, the installation's, and what is demanded."""

    slug: str
    rows: tuple[ConnectionLine, ...]
    installed: tuple[ConnectionLine, ...]
    kinds: tuple[tuple[str, str], ...]
    is_enforced: bool
    since: Moment | None
    break_glass: str | None
    owners: tuple[OwnerChoice, ...]
    error: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class NewView:
    """The form for a new connection of `kind`; `values` are what was typed."""

    workspace: str
    kind: str
    label: str
    values: dict[str, str]
    base: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """An address of ours that a provider asks for, under the name that providers give it."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class DomainLine:
    """A mail domain; `record_name` and `record_text` are of the DNS record that proves it."""

    id: str
    domain: str
    is_verified: bool
    record_name: str
    record_text: str


@dataclass(frozen=True, slots=True)
class CertificateLine:
    """A certificate by its SHA-256, and when it ends."""

    fingerprint: str
    ends: Moment
    is_over: bool


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """A record about the connection."""

    act: str
    what: str
    who: str
    at: Moment
    is_refusal: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """A group and the role that it gives; an empty row has neither."""

    group: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """One connection with everything that its owner sets."""

    workspace: str
    id: str
    slug: str
    title: str
    kind: str
    label: str
    is_enabled: bool
    is_listed: bool
    addresses: tuple[Address, ...]
    settings: tuple[tuple[str, str], ...]
    values: dict[str, str]
    rules: tuple[Rule, ...]
    default_role: str
    trusted_methods: str
    domains: tuple[DomainLine, ...]
    certificates: tuple[CertificateLine, ...]
    keys: tuple[CertificateLine, ...]
    history: tuple[HistoryLine, ...]
    tested: Moment | None
    people: int
    roles: tuple[str, ...] = ROLES
    error: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class StepLine:
    """What a sign-in would do to a membership."""

    workspace: str
    before: str
    after: str
    why: str


@dataclass(frozen=True, slots=True)
class TrialView:
    """What a test showed. `verdict` says in a sentence what a sign-in would have done."""

    workspace: str
    id: str
    title: str
    has_passed: bool
    verdict: str
    detail: str
    facts: tuple[tuple[str, str], ...]
    attributes: tuple[tuple[str, tuple[str, ...]], ...]
    groups: tuple[str, ...]
    unmapped: tuple[str, ...]
    steps: tuple[StepLine, ...]
    made: Moment


VERDICTS: Final = {
    "known": "The person is known here: they would be signed in to their account.",
    "provisioned": "The provider had an account made for the person: they would be signed in to it.",
    "new": "The person is new: an account would be made for them.",
    "no_email": "Refused: the provider sends no e-mail address, and the person is not known yet.",
    "email_not_verified": "Refused: the provider does not vouch for the e-mail address.",
    "domain_not_covered": "Refused: the address lies in no verified domain of this connection.",
    "account_exists": "Refused: an account has the address. Its owner links this sign-in on their account page.",
    "deprovisioned": "Refused: the provider took the person out of its directory here.",
    "account_disabled": "Refused: the account is disabled.",
}
REASONS: Final = {
    "group": "a group of theirs maps to it",
    "default": "what everybody gets",
    "no_group_maps": "no group of theirs maps to a role",
    "given_by_hand": "somebody gave it, and no group maps",
    "stays_owner": "the last owner, or the one for emergencies, stays owner",
    "unchanged": "nothing changes",
}


def verdict_of(account: str | None, reason: str | None) -> str:
    """Return in a sentence what a sign-in would have done."""
    if account == "refused" or account is None:
        return VERDICTS.get(reason or "", f"The answer of the provider is refused: {reason}.")
    return VERDICTS[account]


def subject_words(subject: str | None) -> str | None:
    """Return a subject for people: of a SAML NameID, which is kept as four texts, those that say something."""
    if subject is None or not subject.startswith("["):
        return subject
    try:
        kind, *qualifiers, name = json.loads(subject)
    except ValueError:
        return subject
    return " · ".join(str(part) for part in (name, kind, *qualifiers) if part)


def role_word(role: str | None) -> str:
    """Return how a role reads in a sentence."""
    return Role(role).value if role is not None else "no member"


def padded(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Return `rules` and empty rows below them."""
    return (*rules, *(Rule() for _ in range(EMPTY_RULES)))
