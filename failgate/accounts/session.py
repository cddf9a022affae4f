"""One open session as a value: what is known of it, and which principal it makes. Pure."""

import hmac
import json
import secrets
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from failgate.access.principal import ANONYMOUS, Principal
from failgate.accounts.token_text import digest_of
from failgate.base.db import Row

FactorMethod = Literal["otp", "recovery", "passkey", "provider"]
Proof = FactorMethod | Literal["pwd"]
EndReason = Literal[
    "signed_out", "closed", "expired", "password_changed", "account_disabled", "second_factor_removed",
    "provider_signed_out", "connection_ended", "deprovisioned", "too_many",
]  # fmt: skip


class SessionToken(str):
    """The token of a session as it is given out, once. `fresh` is a second one, of what was shown in it just now.

    A request that brings the first alone is signed in; only one that brings both is fresh.
    """

    __slots__ = ("fresh",)

    fresh: str

    @classmethod
    def mint(cls) -> Self:
        """Return two times 256 random bits as unpadded base64url, 43 characters each."""
        minted = cls(secrets.token_urlsafe(32))
        minted.fresh = secrets.token_urlsafe(32)
        return minted


@dataclass(frozen=True, slots=True)
class Origin:
    """How an identity provider opened a session: through which connection, and how far that carries.

    `confined_to` is the one workspace whose own connection it is (None: the connection is the installation's);
    `may_change_account` tells whether the account itself may be changed. `second_factor_us` is when the provider, which
    is trusted with it, saw a second factor (microseconds since 1970); None: our own is asked for. `authenticated_us` is
    when the person signed in there, None where it does not say.
    """

    connection_id: str
    confined_to: str | None = None
    may_change_account: bool = True
    second_factor_us: int | None = None
    authenticated_us: int | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """An open session. Times are microseconds since 1970.

    `awaits_second_factor`: the password was right, the account has a second factor, and it was not shown yet. Until
    then `principal` is anonymous: who forgets to ask gives nothing away. `is_new_place`: the account had never signed
    in from this client at this address, and nobody has said since that it is known. `first_factor_us`: when the
    password, or the sign-in at the provider, was last shown. `fresh_sha256` is of the token that went out with what was
    shown last; None: with a session of before there were such tokens.
    """

    id: str
    account_id: str
    email: str
    opened_us: int
    seen_us: int
    second_factor_us: int | None
    awaits_second_factor: bool
    auth: tuple[str, ...]
    address: str
    user_agent: str
    principal: Principal
    token_sha256: str = field(repr=False)
    origin: Origin | None = None
    is_new_place: bool = False
    first_factor_us: int | None = None
    fresh_sha256: str | None = field(default=None, repr=False)

    def principal_with(self, fresh: str | None) -> Principal:
        """Return who speaks by a request that brings `fresh` beside the session's own token.

        Source: ASVS 5.0 11.2.4 (compared in constant time).
        """
        if fresh is None or self.fresh_sha256 is None or self.awaits_second_factor:
            return self.principal
        is_ours = hmac.compare_digest(digest_of(fresh), self.fresh_sha256)
        return replace(self.principal, carries_proof=True) if is_ours else self.principal


def principal_of(
    session_id: str,
    account_id: str,
    email: str,
    auth: tuple[str, ...],
    second_factor_us: int | None,
    origin: Origin | None = None,
    first_factor_us: int | None = None,
) -> Principal:
    """Return the person behind an open session."""
    return Principal(
        kind="user",
        account_id=account_id,
        session_id=session_id,
        second_factor_us=second_factor_us,
        auth=auth,
        label=email,
        workspace_id=origin.confined_to if origin else None,
        connection_id=origin.connection_id if origin else None,
        may_change_account=origin.may_change_account if origin else True,
        first_factor_us=first_factor_us,
    )


def session_of(row: Row) -> Session:
    """Return the session of a row that holds its account's `email` too."""
    auth = tuple(str(method) for method in json.loads(row["auth"]))
    awaits = bool(row["awaits_second_factor"])
    origin = None
    if row["connection_id"] is not None:
        origin = Origin(row["connection_id"], row["confined_to"], bool(row["may_change_account"]))
    first_us = row["first_factor_us"]
    full = principal_of(row["id"], row["account_id"], row["email"], auth, row["second_factor_us"], origin, first_us)
    return Session(
        id=row["id"],
        account_id=row["account_id"],
        email=row["email"],
        opened_us=row["opened_us"],
        seen_us=row["seen_us"],
        second_factor_us=row["second_factor_us"],
        awaits_second_factor=awaits,
        auth=auth,
        address=row["address"],
        user_agent=row["user_agent"],
        principal=ANONYMOUS if awaits else full,
        token_sha256=row["token_sha256"],
        origin=origin,
        is_new_place=bool(row["is_new_place"]),
        first_factor_us=first_us,
        fresh_sha256=row["fresh_sha256"],
    )


def printable(user_agent: str) -> str:
    """Return what a browser says of itself as it may be kept: ASCII that prints, 256 characters."""
    return "".join(character if " " <= character <= "~" else "?" for character in user_agent)[:256]
