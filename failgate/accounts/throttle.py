"""How often a credential may be guessed: per account and per address, counted before the guess is looked at.

Pure but for the clock that it is given; kept in memory and bounded. `reserve` counts a guess as wrong in the same step
in which it allows it (no await between), so two hundred parallel guesses find the same limit as two hundred in a row;
`succeeded` gives the count back.

Nobody is locked out by strangers: an address from which an account signed in before has a share of its own, and so have
the account's trusted devices wherever they are, so the rest of the world can use up only its own part. The three parts
together stay at a hundred evaluated guesses an hour.
"""

import ipaddress
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Final

from failgate.base.clock import Clock
from failgate.base.errors import TooManyRequests

HOUR_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Limits:
    """At most `most` wrong guesses in `window_seconds`; after `free` in a row each waits twice as long as the last.

    Without `free` none waits: there is no guess to be slowed, only a number to be kept.

    Source: NIST SP 800-63B-4 section 3.2.2 (at most 100 consecutive failures).
    """

    most: int
    free: int | None = None
    longest_wait_seconds: float = 60.0
    window_seconds: float = HOUR_SECONDS


ACCOUNT_FROM_ANYWHERE: Final = Limits(most=60, free=5)
ACCOUNT_FROM_KNOWN_ADDRESS: Final = Limits(most=20, free=5)
ACCOUNT_FROM_TRUSTED_DEVICE: Final = Limits(most=20, free=5)
ADDRESS: Final = Limits(most=300, free=100)
FACTOR: Final = Limits(most=30, free=5)
RESET_OF_ACCOUNT: Final = Limits(most=5)
RESET_FROM_ADDRESS: Final = Limits(most=30)
# A company behind one address begins its day in less, and right answers of its provider are given back.
DEPARTURE_FROM_ADDRESS: Final = Limits(most=600, window_seconds=60.0)
WRONG_ANSWER_FROM_ADDRESS: Final = Limits(most=120, window_seconds=60.0)
SHARE_FROM_ADDRESS: Final = Limits(most=600)


@dataclass(slots=True)
class _Bucket:
    guesses: list[float] = field(default_factory=list[float])  # monotonic seconds, oldest first
    in_a_row: int = 0


@dataclass(frozen=True, slots=True)
class Reservation:
    """One guess that was allowed and, until it succeeds, counted as wrong."""

    at: float
    keys: tuple[str, ...]
    account: str
    address: str


class Throttle:
    """Counts guesses; forgets after the window."""

    def __init__(self, clock: Clock, *, most_keys: int = 65_536) -> None:
        """Measure by the monotonic `clock`; remember at most `most_keys` accounts and addresses of each kind.

        Kinds are apart, so that who comes to one door from many addresses makes nothing of another one forgotten.
        """
        self._clock = clock
        self._most_keys = most_keys
        self._kinds: defaultdict[str, OrderedDict[str, _Bucket]] = defaultdict(OrderedDict)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def reserve(self, account: str, address: str, *, is_trusted_device: bool = False) -> Reservation:
        """Count one guess for `account` (any text that names it) from `address` (an IP address).

        `is_trusted_device`: it comes from a device that this very account trusts. What others at that address did does
        not count for it then.

        Raises: TooManyRequests (nothing is counted then).
        """
        place = network_of(address)
        if is_trusted_device:
            keyed = {f"device {account}": ACCOUNT_FROM_TRUSTED_DEVICE}
        elif (account, place) in self._known:
            keyed = {f"known {account}": ACCOUNT_FROM_KNOWN_ADDRESS, f"address {place}": ADDRESS}
        else:
            keyed = {f"account {account}": ACCOUNT_FROM_ANYWHERE, f"address {place}": ADDRESS}
        return self._reserve(keyed, account, place)

    def reserve_factor(self, account: str) -> Reservation:
        """Count one guess at the second factor of `account`.

        Raises: TooManyRequests (nothing is counted then).
        """
        return self._reserve({f"factor {account}": FACTOR}, account, "")

    def reserve_reset_of(self, account: str) -> None:
        """Count one letter for a new password of `account`, which is never given back.

        Raises: TooManyRequests (nothing is counted then).
        """
        self._reserve({f"reset {account}": RESET_OF_ACCOUNT}, account, "")

    def reserve_reset_from(self, address: str) -> None:
        """Count one request for a new password from the IP `address`, which is never given back.

        Raises: TooManyRequests (nothing is counted then).
        """
        place = network_of(address)
        self._reserve({f"reset_from {place}": RESET_FROM_ADDRESS}, "", place)

    def reserve_departure_from(self, address: str) -> None:
        """Count one browser at the IP `address` that leaves for an identity provider, which is never given back.

        Raises: TooManyRequests (nothing is counted then).
        """
        place = network_of(address)
        self._reserve({f"departure {place}": DEPARTURE_FROM_ADDRESS}, "", place)

    def reserve_answer_from(self, address: str) -> Reservation:
        """Count one answer of an identity provider that the IP `address` brings; to be given back when it is right.

        Raises: TooManyRequests (nothing is counted then).
        """
        place = network_of(address)
        return self._reserve({f"answer {place}": WRONG_ANSWER_FROM_ADDRESS}, "", place)

    def reserve_view_of(self, share: str, address: str) -> None:
        """Count one page or file that somebody at the IP `address` is shown by the link `share`; never given back.

        Raises: TooManyRequests (nothing is counted then).
        """
        place = network_of(address)
        self._reserve({f"share {share} {place}": SHARE_FROM_ADDRESS}, "", place)

    def succeeded(self, reservation: Reservation) -> None:
        """Give the guess back: it was right. Its address is known for this account from now on."""
        for key in reservation.keys:
            bucket = self._bucket(key)
            if bucket is not None and reservation.at in bucket.guesses:
                bucket.guesses.remove(reservation.at)
                # The wait ends for who proved themselves; the hour's count of others stays.
                bucket.in_a_row = bucket.in_a_row - 1 if key.startswith("address ") else 0
        if reservation.address:
            self._remember(reservation.account, reservation.address)

    def give_back(self, reservation: Reservation) -> None:
        """Take the guess back: it was never looked at."""
        for key in reservation.keys:
            bucket = self._bucket(key)
            if bucket is not None and reservation.at in bucket.guesses:
                bucket.guesses.remove(reservation.at)
                bucket.in_a_row = max(0, bucket.in_a_row - 1)

    def _remember(self, account: str, place: str) -> None:
        self._known[account, place] = None
        self._known.move_to_end((account, place))
        if len(self._known) > self._most_keys:
            self._known.popitem(last=False)

    def _reserve(self, keyed: dict[str, Limits], account: str, place: str) -> Reservation:
        now = self._clock.monotonic()
        wait = max(self._wait(self._bucket(key), limits, now) for key, limits in keyed.items())
        if wait > 0:
            seconds = int(wait) + 1
            raise TooManyRequests(
                f"There were too many tries; the next one is possible in {seconds} s.",
                hint="Wait, then try again.",
                retry_after_seconds=seconds,
            )
        for key in keyed:
            buckets = self._kinds[_kind_of(key)]
            bucket = buckets.setdefault(key, _Bucket())
            buckets.move_to_end(key)
            bucket.guesses.append(now)
            bucket.in_a_row += 1
            if len(buckets) > self._most_keys:
                buckets.popitem(last=False)
        return Reservation(at=now, keys=tuple(keyed), account=account, address=place)

    def _bucket(self, key: str) -> _Bucket | None:
        return self._kinds[_kind_of(key)].get(key)

    @staticmethod
    def _wait(bucket: _Bucket | None, limits: Limits, now: float) -> float:
        if bucket is None:
            return 0.0
        while bucket.guesses and bucket.guesses[0] <= now - limits.window_seconds:
            bucket.guesses.pop(0)
        if not bucket.guesses:
            bucket.in_a_row = 0
            return 0.0
        if len(bucket.guesses) >= limits.most:
            return bucket.guesses[0] + limits.window_seconds - now
        if limits.free is None or bucket.in_a_row < limits.free:
            return 0.0
        pause = min(2.0 ** min(bucket.in_a_row - limits.free, 16), limits.longest_wait_seconds)
        return max(0.0, bucket.guesses[-1] + pause - now)


def _kind_of(key: str) -> str:
    return key.partition(" ")[0]


def network_of(address: str) -> str:
    """Return what counts as one place: the IPv4 address, or the /64 network of an IPv6 address; other text as it is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
