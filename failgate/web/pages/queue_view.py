"""The queue as its page shows it: who waits, how fast it is decided, and the story of one request. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from failgate.gate.ladder import Taken
from failgate.web.pages.absences_view import AwayLine
from failgate.web.pages.command_view import CommandDetail, RequestRow, Standing, detail_of, row_of
from failgate.web.pages.glass_view import REVIEWS, GlassLine
from failgate.web.pages.history_view import Beside
from failgate.web.pages.mutes_view import MuteLine
from failgate.web.pages.observing_view import met
from failgate.web.pages.text import MICROSECONDS, Moment, duration, microseconds, moment, moment_of, span
from failgate.wire.gate import CommandView

STATES: Final = ("pending", "approved", "executed", "denied", "expired", "cancelled", "quarantined")
RECENT: Final = 8  # decided requests below those that wait
BARS: Final = 24
LISTED: Final = 200  # rows of what waits


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart; `share` of its height between 0 and 1."""

    share: float
    is_bad: bool
    label: str


@dataclass(frozen=True, slots=True)
class Spark:
    """A small chart and what it says in words."""

    bars: tuple[Bar, ...]
    label: str


@dataclass(frozen=True, slots=True)
class Pulse:
    """How fast people answered lately: the median, how many, and one bar for each answer, oldest first."""

    decided: int
    median: str
    spark: Spark


@dataclass(frozen=True, slots=True)
class QueueView:
    """The queue. `pane` is what a phone shows: `list`, or `detail` when a request was chosen.

    `count` requests wait; `unlisted` of them are left out of `waiting`, besides those that are folded. `owed` is broken
    glass that waits for its review, `muted` what is denied at once.
    """

    pane: str
    now_iso: str
    waiting: tuple[RequestRow, ...]
    count: int
    unlisted: int
    oldest: str
    recent: tuple[RequestRow, ...]
    pulse: Pulse
    selected: CommandDetail | None
    server_url: str
    owed: tuple[GlassLine, ...] = ()
    away: tuple[AwayLine, ...] = ()
    muted: tuple[MuteLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """One filter that can be chosen."""

    label: str
    href: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class CommandsView:
    """A page of the history."""

    choices: tuple[Choice, ...]
    rows: tuple[RequestRow, ...]
    next_href: str | None
    empty: str
    may_ask: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a request's story; `kind` chooses the colour of its point."""

    headline: str
    detail: str
    at: Moment
    kind: str


@dataclass(frozen=True, slots=True)
class CommandPageView:
    """One request with its story."""

    now_iso: str
    command: CommandDetail
    timeline: tuple[Step, ...]
    may_read_audit: bool
    audit_label: str = "Its records in the audit log"


def queue_view(
    waiting: Sequence[CommandView],
    decided: Sequence[CommandView],
    selected: CommandView | None,
    *,
    now_us: int,
    standing: Standing,
    viewer: str | None,
    is_chosen: bool,
    is_full: bool,
    report_id: str | None,
    server_url: str,
    beside: Beside | None = None,
    alike: Mapping[str, str] | None = None,
    owed: tuple[GlassLine, ...] = (),
    away: Sequence[AwayLine] = (),
    muted: tuple[MuteLine, ...] = (),
) -> QueueView:
    """Return the queue, as `in_turn` orders it; without a chosen request the first is shown.

    `alike` tells by their ids which requests are folded.
    """
    turns = in_turn(waiting, alike or {})
    rows = [replace(row_of(command, now_us, viewer), same=same) for command, same in turns[:LISTED]]
    shown = selected or (turns[0][0] if turns else None)
    oldest = min((microseconds(command.created_at) for command in waiting), default=now_us)
    detail = None
    if shown is not None:
        detail = detail_of(
            shown, now_us, standing=standing, viewer=viewer, is_full=is_full, report_id=report_id, beside=beside
        )
        same = _same_as(shown, alike or {})
        detail = replace(detail, same=same, version=f"{detail.version}-{same}")
    return QueueView(
        pane="detail" if is_chosen and shown else "list",
        now_iso=moment(now_us, now_us).iso,
        waiting=tuple(rows),
        count=len(waiting),
        unlisted=sum(1 + same for _, same in turns[LISTED:]),
        oldest=span((now_us - oldest) // MICROSECONDS),
        recent=tuple(row_of(command, now_us, viewer) for command in decided[:RECENT]),
        pulse=pulse_of(decided),
        selected=detail,
        server_url=server_url,
        owed=owed,
        away=tuple(away),
        muted=muted,
    )


def in_turn(waiting: Sequence[CommandView], alike: Mapping[str, str]) -> list[tuple[CommandView, int]]:
    """Return what waits, each with how many others are folded into it.

    Of what is alike the one that expires first stands for all. Agents take turns: the first of each that expires, then
    the second of each; so a flood of one leaves the others where they were.
    """
    folded: dict[str, list[CommandView]] = {}
    for command in sorted(waiting, key=lambda one: one.expires_at):
        folded.setdefault(alike.get(command.id, command.id), []).append(command)
    turns: Counter[str] = Counter()
    ordered: list[tuple[int, str, CommandView, int]] = []
    for same in folded.values():
        first = same[0]
        turns[first.agent] += 1
        ordered.append((turns[first.agent], first.expires_at, first, len(same) - 1))
    ordered.sort(key=lambda one: one[:2])
    return [(command, others) for _, _, command, others in ordered]


def _same_as(command: CommandView, alike: Mapping[str, str]) -> int:
    key = alike.get(command.id)
    return 0 if key is None else sum(other == key for other in alike.values()) - 1


def pulse_of(decided: Iterable[CommandView]) -> Pulse:
    """Return how fast people answered, from decided requests, newest first; not what a policy decided alone."""
    answered = [
        ((microseconds(command.verdict.decided_at) - microseconds(command.created_at)) // 1000, command)
        for command in decided
        if command.verdict and command.votes
    ][:BARS]
    answered.reverse()
    longest = max((took for took, _ in answered), default=0) or 1
    bars = tuple(
        Bar(max(took, 0) / longest, c.state == "denied", f"{duration(max(took, 0))}: {c.state}, {c.agent}")
        for took, c in answered
    )
    middle = duration(int(median(took for took, _ in answered))) if answered else "none"
    label = f"Time to answer of the last {len(bars)} decisions, oldest first; median {middle}"
    return Pulse(len(bars), middle, Spark(bars, label))


def commands_view(
    page: Sequence[CommandView],
    next_after: str | None,
    *,
    slug: str,
    state: str | None,
    now_us: int,
    viewer: str | None,
    may_ask: bool = False,
) -> CommandsView:
    """Return a page of the history of the workspace `slug`, filtered by `state` when given."""
    base = f"/w/{slug}/commands"
    choices = [Choice("All", base, state is None)]
    choices += [Choice(word.capitalize(), f"{base}?state={word}", word == state) for word in STATES]
    where = f"state={state}&" if state else ""
    return CommandsView(
        tuple(choices),
        tuple(row_of(command, now_us, viewer) for command in page),
        f"{base}?{where}after={next_after}" if next_after else None,
        f"No command is {state}" if state else "No agent has asked yet",
        may_ask,
    )


def command_page_view(
    command: CommandView,
    *,
    now_us: int,
    standing: Standing,
    viewer: str | None,
    is_full: bool,
    report_id: str | None,
    may_read_audit: bool,
    beside: Beside | None = None,
    escalations: Sequence[Taken] = (),
) -> CommandPageView:
    """Return one request with its story; `escalations` are the steps of its ladder that were taken."""
    detail = detail_of(
        command, now_us, standing=standing, viewer=viewer, is_full=is_full, report_id=report_id, beside=beside
    )
    return CommandPageView(
        moment(now_us, now_us).iso, detail, timeline_of(command, now_us, escalations), may_read_audit
    )


def timeline_of(command: CommandView, now_us: int, escalations: Sequence[Taken] = ()) -> tuple[Step, ...]:
    """Return what happened to `command`, oldest first; what happened at once stands in the order of its causes."""
    asked = "Edited" if command.edits else "Asked"
    by = f"{'for' if command.edits else 'by'} {command.agent} on {command.host}"
    steps = [Step(asked, by, moment_of(command.created_at, now_us), "wait")]
    for one in escalations:
        people = f"{one.people} {'person was' if one.people == 1 else 'people were'} told, step {one.number}"
        steps.append(Step(f"Nobody decided: {one.name}", people, moment_of(one.at, now_us), "wait"))
    for vote in command.votes:
        is_yes = vote.decision == "approve"
        said = f"“{vote.note}”" if vote.note else ""
        headline = f"{vote.reviewer} {'approved' if is_yes else 'denied'}"
        steps.append(Step(headline, said, moment_of(vote.at, now_us), "ok" if is_yes else "bad"))
    verdict, outcome = command.verdict, command.outcome
    if verdict and command.observed is not None:
        said = f"{met(command.observed)}; nobody approved it"
        steps.append(Step("Let run, observed only", said, moment_of(verdict.decided_at, now_us), "wait"))
    elif verdict and command.glass is not None:
        said = f"by {', '.join(verdict.by)}, without its quorum: “{verdict.note or ''}”; {REVIEWS[command.glass]}"
        steps.append(Step("Glass broken", said, moment_of(verdict.decided_at, now_us), "bad"))
    elif verdict:
        is_yes = verdict.decision == "approve"
        by = (
            f"by policy {verdict.policy}"
            if not verdict.by
            else f"{len(verdict.by)} of {command.need} needed"
            if is_yes
            else ""
        )
        headline = (
            "Approved"
            if is_yes
            else "Edited"
            if verdict.edited
            else "Changes requested"
            if verdict.wants_changes
            else "Denied"
        )
        steps.append(Step(headline, by, moment_of(verdict.decided_at, now_us), "ok" if is_yes else "bad"))
    elif command.state in {"expired", "cancelled", "quarantined"}:
        at = moment(min(microseconds(command.expires_at), now_us), now_us)
        steps.append(
            Step(command.state.capitalize(), "nothing ran", at, "bad" if command.state == "quarantined" else "")
        )
    if outcome and verdict:
        started = microseconds(verdict.decided_at)
        ended = moment(min(started + outcome.duration_ms * 1000, now_us), now_us)
        words = "Ended" if not outcome.exit_code else "Failed"
        steps.append(
            Step(
                f"{words} with exit code {outcome.exit_code}",
                f"after {duration(outcome.duration_ms)}",
                ended,
                "bad" if outcome.exit_code else "ok",
            )
        )
    return tuple(sorted(steps, key=lambda step: step.at.us))
