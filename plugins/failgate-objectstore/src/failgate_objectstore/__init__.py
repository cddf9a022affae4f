"""Artifacts and the audit log in an object store: the plugin value.

Settings are `settings.py`, the store of artifacts is `bucket.py`, the exporter `locked.py`.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from failgate.plugin import Host, Plugin, Provides
from failgate_objectstore.locked import LockedObjects
from failgate_objectstore.settings import ObjectStoreSettings

__all__ = ["ObjectStoreSettings", "open_objectstore", "plugin"]


@asynccontextmanager
async def open_objectstore(config: ObjectStoreSettings, host: Host) -> AsyncGenerator[Provides, None]:
    """Open the bucket; it works until the context is left."""
    from failgate_objectstore.opening import opened_store  # obstore is imported by whom it is enabled for alone

    async with opened_store(config, host) as store:
        exporter = LockedObjects(config, host) if config.lock is not None else None
        yield Provides(artifact_store=store, audit_exporter=exporter, health=store.health)


plugin = Plugin(name="objectstore", config=ObjectStoreSettings, open=open_objectstore)
