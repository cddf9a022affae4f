"""Artifacts as files in one folder: the plugin value. The store itself is `folder.py`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from failgate.plugin import Host, Plugin, Provides, SettingRefused, Size
from failgate_filesystem.folder import FolderStore

__all__ = ["FilesystemSettings", "FolderStore", "plugin"]


class FilesystemSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the objects lie (absolute; None: inside the plugin's own data folder) and how much space stays free."""

    folder: str | None = None
    reserve: Size = Size("64MiB")

    def __post_init__(self) -> None:
        """Refuse a folder that would depend on where the server is started.

        Raises: SettingRefused.
        """
        if self.folder is not None and not Path(self.folder).is_absolute():
            raise SettingRefused("folder", "say the whole path, beginning with /")


@asynccontextmanager
async def open_filesystem(config: FilesystemSettings, host: Host) -> AsyncGenerator[Provides, None]:
    """Open the folder; it works until the context is left."""
    folder = Path(config.folder) if config.folder else host.data_dir / "objects"
    store = await FolderStore.opened(folder, reserve_bytes=config.reserve.bytes)
    yield Provides(artifact_store=store, health=store.health)


plugin = Plugin(name="filesystem", config=FilesystemSettings, open=open_filesystem)
