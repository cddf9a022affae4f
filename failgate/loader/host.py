"""The host of each plugin instance: its folder, clock, log and database."""

from functools import partial
from importlib.resources.abc import Traversable
from pathlib import Path

from failgate.accounts.mail import Letterbox
from failgate.audit.log import AuditLog
from failgate.audit.record import SYSTEM, Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import Clock
from failgate.base.db import Database
from failgate.base.log import get_logger
from failgate.base.migrate import migrate
from failgate.base.open_database import open_database
from failgate.base.outbound import Outbound
from failgate.loader.keys import PluginKeys
from failgate.notify.platform import PlatformNotice, PlatformNotices
from failgate.plugin import Host, PlatformPeople, Record, nobody, open_passing_box, record_nowhere


class HostMaker:
    """Makes the host of each plugin instance."""

    def __init__(
        self,
        data_dir: Path,
        clock: Clock,
        outbound: Outbound,
        letterbox: Letterbox | None = None,
        audit: AuditLog | None = None,
        keys: PluginKeys | None = None,
        people: PlatformPeople = nobody,
    ) -> None:
        """Give each instance a place in `data_dir`, the time, the ways out, the log, its keys and who may be asked.

        Without `keys`, as where a config is only checked, a box is under a key that nobody keeps.
        """
        self._data_dir = data_dir
        self._clock = clock
        self._outbound = outbound
        self._letterbox = letterbox
        self._audit = audit
        self._keys = keys
        self._people = people
        self._notices: PlatformNotices | None = None

    def tell_by(self, notices: PlatformNotices) -> None:
        """Let plugins tell by `notices` from now on: the notifiers are opened after the first of them."""
        self._notices = notices

    def __call__(self, name: str) -> Host:
        """Return the host of the instance `name`."""
        return Host(
            name=name,
            data_root=self._data_dir,
            clock=self._clock,
            log=get_logger(f"failgate.plugin.{name}"),
            database_opener=self._open,
            outbound=self._outbound,
            letterbox=self._letterbox,
            box_opener=open_passing_box if self._keys is None else partial(self._keys.box_of, name),
            platform_people=self._people,
            record=record_nowhere if self._audit is None else _recording(self._audit, name),
            tell=partial(self._tell, name),
        )

    async def _tell(self, instance: str, notice: PlatformNotice) -> int:
        return 0 if self._notices is None else await self._notices.tell(instance, notice)

    async def _open(self, path: Path, migrations: Traversable | Path) -> Database:
        database = await open_database(f"sqlite://{path}")
        try:
            await migrate(database, migrations, self._clock)
        except BaseException:
            await database.close()
            raise
        return database


def _recording(audit: AuditLog, instance: str) -> Record:
    """Return what records the acts of `instance`."""

    async def record(act: str, subject: str, *, actor: Actor, state: str | None = None) -> None:
        data: dict[str, JSON] = {"act": act, "subject": subject, "state": state}
        await audit.record(Event(Act.PLUGIN_ACTED, SYSTEM, "plugin", instance, actor, data))

    return record
