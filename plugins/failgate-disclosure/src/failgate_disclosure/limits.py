"""What keeps programs from filling the desk, without an account, a puzzle or a third party.

A page of the form carries a stamp: when it was made, sealed. It is good for a day, once, and not in the first seconds.
Addresses have so many reports an hour, and all together so many.
"""

import base64
import binascii
import hashlib
import math
import secrets
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from typing import Final

from failgate.plugin import Clock, FailgateError, SecretBox, TooManyRequests

HASTE_SECONDS: Final = 3
LIFE_SECONDS: Final = 24 * 3600
HOUR_SECONDS: Final = 3600.0
MINUTE_SECONDS: Final = 60.0
_MOST_ADDRESSES: Final = 10_000
_PURPOSE: Final = "disclosure form"


class Stamps:
    """Makes and reads stamps."""

    def __init__(self, box: SecretBox, clock: Clock) -> None:
        """Seal by `box`; the time comes from `clock`."""
        self._box = box
        self._clock = clock

    def make(self) -> str:
        """Return a stamp of now."""
        plain = self._clock.now_us().to_bytes(8, "big") + secrets.token_bytes(8)
        return base64.urlsafe_b64encode(self._box.seal(plain, purpose="disclosure form", owner="form")).decode()

    def problem(self, stamp: str) -> str | None:
        """Return why a form with `stamp` is not taken now, or None."""
        try:
            octets = base64.urlsafe_b64decode(stamp.encode("ascii")) if len(stamp) < 200 else b""
            made_us = int.from_bytes(self._box.unseal(octets, purpose=_PURPOSE, owner="form")[:8], "big")
        except (FailgateError, ValueError, binascii.Error):
            return "This form is not one of ours, or from before a change of its key. Send it once more."
        age_seconds = (self._clock.now_us() - made_us) / 1_000_000
        if age_seconds < 0 or age_seconds > LIFE_SECONDS:
            return "This form was open for too long. Look through it and send it once more."
        if age_seconds < HASTE_SECONDS:
            return "That was fast. Look through it and send it once more."
        return None


def digest_of(text: str) -> str:
    """Return the SHA-256 by which a stamp or a link is known again: 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


class Pace:
    """Counts what came in the last hour, or so, from each address (of IPv6 its /64) and from all."""

    def __init__(self, clock: Clock, per_address: int, of_all: int, within_seconds: float = HOUR_SECONDS) -> None:
        """Let `per_address` and `of_all` pass in `within_seconds`."""
        self._clock = clock
        self._per_address = per_address
        self._of_all = of_all
        self._within_seconds = within_seconds
        self._of: OrderedDict[str, list[float]] = OrderedDict()
        self._all: list[float] = []

    def admits(self, ip: str | None) -> bool:
        """Tell whether one more may come from `ip` now, and count it if so."""
        if self.wait_seconds(ip):
            return False
        now, whose = self._clock.monotonic(), _network(ip)
        self._all.append(now)
        self._of[whose] = [*self._of.get(whose, ()), now]
        self._of.move_to_end(whose)
        while len(self._of) > _MOST_ADDRESSES:
            self._of.popitem(last=False)
        return True

    def wait_seconds(self, ip: str | None) -> int:
        """Return in how many seconds one more may come from `ip`; 0 when it may now. Nothing is counted."""
        now, whose = self._clock.monotonic(), _network(ip)
        since = now - self._within_seconds
        self._all = [at for at in self._all if at > since]
        own = [at for at in self._of.get(whose, ()) if at > since]
        if whose in self._of:
            self._of[whose] = own
        full = [
            times[-most] + self._within_seconds - now
            for times, most in ((own, self._per_address), (self._all, self._of_all))
            if len(times) >= most
        ]
        return max(1, math.ceil(max(full))) if full else 0

    def admit(self, ip: str | None) -> None:
        """Count one more from `ip`. Raises: TooManyRequests."""
        if not self.admits(ip):
            wait = self.wait_seconds(ip)
            raise TooManyRequests("Too many forms were sent from your address.", retry_after_seconds=wait)


def _network(ip: str | None) -> str:
    try:
        address = ip_address(ip or "")
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(IPv6Address(int(address) >> 64 << 64))
    return str(getattr(address, "ipv4_mapped", None) or address)
