"""What the page of observing shows, and what every page says while something is only observed. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from failgate.base.clock import to_rfc3339
from failgate.base.errors import BadInput
from failgate.gate.command import stored_command
from failgate.gate.observed import Count, Observed
from failgate.gate.observing import Period
from failgate.matching.rendering import render
from failgate.web.pages.text import Moment, moment
from failgate.web.pages.token_view import Text, preview
from failgate.wire.observing import Observation

DAYS: Final = (1, 3, 7, 14, 30, 60, 90)


@dataclass(frozen=True, slots=True)
class PeriodLine:
    """A time of observing; `ended` is when it was, or will be, over; `whose` whom it is of."""

    id: str
    whose: str
    denials: bool
    begun: Moment
    ended: Moment
    by: str
    ended_by: str
    reason: str
    is_running: bool
    is_shown: bool


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The same command, so many times."""

    id: str
    preview: tuple[tuple[Text, ...], ...]
    number: int
    is_denial: bool


@dataclass(frozen=True, slots=True)
class ReportView:
    """What a time shows. Shares are whole percents of everything that was asked for."""

    total: int
    passed: int
    denied: int
    asked: int
    would_wait: int
    would_be_denied: int
    percent: int
    by_agent: tuple[Count, ...]
    by_program: tuple[Count, ...]
    commands: tuple[CommandLine, ...]


@dataclass(frozen=True, slots=True)
class ObservingView:
    """The page: what runs, what it shows, the form for owners."""

    here: str
    slug: str
    is_allowed: bool
    may_change: bool
    may_make_rules: bool
    periods: tuple[PeriodLine, ...]
    report: ReportView | None
    agents: tuple[tuple[str, str], ...]
    typed: Mapping[str, str]
    error: str | None = None
    days: tuple[int, ...] = DAYS

    @property
    def running(self) -> tuple[PeriodLine, ...]:
        """Return what is in effect now."""
        return tuple(one for one in self.periods if one.is_running)


def line_of(
    period: Period, now_us: int, *, agents: Mapping[str, str], emails: Mapping[str, str], is_running: bool, shown: str
) -> PeriodLine:
    """Return `period` for the list; `agents` are names and `emails` addresses by id, `shown` the id of the report's."""
    return PeriodLine(
        period.id,
        agents.get(period.agent_id, f"agent {period.agent_id}") if period.agent_id else "every agent and person",
        period.denials,
        moment(period.begun_us, now_us),
        moment(period.expires_us if period.ended_us is None else period.ended_us, now_us),
        emails.get(period.begun_by, "somebody who left"),
        emails.get(period.ended_by, "somebody who left") if period.ended_by else "",
        period.reason or "",
        is_running,
        period.id == shown,
    )


def report_view(found: Observed) -> ReportView:
    """Return what a time shows."""
    return ReportView(
        found.total,
        found.passed,
        found.denied,
        found.asked,
        found.would_wait,
        found.would_be_denied,
        100 * found.answered // max(1, found.total),
        found.by_agent,
        found.by_program,
        tuple(
            CommandLine(
                one.stored.id,
                preview(render(stored_command(one.stored.body).argv)),
                one.number,
                one.stored.observed == "deny",
            )
            for one in found.commands
        ),
    )


def banners_of(running: Sequence[Period], agents: Mapping[str, str]) -> tuple[str, ...]:
    """Return what every page of the workspace says while something is only observed."""
    said: list[str] = []
    for one in running:
        until = f"until {to_rfc3339(one.expires_us)[:16].replace('T', ' ')} UTC"
        whose = f"what {agents.get(one.agent_id, 'one agent')} asks" if one.agent_id else "what is asked"
        runs = "runs at once, also what is refused" if one.denials else "runs at once, unless it is refused"
        said.append(f"{whose} {runs}; nobody approves it, {until}.")
    return tuple(said)


def met(observed: Observation) -> str:
    """Return what a command that was only observed would have met."""
    if observed.would == "deny":
        return f"would have been denied by {', '.join(observed.by) or 'the gate'}"
    return f"would have waited for {observed.waiting_for or 'a reviewer'}"


def days_of(typed: Mapping[str, str]) -> int:
    """Return for how many days the form wishes to observe. Raises: BadInput."""
    text = typed.get("days", "")
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise BadInput("The form does not say for how many days.", hint="Use the fields of the page.")
    return int(text)
