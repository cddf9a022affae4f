"""The report format of Sentry SDKs: the plugin value. `envelope.py` takes envelopes apart, `events.py` reads events."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from failgate.plugin import Host, NoSettings, Plugin, Provides
from failgate_sentry.events import SentryFormat

__all__ = ["SentryFormat", "plugin"]


@asynccontextmanager
async def open_sentry(config: NoSettings, host: Host) -> AsyncGenerator[Provides, None]:  # noqa: ARG001  # a plugin's fixed signature
    """Give the format; nothing is opened."""
    yield Provides(report_formats=(SentryFormat(),))


plugin = Plugin(name="sentry", config=NoSettings, open=open_sentry)
