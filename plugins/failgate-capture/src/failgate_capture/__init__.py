"""The report format of our own captures: `manifest.json`, version 1. The plugin value; reading is `capture.py`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from failgate.plugin import Host, NoSettings, Plugin, Provides
from failgate_capture.capture import CaptureFormat

__all__ = ["CaptureFormat", "plugin"]


@asynccontextmanager
async def open_capture(config: NoSettings, host: Host) -> AsyncGenerator[Provides, None]:  # noqa: ARG001  # a plugin's fixed signature
    """Give the format; nothing is opened."""
    yield Provides(report_formats=(CaptureFormat(),))


plugin = Plugin(name="capture", config=NoSettings, open=open_capture)
