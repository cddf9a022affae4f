"""The pages of second factors as plain values. Pure."""

from dataclasses import dataclass

from failgate.web.pages.text import Moment


@dataclass(frozen=True, slots=True)
class AuthenticatorLine:
    """An authenticator app that is in use."""

    since: Moment
    used: Moment | None


@dataclass(frozen=True, slots=True)
class PasskeyLine:
    """A passkey; `kind` says in words where it is kept."""

    id: str
    name: str
    kind: str
    created: Moment
    used: Moment | None


@dataclass(frozen=True, slots=True)
class SecondFactorView:
    """The overview; or an authenticator that is begun (`secret_groups`, `qr_uri`), or just confirmed (`backup_codes`).

    `why_no_passkeys` says why browsers have none at this server's address; `provider` is the identity provider whose
    second factor counts in this session. `is_required`: without one this session goes nowhere else.
    """

    authenticator: AuthenticatorLine | None = None
    passkeys: tuple[PasskeyLine, ...] = ()
    codes_left: int = 0
    secret_groups: tuple[str, ...] = ()
    qr_uri: str = ""
    backup_codes: tuple[str, ...] = ()
    is_confirming: bool = False
    next_path: str = "/"
    error: str | None = None
    why_no_passkeys: str | None = None
    provider: str | None = None
    is_required: bool = False

    @property
    def is_last_authenticator(self) -> bool:
        """Tell whether removing the authenticator leaves no factor."""
        return not self.passkeys


@dataclass(frozen=True, slots=True)
class PasskeysView:
    """All passkeys, and the form for another; `backup_codes` are shown once, after the first factor."""

    rows: tuple[PasskeyLine, ...] = ()
    has_authenticator: bool = False
    suggested_name: str = ""
    most: int = 10
    backup_codes: tuple[str, ...] = ()
    error: str | None = None
    why_no_passkeys: str | None = None
    next_path: str = "/"


def kind_of(transports: tuple[str, ...]) -> str:
    """Return in words where a passkey is kept, as its authenticator says."""
    if "internal" in transports:
        return "on a device" if "hybrid" not in transports else "on a phone or in a password manager"
    if "hybrid" in transports:
        return "on a phone"
    if {"usb", "nfc", "ble", "smart-card"} & set(transports):
        return "on a security key"
    return ""


def groups_of_four(secret: str) -> tuple[str, ...]:
    """Return `secret` in groups of four characters."""
    return tuple(secret[place : place + 4] for place in range(0, len(secret), 4))
