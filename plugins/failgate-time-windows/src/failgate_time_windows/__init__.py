"""Outside of the hours that are named, more is asked for, or everything is refused."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from failgate.plugin import (
    Between,
    Challenge,
    Command,
    CommandContext,
    Finding,
    Host,
    Plugin,
    Provides,
    SettingRefused,
    Terms,
)

__all__ = ["Freeze", "TimeWindows", "TimeWindowsSettings", "Window", "plugin"]

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hours of the week, `08:00` up to but without `18:00`; with an end that is not later, up to that time next day."""

    days: tuple[Day, ...]
    begins: str = "00:00"
    ends: str = "24:00"

    def __post_init__(self) -> None:
        """Refuse what is no time of the day. Raises: SettingRefused."""
        if not self.days:
            raise SettingRefused("days", "name the days: mon tue wed thu fri sat sun")
        for key, text in (("begins", self.begins), ("ends", self.ends)):
            if not _CLOCK.fullmatch(text) or (key == "begins" and text == "24:00"):
                raise SettingRefused(key, "say a time of the day like 08:00")

    def has(self, local: datetime) -> bool:
        """Tell whether `local` lies in it; the clock on the wall counts, also when it is put forward or back."""
        clock, today = f"{local:%H:%M}", DAYS[local.weekday()]
        if self.begins < self.ends:
            return today in self.days and self.begins <= clock < self.ends
        yesterday = DAYS[local.weekday() - 1]
        return (today in self.days and clock >= self.begins) or (yesterday in self.days and clock < self.ends)


class Freeze(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days on which everything is outside, both ends included; `why` is shown."""

    first: date
    last: date
    why: str = "a freeze"

    def __post_init__(self) -> None:
        """Refuse days that run backwards. Raises: SettingRefused."""
        if self.last < self.first:
            raise SettingRefused("last", "the last day is not before the first")
        if not 1 <= len(self.why) <= 100 or not self.why.isprintable():
            raise SettingRefused("why", "say it in 1 to 100 characters that print")


class TimeWindowsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When, and what is outside of that: `ask` for `need` people by `challenge`, or `deny`."""

    windows: tuple[Window, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    timezone: str = "UTC"
    outside: Literal["ask", "deny"] = "ask"
    need: Annotated[int, Between(1, 20)] = 2
    challenge: Challenge = "click"

    def __post_init__(self) -> None:
        """Refuse a zone that is not known and times that are none. Raises: SettingRefused."""
        if not self.windows and not self.freezes:
            raise SettingRefused("windows", "name windows, freezes or both")
        try:
            ZoneInfo(self.timezone)
        except (OSError, ValueError, LookupError) as error:
            raise SettingRefused("timezone", "say a zone that this machine knows, like Europe/Berlin") from error


class TimeWindows:
    """The policy."""

    def __init__(self, settings: TimeWindowsSettings) -> None:
        """Judge by `settings`."""
        self._settings = settings
        self._zone = ZoneInfo(settings.timezone)
        self._snapshot: dict[str, object] = msgspec.to_builtins(settings)

    async def judge(self, command: Command, context: CommandContext) -> Finding:  # noqa: ARG002 - every command alike
        """Say whether now is inside."""
        settings, local = self._settings, self._local(context.now_us)
        freeze = next((each for each in settings.freezes if each.first <= local.date() <= each.last), None)
        if freeze is None and (not settings.windows or any(window.has(local) for window in settings.windows)):
            return Finding("abstain", "within the hours")
        why = f"{freeze.why} until {freeze.last}" if freeze else f"outside of the hours ({settings.timezone})"
        if settings.outside == "deny":
            return Finding("deny", why)
        return Finding("ask", why, need=settings.need, terms=Terms(challenge=settings.challenge))

    def snapshot(self, workspace_id: str) -> dict[str, object]:  # noqa: ARG002 - every workspace alike
        """Return the hours and what is outside of them."""
        return self._snapshot.copy()

    def _local(self, now_us: int) -> datetime:
        return (_EPOCH + timedelta(microseconds=now_us)).astimezone(self._zone)


@asynccontextmanager
async def open_time_windows(config: TimeWindowsSettings, _host: Host) -> AsyncGenerator[Provides]:
    """Open the policy."""
    yield Provides(approval_policy=TimeWindows(config))


plugin = Plugin(name="time-windows", config=TimeWindowsSettings, open=open_time_windows)
