"""What the workspace uses: stored now, its quotas, a chart of its days."""

from dataclasses import dataclass
from typing import Final

from failgate.web.context import services_of, visit_of
from failgate.web.pages.queue_view import Bar, Spark
from failgate.web.pages.showing import Asking, Page, show
from failgate.web.pages.text import size
from failgate.workspaces.usage import DAY_SECONDS, Used

SHOWN: Final = 24  # bars of a chart
NAMES: Final = {
    "storage_bytes": "Stored bytes", "reports_per_day": "Reports today", "commands_per_day": "Commands today",
    "recording_seconds_per_day": "Recorded today", "seats": "Seats",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class QuotaLine:
    """A quota in words; `share` is 0 to 100, None without a limit."""

    name: str
    used: str
    limit: str
    share: int | None


@dataclass(frozen=True, slots=True)
class Chart:
    """One thing by day."""

    name: str
    total: str
    spark: Spark


@dataclass(frozen=True, slots=True)
class UsagePage:
    """The page."""

    quotas: tuple[QuotaLine, ...]
    charts: tuple[Chart, ...]
    reports: int


async def page(request: Asking) -> Page:
    """Show what the workspace uses."""
    services = services_of(request)
    used = await services.usage.read(visit_of(request).here().id)
    today = services.clock.now_us() // 1_000_000 // DAY_SECONDS
    return await show(request, "usage.html", usage_view(used, today), title="Usage", room="settings")


def usage_view(used: Used, today: int) -> UsagePage:
    """Return the page for what was used up to the day `today` (days since 1970)."""
    quotas = tuple(
        QuotaLine(
            NAMES[one.name],
            _amount(one.name, one.used),
            _amount(one.name, one.limit) if one.limit is not None else "no limit",
            min(100, 100 * one.used // max(one.limit, 1)) if one.limit is not None else None,
        )
        for one in used.quotas
    )
    by_day = {day.day: day for day in used.days}
    days = [by_day.get(number) for number in range(today - SHOWN + 1, today + 1)]
    series = {
        "Reports": [day.reports if day else 0 for day in days],
        "Commands": [day.commands if day else 0 for day in days],
        "Stored": [day.bytes_added if day else 0 for day in days],
        "Recorded": [day.recording_ms // 1000 if day else 0 for day in days],
    }
    return UsagePage(quotas, tuple(_chart(name, numbers) for name, numbers in series.items()), used.reports)


def _chart(name: str, numbers: list[int]) -> Chart:
    most = max([*numbers, 1])
    said = [_amount(name, number) for number in numbers]
    bars = tuple(Bar(number / most, is_bad=False, label=text) for number, text in zip(numbers, said, strict=True))
    total = _amount(name, sum(numbers))
    return Chart(name, total, Spark(bars, f"{name}: {total} in the last {SHOWN} days"))


def _amount(name: str, number: int) -> str:
    if name in {"storage_bytes", "Stored"}:
        return size(number)
    return f"{number:,} s" if name in {"recording_seconds_per_day", "Recorded"} else f"{number:,}"
