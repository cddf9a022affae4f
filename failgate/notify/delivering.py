"""From the outbox to the notifiers: at least once, in order for each target, with pauses that grow when it fails.

A target that is away holds up itself alone. What failed for good is dead: it stays, is shown, and can be sent again.
What was on its way when the server was killed is sent again under the same id, by which the other side knows it.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Final

from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, Act, Event
from failgate.base.background import PAUSE_SECONDS, Background
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Transaction
from failgate.base.errors import FailgateError, NotFound
from failgate.base.log import get_logger
from failgate.notify.destinations import Destinations
from failgate.notify.notifier import DeliveryFailed, Destination, Notifiers
from failgate.notify.outbox import Entry, Outbox

PAUSES_SECONDS: Final = (2.0, 10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0)  # before each further try: 1.8 hours in all
LONGEST_TRY_SECONDS: Final = 30.0
LONGEST_RETRY_AFTER_SECONDS: Final = 3600.0
TOGETHER: Final = 16  # targets that are served at a time
IN_A_ROW: Final = 50  # entries of one target before others have their turn
LOOK_SECONDS: Final = 30.0
DRAIN_SECONDS: Final = 1.0
_HEADS: Final = 200
_chance = random.SystemRandom()
_log = get_logger("failgate.notify")

AddressOf = Callable[[str, str], Awaitable[str | None]]
"""`(workspace_id, account_id)`: the e-mail address of a member who is there and enabled, else None.

In place of a workspace `system` asks for somebody with the platform role.
"""


class Delivering:
    """Carries entries to their notifiers, in the background."""

    def __init__(
        self,
        db: Database,
        audit: AuditLog,
        clock: Clock,
        *,
        notifiers: Notifiers,
        destinations: Destinations,
        outbox: Outbox,
        address_of: AddressOf,
        pauses_seconds: tuple[float, ...] = PAUSES_SECONDS,
        longest_try_seconds: float = LONGEST_TRY_SECONDS,
    ) -> None:
        """Keep what it works with; `start` begins."""
        self._db = db
        self._audit = audit
        self._clock = clock
        self._notifiers = notifiers
        self._destinations = destinations
        self._outbox = outbox
        self._address_of = address_of
        self._pauses_seconds = pauses_seconds
        self._longest_try_seconds = longest_try_seconds
        self._busy: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._wake = outbox.filled
        self._background = Background("notify-delivering", self._step)

    def start(self) -> None:
        """Begin with what waits."""
        self._background.start()

    async def close(self) -> None:
        """Stop; what is on its way has a second to arrive, and else is sent again at the next start."""
        await self._background.close()
        busy = set(self._busy.values())
        if busy:
            _, late = await asyncio.wait(busy, timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _step(self) -> None:
        self._wake.clear()
        pause = await self._begin_due()
        # Not `wait_for`: in Python 3.11 it swallows the cancellation that comes with the event (python/cpython#86296).
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._wake.wait()

    async def _begin_due(self) -> float:
        """Serve the targets whose turn has come; return after how many seconds the next one is due."""
        now_us, pause = self._clock.now_us(), LOOK_SECONDS
        for entry in await self._outbox.heads(_HEADS):
            key = entry.target, entry.notifier
            if key in self._busy:
                continue
            if entry.next_us > now_us:
                pause = min(pause, (entry.next_us - now_us) / MICROSECONDS)
            elif len(self._busy) < TOGETHER:
                task = asyncio.get_running_loop().create_task(self._serve(entry), name=f"notify-{entry.target}")
                self._busy[key] = task
                task.add_done_callback(lambda _, key=key: self._served(key))  # type: ignore[misc]  # mypy sees no type of a default
        return max(pause, 0.01)

    def _served(self, key: tuple[str, str]) -> None:
        self._busy.pop(key, None)
        self._wake.set()

    async def _serve(self, first: Entry) -> None:
        """Deliver what waits for one target, in order, until something fails."""
        entry: Entry | None = first
        for _ in range(IN_A_ROW):
            if entry is None or entry.next_us > self._clock.now_us():
                return
            try:
                if not await self._deliver(entry):
                    return
            except FailgateError as error:  # the storage; it is tried again
                _log.warning("notification.not_kept", reason=str(error))
                await asyncio.sleep(PAUSE_SECONDS)
                return
            entry = await self._outbox.head(first.target, first.notifier)

    async def _deliver(self, entry: Entry) -> bool:
        """Try once and keep how it went; return whether the next one of this target has its turn."""
        try:
            async with asyncio.timeout(self._longest_try_seconds):
                failure = await self._try(entry)
        except TimeoutError:
            failure = DeliveryFailed(f"No answer within {self._longest_try_seconds:g} seconds.")
        except DeliveryFailed as error:
            failure = error
        except FailgateError as error:
            failure = DeliveryFailed(error.sentence)
        except Exception as error:  # noqa: BLE001 - a notifier may raise anything
            failure = DeliveryFailed(f"The notifier failed: {type(error).__name__}.")
        if failure is None:
            await self._db.write(lambda tx: self._outbox.mark(tx, entry, "delivered", None))
            return True
        return await self._keep_failure(entry, failure)

    async def _try(self, entry: Entry) -> DeliveryFailed | None:
        """Hand the entry to its notifier; return why there is nobody to hand it to."""
        notifier = self._notifiers.get(entry.notifier)
        if notifier is None:
            return DeliveryFailed(f"The notifier {entry.notifier} is not enabled on this server.", is_final=True)
        if entry.is_member:
            address = await self._address_of(entry.workspace_id, entry.target)
            if address is None:
                return DeliveryFailed("Not sent: no member, or without the platform role, any longer.", is_final=True)
            destination = Destination(address)
        else:
            found = await self._destinations.address(entry.workspace_id, entry.target)
            if found is None:
                return DeliveryFailed("Not sent: the destination is switched off.", is_final=True)
            destination = found[1]
        await notifier.deliver(entry.notification, destination)
        return None

    async def _keep_failure(self, entry: Entry, failure: DeliveryFailed) -> bool:
        is_dead = failure.is_final or entry.attempts >= len(self._pauses_seconds)
        _log.warning("notification.failed", notification=entry.id, attempts=entry.attempts + 1, is_dead=is_dead)
        if not is_dead:
            pause = self._pauses_seconds[entry.attempts] * (0.5 + _chance.random() / 2)
            pause = max(pause, min(failure.retry_after_seconds or 0.0, LONGEST_RETRY_AFTER_SECONDS))
            next_us = self._clock.now_us() + round(pause * MICROSECONDS)
            await self._db.write(lambda tx: self._outbox.mark(tx, entry, "waiting", failure.sentence, next_us))
            return False

        async def bury(tx: Transaction) -> None:
            if not await self._outbox.mark(tx, entry, "dead", failure.sentence):
                return
            facts: dict[str, JSON] = {
                "event": entry.event, "notifier": entry.notifier, "attempts": entry.attempts + 1,
            }  # fmt: skip
            if not entry.is_member:
                facts["destination"] = entry.target
            event = Event(Act.NOTIFICATION_FAILED, entry.workspace_id, "notification", entry.id, SERVER, facts, "error")
            await self._audit.append(tx, event)
            if failure.is_gone and not entry.is_member:
                await self._destinations.stop_within(tx, entry.workspace_id, entry.target, SERVER)

        with contextlib.suppress(NotFound):  # the workspace was deleted a moment ago, and this with it
            await self._db.write(bury)
        return True
