"""Certificates change while the server runs: new files are taken, ends announced, whoever lost the right is cut off.

The files are looked at every second. A change is taken when it has stood still for one look, so that a certificate is
not read without its key; SIGHUP takes it at once. What cannot be used is logged and counted, and the old stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from failgate.base.background import Background
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.log import get_logger
from failgate.web.tls import Fault, Key, Material, TlsRefused, load

if TYPE_CHECKING:
    import ssl

    from failgate.config.tls import TlsSection
    from failgate.web.metrics import Metrics
    from failgate.web.peer import PeerCertificate

LOOK_SECONDS = 1.0
WARN_DAYS = (30, 7, 1)
DAY_SECONDS = 86_400

log = get_logger(__name__)
Stamp = tuple[int, int, int, int] | None


class Held(Protocol):
    """An open connection, as far as it matters here."""

    @property
    def peer(self) -> PeerCertificate | None:
        """The client certificate that it was opened with."""
        ...

    def cut(self) -> None:
        """End it, now."""
        ...


class Renewal:
    """The certificates of a running server."""

    def __init__(
        self,
        tls: TlsSection,
        host: str | None,
        clock: Clock,
        metrics: Metrics,
        connections: Callable[[], Iterable[Held]],
        artifact_host: str | None = None,
    ) -> None:
        """Read the files for the first time. `host` is the name in the public URL; `connections` are the open ones.

        `artifact_host` is the name in `artifact_url`.

        Raises: TlsRefused.
        """
        self._tls, self._host, self._clock, self._connections = tls, host, clock, connections
        self._artifact_host = artifact_host
        self._taken = self._seen = self._stamps()
        self._material = load(tls, host, clock.now_us(), artifact_host)
        self._said: dict[Key, tuple[int, int]] = {}
        self._failures = 0
        self._is_stale = False
        self._background = Background("certificates", self._step)
        self._tell(self._material.faults)
        self._announce_ends()
        metrics.watch(
            "failgate_tls_expiry_timestamp_seconds", "When what a file of [server.tls] holds ends.",
            ("file",), lambda: {(key,): float(ends) for key, ends in self._material.expiries.items()},
        )  # fmt: skip
        metrics.watch(
            "failgate_tls_reload_failures", "New files that could not be used, since the start.",
            (), lambda: {(): self._failures},
        )  # fmt: skip
        metrics.watch(
            "failgate_tls_reload_failing",
            "1 while the files are not those in use.",
            (),
            lambda: {(): int(self._is_stale)},
        )

    def context(self) -> ssl.SSLContext:
        """Return what a connection is opened with now."""
        return self._material.context

    def start(self) -> None:
        """Begin to look."""
        self._background.start()

    async def close(self) -> None:
        """Look no more."""
        await self._background.close()

    def take(self) -> None:
        """Read the files now, whether they changed or not."""
        self._taken = self._seen = self._stamps()
        try:
            fresh = load(self._tls, self._host, self._clock.now_us(), self._artifact_host)
            self._refuse_ended(fresh)
        except TlsRefused as refused:
            self._failures += 1
            self._is_stale = True
            log.error("tls.reload_failed", reason=refused.sentence, hint=refused.hint)  # noqa: TRY400  # it says why
            return
        before, self._material = self._material, fresh
        self._is_stale = False
        log.info("tls.reloaded", expires_us=fresh.expiries["certificate"] * MICROSECONDS)
        self._tell(fresh.faults)
        self._announce_ends()
        self._cut_off(before)

    def look(self) -> None:
        """Take files that have changed and stand still; say what ends soon; end connections whose certificate has."""
        stamps = self._stamps()
        if stamps != self._taken and stamps == self._seen:
            self.take()
        self._seen = stamps
        self._announce_ends()
        now_us = self._clock.now_us()
        for held in [each for each in self._connections() if each.peer is not None and each.peer.ends_us <= now_us]:
            held.cut()

    async def _step(self) -> None:
        await asyncio.sleep(LOOK_SECONDS)
        self.look()

    def _refuse_ended(self, fresh: Material) -> None:
        """Refuse a certificate that has ended, unless the one in use has too."""
        now = self._clock.now_us() // MICROSECONDS
        if fresh.expiries["certificate"] <= now < self._material.expiries["certificate"]:
            sentence = f"the certificate in {self._tls.certificate} has expired, the one in use has not"
            raise TlsRefused([Fault("certificate", sentence, "Put the renewed one there.")])

    def _cut_off(self, before: Material) -> None:
        """End the connections whose certificate would not be accepted now, or perhaps would not: they may come again.

        Which authorities stood between a certificate and its root is not known any more, so that a new list of another
        issuer, and other authorities, end every connection that they could be about.
        """
        fresh = self._material
        changed = {
            issuer for issuer, crl in fresh.crls.items()
            if issuer not in before.crls or before.crls[issuer].signature != crl.signature
        }  # fmt: skip
        for held in tuple(self._connections()):
            peer = held.peer
            if peer is None:
                continue
            crl = fresh.crls.get(peer.issuer)
            is_revoked = crl is not None and crl.get_revoked_certificate_by_serial_number(peer.serial) is not None
            if is_revoked or changed - {peer.issuer} or fresh.client_ca != before.client_ca:
                held.cut()

    def _stamps(self) -> tuple[Stamp, ...]:
        tls = self._tls
        return tuple(_stamp(path) for path in (tls.certificate, tls.key, tls.client_ca, *tls.crl) if path is not None)

    def _tell(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            log.warning("tls.fault", setting=fault.key, reason=fault.sentence, hint=fault.hint)

    def _announce_ends(self) -> None:
        """Warn once for each file when 30 days, 7 days, 1 day are left."""
        now = self._clock.now_us() // MICROSECONDS
        for key, ends in self._material.expiries.items():
            if key == "crl":  # a list lives for hours or days: its end is a fault, and on the metric
                continue
            left = ends - now
            passed = [days for days in WARN_DAYS if left <= days * DAY_SECONDS]
            if passed and self._said.get(key) != (ends, passed[-1]):
                self._said[key] = (ends, passed[-1])
                log.warning(
                    "tls.expires_soon", setting=key, days=max(left, 0) // DAY_SECONDS, expires_us=ends * MICROSECONDS
                )


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
