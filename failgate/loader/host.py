"""The host of each plugin instance: its folder, clock, log and database."""

from importlib.resources.abc import Traversable
from pathlib import Path

from failgate.accounts.mail import Letterbox
from failgate.base.clock import Clock
from failgate.base.db import Database
from failgate.base.log import get_logger
from failgate.base.migrate import migrate
from failgate.base.open_database import open_database
from failgate.base.outbound import Outbound
from failgate.plugin import Host


class HostMaker:
    """Makes the host of each plugin instance."""

    def __init__(self, data_dir: Path, clock: Clock, outbound: Outbound, letterbox: Letterbox | None = None) -> None:
        """Give each instance a place in `data_dir`, the time and the ways out."""
        self._data_dir = data_dir
        self._clock = clock
        self._outbound = outbound
        self._letterbox = letterbox

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
        )

    async def _open(self, path: Path, migrations: Traversable | Path) -> Database:
        database = await open_database(f"sqlite://{path}")
        try:
            await migrate(database, migrations, self._clock)
        except BaseException:
            await database.close()
            raise
        return database
