"""What the pages of rules show, and what their form says."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, get_args

from failgate.base.clock import MICROSECONDS
from failgate.base.errors import BadInput
from failgate.gate.rule_proposals import Proposal
from failgate.gate.rule_words import rule_in_words
from failgate.matching.calls import Call, calls_in_line
from failgate.matching.matcher import check_rule, matcher_of
from failgate.matching.shell import Uninspectable
from failgate.web.pages.text import Moment, moment
from failgate.wire.gate import Argument, Rule, RuleKind, RuleScope
from failgate.wire.gate import RuleView as WireRule

SOON_DAYS: Final = 7
FIELDS: Final = (
    "kind", "effect", "command", "pattern", "arguments", "rest", "directories", "hosts", "agents", "env", "days",
    "max_uses", "owner", "review_by", "note", "examples",
)  # fmt: skip
KINDS: Final = {
    "exact": "exactly this command",
    "prefix": "begins so",
    "argument": "each argument is said",
    "re2": "of this form",
    "path": "this program",
}


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule as a line: `sentences` say it; `is_soon` that it ends within a week, `is_due` that its review is due."""

    id: str
    kind: str
    effect: str
    sentences: tuple[str, ...]
    uses: str
    owner: str
    created: Moment
    note: str | None
    last_used: Moment | None
    expires: Moment | None
    is_soon: bool
    review_by: str | None
    is_due: bool


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """Rules that wait for others: what each says, and whether the viewer may approve them."""

    id: str
    digest: str
    rules: tuple[tuple[str, ...], ...]
    by: str
    given: int
    need: int
    may_approve: bool


@dataclass(frozen=True, slots=True)
class RulesView:
    """The rules, a form, and when it was tried what the rule would let pass: its sentences, and examples with yes."""

    here: str
    rows: tuple[RuleRow, ...]
    next: str | None
    may_change: bool
    error: str | None
    typed: dict[str, str]
    trial: tuple[tuple[str, ...], tuple[tuple[str, bool], ...]] | None
    waiting: tuple[WaitingRow, ...] = ()
    approvers: int = 0
    may_set_terms: bool = False
    may_ask: bool = False

    @property
    def kinds(self) -> Mapping[str, str]:
        """Return the kinds, each with what it means."""
        return KINDS


@dataclass(frozen=True, slots=True)
class RuleView:
    """One rule."""

    here: str
    rule: RuleRow
    may_change: bool


def row_of(rule: WireRule, now_us: int, creator: str) -> RuleRow:
    """Return a rule as a line; `creator` answers for it when it names no owner."""
    expires_us = None if rule.expires_at is None else _us(rule.expires_at)
    today = datetime.fromtimestamp(now_us / MICROSECONDS, UTC).date().isoformat()
    return RuleRow(
        id=rule.id,
        kind=KINDS[rule.kind],
        effect=rule.effect,
        sentences=tuple(rule_in_words(rule)),
        uses=f"{rule.uses} of {rule.max_uses}" if rule.max_uses is not None else str(rule.uses),
        owner=rule.owner or creator,
        created=moment(_us(rule.created_at), now_us),
        note=rule.note,
        last_used=None if rule.last_used_at is None else moment(_us(rule.last_used_at), now_us),
        expires=None if expires_us is None else moment(expires_us, now_us),
        is_soon=expires_us is not None and expires_us - now_us < SOON_DAYS * 86_400 * MICROSECONDS,
        review_by=rule.review_by,
        is_due=rule.review_by is not None and rule.review_by <= today,
    )


def _us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * MICROSECONDS)


def waiting_row(one: Proposal, proposer: str, viewer_id: str | None) -> WaitingRow:
    """Return a proposal as the account `viewer_id` sees it."""
    return WaitingRow(
        one.id,
        one.digest,
        tuple(tuple(rule_in_words(rule)) for rule in one.rules),
        proposer,
        len(one.approvals),
        one.need,
        viewer_id is not None and viewer_id != one.account_id and viewer_id not in one.approvals,
    )


def lines_of(text: str) -> list[str]:
    """Return the lines of a field that hold something."""
    return [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]


def rule_of(typed: Mapping[str, str]) -> Rule:
    """Return the rule that a form says, checked.

    `command` holds one word a line; `arguments` one position a line, `rest` alternatives: `one_of -a -b`, `re2 …`,
    `under .`, `literal …`.

    Raises: BadInput, Unprocessable, TooLarge.
    """
    kind, effect = typed["kind"], typed["effect"]
    if kind not in get_args(RuleKind) or effect not in {"allow", "deny"}:
        raise BadInput("The rule has no kind or no effect.")
    scope = RuleScope(
        agents=lines_of(typed["agents"]) or None,
        hosts=lines_of(typed["hosts"]) or None,
        directories=lines_of(typed["directories"]) or None,
    )
    arguments = [_argument([line]) for line in lines_of(typed["arguments"])]
    rest = lines_of(typed["rest"])
    wanted: dict[str, Any] = {
        "kind": kind,
        "effect": effect,
        "argv": typed["command"].replace("\r\n", "\n").strip("\n").split("\n") if typed["command"].strip() else [],
        "pattern": typed["pattern"] or None,
        "arguments": arguments or None,
        "rest": _argument(rest) if rest else None,
        "scope": None if scope == RuleScope() else scope,
        "env": typed["env"].split() or None,
        "ttl_seconds": _number(typed["days"], "days", 86_400),
        "max_uses": _number(typed["max_uses"], "max_uses"),
        "owner": typed["owner"].strip() or None,
        "review_by": _day(typed["review_by"]),
        "note": typed["note"].strip() or None,
    }
    rule = Rule(**wanted)
    check_rule(rule)
    return rule


def _argument(lines: Sequence[str]) -> Argument:
    members: dict[str, Any] = {}
    for line in lines:
        name, _, said = line.strip().partition(" ")
        if name not in {"literal", "one_of", "re2", "under"} or name in members or not said:
            raise BadInput(
                f"The line {line[:80]!a} says no argument.",
                hint="Begin it with one_of, re2, under or literal, each once for a position.",
            )
        members[name] = said.split() if name == "one_of" else said
    return Argument(**members)


def _number(text: str, name: str, times: int = 1) -> int | None:
    if not text.strip():
        return None
    if not (text.strip().isascii() and text.strip().isdigit() and len(text.strip()) < 10):  # digits
        raise BadInput(f"{name} is no number.", hint="Write digits, or leave it empty.")
    return int(text) * times


def _day(text: str) -> str | None:
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        raise BadInput("The day of the review is no day.", hint="Write it as 2027-01-31.") from None


def tried(rule: Rule, examples: Sequence[str]) -> tuple[tuple[str, ...], tuple[tuple[str, bool], ...]]:
    """Return the rule in sentences, and of each example whether the rule speaks of it, or of all that its line runs.

    An example is written as in a shell and called from the rule's first folder, the programs being the installed ones.
    """
    return tuple(rule_in_words(rule)), tuple((example, _speaks(rule, example)) for example in examples[:50])


def _speaks(rule: Rule, example: str) -> bool:
    matcher, scope = matcher_of(rule), rule.scope or RuleScope()
    folder = scope.directories[0] if scope.directories else "/src/app"
    host = scope.hosts[0] if scope.hosts else "host"
    agent = scope.agents[0] if scope.agents else None
    calls = calls_in_line(Call(("sh", "-c", example), folder, {}, host, agent))
    if calls is None or isinstance(calls, Uninspectable):
        try:
            words = tuple(shlex.split(example))
        except ValueError:
            return False
        return bool(words) and matcher.is_deny and matcher.fits(Call(words, folder, {}, host, agent))
    fits = [matcher.fits(call) for call in calls]
    return any(fits) if matcher.is_deny else all(fits)
