"""The audit log as OpenTelemetry logs: the plugin value. The messages are `logs.py`."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final

import msgspec

from failgate.plugin import (
    Between,
    Duration,
    Fits,
    Host,
    Plugin,
    Provides,
    RecordFormat,
    Secret,
    SettingRefused,
)

__all__ = ["OtlpSettings", "plugin"]

_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", re.ASCII)
_OURS: Final = frozenset({"content-type", "content-length", "content-encoding", "host", "connection"})


def _check_endpoint(url: str) -> None:
    if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:", "http://[::1]:")):
        raise ValueError('no collector: say "https://otel.acme.example:4318/v1/logs", the whole address')


class OtlpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which collector, with which headers of authorization.

    `endpoint` is the whole address, mostly with the path /v1/logs. `format` is what the body of a log record holds.
    """

    endpoint: Annotated[str, Fits(_check_endpoint)]
    headers: dict[str, Secret] = {}  # msgspec copies the empty default
    service: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] = "failgate"
    format: RecordFormat = "json"
    timeout: Annotated[Duration, Between("1s", "50s")] = Duration("20s")

    def __post_init__(self) -> None:
        """Refuse headers that are none, or ours. Raises: SettingRefused."""
        for name, value in self.headers.items():
            if _HEADER.fullmatch(name) is None or name.lower() in _OURS:
                raise SettingRefused("headers", f'"{name[:64]}" is no header of yours: say "Authorization"')
            if not value.reveal().isprintable() or not value.reveal().isascii():
                raise SettingRefused("headers", f'the value of "{name}" holds what no header can')


@asynccontextmanager
async def open_otlp(config: OtlpSettings, host: Host) -> AsyncIterator[Provides]:
    """Give the exporter; it keeps nothing open."""
    from failgate_otlp.logs import Collector  # protobuf is imported by whom it is enabled for alone

    yield Provides(audit_exporter=Collector(host.outbound, host.clock, config))


plugin = Plugin(name="otlp", config=OtlpSettings, open=open_otlp)
