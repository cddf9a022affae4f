"""Time-based one-time passwords: the arithmetic. Pure; whether a step was used before is the table's to say.

Source: RFC 6238 (30 s steps, SHA-1, six digits), RFC 4226 section 5.3.
"""

import hmac
import re
from typing import Final

import pyotp
from pyotp.totp import TOTP

from failgate.base.clock import MICROSECONDS

STEP_SECONDS: Final = 30
ISSUER: Final = "Failgate"
# ASCII digits alone: `str.isdigit` and NFKC also take full-width and superscript digits, and one code would then have
# several spellings, each of them a fresh one to a replay check on the text.
_CODE: Final = re.compile(r"[0-9]{6}", re.ASCII)


def new_secret() -> str:
    """Return a fresh secret of 160 random bits as 32 characters of base32. Source: RFC 4226 section 4, R6."""
    return pyotp.random_base32(32)


def is_code(text: str) -> bool:
    """Tell whether `text` is six ASCII digits and nothing else."""
    return _CODE.fullmatch(text) is not None


def step_at(now_us: int) -> int:
    """Return the number of the time step at `now_us`, microseconds since 1970."""
    return now_us // (STEP_SECONDS * MICROSECONDS)


def time_of_step_us(step: int) -> int:
    """Return when time step `step` began, microseconds since 1970."""
    return step * STEP_SECONDS * MICROSECONDS


def code_at(secret: str, step: int) -> str:
    """Return the six digits that belong to `secret` (base32) in time step `step`."""
    return TOTP(secret, interval=STEP_SECONDS).generate_otp(step)


def matching_step(secret: str, code: str, now_us: int, *, late_steps: int = 0) -> int | None:
    """Return the step whose code `code` is, of the present one and the `late_steps` before it, or None.

    A code lives for its 30 seconds (ASVS 5.0 6.5.5); one late step is what RFC 6238 section 5.2 lets a validator add
    for the network's delay. Each is compared in constant time.
    """
    if not is_code(code):
        return None
    present = step_at(now_us)
    found: int | None = None
    for step in range(max(0, present - late_steps), present + 1):
        if hmac.compare_digest(code_at(secret, step), code):
            found = step
    return found


def provisioning_uri(secret: str, account_name: str) -> str:
    """Return the `otpauth://totp/` address that an authenticator app reads from a QR code."""
    return TOTP(secret, interval=STEP_SECONDS).provisioning_uri(name=account_name, issuer_name=ISSUER)
