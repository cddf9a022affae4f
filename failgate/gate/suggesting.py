"""Which few rules would have answered most of what people were asked lately: from what they approved, nothing invented.

While a workspace only observes, nobody is asked: what ran then and would have waited counts as if it had been approved,
and whoever looks at a suggestion is told so.

A suggestion is a request and a wish (`further.py`): it is looked at, tried and made where rules are made of requests.
"""

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from failgate.base.clock import MICROSECONDS
from failgate.base.db import Database
from failgate.base.errors import FailgateError
from failgate.gate.command import stored_command
from failgate.gate.further import Position, Wish, rule_for
from failgate.gate.stored import SELECT, Stored
from failgate.matching.calls import Call, call_of
from failgate.matching.matcher import matcher_of
from failgate.matching.paths import leads_under

WEEK_SECONDS: Final = 7 * 86_400
MOST_RULES: Final = 3
LEAST_ANSWERED: Final = 2  # a rule that answers one request saves nobody anything
_MOST_REQUESTS: Final = 1000
_MOST_CANDIDATES: Final = 32
_MOST_BYTES: Final = 8192  # of a command that is looked at
_HOLDS_SECONDS: Final = 30 * 86_400
_NUMBER: Final = re.compile("[0-9]+", re.ASCII)
_WORD: Final = re.compile("[A-Za-z0-9_][A-Za-z0-9_.,:@/-]*", re.ASCII)
_ASKED: Final = (
    f"{SELECT} WHERE workspace_id = $1 AND program IS NOT NULL AND created_us >= $2 AND state <> 'quarantined'"
    " AND (observed IS NULL OR observed = 'wait') AND LENGTH(body) <= $3 ORDER BY id DESC LIMIT $4"
)


class Suggestion(msgspec.Struct, frozen=True):
    """The rule that `wish` makes of the request `command_id`: `number` requests more would have been answered by it."""

    command_id: str
    wish: Wish
    number: int


class Suggestions(msgspec.Struct, frozen=True):
    """What people were asked in a week (`asked`), and how much of it a few rules would have answered together.

    Of those, `observed` ran while the workspace only observed: nobody was asked, and nobody approved them.
    """

    asked: int
    answered: int
    items: tuple[Suggestion, ...]
    observed: int = 0


class _Past(msgspec.Struct, frozen=True):
    """A request of the week, as a rule sees it."""

    stored: Stored
    call: Call
    is_approved: bool
    is_denied: bool


async def suggested(db: Database, workspace_id: str, now_us: int) -> Suggestions:
    """Return the rules that would have answered most of the last week, at most three."""
    since_us = now_us - WEEK_SECONDS * MICROSECONDS
    rows = await db.fetch(_ASKED, workspace_id, since_us, _MOST_BYTES, _MOST_REQUESTS)
    return await asyncio.to_thread(chosen, [Stored(**row) for row in rows])


def chosen(rows: Sequence[Stored]) -> Suggestions:
    """Return the rules that answer most of `rows` together; none that would have let pass what people denied."""
    past = list(_past(rows))
    fitting: dict[int, set[int]] = {}
    candidates = list(_candidates(past))[:_MOST_CANDIDATES]
    for number, (stored, wish) in enumerate(candidates):
        fits = _answered(stored, wish, past)
        if fits is not None:
            fitting[number] = fits
    covered: set[int] = set()
    items: list[Suggestion] = []
    while fitting and len(items) < MOST_RULES:
        best = max(fitting, key=lambda number: len(fitting[number] - covered))
        gained = fitting.pop(best) - covered
        if len(gained) < LEAST_ANSWERED:
            break
        covered |= gained
        stored, wish = candidates[best]
        items.append(Suggestion(stored.id, wish, len(gained)))
    return Suggestions(len(past), len(covered), tuple(items), sum(one.stored.observed is not None for one in past))


def _past(rows: Sequence[Stored]) -> Iterator[_Past]:
    for stored in rows:
        try:
            call = call_of(stored_command(stored.body), stored.requester_id)
        except FailgateError:
            continue  # a row that was damaged teaches nothing
        is_decided = stored.decided_us is not None
        is_approved = is_decided and stored.state != "denied" and stored.broken_by is None
        yield _Past(stored, call, is_approved, stored.state == "denied")


def _answered(stored: Stored, wish: Wish, past: Sequence[_Past]) -> set[int] | None:
    """Return the places of what the rule would have let pass; None for one that may not be made, or was denied once."""
    try:
        matcher = matcher_of(rule_for(stored, wish))
    except FailgateError:
        return None
    fits = {place for place, one in enumerate(past) if matcher.fits(one.call)}
    return None if any(past[place].is_denied for place in fits) else fits


def _candidates(past: Sequence[_Past]) -> Iterator[tuple[Stored, Wish]]:
    """Give what could be made a rule, the most asked first: forms of what differs in its words, and single calls."""
    groups: defaultdict[tuple[object, ...], list[_Past]] = defaultdict(list)
    for one in past:
        if one.is_approved:
            call = one.call
            groups[call.agent_id, call.host, call.folder, call.argv[0], len(call.argv)].append(one)
    for same in sorted(groups.values(), key=len, reverse=True):
        newest = same[0]
        for positions in _forms([one.call for one in same]):
            yield newest.stored, Wish("form", _HOLDS_SECONDS, positions=positions)
        counts = Counter(one.call.argv for one in same)
        for argv, number in counts.most_common(3):
            if number >= LEAST_ANSWERED:
                yield next(one.stored for one in same if one.call.argv == argv), Wish("session", _HOLDS_SECONDS)


def _forms(calls: Sequence[Call]) -> Iterator[tuple[Position, ...]]:
    """Give the form of calls with as many arguments, and that of the most frequent first argument among them."""
    whole = _form(calls)
    if whole is not None:
        yield whole
    if len(calls[0].argv) < 3:
        return
    verb = Counter(call.argv[1] for call in calls).most_common(1)[0][0]
    of_verb = [call for call in calls if call.argv[1] == verb]
    form = _form(of_verb)
    if form is not None and len(of_verb) < len(calls) and of_verb[0] is calls[0]:
        yield form


def _form(calls: Sequence[Call]) -> tuple[Position, ...] | None:
    """Return what stands in each place of all `calls`; None when nothing differs, or something is of no form."""
    positions: list[Position] = []
    for words in zip(*(call.argv[1:] for call in calls), strict=True):
        position = _position(set(words), calls[0].folder)
        if position is None:
            return None
        positions.append(position)
    return tuple(positions) if set(positions) - {"exact"} else None


def _position(words: set[str], folder: str) -> Position | None:
    if len(words) == 1:
        return "exact"
    if all(_NUMBER.fullmatch(word) for word in words):
        return "number"
    if all("/" in word or "." in word for word in words) and all(leads_under(word, folder, ".") for word in words):
        return "path"
    return "word" if all(_WORD.fullmatch(word) for word in words) else None
