"""The report format of JUnit XML: the plugin value. The reading is `document.py`, over the events of `cases.py`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from failgate.plugin import Host, NoSettings, Plugin, Provides
from failgate_junit.document import JunitFormat

__all__ = ["JunitFormat", "plugin"]


@asynccontextmanager
async def open_junit(config: NoSettings, host: Host) -> AsyncGenerator[Provides, None]:  # noqa: ARG001  # a plugin's fixed signature
    """Give the format; nothing is opened."""
    yield Provides(report_formats=(JunitFormat(),))


plugin = Plugin(name="junit", config=NoSettings, open=open_junit)
