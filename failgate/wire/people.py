"""The messages about people, agents and their credentials. Times are RFC 3339 in UTC, durations whole seconds."""

from typing import Literal

import msgspec

PeopleRole = Literal["owner", "admin", "reviewer", "developer", "auditor"]


class TokenView(msgspec.Struct, frozen=True):
    """A token as it can be listed. `scopes` null: all that the role gives; `networks` empty: used from anywhere."""

    id: str
    label: str
    created_at: str
    expires_at: str | None
    scopes: list[str] | None
    networks: list[str]
    last_used_at: str | None
    last_used_from: str | None


class TokenPage(msgspec.Struct, frozen=True):
    """`GET api-keys`, `GET agents/{id}/tokens`."""

    items: list[TokenView]
    next: str | None


class NewKey(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST api-keys`. `scopes` limits it to those permissions, `networks` to those addresses and networks."""

    label: str
    scopes: list[str] | None = None
    networks: list[str] = []
    ttl_seconds: int | None = None


class NewAgentToken(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST agents/{id}/tokens`. The agent's other tokens end after `grace_seconds`, at once with 0."""

    label: str = "token"
    scopes: list[str] | None = None
    networks: list[str] = []
    ttl_seconds: int | None = None
    grace_seconds: int = 0


class MintedToken(msgspec.Struct, frozen=True):
    """A token that was just made. `token` is shown this once; null when the request is repeated under its key."""

    id: str
    token: str | None


class AgentView(msgspec.Struct, frozen=True):
    """An agent. `owner` is the account that answers for it, `owner_email` its address."""

    id: str
    name: str
    model: str | None
    owner: str
    owner_email: str | None
    created_at: str
    is_enabled: bool


class AgentPage(msgspec.Struct, frozen=True):
    """`GET agents`."""

    items: list[AgentView]
    next: str | None


class NewAgent(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST agents`. `owner` is the id of a member; without it whoever asks."""

    name: str
    model: str | None = None
    owner: str | None = None


class MadeAgent(msgspec.Struct, frozen=True):
    """An agent that was just made. `token` is shown this once; null when the request is repeated under its key."""

    id: str
    name: str
    token: str | None


class AgentDescription(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST agents/{id}`."""

    name: str
    model: str | None = None


class AgentOwner(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST agents/{id}/owner`: the id of a member."""

    owner: str


class MemberView(msgspec.Struct, frozen=True):
    """A member, named by the id of the account. `has_second_factor`: here, or at a provider that is trusted."""

    id: str
    email: str
    role: str
    since: str
    has_second_factor: bool
    is_enabled: bool


class MemberPage(msgspec.Struct, frozen=True):
    """`GET members`."""

    items: list[MemberView]
    next: str | None


class MemberRole(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST members/{id}/role`."""

    role: PeopleRole


class NewInvitation(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST invitations`. With `email` only the account of that address can accept."""

    role: PeopleRole
    email: str | None = None


class InvitationView(msgspec.Struct, frozen=True):
    """An open invitation."""

    id: str
    role: str
    email: str | None
    created_at: str
    expires_at: str


class InvitationPage(msgspec.Struct, frozen=True):
    """`GET invitations`."""

    items: list[InvitationView]
    next: str | None


class MadeInvitation(msgspec.Struct, frozen=True):
    """An invitation that was just made.

    `link` is shown this once; null when the request is repeated under its key. `is_mailed`: a letter is on its way.
    """

    id: str
    role: str
    email: str | None
    expires_at: str
    link: str | None
    is_mailed: bool
