"""The page on which a request is approved for longer: the form, and what the rule would do. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast, get_args
from urllib.parse import urlencode

from failgate.base.errors import BadInput
from failgate.gate.answering import Answered
from failgate.gate.further import Position, Wish
from failgate.gate.rule_words import rule_in_words
from failgate.gate.suggesting import Suggestion, Suggestions
from failgate.matching.rendering import render, unrender
from failgate.web.pages.token_view import Text, preview, short_texts
from failgate.wire.gate import CommandView, Rule

MAX_POSITIONS: Final = 40  # arguments beyond which a form is not offered
TIMES: Final = {
    "3600": "1 hour",
    "28800": "8 hours",
    "86400": "1 day",
    "604800": "7 days",
    "2592000": "30 days",
}
POSITIONS: Final[Mapping[Position, str]] = {
    "exact": "this word",
    "path": "a path in the folder",
    "number": "a number",
    "word": "any plain word",
}


@dataclass(frozen=True, slots=True)
class PositionRow:
    """One argument, and what may stand in its place."""

    name: str
    parts: tuple[Text, ...]
    chosen: str


@dataclass(frozen=True, slots=True)
class TrialView:
    """What the rule would do: its sentences, how many requests it would have answered, and some of them."""

    sentences: tuple[str, ...]
    number: int
    of: int
    examples: tuple[tuple[tuple[Text, ...], ...], ...]


@dataclass(frozen=True, slots=True)
class FurtherView:
    """The form. `is_waiting`: the request is approved with it; `approvers`: so many others approve the rule."""

    here: str
    id: str
    agent: str
    host: str
    digest: str
    tokens: tuple[tuple[Text, ...], ...]
    is_waiting: bool
    how: str
    ttl: str
    uses: str
    positions: tuple[PositionRow, ...]
    approvers: int
    error: str | None
    trial: TrialView | None

    @property
    def times(self) -> Mapping[str, str]:
        """Return how long a rule may hold, by seconds."""
        return TIMES

    @property
    def choices(self) -> Mapping[Position, str]:
        """Return what may stand in the place of an argument."""
        return POSITIONS


def further_view(
    command: CommandView, here: str, typed: Mapping[str, str], *, approvers: int, error: str | None,
    trial: tuple[Rule, Answered] | None,
) -> FurtherView:  # fmt: skip
    """Return the page of `command`; `typed` is what the form said."""
    argv = unrender(command.rendering)
    rest = argv[1:] if len(argv) - 1 <= MAX_POSITIONS else []
    return FurtherView(
        here=here,
        id=command.id,
        agent=command.agent,
        host=command.host,
        digest=command.digest,
        tokens=preview(command.rendering),
        is_waiting=command.state == "pending",
        how=typed.get("how", "session"),
        ttl=typed.get("ttl", "28800"),
        uses=typed.get("uses", ""),
        positions=tuple(
            PositionRow(f"p{place}", short_texts(word), typed.get(f"p{place}", "exact"))
            for place, word in enumerate(rest, 1)
        ),
        approvers=approvers,
        error=error,
        trial=None if trial is None else _trial(*trial),
    )


def _trial(rule: Rule, answered: Answered) -> TrialView:
    examples = tuple(preview(render(list(argv))) for argv in answered.examples)
    return TrialView(tuple(rule_in_words(rule)), answered.number, answered.of, examples)


@dataclass(frozen=True, slots=True)
class SuggestionRow:
    """A rule that could be made: what it would do, how many requests it would have answered, and where it is made."""

    sentences: tuple[str, ...]
    number: int
    examples: tuple[tuple[tuple[Text, ...], ...], ...]
    href: str


@dataclass(frozen=True, slots=True)
class SuggestionsView:
    """What people were asked in a week, and the share of it that the rules would have answered, in percent."""

    asked: int
    answered: int
    percent: int
    rows: tuple[SuggestionRow, ...]
    observed: int = 0


def suggestions_view(
    found: Suggestions, rules: Sequence[tuple[Suggestion, Rule, Answered]], place: str
) -> SuggestionsView:
    """Return the suggestions of the workspace whose pages begin with `place`."""
    rows = tuple(
        SuggestionRow(
            tuple(rule_in_words(rule)),
            one.number,
            tuple(preview(render(list(argv))) for argv in answered.examples),
            f"{place}/commands/{one.command_id}/further?{urlencode(typed_of(one.wish))}",
        )
        for one, rule, answered in rules
    )
    percent = 100 * found.answered // max(1, found.asked)
    return SuggestionsView(found.asked, found.answered, percent, rows, found.observed)


def typed_of(wish: Wish) -> dict[str, str]:
    """Return what the form says when it wishes `wish`; `wish_of` is the other way."""
    positions = {f"p{place}": position for place, position in enumerate(wish.positions, 1)}
    return {"how": wish.how, "ttl": str(wish.ttl_seconds), "uses": str(wish.max_uses or "")} | positions


def wish_of(typed: Mapping[str, str], arguments: int) -> Wish:
    """Return what the form wishes, of a command with so many arguments. Raises: BadInput."""
    how, uses = typed.get("how"), typed.get("uses", "").strip()
    if how not in {"session", "form"} or typed.get("ttl") not in TIMES:
        raise BadInput("The form does not say what is allowed, or for how long.", hint="Use the fields of the page.")
    if uses and not (uses.isascii() and uses.isdigit() and len(uses) < 10):  # digits
        raise BadInput("The number of uses is no number.", hint="Write digits, or leave it empty.")
    positions = [typed.get(f"p{place}", "exact") for place in range(1, arguments + 1)] if how == "form" else []
    if not set(positions) <= set(get_args(Position)):
        raise BadInput("An argument is given a form that there is not.", hint="Use the fields of the page.")
    wished: dict[str, Any] = {"how": how, "ttl_seconds": int(typed["ttl"]), "max_uses": int(uses) if uses else None}
    return Wish(**wished, positions=cast("tuple[Position, ...]", tuple(positions)))
