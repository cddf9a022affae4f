"""The room of exporters and witnesses: all of them together, what an operator sees of them and asks of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from failgate.audit.follower import Follower, Lag, Position
from failgate.audit.put_aside import Refused
from failgate.audit.record import Actor
from failgate.audit.requiring import Required
from failgate.audit.witnessing import SETTLE_SECONDS, Witnessing
from failgate.base.db import Database
from failgate.base.errors import NotFound

MOST_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Standing:
    """How one exporter stands. `failed_us` is when a delivery failed last, `failure` why when none succeeded since."""

    name: str
    is_proven: bool
    lag: Lag
    positions: Sequence[Position]
    failure: str | None
    failed_us: int | None
    put_aside: int
    refused: Sequence[Refused]


@dataclass(frozen=True, slots=True)
class WitnessStanding:
    """How one witness stands. `cosigned_us` is when it cosigned last, by its own clock."""

    name: str
    key_name: str
    lag: Lag
    positions: Sequence[Position]
    failure: str | None
    conflict: str | None
    failed_us: int | None
    cosigned_us: int | None


class Exporting:
    """Every exporter and every witness that the config names."""

    def __init__(
        self,
        database: Database,
        followers: Sequence[Follower],
        required: Required | None = None,
        witnessing: Witnessing | None = None,
    ) -> None:
        """Keep the followers, the witnesses, and which of them are `required`; `start` begins."""
        self.followers = tuple(followers)
        self.required = required or Required((), 0)
        self.witnessing = witnessing
        self._database = database

    async def start(self) -> None:
        """Begin to deliver in the background."""
        for follower in self.followers:
            follower.start()
        if self.witnessing is not None:
            await self.witnessing.start(settle_seconds=SETTLE_SECONDS if self.required.needs_witnesses else 0.0)
        await self.required.start()

    async def close(self) -> None:
        """End all of them at once: a few that hang take no longer than one."""
        ending = [follower.close() for follower in self.followers]
        ending += [] if self.witnessing is None else [self.witnessing.close()]
        await asyncio.gather(self.required.close(), *ending)

    async def standings(self) -> list[Standing]:
        """Return how each exporter stands, in the order of the config."""
        return [await self._standing(follower) for follower in self.followers]

    async def witness_standings(self) -> list[WitnessStanding]:
        """Return how each witness stands, in the order of the config."""
        room = self.witnessing
        return [] if room is None else [
            WitnessStanding(
                one.name, one.key.name, await room.lag_of(one), await room.positions(one),
                one.failure, one.conflict, one.failed_us, room.cosigned_us(one),
            )
            for one in room.witnesses
        ]  # fmt: skip

    async def problem(self, follower: Follower) -> str | None:
        """Return what an operator should know of one exporter, or None: it fails, or records are put aside."""
        if self.is_held_by(follower):
            return f"The server changes nothing until it has caught up: {follower.failure or 'it is too far behind'}"
        if follower.failure is not None:
            return f"It does not deliver: {follower.failure}"
        count = await follower.put_aside.count()
        return f"The other side refused {count} records for ever; /platform/exporters shows them." if count else None

    def is_held_by(self, follower: Follower) -> bool:
        """Tell whether the server holds because this exporter is behind."""
        return self.required.behind == follower.name

    async def test(self, name: str, actor: Actor) -> None:
        """Send a test record by the exporter `name`, before all that waits. Raises: NotFound."""
        follower = self._follower(name)
        await self._database.write(lambda tx: follower.ask_test_within(tx, actor))

    async def resend(self, name: str, actor: Actor) -> int:
        """Send what the other side of `name` refused once more; return how many records. Raises: NotFound."""
        follower = self._follower(name)
        return await self._database.write(lambda tx: follower.ask_resend_within(tx, actor))

    def _follower(self, name: str) -> Follower:
        found = next((each for each in self.followers if each.name == name), None)
        if found is None:
            raise NotFound("There is no such exporter.")
        return found

    @staticmethod
    async def _standing(follower: Follower) -> Standing:
        return Standing(
            follower.name,
            await follower.is_proven(),
            await follower.lag(),
            await follower.positions(),
            follower.failure,
            follower.failed_us,
            await follower.put_aside.count(),
            await follower.put_aside.page(MOST_SHOWN),
        )
