"""Exporters and witnesses that are required: while one is too far behind, nothing new may be changed here.

It looks once a second, so that asking costs a request nothing. Recovers by itself.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from failgate.audit.follower import Follower
from failgate.audit.witnessing import Witnessing
from failgate.base.background import Background
from failgate.base.errors import StorageUnavailable

LOOK_SECONDS: Final = 1.0


class ExporterBehind(StorageUnavailable):
    """A required exporter is further behind than the config allows: nothing was kept, the caller may ask again."""

    slug = "exporter-behind"
    title = "A required audit exporter is behind"


class WitnessesBehind(StorageUnavailable):
    """No head that is recent enough is cosigned by enough witnesses: nothing was kept, the caller may ask again."""

    slug = "witnesses-behind"
    title = "The audit log is not witnessed"


class Required:
    """Watches the followers that `[audit] require` names, and the witnesses when `require_witness_within` is said."""

    def __init__(
        self,
        followers: Sequence[Follower],
        within_seconds: float,
        witnessing: Witnessing | None = None,
        witness_within_seconds: float | None = None,
    ) -> None:
        """Watch `followers`, each of which may leave a record waiting for `within_seconds`; the witnesses likewise."""
        self._followers = tuple(followers)
        self._within_seconds = within_seconds
        self._witnessing = witnessing
        self._witness_within_seconds = witness_within_seconds
        self._behind: str | None = None
        self._is_unwitnessed = False
        self._background = Background("audit-required", self._step)

    @property
    def behind(self) -> str | None:
        """Return the name of the exporter that is too far behind, or None."""
        return self._behind

    @property
    def is_unwitnessed(self) -> bool:
        """Tell whether records wait too long for a head with enough cosignatures."""
        return self._is_unwitnessed

    @property
    def needs_witnesses(self) -> bool:
        """Tell whether the config says within which time a head has to be cosigned."""
        return self._witness_within_seconds is not None

    async def start(self) -> None:
        """Look now, then again and again."""
        if self._followers or self.needs_witnesses:
            await self.look()
            self._background.start()

    async def close(self) -> None:
        """Look no more."""
        await self._background.close()

    async def look(self) -> None:
        """Find out whether one is too far behind, and which."""
        behind = None
        for follower in self._followers:
            if behind is None and (await follower.lag()).seconds > self._within_seconds:
                behind = follower.name
        self._behind = behind
        if self._witnessing is not None and self._witness_within_seconds is not None:
            self._is_unwitnessed = (await self._witnessing.lag()).seconds > self._witness_within_seconds

    def must_keep_up(self) -> None:
        """Return while nothing that is required is too far behind.

        Raises: ExporterBehind (naming the exporter), WitnessesBehind.
        """
        if self._behind is not None:
            raise ExporterBehind(
                f"The audit log does not reach {self._behind}, which has to have it within "
                f"{self._within_seconds:g} seconds: nothing is changed until it does.",
                hint="Reading, denying and signing in go on. An operator sees on /platform/exporters why it fails.",
                exporter=self._behind,
            )

        if self._is_unwitnessed:
            raise WitnessesBehind(
                "The audit log has records that no checkpoint with enough cosignatures covers, and that have waited "
                f"for longer than {self._witness_within_seconds:g} seconds: nothing is changed until one does.",
                hint="Reading, denying and signing in go on. An operator sees on /platform/exporters why it fails.",
            )

    async def _step(self) -> None:
        within = [self._within_seconds] if self._followers else []
        within += [] if self._witness_within_seconds is None else [self._witness_within_seconds]
        await asyncio.sleep(min(LOOK_SECONDS, *(seconds / 4 for seconds in within)))
        await self.look()
