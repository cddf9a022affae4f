"""The audit log as JSON lines: the plugin value. The file itself is `lines.py`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from failgate.plugin import Host, Plugin, Provides
from failgate_jsonl.lines import LinesFile

__all__ = ["JsonlSettings", "LinesFile", "plugin"]


class JsonlSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which file; relative to the config file's folder. None: `audit.jsonl` in the plugin's own data folder."""

    path: Path | None = None


@asynccontextmanager
async def open_jsonl(config: JsonlSettings, host: Host) -> AsyncIterator[Provides]:
    """Open the file; it is written until the context is left."""
    lines = LinesFile(config.path or host.data_dir / "audit.jsonl")
    await lines.prepare()
    try:
        yield Provides(audit_exporter=lines, health=lines.health)
    finally:
        await lines.close()


plugin = Plugin(name="jsonl", config=JsonlSettings, open=open_jsonl)
