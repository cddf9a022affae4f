"""Opening a plugin in a test as the server opens it: its host, its settings, a command to judge."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger

from failgate.base.clock import Clock, FrozenClock
from failgate.config.errors import ConfigRefused
from failgate.config.settings import Reader
from failgate.config.source import parse_source
from failgate.plugin import Host, Letterbox, Outbound, PlatformNotice, PlatformPerson, Plugin, Provides
from failgate.wire.gate import Command

ConfigT = TypeVar("ConfigT", bound=msgspec.Struct)


def host_at(
    folder: Path,
    name: str = "tested",
    clock: Clock | None = None,
    *,
    allow_loopback: bool = False,
    letterbox: Letterbox | None = None,
    recorded: list[tuple[str, str, str | None]] | None = None,
    told: list[PlatformNotice] | None = None,
    people: Sequence[PlatformPerson] = (),
) -> Host:
    """Return a host for the instance `name` whose data lies under `folder`; its clock stands still unless given.

    With `allow_loopback` its way out goes to servers on this machine too, as with that setting of `[server]`. What it
    records is added to `recorded`: act, subject, state. `people` have the platform role, read each time they are asked.
    With `told` one person hears its notices, each key once.
    """

    async def record(act: str, subject: str, *, state: str | None = None, **_: object) -> None:
        if recorded is not None:
            recorded.append((act, subject, state))

    async def tell(notice: PlatformNotice) -> int:
        if told is None:
            return 0
        if notice.key not in [each.key for each in told]:
            told.append(notice)
        return 1

    async def platform_people() -> Sequence[PlatformPerson]:
        return tuple(people)

    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.ReturnLogger(), processors=[], wrapper_class=structlog.make_filtering_bound_logger("debug")
    )
    return Host(
        name=name,
        data_root=folder,
        clock=clock or FrozenClock(),
        log=log,
        outbound=Outbound(allow_loopback=allow_loopback),
        letterbox=letterbox,
        record=record,
        tell=tell,
        platform_people=platform_people,
    )


def settings_from(plugin: Plugin[ConfigT], toml: str, env: Mapping[str, str] | None = None) -> ConfigT:
    """Return the settings that the lines of `toml` say for `plugin`, read as the server reads them.

    Raises: ConfigRefused listing every mistake.
    """
    tables, source = parse_source(toml, f"{plugin.name}.toml", Path.cwd(), env or {})
    reader = Reader(source)
    settings = reader.read(plugin.config, tables, (), plugin.name)
    if settings is None:
        raise ConfigRefused(reader.mistakes)
    return settings


@asynccontextmanager
async def opened(plugin: Plugin[ConfigT], settings: ConfigT, host: Host) -> AsyncIterator[Provides]:
    """Open `plugin` with `settings` and give what it provides; closed on leaving."""
    async with plugin.open(settings, host) as provides:
        assert isinstance(provides, Provides), "open() must yield Provides(...)"
        yield provides


def command(*argv: str, **changes: Any) -> Command:
    """Return a plain command that runs `argv` (default `pytest -q`); `changes` replace other members."""
    plain = Command(v=1, argv=list(argv or ("pytest", "-q")), cwd="/srv/app", env={}, host="build-1", nonce="bm9uY2U")
    return msgspec.structs.replace(plain, **changes)
