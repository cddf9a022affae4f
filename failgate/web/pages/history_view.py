"""What went before a request, as its page shows it: how often, how it ended, and what is not as it was. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from failgate.web.pages.text import Moment, moment_of
from failgate.web.pages.token_view import TOKEN_LIMIT, Text, short_texts
from failgate.wire.gate import CommandView
from failgate.wire.history import CommandChange, CommandHistory, ComparedCommand

SHOWN: Final = 12  # changes that are listed
CONTEXT: Final = 40  # equal characters that are shown before those of a long text that differ
_LABELS: Final = {
    "folder": "Directory",
    "host": "Host",
    "program": "Program file",
    "user": "User",
    "input": "Input",
    "script": "Script",
    "variable": "Variable",
}


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands beside a request: its history, and the report that the visitor may open, by the run's request.

    `may_make_rules`: the visitor may let what is like it pass from now on. `may_break`: as what they break the glass.
    `asked` is what a reviewer edited into it. `stand_ins` may take the place of whom in its groups, in words;
    `may_vote_again`: the visitor is one of them since they voted.
    """

    history: CommandHistory
    reports: Mapping[str, str] = field(default_factory=dict[str, str])
    may_make_rules: bool = False
    may_break: frozenset[str | None] = frozenset()
    asked: CommandView | None = None
    stand_ins: tuple[str, ...] = ()
    may_vote_again: bool = False


@dataclass(frozen=True, slots=True)
class PastRow:
    """An earlier request of the same command."""

    id: str
    word: str
    agent: str
    by: str
    at: Moment
    exit_code: int | None
    report_id: str | None


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One difference; `before` is empty for what is new, `now` for what is gone."""

    label: str
    before: tuple[Text, ...]
    now: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class ComparedView:
    """What it is compared with; `places` are the tokens of now that differ, `more` the changes that are not listed."""

    id: str
    headline: str
    at: Moment
    changes: tuple[ChangeRow, ...]
    more: int
    places: frozenset[int]


@dataclass(frozen=True, slots=True)
class HistoryView:
    """What went before."""

    sentence: str
    rows: tuple[PastRow, ...]
    compared: ComparedView | None


def history_view(beside: Beside, now_us: int) -> HistoryView:
    """Return what went before, in words."""
    history = beside.history
    rows = tuple(_row(one, beside.reports.get(one.id), now_us) for one in history.last)
    compared = None if history.compared is None else _compared(history.compared, now_us)
    return HistoryView(_sentence(history), rows, compared)


def _sentence(history: CommandHistory) -> str:
    observed = f" It ran {_times(history.observed)} while it was only observed." if history.observed else ""
    if not history.asked:
        return f"Nobody was asked for this before: these words, in this folder, on this host.{observed}"
    said = f"Asked {_times(history.asked)} before: approved {history.approved}, denied {history.denied}.{observed}"
    ran = history.succeeded + history.failed
    return f"{said} Of {ran} that ran, {history.failed} failed." if ran else said


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"


def _row(command: CommandView, report_id: str | None, now_us: int) -> PastRow:
    outcome, verdict = command.outcome, command.verdict
    return PastRow(
        command.id,
        "failed"
        if outcome and outcome.exit_code
        else "glass"
        if command.glass
        else "observed"
        if command.observed
        else command.state,
        command.agent,
        ", ".join(verdict.by) if verdict else "",
        moment_of(verdict.decided_at if verdict else command.created_at, now_us),
        outcome.exit_code if outcome else None,
        report_id,
    )


def _compared(compared: ComparedCommand, now_us: int) -> ComparedView:
    command, changes = compared.command, compared.changes
    by = ", ".join(command.verdict.by) if command.verdict else "people"
    if not changes:
        headline = f"The same call as {by} approved"
    elif compared.is_same:
        headline = f"The same words as {by} approved, but not all is as it was"
    else:
        headline = f"Like what {by} approved for {command.agent}, except for this"
    return ComparedView(
        command.id,
        headline,
        moment_of(command.verdict.decided_at if command.verdict else command.created_at, now_us),
        tuple(_change(one) for one in changes[:SHOWN]),
        max(0, len(changes) - SHOWN),
        frozenset(one.place for one in changes if one.place is not None),
    )


def _change(change: CommandChange) -> ChangeRow:
    label = _LABELS.get(change.what, "")
    if change.name is not None:
        label = f"{label} {change.name}"
    if change.what == "token":
        label = "Token" if change.place is None else f"Token {change.place + 1}"
    before, now = _from_difference(change.before or "", change.now or "")
    return ChangeRow(
        label,
        () if change.before is None else short_texts(before),
        () if change.now is None else short_texts(now),
    )


def _from_difference(before: str, now: str) -> tuple[str, str]:
    """Return both texts; long ones without what they begin with alike, but for a few characters."""
    if max(len(before), len(now)) <= TOKEN_LIMIT:
        return before, now
    pairs, shortest = enumerate(zip(before, now, strict=False)), min(len(before), len(now))
    start = next((place for place, (old, new) in pairs if old != new), shortest) - CONTEXT
    return (before, now) if start <= 0 else (f"…{before[start:]}", f"…{now[start:]}")
