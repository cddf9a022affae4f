"""Exporters that are required: while one of them is too far behind, nothing new may be changed here.

It looks once a second, so that asking costs a request nothing. Recovers by itself.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from failgate.audit.follower import Follower
from failgate.base.background import Background
from failgate.base.errors import StorageUnavailable

LOOK_SECONDS: Final = 1.0


class ExporterBehind(StorageUnavailable):
    """A required exporter is further behind than the config allows: nothing was kept, the caller may ask again."""

    slug = "exporter-behind"
    title = "A required audit exporter is behind"


class Required:
    """Watches the followers that `[audit] require` names."""

    def __init__(self, followers: Sequence[Follower], within_seconds: float) -> None:
        """Watch `followers`, each of which may leave a record waiting for `within_seconds`."""
        self._followers = tuple(followers)
        self._within_seconds = within_seconds
        self._behind: str | None = None
        self._background = Background("audit-required", self._step)

    @property
    def behind(self) -> str | None:
        """Return the name of the exporter that is too far behind, or None."""
        return self._behind

    async def start(self) -> None:
        """Look now, then again and again."""
        if self._followers:
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

    def must_keep_up(self) -> None:
        """Return while no required exporter is too far behind. Raises: ExporterBehind, naming it."""
        if self._behind is not None:
            raise ExporterBehind(
                f"The audit log does not reach {self._behind}, which has to have it within "
                f"{self._within_seconds:g} seconds: nothing is changed until it does.",
                hint="Reading, denying and signing in go on. An operator sees on /platform/exporters why it fails.",
                exporter=self._behind,
            )

    async def _step(self) -> None:
        await asyncio.sleep(min(LOOK_SECONDS, self._within_seconds / 4))
        await self.look()
