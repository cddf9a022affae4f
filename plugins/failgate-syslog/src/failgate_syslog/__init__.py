"""The audit log to a syslog server on another machine, over TLS: the plugin value. Frames and wire are `sending.py`."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final

import msgspec

from failgate.plugin import Between, Duration, Fits, Host, Plugin, Provides, RecordFormat, check_together
from failgate_syslog.message import HOST_NAME, message_of
from failgate_syslog.sending import SyslogServer

__all__ = ["SyslogServer", "SyslogSettings", "message_of", "plugin"]

PORT: Final = 6514  # RFC 5425 section 4.1
_SERVER: Final = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9.-]{1,253}))(?::(?P<port>[0-9]{1,5}))?", re.ASCII
)


def _check_server(text: str) -> None:
    _split(text)


def _check_hostname(text: str) -> None:
    if HOST_NAME.fullmatch(text) is None:
        raise ValueError('no host name of syslog: say "gate.acme.example"')


class SyslogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which server, whom it is trusted by, and as whom Failgate speaks there.

    `ca_file` holds the authorities of the server's certificate (None: those of this machine); `certificate` and `key`
    are shown to a server that asks who sends. `hostname` stands in each message; None: the server's own name. `format`
    is how a record is written.
    """

    server: Annotated[str, Fits(_check_server)]
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    hostname: Annotated[str, Fits(_check_hostname)] | None = None
    format: RecordFormat = "json"
    timeout: Annotated[Duration, Between("1s", "60s")] = Duration("10s")

    def __post_init__(self) -> None:
        """Refuse half of a pair. Raises: SettingRefused."""
        check_together(self, "certificate", "key")

    @property
    def address(self) -> tuple[str, int]:
        """Return host and port."""
        return _split(self.server)


def _split(text: str) -> tuple[str, int]:
    found = _SERVER.fullmatch(text)
    port = int(found["port"] or PORT) if found is not None else 0
    if found is None or not 0 < port < 65536:
        raise ValueError('no syslog server: say "logs.acme.example:6514"')
    return found["v6"] or found["name"], port


@asynccontextmanager
async def open_syslog(config: SyslogSettings, _host: Host) -> AsyncIterator[Provides]:
    """Read the files of TLS; the server is asked when the first batch comes, and again for each."""
    server = SyslogServer(
        config.address,
        ca_file=config.ca_file,
        certificate=config.certificate,
        key=config.key,
        hostname=config.hostname,
        timeout_seconds=config.timeout.seconds,
        as_format=config.format,
    )
    server.prepare()
    yield Provides(audit_exporter=server, health=server.health)


plugin = Plugin(name="syslog", config=SyslogSettings, open=open_syslog)
