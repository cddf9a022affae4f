"""The pack `approvals`: who asked, who voted what and when, by which second factor, and what went past people.

A line tells how things stood at the end of the period: a vote of the day after is in the next pack.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from failgate.audit.record import Act
from failgate.evidence.reading import Reading
from failgate.evidence.sheets import Column, Line, Record, Section, line, seconds_between

_OUTCOMES: Final = {
    str(Act.COMMAND_APPROVED): "approved",
    str(Act.COMMAND_DENIED): "denied",
    str(Act.COMMAND_EXPIRED): "expired",
    str(Act.COMMAND_CANCELLED): "cancelled",
    str(Act.COMMAND_QUARANTINED): "quarantined",
    str(Act.GLASS_BROKEN): "let run in an emergency",
    str(Act.COMMAND_ALLOWED): "allowed",
    str(Act.COMMAND_REFUSED): "refused",
    str(Act.COMMAND_OBSERVED): "ran, only observed",
}
_ASKED: Final = str(Act.COMMAND_CREATED)
_VOTE: Final = str(Act.VOTE_CAST)
_REVIEW: Final = str(Act.GLASS_REVIEWED)
_HEADS: Final = (*_OUTCOMES, _REVIEW, _ASKED, _VOTE)
_ACTS: Final = frozenset(
    {*_HEADS, *map(str, (Act.VOTE_VOIDED, Act.COMMAND_CONSUMED, Act.COMMAND_FINISHED, Act.COMMAND_MISMATCHED))}
)
_BY: Final = {
    "approved": "people",
    "denied": "people",
    "expired": "time",
    "cancelled": "requester",
    "quarantined": "server",
    "let run in an emergency": "one person",
    "ran, only observed": "observing",
}

DECISIONS: Final = Section(
    "decisions",
    "Decided commands",
    "Every command that was decided in the period, by people or by a rule, or whose decision came to something then:"
    " it expired unused, was put under quarantine, or its emergency was reviewed.",
    (
        Column("command", "the ID of the command", is_printed=True),
        Column("outcome", "how it was decided first", is_printed=True),
        Column(
            "decided_by",
            "people, rule, mute, policy, one person, observing, time, requester or server",
            is_printed=True,
        ),
        Column("who_or_rule", "who completed the decision, or the rule", is_printed=True),
        Column("who_or_rule_id", "its ID"),
        Column("asked_at", "when it was asked for, UTC", is_printed=True),
        Column("asked_by", "the agent or person that asked", is_printed=True),
        Column("asked_by_id", "its ID"),
        Column("left_out", "whose vote would not have counted: who asked, and the account behind it"),
        Column("left_out_ids", "their IDs"),
        Column("first_vote_at", "when the first vote was cast, UTC"),
        Column("seconds_to_first_vote", "from the request to the first vote", is_printed=True),
        Column("decided_at", "when it was decided, UTC", is_printed=True),
        Column("seconds_to_decision", "from the request to the decision", is_printed=True),
        Column("approvals_needed", "how many approvals the policy demanded", is_printed=True),
        Column("votes_for", "approvals that counted at the decision", is_printed=True),
        Column("votes_against", "denials that counted at the decision"),
        Column("stand_ins", "who voted in place of somebody absent"),
        Column("second_factor", "what who completed it had shown", is_printed=True),
        Column("second_factor_age_seconds", "how old that proof was", is_printed=True),
        Column("break_glass", "yes: one person let it run without its quorum", is_printed=True),
        Column("break_glass_review", "the verdict, or open at the end of the period", is_printed=True),
        Column("reviewed_by", "who reviewed the emergency"),
        Column("reviewed_at", "when, UTC"),
        Column("used_at", "when the approval was used, UTC"),
        Column("exit_code", "what the command ended with"),
        Column("afterwards", "what came of the decision later: expired, quarantined, another command was tried"),
        Column("command_digest", "the digest that was decided on"),
        Column("policy_digest", "the digest of the policy that decided who has to agree"),
    ),
)
VOTES: Final = Section(
    "votes",
    "Votes",
    "Every vote that was cast in the period, also on commands that are still waiting.",
    (
        Column("command", "the ID of the command", is_printed=True),
        Column("vote", "approve or deny", is_printed=True),
        Column("voter", "who voted", is_printed=True),
        Column("voter_id", "the ID of the account"),
        Column("voted_at", "when, UTC", is_printed=True),
        Column("seconds_since_request", "from the request to this vote", is_printed=True),
        Column("second_factor", "what the voter's sign-in had shown", is_printed=True),
        Column("second_factor_age_seconds", "how old that proof was at the vote", is_printed=True),
        Column("signed_in_by", "every method of the credential"),
        Column("credential", "user: a session; api_key: a key of that account"),
        Column("counted", "yes, or no when it was taken out", is_printed=True),
        Column("taken_out_by_record", "the record that took it out"),
        Column("command_digest", "the digest that the voter saw and voted on"),
    ),
)
WAITING: Final = Section(
    "waiting",
    "Still waiting",
    "Commands that were asked for in the period and not decided at its end.",
    (
        Column("command", "the ID of the command", is_printed=True),
        Column("asked_at", "when, UTC", is_printed=True),
        Column("asked_by", "the agent or person that asked", is_printed=True),
        Column("asked_by_id", "its ID"),
        Column("left_out", "whose vote does not count: who asked, and the account behind it", is_printed=True),
        Column("approvals_needed", "how many approvals the policy demanded", is_printed=True),
        Column("votes_so_far", "votes that count at the end of the period", is_printed=True),
        Column("command_digest", "the digest that is to be decided on"),
    ),
)
SECTIONS: Final = (DECISIONS, VOTES, WAITING)


class _Story:
    """What the records say of one command, up to the end of the period."""

    def __init__(self, records: Sequence[Record]) -> None:
        """Read the records of a command in their order."""
        self.asked: Record | None = None
        self.decision: Record | None = None
        self.glass: Record | None = None
        self.review: Record | None = None
        self.used: Record | None = None
        self.finished: Record | None = None
        self.later: list[Record] = []
        self.votes: list[Record] = []
        self.voided: dict[int, Record] = {}  # number of a vote -> what took it out
        for record in records:
            self._take(record)

    def _take(self, record: Record) -> None:
        act = record.act
        if act == _ASKED:
            self.asked = record
        elif act == _VOTE:
            self._void(record.actor_id, record)  # who votes again takes the vote before back
            self.votes.append(record)
        elif act == Act.VOTE_VOIDED:
            self._void(str(record.data["account"]), record)
        elif act == _REVIEW:
            self.review = record
        elif act == Act.COMMAND_CONSUMED:
            self.used = record
        elif act == Act.COMMAND_FINISHED:
            self.finished = record
        elif act in _OUTCOMES and self.decision is None:
            self.decision = record
        else:
            self.later.append(record)
        if act == Act.GLASS_BROKEN:
            self.glass = record

    def _void(self, account_id: str, by: Record) -> None:
        for vote in self.votes:
            if vote.actor_id == account_id:
                self.voided.setdefault(vote.seq, by)

    def counted(self, decision: str, before: Record | None = None) -> int:
        """Return how many votes `approve` or `deny` counted when `before` was written, or at the end."""
        end = None if before is None else before.seq
        return sum(
            vote.data["decision"] == decision
            and (end is None or vote.seq < end)
            and (vote.seq not in self.voided or (end is not None and self.voided[vote.seq].seq > end))
            for vote in self.votes
        )

    @property
    def tellers(self) -> tuple[Record | None, ...]:
        """Return every record that a line about the decision is read from."""
        return self.asked, self.decision, self.glass, self.review, self.used, self.finished, *self.votes, *self.later


async def approvals(reading: Reading) -> AsyncIterator[Line]:
    """Yield the lines of the pack, in the order of the log. Memory holds a few commands at a time."""
    async for batch in reading.batches(_HEADS):
        stories = await reading.stories([record.object_id for record in batch], _ACTS)
        for record in batch:
            story = _Story(stories[record.object_id])
            if record.act == _VOTE:
                yield await _vote(reading, record, story)
            elif record.act == _ASKED:
                if story.decision is None:
                    yield _waiting(reading, record, story)
            elif story.decision is not None and record.seq == _first_in(reading, story):
                yield await _decision(reading, story.decision, story)


def _first_in(reading: Reading, story: _Story) -> int | None:
    """Return the first record of the period that makes the command one of this pack's decisions."""
    told = [story.decision, story.review, *(one for one in story.later if one.act in _OUTCOMES)]
    return min((one.seq for one in told if one is not None and reading.has(one)), default=None)


async def _decision(reading: Reading, decision: Record, story: _Story) -> Line:
    names, asked, outcome = reading.names, story.asked or decision, _OUTCOMES[decision.act]
    rule = decision.data.get("rule")
    mute = decision.data.get("mute")
    by = _BY.get(outcome) or ("rule" if rule else "mute" if mute else "policy")
    is_persons = by in {"people", "one person", "requester"}
    first = story.votes[0] if story.votes else None
    factor = await reading.factor(decision) if by in {"people", "one person"} else None
    who, who_id = (names.actor(decision), decision.actor_id) if is_persons else (rule or mute, rule or mute)
    data = story.asked.data if story.asked else {}
    return line(
        DECISIONS, decision, (*story.tellers, factor.proof if factor else None),
        command=decision.object_id,
        outcome=outcome,
        decided_by=by,
        who_or_rule=who,
        who_or_rule_id=who_id,
        asked_at=asked.ts,
        asked_by=names.actor(asked),
        asked_by_id=asked.actor_id,
        left_out=" ".join(names.of(one) for one in _left_out(story.asked)),
        left_out_ids=" ".join(_left_out(story.asked)),
        first_vote_at=first and first.ts,
        seconds_to_first_vote=seconds_between(story.asked, first),
        decided_at=decision.ts,
        seconds_to_decision=seconds_between(asked, decision),
        approvals_needed=data.get("need", decision.data.get("need")),
        votes_for=story.counted("approve", decision),
        votes_against=story.counted("deny", decision),
        stand_ins=" ".join(names.of(one) for one in decision.data.get("stand_ins") or ()),
        second_factor=factor and factor.words,
        second_factor_age_seconds=factor and factor.age,
        break_glass="yes" if story.glass else "no",
        break_glass_review=_verdict(story),
        reviewed_by=names.actor(story.review),
        reviewed_at=story.review and story.review.ts,
        used_at=story.used and story.used.ts,
        exit_code=story.finished and story.finished.data.get("exit_code"),
        afterwards=", ".join(_later(one) for one in story.later),
        command_digest=decision.data.get("digest") or data.get("digest"),
        policy_digest=data.get("policy") or decision.data.get("policy"),
    )  # fmt: skip


def _left_out(asked: Record | None) -> tuple[str, ...]:
    """Return whose vote does not count, by their ids."""
    if asked is None:
        return ()
    requester = asked.data.get("requester")
    return tuple(dict.fromkeys([*([requester] if requester else []), *asked.data["excluded"]]))


def _verdict(story: _Story) -> str | None:
    if story.glass is None:
        return None
    return str(story.review.data["verdict"]) if story.review else "open at the end of the period"


def _later(record: Record) -> str:
    if record.act == Act.COMMAND_MISMATCHED:
        return f"another command was tried ({record.ts})"
    reason = record.data.get("reason")
    return f"{_OUTCOMES[record.act]}{f', {reason}' if reason else ''} ({record.ts})"


async def _vote(reading: Reading, vote: Record, story: _Story) -> Line:
    factor, out = await reading.factor(vote), story.voided.get(vote.seq)
    return line(
        VOTES, vote, (story.asked, out, factor.proof),
        command=vote.object_id,
        vote=vote.data["decision"],
        voter=reading.names.actor(vote),
        voter_id=vote.actor_id,
        voted_at=vote.ts,
        seconds_since_request=seconds_between(story.asked, vote),
        second_factor=factor.words,
        second_factor_age_seconds=factor.age,
        signed_in_by=" ".join(vote.auth),
        credential=vote.said["actor"]["t"],
        counted="no" if out else "yes",
        taken_out_by_record=out and out.seq,
        command_digest=vote.data["digest"],
    )  # fmt: skip


def _waiting(reading: Reading, asked: Record, story: _Story) -> Line:
    names = reading.names
    return line(
        WAITING, asked, story.votes,
        command=asked.object_id,
        asked_at=asked.ts,
        asked_by=names.actor(asked),
        asked_by_id=asked.actor_id,
        left_out=" ".join(names.of(one) for one in _left_out(asked)),
        approvals_needed=asked.data["need"],
        votes_so_far=story.counted("approve") + story.counted("deny"),
        command_digest=asked.data["digest"],
    )  # fmt: skip
