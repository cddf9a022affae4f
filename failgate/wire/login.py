"""The answers about who speaks."""

import msgspec


class MembershipView(msgspec.Struct, frozen=True):
    """One workspace of the principal."""

    workspace: str
    role: str


class WhoAmI(msgspec.Struct, frozen=True):
    """`GET /api/v1/whoami`."""

    kind: str
    id: str
    label: str
    workspaces: list[MembershipView]
    email: str | None = None
