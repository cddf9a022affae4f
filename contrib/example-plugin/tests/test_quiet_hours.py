"""The example policy against the contract of policies, over midnight and through a change of the clocks."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from failgate_quiet_hours import QuietHours, plugin

from failgate.plugin import ApprovalPolicy, CommandContext
from failgate.testing import PolicyContract, command, host_at, opened, settings_from

NIGHT = 'start = "22:00"\nend = "06:30"\ntimezone = "Europe/Berlin"\n'


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


class TestAskingAtAllHours(PolicyContract):
    @pytest.fixture
    async def policy(self, tmp_path: Path):
        settings = settings_from(plugin, 'start = "00:00"\nend = "23:59"\nreviewers = 3')
        async with opened(plugin, settings, host_at(tmp_path)) as provides:
            assert provides.approval_policy is not None
            yield provides.approval_policy


class TestDenyingAtNight(PolicyContract):
    @pytest.fixture
    def policy(self) -> ApprovalPolicy:
        return settings_from(plugin, NIGHT)


@pytest.mark.parametrize(
    ("moment", "is_quiet"),
    [
        ("2024-01-15T20:59:59", False),  # 21:59:59 in Berlin
        ("2024-01-15T21:00:00", True),
        ("2024-01-16T05:29:59", True),
        ("2024-01-16T05:30:00", False),
        ("2024-07-15T20:00:00", True),  # summer time: 22:00 in Berlin
        ("2024-07-16T04:30:00", False),
        ("2024-03-31T01:30:00", True),  # the hour that the clocks leave out
    ],
)
def test_the_window_is_of_the_local_clock_and_reaches_over_midnight(moment: str, is_quiet: bool) -> None:
    assert settings_from(plugin, NIGHT).is_quiet(us(moment)) is is_quiet


@pytest.mark.parametrize(
    ("reviewers", "at", "says", "need"),
    [
        (0, "2024-01-15T23:00:00", "deny", 0),
        (2, "2024-01-15T23:00:00", "ask", 2),
        (2, "2024-01-15T12:00:00", "abstain", 0),
    ],
)
async def test_it_denies_or_asks_at_night_and_abstains_by_day(reviewers: int, at: str, says: str, need: int) -> None:
    policy = QuietHours(start="22:00", end="06:30", reviewers=reviewers)
    finding = await policy.judge(command(), CommandContext("w", None, None, us(at)))
    assert (finding.says, finding.need) == (says, need)


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('start = "25:00"\nend = "06:30"', 'start: takes a time of the day: say "22:00"'),
        ('start = "22:00"\nend = "22:00"', "end: is the same as start"),
        ('start = "22:00"', "end: this setting is needed"),
        (NIGHT + "reviewers = 101", "reviewers: must be at most 100"),
        ('start = "22:00"\nend = "06:30"\ntimezone = "Mars/Base"', "timezone: takes a time zone of the IANA list"),
        ('start = "22:00"\nend = "06:30"\ntimezone = "../../etc/passwd"', "timezone: takes a time zone"),
        (NIGHT + "reviwers = 3", 'did you mean "reviewers"? quiet-hours takes: end, reviewers, start, timezone'),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_its_mend(toml: str, says: str) -> None:
    with pytest.raises(Exception) as refusal:
        settings_from(plugin, toml)
    assert says in str(refusal.value)
