"""The audit log into a stream of NATS JetStream: the plugin value. What is said to the server is `stream.py`."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

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
    StartRefused,
    check_together,
)

__all__ = ["NatsSettings", "plugin"]

_SUBJECT: Final = re.compile(r"[A-Za-z0-9_-]{1,64}(?:\.[A-Za-z0-9_-]{1,64}){0,7}", re.ASCII)
_STREAM: Final = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)


def _check_server(url: str) -> None:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    is_bare = not (parts.username or parts.password or parts.path or parts.query or parts.fragment)
    if parts.scheme not in {"tls", "nats"} or not parts.hostname or port == 0 or not is_bare:
        raise ValueError('no NATS server: say "tls://nats.acme.example:4222"; credentials have settings of their own')


def _check_subject(subject: str) -> None:
    if _SUBJECT.fullmatch(subject) is None:
        raise ValueError('no subject: say "failgate.audit", words with a dot between them')


def _check_stream(stream: str) -> None:
    if _STREAM.fullmatch(stream) is None:
        raise ValueError("no name of a stream: letters, digits, hyphens and underscores")


class NatsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which servers, under which subject, as whom.

    A record goes to `subject` and the log's name after a dot; `stream` is the one that has to take it. `ca_file` holds
    the authorities of the servers' certificates (None: those of this machine), `certificate` and `key` are shown to
    them. Credentials are `user` and `password`, or `token`, or the file `credentials` of NATS's own tools.
    """

    servers: Annotated[tuple[Annotated[str, Fits(_check_server)], ...], msgspec.Meta(min_length=1, max_length=16)]
    subject: Annotated[str, Fits(_check_subject)] = "failgate.audit"
    stream: Annotated[str, Fits(_check_stream)] | None = None
    user: str | None = None
    password: Secret | None = None
    token: Secret | None = None
    credentials: Path | None = None
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    format: RecordFormat = "json"
    timeout: Annotated[Duration, Between("1s", "30s")] = Duration("5s")

    def __post_init__(self) -> None:
        """Refuse halves of pairs, and more than one kind of credentials. Raises: SettingRefused."""
        if not self.servers:
            raise SettingRefused("servers", 'name at least one: ["tls://nats.acme.example:4222"]')
        check_together(self, "user", "password")
        check_together(self, "certificate", "key")
        if sum(each is not None for each in (self.user, self.token, self.credentials)) > 1:
            raise SettingRefused("token", "user and password, token, or credentials: one of them")


@asynccontextmanager
async def open_nats(config: NatsSettings, host: Host) -> AsyncIterator[Provides]:
    """Read the files of TLS; the servers are asked when the first batch comes."""
    from failgate_nats.stream import Stream  # nats is imported by whom it is enabled for alone

    if any(url.startswith("nats:") for url in config.servers) and not host.outbound.allows_loopback:
        raise StartRefused(
            f"{host.name} would speak to NATS without TLS.",
            hint='Say "tls://…"; plain "nats://" is for tests, with [server] allow_loopback = true.',
        )
    stream = Stream(config)
    stream.prepare()
    try:
        yield Provides(audit_exporter=stream, health=stream.health)
    finally:
        await stream.close()


plugin = Plugin(name="nats", config=NatsSettings, open=open_nats)
