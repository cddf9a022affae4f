"""How soon an approval may follow on the request that was shown: no sooner than a person reads it.

What is approved faster than anybody reads was approved by a program, or by a hand that approves whatever comes. So an
approval counts once its request was shown to the same session for the time of its challenge, and once that time has
passed since the session's last approval: a hundred requests that were opened together are not approved together. What
was not shown, or is not remembered any more, has to be opened first. A denial waits for nothing.

Of requests that take no more than a click a few may be approved at once, as somebody does who has read their list: so
many, and one more for each such time that passes.

It is kept in memory: after a restart a page shows anew what it shows. Source: ASVS 5.0 2.4.2.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from failgate.access.principal import Principal
from failgate.base.clock import MICROSECONDS
from failgate.base.errors import TooManyRequests
from failgate.gate.terms import CHALLENGES
from failgate.wire.gate import Challenge

MOST_SHOWN: Final = 50_000  # requests that were shown to a session; the oldest is forgotten, and then opened again
MOST_SESSIONS: Final = 10_000
_MS: Final = 1000


class TooSoon(TooManyRequests):
    """An approval came sooner than its request can have been read."""

    slug = "too-soon"
    title = "Sooner than anybody reads"

    def __init__(self, after_us: int | None, least_us: int, *, is_first: bool) -> None:
        """Keep after how long it came (None: nothing was shown); `is_first` of this session and request."""
        if after_us is None:
            sentence, hint = "This request was not shown to you yet.", "Open it and read it, then approve it."
        else:
            sentence = "This approval came sooner than anybody reads a request: it did not count."
            hint = "Read the request, then approve it again."
        wait_us = least_us - max(0, after_us or 0)
        super().__init__(sentence, retry_after_seconds=max(1, -(-wait_us // MICROSECONDS)), hint=hint)
        self.after_us = after_us
        self.least_us = least_us
        self.is_first = is_first

    @property
    def told(self) -> dict[str, int | str]:
        """Return what the audit log says of it: milliseconds."""
        least_ms = self.least_us // _MS
        if self.after_us is None:
            return {"reason": "not shown", "least_ms": least_ms}
        return {"reason": "too soon", "after_ms": max(0, self.after_us) // _MS, "least_ms": least_ms}


class TooOften(TooManyRequests):
    """A person approved as often as one may within a minute, over all their sessions."""

    slug = "too-often"
    title = "More than anybody reads"

    def __init__(self, per_minute: int, wait_seconds: int, *, is_first: bool) -> None:
        """Keep how many a minute are possible, after how long there is one again, whether it is on record already."""
        super().__init__(
            f"You approved {per_minute} requests within a minute: this approval did not count.",
            retry_after_seconds=wait_seconds,
            hint="Read the request, then approve it again. Denying works.",
        )
        self.is_first = is_first
        self.told: dict[str, int | str] = {"reason": "too often", "least_ms": wait_seconds * _MS}


@dataclass(slots=True)
class _Shown:
    since_us: int | None  # None: not yet
    is_told: bool = False  # that an approval of it came too soon


@dataclass(slots=True)
class Pace:
    """What was shown to whom, since when, and who approved last when. With `read_us` 0 nothing has to be shown.

    `at_once` is how many approvals of a session, by a click alone, ask for nothing.
    """

    read_us: int = 0
    at_once: int = 0
    _shown: OrderedDict[tuple[str, str], _Shown] = field(default_factory=OrderedDict[tuple[str, str], _Shown])
    _approved_us: OrderedDict[str, int] = field(default_factory=OrderedDict[str, int])
    _free_us: OrderedDict[str, int] = field(default_factory=OrderedDict[str, int])  # when all of `at_once` are back

    def show(self, principal: Principal, digest: str, now_us: int) -> None:
        """Remember that the request of this digest is shown to a person from now on, unless it was before."""
        if not self.read_us or principal.kind != "user":
            return
        known = self._known(_session_of(principal), digest)
        if known.since_us is None:
            known.since_us = now_us

    def least_us(self, challenge: Challenge) -> int:
        """Return for how long a request of this challenge is shown at least; each step of the challenge adds once."""
        return self.read_us * (1 + CHALLENGES.index(challenge))

    def approve(self, principal: Principal, digest: str, challenge: Challenge, now_us: int) -> None:
        """Let an approval pass that a person can have made; the next one of the session is measured from here.

        Raises: TooSoon.
        """
        if not self.read_us:
            return
        session, least_us = _session_of(principal), self.least_us(challenge)
        if challenge == "click" and self._is_free(session, now_us):
            _note(self._approved_us, session, now_us)
            return
        known = self._known(session, digest)
        passed_us = None
        if known.since_us is not None:
            passed_us = now_us - max(known.since_us, self._approved_us.get(session, 0))
        if passed_us is None or passed_us < least_us:
            is_first, known.is_told = not known.is_told, True
            raise TooSoon(passed_us, least_us, is_first=is_first)
        _note(self._approved_us, session, now_us)

    def _is_free(self, session: str, now_us: int) -> bool:
        """Tell whether one more approval of the session is among those at once, and count it then."""
        if not self.at_once:
            return False
        latest_us = now_us + self.at_once * self.read_us  # also for a clock that went back
        back_us = max(now_us, min(self._free_us.get(session, 0), latest_us))
        is_free = back_us + self.read_us <= latest_us
        _note(self._free_us, session, back_us + self.read_us if is_free else back_us)
        return is_free

    def _known(self, session: str, digest: str) -> _Shown:
        """Return what is known of a session and a request, without forgetting more than has to be."""
        known = self._shown.setdefault((session, digest), _Shown(None))
        if len(self._shown) > MOST_SHOWN:
            self._shown.popitem(last=False)
        return known


def _note(of_sessions: OrderedDict[str, int], session: str, at_us: int) -> None:
    of_sessions[session] = at_us
    of_sessions.move_to_end(session)
    if len(of_sessions) > MOST_SESSIONS:
        of_sessions.popitem(last=False)


def _session_of(principal: Principal) -> str:
    return principal.session_id or principal.id
