"""The report format of SARIF 2.1.0: the plugin value. `document.py` reads a log, `run.py` finds what its parts mean."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from failgate.plugin import Host, NoSettings, Plugin, Provides
from failgate_sarif.document import SarifFormat

__all__ = ["SarifFormat", "plugin"]


@asynccontextmanager
async def open_sarif(config: NoSettings, host: Host) -> AsyncGenerator[Provides, None]:  # noqa: ARG001  # a plugin's fixed signature
    """Give the format; nothing is opened."""
    yield Provides(report_formats=(SarifFormat(),))


plugin = Plugin(name="sarif", config=NoSettings, open=open_sarif)
