"""Outside of the hours more is asked for, or nothing passes. B7."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from failgate_time_windows import TimeWindows, TimeWindowsSettings, Window, plugin

from failgate.plugin import CommandContext, SettingRefused
from failgate.testing import PolicyContract, command, host_at, opened, settings_from

TOML = """
timezone = "Europe/Berlin"
challenge = "factor"

[[windows]]
days = ["mon", "tue", "wed", "thu", "fri"]
begins = "08:00"
ends = "18:00"

[[windows]]
days = ["sat"]
begins = "22:00"
ends = "02:00"

[[freezes]]
first = 2026-12-21
last = 2027-01-03
why = "year end"
"""


def at(text, zone="Europe/Berlin"):
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
    return CommandContext("w", None, None, round(moment.timestamp() * 1_000_000))


class TestTimeWindowsContract(PolicyContract):
    @pytest.fixture
    def policy(self) -> TimeWindows:
        return TimeWindows(TimeWindowsSettings(windows=(Window(days=("mon",)),)))


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("2026-11-23T08:00", "abstain"), ("2026-11-23T07:59:59", "ask"), ("2026-11-23T17:59:59", "abstain"),
        ("2026-11-23T18:00", "ask"), ("2026-11-28T10:00", "ask"), ("2026-11-28T22:00", "abstain"),
        ("2026-11-29T01:59", "abstain"), ("2026-11-29T02:00", "ask"), ("2026-11-22T01:00", "abstain"),
        ("2026-12-21T10:00", "ask"), ("2027-01-03T23:59", "ask"), ("2027-01-04T10:00", "abstain"),
        ("2026-06-22T08:00", "abstain"),
    ],
)  # fmt: skip
async def test_the_clock_on_the_wall_counts(tmp_path, when, says):
    async with opened(plugin, settings_from(plugin, TOML), host_at(tmp_path)) as provides:
        finding = await provides.approval_policy.judge(command("ls"), at(when))
        assert finding.says == says, finding
        if says == "ask":
            assert (finding.need, finding.terms.challenge) == (2, "factor")


async def test_an_hour_that_comes_twice_is_inside_both_times():
    """2026-10-25 02:30 in Berlin is 00:30 and 01:30 in UTC."""
    policy = TimeWindows(
        TimeWindowsSettings(windows=(Window(days=("sun",), begins="02:00", ends="03:00"),), timezone="Europe/Berlin")
    )
    for hour, says in ((0, "abstain"), (1, "abstain"), (2, "ask")):
        now_us = round(datetime(2026, 10, 25, hour, 30, tzinfo=UTC).timestamp()) * 1_000_000
        assert (await policy.judge(command("ls"), CommandContext("w", None, None, now_us))).says == says


async def test_a_freeze_alone_refuses_where_it_is_told_to(tmp_path):
    toml = 'outside = "deny"\n[[freezes]]\nfirst = 2026-12-21\nlast = 2026-12-21\nwhy = "release"\n'
    async with opened(plugin, settings_from(plugin, toml), host_at(tmp_path)) as provides:
        finding = await provides.approval_policy.judge(command("ls"), at("2026-12-21T12:00", "UTC"))
        assert (finding.says, finding.reason) == ("deny", "release until 2026-12-21")
        assert (await provides.approval_policy.judge(command("ls"), at("2026-12-22T00:00", "UTC"))).says == "abstain"
        assert list(provides.approval_policy.snapshot("w")["freezes"]) == [
            {"first": "2026-12-21", "last": "2026-12-21", "why": "release"}
        ]


@pytest.mark.parametrize(
    "members",
    [
        {}, {"windows": (Window(days=("mon",)),), "timezone": "Mars/Base"},
        {"windows": (Window(days=("mon",)),), "timezone": "../etc"},
    ],
)  # fmt: skip
def test_settings_that_are_none_are_refused(members):
    with pytest.raises(SettingRefused):
        TimeWindowsSettings(**members)


@pytest.mark.parametrize("members", [{"days": ()}, {"days": ("mon",), "begins": "8:00"}, {"days": ("mon",), "begins": "24:00"}, {"days": ("mon",), "ends": "25:00"}])  # fmt: skip
def test_a_window_without_days_or_times_is_refused(members):
    with pytest.raises(SettingRefused):
        Window(**members)
