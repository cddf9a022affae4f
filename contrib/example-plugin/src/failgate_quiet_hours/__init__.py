"""More people, or nobody at all, may approve while the team sleeps."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec

from failgate.plugin import Between, Command, CommandContext, Finding, Fits, Host, Plugin, Provides, SettingRefused

__all__ = ["QuietHours", "plugin"]


def read_time(text: str) -> time:
    """Return `HH:MM` as a time of the day.

    Raises: ValueError saying what is accepted.
    """
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007  # a time of the day has no date
    except ValueError:
        raise ValueError('takes a time of the day: say "22:00"') from None


def read_timezone(name: str) -> ZoneInfo:
    """Return the time zone `name`.

    Raises: ValueError saying what is accepted.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError('takes a time zone of the IANA list: say "Europe/Berlin" or "UTC"') from None


class QuietHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings, and the policy itself: it keeps nothing else.

    Quiet is from `start` (included) to `end` (excluded) in `timezone`, over midnight when `end` is the earlier one.
    `reviewers` people must approve then; with 0 everything is denied.
    """

    start: Annotated[str, Fits(read_time)]
    end: Annotated[str, Fits(read_time)]
    timezone: Annotated[str, Fits(read_timezone)] = "UTC"
    reviewers: Annotated[int, Between(0, 100)] = 0

    def __post_init__(self) -> None:
        """Refuse hours that are none.

        Raises: SettingRefused.
        """
        if read_time(self.start) == read_time(self.end):
            raise SettingRefused("end", "is the same as start: leave this policy out, or name two times")

    async def judge(self, command: Command, context: CommandContext) -> Finding:  # noqa: ARG002  # the hour alone decides
        """Ask for `reviewers` people, or deny, in the quiet hours; abstain outside of them."""
        if not self.is_quiet(context.now_us):
            return Finding("abstain", f"outside of the quiet hours {self._hours}")
        if self.reviewers == 0:
            return Finding("deny", f"quiet hours {self._hours}: nothing runs")
        return Finding("ask", f"quiet hours {self._hours}", need=self.reviewers)

    def snapshot(self, workspace_id: str) -> dict[str, object]:  # noqa: ARG002  # the same in every workspace
        """Return the settings."""
        return {"start": self.start, "end": self.end, "timezone": self.timezone, "reviewers": self.reviewers}

    def is_quiet(self, now_us: int) -> bool:
        """Tell whether `now_us` (microseconds since 1970 UTC) lies in the quiet hours."""
        moment = datetime.fromtimestamp(now_us // 1_000_000, UTC).astimezone(ZoneInfo(self.timezone)).time()
        start, end = read_time(self.start), read_time(self.end)
        if start < end:
            return start <= moment < end
        return moment >= start or moment < end

    @property
    def _hours(self) -> str:
        return f"{self.start} to {self.end} {self.timezone}"


@asynccontextmanager
async def open_quiet_hours(config: QuietHours, host: Host) -> AsyncIterator[Provides]:
    """Open the policy. There is nothing to close."""
    host.log.debug("policy.opened", start=config.start, end=config.end, timezone=config.timezone)
    yield Provides(approval_policy=config)


plugin = Plugin(name="quiet-hours", config=QuietHours, open=open_quiet_hours)
