"""The audit log as JSON lines: the plugin value. The file itself is `lines.py`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import msgspec

from failgate.plugin import Between, Duration, Host, Plugin, Provides, Size
from failgate_jsonl.lines import LinesFile
from failgate_jsonl.rotation import Rotation

__all__ = ["JsonlSettings", "LinesFile", "plugin"]


class JsonlSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which file, and when it is moved away.

    `path` is relative to the config file's folder; None: `audit.jsonl` in the plugin's own data folder. It is moved
    away when it has `rotate`, or when its first record is as old as `rotate_after`; None: not by this server.
    """

    path: Path | None = None
    rotate: Annotated[Size, Between("1MiB", "1TiB")] | None = None
    rotate_after: Annotated[Duration, Between("1m", "366d")] | None = None


def _rotation_of(config: JsonlSettings, host: Host) -> Rotation | None:
    if config.rotate is None and config.rotate_after is None:
        return None
    size = config.rotate.bytes if config.rotate is not None else None
    return Rotation(host.clock, size_bytes=size, age_us=config.rotate_after.us if config.rotate_after else None)


@asynccontextmanager
async def open_jsonl(config: JsonlSettings, host: Host) -> AsyncIterator[Provides]:
    """Open the file; it is written until the context is left."""
    lines = LinesFile(config.path or host.data_dir / "audit.jsonl", _rotation_of(config, host))
    await lines.prepare()
    try:
        yield Provides(audit_exporter=lines, health=lines.health)
    finally:
        await lines.close()


plugin = Plugin(name="jsonl", config=JsonlSettings, open=open_jsonl)
