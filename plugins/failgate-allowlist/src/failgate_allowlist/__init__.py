"""Exact commands that pass, or never pass, without a person: the plugin value. The rules are `allowlist.py`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.resources import files

from failgate.plugin import Host, NoSettings, Plugin, Provides
from failgate_allowlist.allowlist import Allowlist

__all__ = ["Allowlist", "plugin"]


@asynccontextmanager
async def open_allowlist(_config: NoSettings, host: Host) -> AsyncGenerator[Provides]:
    """Open the rules; they are in effect until the context is left."""
    async with host.open_database("allowlist", files("failgate_allowlist") / "migrations") as database:
        allowlist = await Allowlist.opened(database, host.clock, host.log)
        try:
            yield Provides(approval_policy=allowlist, rulebook=allowlist, health=allowlist.health)
        finally:
            await allowlist.close()


plugin = Plugin(name="allowlist", config=NoSettings, open=open_allowlist)
