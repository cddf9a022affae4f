"""The page about provisioning through one connection as plain values. Pure."""

from dataclasses import dataclass
from typing import Final

from failgate.web.pages.text import Moment

GAPS: Final = {
    "no_email": "have no e-mail address",
    "domain_not_covered": "have an address in no verified domain of this connection",
    "inactive": "are deactivated at the provider",
    "barred": "have an account that an operator disabled",
}


@dataclass(frozen=True, slots=True)
class GapLine:
    """How many people of the provider have no access, and why."""

    many: int
    reason: str


@dataclass(frozen=True, slots=True)
class ProvisioningView:
    """The token of a connection and what its provider keeps here. `token` is its text, right after it was made."""

    workspace: str
    id: str
    title: str
    url: str
    is_enabled: bool
    minted: Moment | None
    used: Moment | None
    people: int
    groups: int
    gaps: tuple[GapLine, ...]
    token: str | None = None
    error: str | None = None
    message: str | None = None
