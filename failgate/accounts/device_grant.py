"""The device authorization grant as values: how its codes are written, its states, what a poll is answered.

Pure: no I/O, no clock. The verbs are in `device_login.py`.
Source: RFC 8628 sections 3.5, 5.1 and 6.1.
"""

import re
import secrets
from dataclasses import dataclass, replace
from typing import Final, Literal

from failgate.base.clock import MICROSECONDS
from failgate.base.errors import BadInput, Conflict

LIFETIME_SECONDS: Final = 600
INTERVAL_SECONDS: Final = 5
SLOWER_SECONDS: Final = 5
EARLY_SECONDS: Final = 0.5  # a poll may overtake the one before it on the way by this much
ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels, nothing that looks like a digit
USER_CODE_CHARACTERS: Final = 8
DEVICE_CODE_CHARACTERS: Final = 43  # 32 bytes as unpadded base64url
_USER_CODE: Final = re.compile(f"[{ALPHABET}]{{{USER_CODE_CHARACTERS}}}", re.ASCII)

State = Literal["pending", "approved", "denied", "used"]
Decision = Literal["approve", "deny"]
Answer = Literal["granted", "authorization_pending", "slow_down", "access_denied", "expired_token", "invalid_grant"]


class GrantRefused(BadInput):
    """An OAuth client is refused; `error` is the word of RFC 6749 section 5.2 or RFC 8628 section 3.5."""

    def __init__(self, error: str, sentence: str) -> None:
        """Keep the word for the program and the sentence for people."""
        super().__init__(sentence)
        self.error = error


@dataclass(frozen=True, slots=True)
class Grant:
    """A request for a login: `expires_us` is microseconds since 1970. `used` is the end of an approved one."""

    state: State
    expires_us: int

    def is_open(self, now_us: int) -> bool:
        """Tell whether a person may still decide."""
        return self.state == "pending" and now_us < self.expires_us


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a client may ask, and when it last did (microseconds since 1970)."""

    interval_seconds: int = INTERVAL_SECONDS
    polled_us: int | None = None

    def is_too_fast(self, now_us: int) -> bool:
        """Tell whether a poll at `now_us` comes before its time. A clock that was set back makes none too fast."""
        if self.polled_us is None or now_us < self.polled_us:
            return False
        return now_us - self.polled_us < (self.interval_seconds - EARLY_SECONDS) * MICROSECONDS


def begin(now_us: int) -> Grant:
    """Return a request that waits for a decision for ten minutes."""
    return Grant("pending", now_us + LIFETIME_SECONDS * MICROSECONDS)


def decide(grant: Grant, decision: Decision, now_us: int) -> Grant:
    """Return `grant` as it stands after a person's decision.

    Raises: Conflict (it was decided before, or has expired).
    """
    if not grant.is_open(now_us):
        raise Conflict("This request is not open any more.", hint="Start again: failgate login.")
    return replace(grant, state="approved" if decision == "approve" else "denied")


def poll(grant: Grant, pace: Pace, now_us: int) -> tuple[Grant, Pace, Answer]:
    """Return what a poll leads to: the grant and the pace afterwards, and the answer.

    `granted` is answered once, after which the grant is used up. Each poll that is too fast adds five seconds.
    Source: RFC 8628 section 3.5.
    """
    is_too_fast = pace.is_too_fast(now_us)
    slower = pace.interval_seconds + (SLOWER_SECONDS if is_too_fast and grant.is_open(now_us) else 0)
    polled = Pace(slower, now_us)
    if grant.state == "used":
        return grant, polled, "invalid_grant"
    if now_us >= grant.expires_us:
        return grant, polled, "expired_token"
    if grant.state == "denied":
        return grant, polled, "access_denied"
    if grant.state == "approved":
        return replace(grant, state="used"), polled, "granted"
    return grant, polled, "slow_down" if is_too_fast else "authorization_pending"


def new_user_code() -> str:
    """Return a fresh user code: eight letters of twenty, 34.5 bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(USER_CODE_CHARACTERS))


def new_device_code() -> str:
    """Return a fresh device code: 256 bits in 43 characters."""
    return secrets.token_urlsafe(32)


def shown_user_code(code: str) -> str:
    """Return a user code as people read it: two groups of four, `BCDF-GHJK`."""
    return f"{code[:4]}-{code[4:]}"


def read_user_code(text: str) -> str | None:
    """Return the user code that a person typed, in any case and with spaces or hyphens; None when it is none.

    What is not written like a code tells nothing about the codes that wait, so it does not count as a guess.
    """
    if len(text) > 64 or not text.isascii():
        return None
    code = re.sub(r"[\s-]", "", text).upper()
    return code if _USER_CODE.fullmatch(code) else None
