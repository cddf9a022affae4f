"""The audit log into a topic of Kafka: the plugin value. What is said to the brokers is `topic.py`."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final, Literal

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
    Size,
    StartRefused,
    check_together,
)

__all__ = ["KafkaSettings", "plugin"]

_SERVER: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]{1,253}):([0-9]{1,5})", re.ASCII)
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}", re.ASCII)


def _check_server(text: str) -> None:
    found = _SERVER.fullmatch(text)
    if found is None or not 0 < int(found[1]) < 65536:
        raise ValueError('no broker: say "kafka-1.acme.example:9093"')


def _check_topic(text: str) -> None:
    if _TOPIC.fullmatch(text) is None or text in {".", ".."}:
        raise ValueError("no topic: letters, digits, dot, hyphen and underscore")


class KafkaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which brokers, which topic, as whom.

    `ca_file` holds the authorities of the brokers' certificates (None: those of this machine), `certificate` and `key`
    are shown to them. `largest` is what a message may have, as the topic's `max.message.bytes` says.
    """

    servers: tuple[Annotated[str, Fits(_check_server)], ...]
    topic: Annotated[str, Fits(_check_topic)]
    user: str | None = None
    password: Secret | None = None
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    tls: bool = True
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    largest: Annotated[Size, Between("1KiB", "64MiB")] = Size("1MiB")
    format: RecordFormat = "json"
    timeout: Annotated[Duration, Between("1s", "50s")] = Duration("20s")

    def __post_init__(self) -> None:
        """Refuse halves of pairs. Raises: SettingRefused."""
        if not self.servers:
            raise SettingRefused("servers", 'name at least one: ["kafka-1.acme.example:9093"]')
        check_together(self, "user", "password")
        check_together(self, "certificate", "key")


@asynccontextmanager
async def open_kafka(config: KafkaSettings, host: Host) -> AsyncIterator[Provides]:
    """Read the files of TLS; the brokers are asked when the first batch comes."""
    from failgate_kafka.topic import Topic  # aiokafka is imported by whom it is enabled for alone

    if not config.tls and not host.outbound.allows_loopback:
        raise StartRefused(
            f"{host.name} would speak to Kafka without TLS.",
            hint="Leave tls = true; false is for tests, with [server] allow_loopback = true.",
        )
    topic = Topic(config)
    topic.prepare()
    try:
        yield Provides(audit_exporter=topic, health=topic.health)
    finally:
        await topic.close()


plugin = Plugin(name="kafka", config=KafkaSettings, open=open_kafka)
