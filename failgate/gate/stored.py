"""A request as its row holds it, how it is read and shown. SQL text is prepared here: this is the hottest table."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, cast

import msgspec

from failgate.base.clock import MICROSECONDS, to_rfc3339
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import NotFound
from failgate.gate import lifecycle as life
from failgate.gate.command import stored_command
from failgate.gate.judging import stored_findings
from failgate.gate.terms import Terms, stored_terms, terms_digest, words_of
from failgate.matching.rendering import render, warnings
from failgate.matching.unlooked import unlooked
from failgate.wire.gate import Command, CommandView, EditedAs, Finding, Outcome, Risk, State, Verdict, VoteView
from failgate.wire.observing import Observation

MAX_PAGE = 200
SHORT_ARGV, SHORT_TEXT = 32, 512  # arguments and characters of a command whose rendering is worth remembering


class StoredVote(msgspec.Struct, frozen=True):
    """One person's last decision."""

    account_id: str
    label: str
    decision: life.Decision
    at_us: int
    note: str | None


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A row of `gate_command`, member for column, and the votes on it, oldest first."""

    id: str
    workspace_id: str
    state: State
    digest: str
    body: str
    reason: str | None
    requester_kind: str
    requester_id: str
    requester_account_id: str | None
    requester_label: str
    host: str
    excluded: str
    need: int
    policy: str
    policy_snapshot: str
    findings: str
    created_us: int
    expires_us: int
    decided_us: int | None = None
    decided_by: str | None = None
    note: str | None = None
    use_by_us: int | None = None
    consumed_us: int | None = None
    finished_us: int | None = None
    exit_code: int | None = None
    duration_ms: int | None = None
    signal: int | None = None
    report_id: str | None = None
    terms: str | None = None
    alike: str | None = None
    program: str | None = None
    wants_changes: int = 0
    observed: life.Would | None = None
    observing_id: str | None = None
    broken_by: str | None = None
    glass: life.Glass | None = None
    edited: str | None = None
    edits: str | None = None
    votes: tuple[StoredVote, ...] = ()


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What an agent has to know of its request; times as people read them."""

    id: str
    state: State
    digest: str
    expires_at: str
    verdict: Verdict | None


COLUMNS = tuple(name for name in Stored.__struct_fields__ if name != "votes")
LATER = frozenset(
    {"consumed_us", "finished_us", "exit_code", "duration_ms", "signal", "report_id"}
    | {"wants_changes", "broken_by", "glass", "edited"}
)  # what no request has when it is asked for: left out of what inserts it, for each value costs
_FIRST = [name for name in COLUMNS if name not in LATER]
_INSERT = (
    f"INSERT INTO gate_command ({', '.join(_FIRST)}) VALUES ({', '.join(f'${n}' for n in range(1, len(_FIRST) + 1))})"
)
SELECT = f"SELECT {', '.join(COLUMNS)} FROM gate_command"
SELECT_ONE = f"{SELECT} WHERE workspace_id = $1 AND id = $2"
SELECT_PENDING = f"{SELECT} WHERE state = 'pending' ORDER BY id"
SELECT_AFTER = f"{SELECT} WHERE id > $1 ORDER BY id LIMIT $2"
_SELECT_VOTES = (
    "SELECT command_id, account_id, label, decision, at_us, note FROM gate_vote"
    " WHERE command_id IN ({}) ORDER BY at_us, id"
)


_first = itemgetter(*(place for place, name in enumerate(COLUMNS) if name not in LATER))
# What nothing is said of where a rule lets a command pass: left out too, in the rows of all that go together.
SELDOM = ("reason", "note", "terms", "alike", "program", "observed", "observing_id", "edits")
_PLAIN = [name for name in _FIRST if name not in SELDOM]
_INSERT_PLAIN = (
    f"INSERT INTO gate_command ({', '.join(_PLAIN)}) VALUES ({', '.join(f'${n}' for n in range(1, len(_PLAIN) + 1))})"
)
_plain = itemgetter(*(COLUMNS.index(name) for name in _PLAIN))
_seldom = itemgetter(*(COLUMNS.index(name) for name in SELDOM))
_NOTHING = (None,) * len(SELDOM)


def insert_of(stored: Stored) -> tuple[str, tuple[Any, ...]]:
    """Return the statement that keeps `stored`, and its values."""
    values = msgspec.structs.astuple(stored)
    if _seldom(values) == _NOTHING:
        return _INSERT_PLAIN, cast("tuple[Any, ...]", _plain(values))
    return _INSERT, cast("tuple[Any, ...]", _first(values))


async def with_votes(source: Database | Transaction, rows: Sequence[Row]) -> list[Stored]:
    """Return the requests of `rows` with their votes."""
    asked = [row["id"] for row in rows if row["need"]]
    votes: defaultdict[str, list[StoredVote]] = defaultdict(list)
    for start in range(0, len(asked), MAX_PAGE):
        ids = asked[start : start + MAX_PAGE]
        places = ", ".join(f"${place}" for place in range(1, len(ids) + 1))
        for vote in await source.fetch(_SELECT_VOTES.format(places), *ids):
            votes[vote.pop("command_id")].append(StoredVote(**vote))
    return [Stored(**row, votes=tuple(votes.get(row["id"], ()))) for row in rows]


async def load(source: Database | Transaction, workspace_id: str, command_id: str) -> Stored | None:
    """Return the request with its votes, or None when this workspace has no such one."""
    rows = await source.fetch(SELECT_ONE, workspace_id, command_id)
    return (await with_votes(source, rows))[0] if rows else None


async def load_locked(tx: Transaction, workspace_id: str, command_id: str) -> Stored:
    """Return the request with its votes, its row kept from other writers until the transaction ends.

    Raises: NotFound when this workspace has no such one.
    """
    rows = await tx.fetch(SELECT_ONE + (" FOR UPDATE" if tx.dialect == "postgres" else ""), workspace_id, command_id)
    if not rows:
        raise not_found()
    return (await with_votes(tx, rows))[0]


def not_found() -> NotFound:
    """Return the one answer for a command that is absent, foreign or another agent's."""
    return NotFound("There is no such command in this workspace.")


async def load_page(
    database: Database, workspace_id: str, *, state: State | None, limit: int, before: str | None, now_us: int
) -> list[Stored]:
    """Return up to `limit` requests of the workspace, newest first, with ids below `before`."""
    clauses = ["workspace_id = $1"]
    values: list[Any] = [workspace_id]
    if before is not None:
        values.append(before)
        clauses.append(f"id < ${len(values)}")
    if state is not None:
        clause, extra = _state_clause(state, now_us, len(values) + 1)
        clauses.append(clause)
        values.extend(extra)
    values.append(limit)
    rows = await database.fetch(
        f"{SELECT} WHERE {' AND '.join(clauses)} ORDER BY id DESC LIMIT ${len(values)}", *values
    )
    return await with_votes(database, rows)


def _state_clause(state: State, now_us: int, place: int) -> tuple[str, list[Any]]:
    """Return what selects requests that `state_at` shows as `state`."""
    if state == "pending":
        return f"state = 'pending' AND expires_us > ${place}", [now_us]
    if state == "approved":
        return f"state = 'approved' AND use_by_us > ${place}", [now_us]
    if state == "expired":
        overdue = f"(state = 'pending' AND expires_us <= ${place}) OR (state = 'approved' AND use_by_us <= ${place})"
        return f"(state = 'expired' OR {overdue})", [now_us]
    return f"state = ${place}", [state]


def request_of(stored: Stored) -> life.Request:
    """Return the request as the lifecycle knows it."""
    return life.Request(
        stored.id,
        stored.state,
        stored.digest,
        stored.expires_us,
        stored.need,
        stored.policy,
        stored.requester_id,
        frozenset(_texts(stored.excluded)),
        tuple(vote.account_id for vote in stored.votes if vote.decision == "approve"),
        tuple(vote.account_id for vote in stored.votes if vote.decision == "deny"),
        stored.use_by_us,
        stored.finished_us is not None,
        None if stored.terms is None else terms_digest(stored.terms),
        stored_terms(stored.terms).deny_after or 1,
        stored.observed,
        stored.observing_id,
        stored.broken_by,
        stored.glass,
    )


def state_at(stored: Stored, now_us: int) -> State:
    """Return the state that holds at `now_us`: what is overdue counts as expired before anybody wrote it down."""
    if stored.state == "pending" and now_us >= stored.expires_us:
        return "expired"
    if stored.state == "approved" and stored.use_by_us is not None and now_us >= stored.use_by_us:
        return "expired"
    return stored.state


def view_of(
    stored: Stored,
    now_us: int,
    *,
    command: Command | None = None,
    findings: list[Finding] | None = None,
    with_command: bool = False,
) -> CommandView:
    """Return the request as the API shows it at `now_us`; `command` and `findings` spare reading them from the row."""
    known = command or stored_command(stored.body)
    state = state_at(stored, now_us)
    rendering, reasons = _shown(known)
    if (said := unlooked(known)) is not None:
        reasons = [*reasons, f"It runs what was not looked at: {said}"]
    known_findings = stored_findings(stored.findings) if findings is None else findings
    terms = stored_terms(stored.terms)
    return CommandView(
        id=stored.id,
        state=state,
        digest=stored.digest,
        created_at=rfc3339(stored.created_us),
        expires_at=rfc3339(stored.expires_us or stored.created_us),
        risk=risk_of(known_findings, reasons),
        rendering=rendering,
        agent=stored.requester_label,
        host=stored.host,
        waiting_for=_waiting_for(stored, terms) if state == "pending" else "",
        need=stored.need,
        votes=[VoteView(vote.label, vote.decision, rfc3339(vote.at_us), vote.note) for vote in stored.votes],
        findings=known_findings,
        reason=stored.reason,
        verdict=_verdict(stored, state),
        outcome=_outcome(stored),
        command=msgspec.json.decode(stored.body) if with_command else None,
        challenge=terms.challenge,
        deny_after=terms.deny_after or 1,
        observed=_observation(stored, terms),
        glass=stored.glass,
        break_glass=terms.break_glass if state == "pending" else None,
        edits=stored.edits,
    )


def risk_of(findings: Sequence[Finding], seen: Sequence[str] = ()) -> Risk:
    """Return the highest rating among `findings` with every reason for one, after what is `seen` in the text itself."""
    scores = [finding.score for finding in findings if finding.score is not None]
    reasons = dict.fromkeys([*seen, *(reason for finding in findings for reason in finding.reasons)])
    return Risk(max(scores, default=None), list(reasons))


def receipt_of(stored: Stored, now_us: int) -> Receipt:
    """Return what the agent has to know of the request at `now_us`."""
    state = state_at(stored, now_us)
    expires_at = rfc3339(stored.expires_us or stored.created_us)
    return Receipt(stored.id, state, stored.digest, expires_at, _verdict(stored, state))


def _shown(command: Command) -> tuple[list[str], list[str]]:
    """Return how the arguments look and what a reader could miss; short ones, which come often, are remembered."""
    if len(command.argv) <= SHORT_ARGV and not command.env and sum(map(len, command.argv)) <= SHORT_TEXT:
        rendering, reasons = _remembered(tuple(command.argv))
        return list(rendering), list(reasons)
    return render(command.argv), warnings(command.argv, command.env)


@lru_cache(maxsize=2048)
def _remembered(argv: tuple[str, ...]) -> tuple[list[str], list[str]]:
    return render(argv), warnings(argv)


def _waiting_for(stored: Stored, terms: Terms) -> str:
    if terms.groups:
        return "reviewers: " + ", ".join(words_of(terms))
    missing = stored.need - sum(vote.decision == "approve" for vote in stored.votes)
    if missing < 1:
        return "another reviewer"  # those who approved were not enough: they made the credential, or lost their role
    return "a reviewer" if missing == 1 else f"{missing} reviewers"


def _verdict(stored: Stored, state: State) -> Verdict | None:
    if stored.decided_us is None or state not in {"approved", "denied", "executed"}:
        return None
    is_observed = stored.observed is not None  # those who judged it did not decide
    return Verdict(
        id=stored.id,
        digest=stored.digest,
        decision="deny" if state == "denied" else "approve",
        decided_at=rfc3339(stored.decided_us),
        use_by=None if stored.use_by_us is None else rfc3339(stored.use_by_us),
        by=_texts(stored.decided_by) if stored.decided_by and not is_observed else [],
        policy=stored.policy,
        note=None if is_observed else stored.note,
        wants_changes=bool(stored.wants_changes),
        observed=_observation(stored, stored_terms(stored.terms)) if is_observed else None,
        glass=stored.glass,
        edited=None if stored.edited is None else _edited(stored.edited),
    )


def _observation(stored: Stored, terms: Terms) -> Observation | None:
    """Return what a command that was only observed would have met; None for one that was gated."""
    if stored.observed is None or stored.observing_id is None:
        return None
    return Observation(
        would=stored.observed,
        by=_texts(stored.decided_by) if stored.decided_by else [],
        reason=stored.note or "",
        need=stored.need,
        waiting_for=_waiting_for(stored, terms) if stored.observed == "wait" else "",
        observing=stored.observing_id,
    )


def _outcome(stored: Stored) -> Outcome | None:
    if stored.finished_us is None or stored.exit_code is None or stored.duration_ms is None:
        return None
    return Outcome(stored.digest, stored.exit_code, stored.duration_ms, stored.signal, stored.report_id)


_texts = msgspec.json.Decoder(list[str]).decode
_edited = msgspec.json.Decoder(EditedAs).decode
texts_text = msgspec.json.Encoder().encode


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    return to_rfc3339(seconds * MICROSECONDS)[:-7]


def rfc3339(us: int) -> str:
    """Return `us` as `clock.to_rfc3339` does, faster."""
    seconds, rest = divmod(us, MICROSECONDS)
    return f"{_second(seconds)}{str(rest).zfill(6)}Z"
