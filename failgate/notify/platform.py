"""What a plugin tells the people with the platform role, through the notifiers that reach people at their addresses.

It goes through the same outbox as everything that is told: kept before it is sent, tried again, sent after a restart.
A notice is known by its key, so that saying it twice tells nobody twice.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Protocol

from failgate.accounts.directory import platform_people
from failgate.audit.record import SYSTEM
from failgate.base.clock import Clock
from failgate.base.db import Database, Transaction
from failgate.base.ids import new_id
from failgate.notify.notifier import Notification, Notifiers
from failgate.notify.outbox import Entry, Outbox, message_id

_EVENT: Final = re.compile(r"[a-z][a-z0-9_]{0,39}\.[a-z][a-z0-9_]{0,39}", re.ASCII)
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)+", re.ASCII)
_LONGEST: Final = 200
_MOST_LINES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformNotice:
    """What is told: words of the plugin's own, numbers and times, never what somebody else wrote.

    `key` says what it is about and is told once; `event` is `<noun>.<past participle>`; `lines` are pairs of a label
    and a text; `path` leads to the page about it.
    """

    key: str
    event: str
    title: str
    lines: tuple[tuple[str, str], ...] = ()
    path: str = "/platform"

    def __post_init__(self) -> None:
        """Refuse what no notifier could say. Raises: ValueError."""
        texts = (self.title, *(text for pair in self.lines for text in pair))
        if not (_EVENT.fullmatch(self.event) and _PATH.fullmatch(self.path) and 0 < len(self.key) <= _LONGEST):
            raise ValueError(f"PlatformNotice({self.key!r}): an event is noun.participle, a path of this server")
        if len(self.lines) > _MOST_LINES or any(len(text) > _LONGEST or not text.isprintable() for text in texts):
            raise ValueError(f"PlatformNotice({self.key!r}): up to 10 lines of up to 200 printable characters")


class Tell(Protocol):
    """How a plugin tells the people with the platform role."""

    async def __call__(self, notice: PlatformNotice, /) -> int:
        """Keep `notice` for everybody with the platform role whom it was not kept for; return how many are reached.

        It is sent behind this call, and tried again when that fails. 0: there is no notifier that reaches people at
        their addresses, or nobody has the role; ask again later.

        Raises: FailgateError (the storage takes nothing now).
        """
        ...


async def tell_nobody(_notice: PlatformNotice) -> int:
    """Return 0."""
    return 0


class PlatformNotices:
    """Puts notices of plugins into the outbox."""

    def __init__(self, db: Database, clock: Clock, *, notifiers: Notifiers, outbox: Outbox, base_url: str) -> None:
        """Keep what it works with; links begin with `base_url`."""
        self._db = db
        self._clock = clock
        self._names = [name for name, notifier in notifiers.items() if notifier.addressing == "member"]
        self._outbox = outbox
        self._base_url = base_url

    async def tell(self, instance: str, notice: PlatformNotice) -> int:
        """Do for the plugin `instance` what `Tell` says."""
        people = await platform_people(self._db) if self._names else ()
        place = int.from_bytes(hashlib.sha256(f"{instance}\0{notice.key}".encode()).digest()[:8], "big") >> 1
        entries = [self._entry(one.id, name, place, notice) for one in people for name in self._names]

        async def verb(tx: Transaction) -> None:
            for entry in entries:
                await self._outbox.put(tx, entry)

        if entries:
            await self._db.write(verb)
        return len(people)

    def _entry(self, account_id: str, notifier: str, place: int, notice: PlatformNotice) -> Entry:
        entry_id, now_us = new_id(), self._clock.now_us()
        said = Notification(
            message_id(entry_id), notice.event, "", now_us, notice.title, notice.lines,
            f"{self._base_url}{notice.path}", {},
        )  # fmt: skip
        return Entry(
            entry_id, SYSTEM, account_id, is_member=True, notifier=notifier, place=place, event=notice.event,
            notification=said, state="waiting", attempts=0, next_us=now_us, created_us=now_us,
        )  # fmt: skip
