"""Times in SAML messages. Pure.

Source: saml-core-2.0-os section 1.3.3 (UTC, written with Z), 1.3.4 for IDs.
"""

import re
from datetime import UTC, datetime
from typing import Final

from failgate.base.clock import MICROSECONDS
from failgate.sso.saml.refusals import Reason, refused

SKEW_SECONDS: Final = 180
MAX_AGE_SECONDS: Final = 10 * 60
MAX_VALIDITY_SECONDS: Final = 24 * 3600
MAX_SIGNED_IN_SECONDS: Final = 366 * 24 * 3600
_INSTANT: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?Z", re.ASCII)


def read_instant(text: str | None) -> int:
    """Return microseconds since 1970 of an xs:dateTime in UTC.

    Raises: Refusal (absent, of another zone, or no time at all).
    """
    match = _INSTANT.fullmatch(text or "")
    if match is None:
        raise refused(Reason.TIME)
    try:
        seconds = int(datetime.strptime(match[1], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise refused(Reason.TIME) from None
    return seconds * MICROSECONDS + int((match[2] or "")[:6].ljust(6, "0"))


def write_instant(us: int) -> str:
    """Return `us`, microseconds since 1970, as an xs:dateTime in whole seconds of UTC."""
    return datetime.fromtimestamp(us // MICROSECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def check_issued(text: str | None, now_us: int) -> int:
    """Return when the message was issued: at most 10 minutes ago, give or take the skew of 180 s.

    Raises: Refusal.
    """
    issued_us = read_instant(text)
    age_us = now_us - issued_us
    if not -SKEW_SECONDS * MICROSECONDS <= age_us <= (MAX_AGE_SECONDS + SKEW_SECONDS) * MICROSECONDS:
        raise refused(Reason.ISSUE_INSTANT)
    return issued_us


def check_not_before(text: str | None, now_us: int) -> None:
    """Check that the time, when there is one, has come.

    Raises: Refusal.
    """
    if text is not None and read_instant(text) > now_us + SKEW_SECONDS * MICROSECONDS:
        raise refused(Reason.NOT_YET_VALID)


def check_not_on_or_after(text: str | None, now_us: int, *, absent: Reason, issued_us: int) -> int:
    """Return the end, which must be there (else `absent`), lie ahead, and within a day of `issued_us`.

    Raises: Refusal.
    """
    if text is None:
        raise refused(absent)
    end_us = read_instant(text)
    if end_us + SKEW_SECONDS * MICROSECONDS <= now_us:
        raise refused(Reason.EXPIRED)
    if not issued_us < end_us <= issued_us + MAX_VALIDITY_SECONDS * MICROSECONDS:
        raise refused(Reason.VALIDITY)
    return end_us
