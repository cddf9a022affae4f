"""Times as people write them for a period. Pure."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from failgate.base.errors import BadInput

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?"
)


def moment_us(text: str, name: str) -> int:
    """Return the time `text` in microseconds since 1970; without a zone it is UTC, a day alone is its midnight.

    Raises: BadInput, which calls it `name`.
    """
    try:
        moment = datetime.fromisoformat(text) if _MOMENT.fullmatch(text) else _EPOCH - timedelta(1)
        since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC) - _EPOCH
    except (ValueError, OverflowError):
        since = timedelta(-1)
    if since < timedelta(0):
        raise BadInput(
            f"{name} {text[:64]!a} is no time.",
            hint="Write 2026-11-01 (its midnight in UTC) or 2026-11-01T08:00:00Z.",
        )
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
