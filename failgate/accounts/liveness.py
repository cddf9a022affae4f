"""How long a session lives, by the wall clock and by the monotonic one. Pure."""

from dataclasses import dataclass

from failgate.accounts.session import Session
from failgate.base.clock import MICROSECONDS


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session lives at most, and without a request; microseconds."""

    lifetime_us: int
    idle_us: int

    def left_seconds(self, opened_us: int, now_us: int) -> tuple[float, float]:
        """Return how long a session that was opened then lives at most, and without a request that comes after now."""
        return (opened_us + self.lifetime_us - now_us) / MICROSECONDS, self.idle_us / MICROSECONDS


class Live:
    """A session in memory, and when it was opened and last seen by both clocks."""

    __slots__ = ("is_touched", "opened_at_us", "seen_at_us", "seen_us", "session")

    def __init__(self, session: Session, now_us: int, now_at_us: int) -> None:
        """Know `session` from now on: `now_us` by the wall clock, `now_at_us` by the monotonic one."""
        self.session = session
        self.opened_at_us = now_at_us - max(0, now_us - session.opened_us)
        self.seen_us = session.seen_us
        self.seen_at_us = now_at_us - max(0, now_us - session.seen_us)
        self.is_touched = False

    def is_over(self, limits: Limits, now_us: int, now_at_us: int) -> bool:
        """Tell whether the session has ended by either clock."""
        return (
            now_at_us - self.opened_at_us >= limits.lifetime_us
            or now_at_us - self.seen_at_us >= limits.idle_us
            or now_us - self.session.opened_us >= limits.lifetime_us
            or now_us - self.seen_us >= limits.idle_us
        )
