"""What the queue and the command pages show, as plain values built from wire structs. Pure.

Templates read these and nothing else, so what a reviewer sees can be tested without a browser.
"""

import shlex
from dataclasses import dataclass
from typing import Any, Final, Literal

from failgate.matching.rendering import unrender
from failgate.matching.rendering import warnings as rendering_warnings
from failgate.web.pages.command_facts import FactView, environment_of, facts_of
from failgate.web.pages.editing_view import EditStory, edit_story
from failgate.web.pages.glass_view import headline_of
from failgate.web.pages.history_view import Beside, HistoryView, history_view
from failgate.web.pages.mutes_view import TIMES
from failgate.web.pages.observing_view import met
from failgate.web.pages.text import Moment, duration, initials, left, microseconds, moment, moment_of
from failgate.web.pages.token_view import Text, TokenView, parts_of, preview, texts, token_view
from failgate.wire.gate import Challenge, CommandView, Finding, Verdict
from failgate.wire.observing import Observation

Standing = Literal["vote", "enrol", "prove", "role", "own", "voted"]

ARGV_LIMIT: Final = 80  # tokens beyond which the rest is collapsed


@dataclass(frozen=True, slots=True)
class VariableView:
    """A variable that is passed on."""

    name: tuple[Text, ...]
    text: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class VoteLine:
    """A vote that was cast."""

    reviewer: str
    decision: str
    at: Moment
    note: str | None


@dataclass(frozen=True, slots=True)
class VerdictView:
    """How it ended, in words; `kind` is `ok`, `bad`, `wait` or empty and chooses the colour."""

    kind: str
    symbol: str
    headline: str
    sentence: str
    at: Moment | None


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request in a list; `same` others of its agent ask for the same and are not listed."""

    id: str
    preview: tuple[tuple[Text, ...], ...]
    agent: str
    host: str
    created: Moment
    expires: Moment
    left: str
    need: int
    have: int
    unusual: int
    risk: int | None
    is_voted: bool
    outcome_word: str
    decided: Moment
    decided_by: str
    exit_code: int | None
    same: int = 0
    observed: str = ""
    glass: str = ""


@dataclass(frozen=True, slots=True)
class CommandDetail:
    """Everything about one request. `version` changes whenever what is shown changes; `same` others can be folded."""

    id: str
    version: str
    state: str
    outcome_word: str
    is_pending: bool
    digest: str
    digest_short: str
    agent: str
    initials: str
    host: str
    created: Moment
    expires: Moment
    left: str
    risk: int | None
    risk_reasons: tuple[str, ...]
    tokens: tuple[TokenView, ...]
    token_count: int
    late_tokens: int
    late_bytes: int
    has_collapsed: bool
    unusual: int
    warnings: tuple[str, ...]
    environment_warnings: tuple[str, ...]
    can_copy: bool
    shell_text: str
    words: tuple[Text, ...]
    facts: tuple[FactView, ...]
    environment: tuple[VariableView, ...]
    findings: tuple[Finding, ...]
    votes: tuple[VoteLine, ...]
    need: int
    have: int
    open_seats: int
    waiting_for: str
    if_approved: str
    if_approved_short: str
    challenge: Challenge
    standing: Standing
    verdict: VerdictView | None
    report_id: str | None
    past: HistoryView | None
    differing: frozenset[int]
    may_go_further: bool
    edit: EditStory | None
    stand_ins: tuple[str, ...]
    same: int = 0
    observed: str = ""
    glass: str = ""
    is_glass_open: bool = False
    may_break: bool = False
    may_mute: bool = False
    mute_times: tuple[tuple[int, str], ...] = TIMES


def row_of(command: CommandView, now_us: int, viewer: str | None) -> RequestRow:
    """Return `command` as a row of a list, seen by the reviewer `viewer` (their e-mail)."""
    verdict = command.verdict
    ended = verdict.decided_at if verdict else command.created_at if command.state == "pending" else command.expires_at
    return RequestRow(
        id=command.id,
        preview=preview(command.rendering),
        agent=command.agent,
        host=command.host,
        created=moment_of(command.created_at, now_us),
        expires=moment_of(command.expires_at, now_us),
        left=left(microseconds(command.expires_at), now_us),
        need=command.need,
        have=approvals(command),
        unusual=sum(part.unusual for rendered in command.rendering for part in parts_of(rendered)),
        risk=command.risk.score,
        is_voted=any(vote.reviewer == viewer for vote in command.votes),
        outcome_word=outcome_word(command),
        decided=moment(min(microseconds(ended), now_us), now_us),
        decided_by=_decided_by(command),
        exit_code=command.outcome.exit_code if command.outcome else None,
        observed="" if command.observed is None else met(command.observed),
        glass=headline_of(command),
    )


def _decided_by(command: CommandView) -> str:
    if command.observed is not None:
        return f"nobody: {met(command.observed)}"
    return ", ".join(command.verdict.by) or command.verdict.policy if command.verdict else ""


def outcome_word(command: CommandView) -> str:
    """Return the state in one word.

    A run that failed is `failed`, what no quorum let pass `glass` or `observed`, a request that was edited `edited`.
    """
    if command.verdict and command.verdict.edited:
        return "edited"
    if command.outcome and command.outcome.exit_code:
        return "failed"
    if command.state in {"approved", "executed"}:
        return "glass" if command.glass else "observed" if command.observed else command.state
    return command.state


def approvals(command: CommandView) -> int:
    """Return how many approvals were cast."""
    return sum(vote.decision == "approve" for vote in command.votes)


def detail_of(
    command: CommandView,
    now_us: int,
    *,
    standing: Standing,
    viewer: str | None,
    is_full: bool,
    report_id: str | None,
    beside: Beside | None = None,
) -> CommandDetail:
    """Return `command` for the page on which it is decided. `is_full` collapses nothing; `report_id` is of its run."""
    past = None if beside is None else history_view(beside, now_us)
    stand_ins = () if beside is None else beside.stand_ins
    argv, have = unrender(command.rendering), approvals(command)
    is_pending = command.state == "pending"
    shown = len(argv) if is_full else ARGV_LIMIT
    tokens = tuple(
        token_view(rendered, len(token.encode("utf-8", "surrogatepass")), is_late=place >= shown, is_full=is_full)
        for place, (rendered, token) in enumerate(zip(command.rendering, argv, strict=True))
    )
    late = tokens[shown:]
    is_plain = not any(token.unusual for token in tokens)
    body: dict[str, Any] = command.command or {}
    may_vote_again = beside is not None and beside.may_vote_again
    has_voted = any(vote.reviewer == viewer for vote in command.votes) and not may_vote_again
    return CommandDetail(
        id=command.id,
        version=(
            f"{command.state}-{len(command.votes)}-{standing}-{bool(command.outcome)}-{bool(is_full)}-{report_id}"
            f"-{command.glass}-{len(stand_ins)}-{may_vote_again}"
        ),
        state=command.state,
        outcome_word=outcome_word(command),
        is_pending=is_pending,
        digest=command.digest,
        digest_short=command.digest[:10],
        agent=command.agent,
        initials=initials(command.agent),
        host=command.host,
        created=moment_of(command.created_at, now_us),
        expires=moment_of(command.expires_at, now_us),
        left=left(microseconds(command.expires_at), now_us),
        risk=command.risk.score,
        risk_reasons=tuple(command.risk.reasons),
        tokens=tokens,
        token_count=len(tokens),
        late_tokens=len(late),
        late_bytes=sum(token.size_bytes for token in late),
        has_collapsed=bool(late) or any(token.middle for token in tokens),
        unusual=sum(token.unusual for token in tokens),
        warnings=tuple(rendering_warnings(argv)),
        environment_warnings=tuple(rendering_warnings((), environment_of(body))),
        can_copy=is_plain,
        shell_text=shlex.join(argv) if is_plain else "",
        words=texts(command.reason) if command.reason else (),
        facts=facts_of(command),
        environment=tuple(VariableView(texts(n), texts(v)) for n, v in sorted(environment_of(body).items())),
        findings=tuple(command.findings),
        votes=tuple(VoteLine(v.reviewer, v.decision, moment_of(v.at, now_us), v.note) for v in command.votes),
        need=command.need,
        have=have,
        open_seats=max(0, min(command.need - have, 6)),
        waiting_for=command.waiting_for,
        if_approved=if_approved(command),
        if_approved_short=if_approved_short(command),
        challenge=command.challenge,
        standing="voted" if standing == "vote" and has_voted else standing,
        verdict=None if is_pending else verdict_of(command, now_us),
        report_id=report_id,
        past=past,
        differing=past.compared.places if past and past.compared else frozenset(),
        edit=edit_story(command, None if beside is None else beside.asked),
        stand_ins=stand_ins,
        may_go_further=beside is not None and beside.may_make_rules and command.need <= 1,
        observed="" if command.observed is None else met(command.observed),
        glass=headline_of(command),
        is_glass_open=command.glass == "open",
        may_break=beside is not None and is_pending and command.break_glass in beside.may_break,
        may_mute=command.deny_after == 1,
    )


def if_approved(command: CommandView) -> str:
    """Return what an approval brings about, in full."""
    runs = f"uns once, exactly as shown, on {command.host} only, within a minute of the decision."
    ends = "It is recorded; a failure is captured as a report."
    if command.need - approvals(command) <= 1:
        return f"R{runs} {ends}"
    return f"Your approval counts as one of {command.need}; nothing runs before the others. Then it r{runs} {ends}"


def if_approved_short(command: CommandView) -> str:
    """Return what an approval brings about, for the bar of the decision."""
    have = approvals(command)
    if command.need - have == 1:
        return f"Your approval decides: it runs once on {command.host}."
    if command.need - have < 1:
        return "Those who approved are not enough: another reviewer decides."
    return f"Your approval is {have + 1} of {command.need}."


def verdict_of(command: CommandView, now_us: int) -> VerdictView:
    """Return how a request that waits no longer has ended."""
    verdict, outcome = command.verdict, command.outcome
    if command.observed is not None and verdict is not None:
        return _observed(command, command.observed, verdict, now_us)
    if command.glass is not None and verdict is not None:
        return _broken(command, verdict, now_us)
    by = ", ".join(verdict.by) if verdict and verdict.by else f"policy {verdict.policy}" if verdict else ""
    note = f" “{verdict.note}”" if verdict and verdict.note else ""
    at = moment_of(verdict.decided_at, now_us) if verdict else None
    if outcome and outcome.exit_code:
        ended = f"signal {outcome.signal}" if outcome.signal else f"exit code {outcome.exit_code}"
        return VerdictView(
            "bad",
            "warn",
            f"Executed, failed with {ended}",
            f"After {duration(outcome.duration_ms)}. Approved by {by}.",
            at,
        )
    if outcome:
        return VerdictView(
            "ok", "check", "Executed", f"Exit code 0 after {duration(outcome.duration_ms)}. Approved by {by}.", at
        )
    words: dict[str, tuple[str, str, str, str]] = {
        "approved": ("ok", "check", "Approved", f"By {by}.{note} The agent has not run it yet."),
        "executed": (
            "ok",
            "check",
            "Approved, running",
            f"By {by}.{note} The agent took it; the outcome is not known yet.",
        ),
        "denied": ("bad", "cross", "Denied", f"By {by}.{note} Nothing ran."),
        "expired": ("wait", "clock", "Expired", "Nobody decided in time, or it was not used in time. Nothing ran."),
        "cancelled": ("", "cross", "Cancelled", "The agent does not ask any longer. Nothing ran."),
        "quarantined": (
            "bad",
            "warn",
            "Quarantined",
            "What is stored differs from its audit record. It cannot be approved.",
        ),
    }
    if verdict and verdict.edited:
        ended = f"By {by}.{note} What was asked did not run; the edited command is a request of its own."
        return VerdictView("wait", "pencil", "Edited", ended, at)
    if verdict and verdict.wants_changes:
        return VerdictView("bad", "cross", "Changes requested", f"By {by}.{note} Nothing ran; it may ask anew.", at)
    kind, symbol, headline, sentence = words[command.state]
    return VerdictView(kind, symbol, headline, sentence, at)


def _observed(command: CommandView, observed: Observation, verdict: Verdict, now_us: int) -> VerdictView:
    """Return how a request has ended that nothing let pass: its workspace only observed."""
    ended = _ended("Observed", command)
    why = f" ({observed.reason})" if observed.reason else ""
    sentence = f"Nobody approved it: commands were only observed. It {met(observed)}{why}."
    failed = command.outcome is not None and command.outcome.exit_code != 0
    return VerdictView("bad" if failed else "wait", "eye", ended, sentence, moment_of(verdict.decided_at, now_us))


def _broken(command: CommandView, verdict: Verdict, now_us: int) -> VerdictView:
    """Return how a request has ended that one person let run without its quorum."""
    sentence = f"{', '.join(verdict.by)} let it run without its quorum: “{verdict.note or ''}”."
    headline = _ended(headline_of(command), command)
    return VerdictView("bad", "warn", headline, sentence, moment_of(verdict.decided_at, now_us))


def _ended(word: str, command: CommandView) -> str:
    """Return `word` and what became of the run."""
    outcome = command.outcome
    if outcome is None:
        return f"{word}, running" if command.state == "executed" else word
    after = f"after {duration(outcome.duration_ms)}"
    return f"{word}, {'failed with ' if outcome.exit_code else ''}exit code {outcome.exit_code} {after}"
