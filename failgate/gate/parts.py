"""What the gate's verbs work with, and the one way to tell the rest of the server what happened."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from failgate.audit.log import Appended, AuditLog
from failgate.audit.record import Actor
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS
from failgate.base.db import Database, Transaction
from failgate.base.errors import Conflict
from failgate.base.idempotency import FirstAnswers
from failgate.config.model import Config
from failgate.gate import lifecycle as life
from failgate.gate.command import MAX_ARGV_BYTES
from failgate.gate.electorate import Electorate
from failgate.gate.familiar import Familiar
from failgate.gate.feed import Feed, Happened
from failgate.gate.journal import record_event
from failgate.gate.known_rules import KnownRules
from failgate.gate.mutes import Mutes
from failgate.gate.observing import Observing
from failgate.gate.pace import Pace, TooOften
from failgate.gate.policy import ApprovalPolicy, Rulebook
from failgate.gate.queue import Queue
from failgate.gate.rate import Rate
from failgate.gate.steady import SteadyTime
from failgate.gate.stored import Stored, view_of
from failgate.gate.terms import Terms
from failgate.wire.gate import State

Write = Callable[[Callable[[Transaction], Awaitable[Stored]]], Awaitable[Stored]]
"""How a verb is written: `Database.write`, or one that claims an idempotency key in the same transaction."""


Asked = Callable[[Transaction, str, int], Awaitable[None]]
"""`(tx, workspace_id, number)`: so many commands are asked for: counts them, or refuses when it may ask for fewer."""

RefuseClear = Callable[[str], Awaitable[None]]
"""Raises Conflict where the workspace takes no command in the clear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """What the operator may set. Seconds, counts and bytes.

    `default_ttl_seconds` is how long a request waits when it does not say; `max_ttl_seconds` shortens a longer wish;
    `use_within_seconds` is how long an approval may wait to be used; `argv_bytes` bounds all arguments together. Of
    `max_pending` requests that wait, `max_pending_each` may be of one requester. Where `allow_observing` is off, no
    owner lets commands run that are only observed. `read_us` is how long a request is shown before an approval of it
    counts, microseconds; 0 asks for nothing; `at_once` approvals by a click do not ask either (`pace.py`). People are
    asked `asked_each` times a minute by one requester, and one person approves `approved_each` (`rate.py`).
    """

    default_ttl_seconds: int = 60
    max_ttl_seconds: int = 86_400
    use_within_seconds: int = 60
    argv_bytes: int = MAX_ARGV_BYTES
    policy_seconds: float = 2.0
    max_pending: int = 20_000
    max_pending_each: int = 1000
    max_pending_bytes: int = 256 * 1024 * 1024
    allow_observing: bool = True
    read_us: int = 0
    at_once: int = 0
    asked_each: int = 0
    approved_each: int = 0


def limits_of(config: Config) -> GateLimits:
    """Return the limits that the config sets."""
    gate = config.gate
    return GateLimits(
        default_ttl_seconds=round(gate.default_ttl.seconds),
        max_ttl_seconds=round(gate.max_ttl.seconds),
        use_within_seconds=round(gate.use_within.seconds),
        argv_bytes=config.limits.argv.bytes,
        max_pending_each=gate.waiting_per_agent,
        read_us=gate.read_for.us,
        at_once=gate.approve_at_once,
        asked_each=gate.asked_per_agent,
        approved_each=gate.approved_per_reviewer if gate.read_for.us else 0,
        allow_observing=gate.allow_observing,
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """The gate's parts, made once by `Gate`."""

    db: Database
    audit: AuditLog
    time: SteadyTime
    queue: Queue
    feed: Feed
    limits: GateLimits
    electorate: Electorate
    policies: Mapping[str, ApprovalPolicy]
    rulebook: Rulebook | None
    known_rules: KnownRules
    answers: FirstAnswers
    familiar: Familiar
    asked: Asked | None = None
    refuse_clear: RefuseClear | None = None
    observing: Observing | None = None
    pace: Pace = field(init=False)
    mutes: Mutes = field(init=False)
    asks: Rate = field(init=False)
    approvals: Rate = field(init=False)

    def __post_init__(self) -> None:
        """Make the memory of what is shown to whom, of what is muted, and of how often was asked and approved."""
        object.__setattr__(self, "pace", Pace(self.limits.read_us, self.limits.at_once))
        object.__setattr__(self, "asks", Rate(self.limits.asked_each))
        object.__setattr__(self, "approvals", Rate(self.limits.approved_each))
        object.__setattr__(self, "mutes", Mutes(self.db, self.audit, self.time))

    def must_not_hurry(self, account_id: str, now_us: int) -> None:
        """Count one approval of the account. Raises: TooOften."""
        wait_seconds = self.approvals.take(account_id, now_us)
        if wait_seconds:
            is_first = self.approvals.is_news(account_id, now_us)
            raise TooOften(self.approvals.per_minute, wait_seconds, is_first=is_first)

    def use_within_us(self, terms: Terms) -> int:
        """Return how long an approval on `terms` may wait to be used."""
        seconds = self.limits.use_within_seconds
        if terms.use_within_seconds is not None:
            seconds = min(seconds, terms.use_within_seconds)
        return seconds * MICROSECONDS

    async def append(
        self, tx: Transaction, stored: Stored, event: life.Event, actor: Actor, facts: Mapping[str, JSON] | None = None
    ) -> Appended:
        """Append the audit record of `event`, which happens to `stored`, in the transaction that makes it happen."""
        return await self.audit.append(
            tx,
            record_event(event, workspace_id=stored.workspace_id, command_id=stored.id, actor=actor, facts=facts),
        )

    def tell(self, tx: Transaction, stored: Stored, happened: Happened) -> None:
        """Let queue, waiters and feed know of `stored` as it is now, once the transaction is durable."""
        tx.after_commit(partial(self.tell_now, stored, happened))

    def tell_now(self, stored: Stored, happened: Happened) -> None:
        """Let queue, waiters and feed know of `stored`, which is durable."""
        self.queue.put(stored)
        if self.feed.has_readers(stored.workspace_id):
            self.feed.publish(stored.workspace_id, happened, view_of(stored, self.time.now_us()))


class Overdue(Exception):  # internal: tells the caller to write down the expiry first
    """A verb met a request whose time has gone by; its transaction is taken back."""


def conflict(state: State) -> Conflict:
    """Return the answer to a verb that the request's `state` forbids."""
    return Conflict(f"The command is {state}.", hint="Submit it again if it is still wanted.", state=state)


class ForeignDigest(Conflict):
    """The digest is that of another call."""


def foreign_digest(stored: Stored) -> ForeignDigest:
    """Return the answer to a digest of another call."""
    return ForeignDigest(
        "The digest is not the digest of this command: nothing was changed.",
        hint="Read the command again and decide on what it says now.",
        state=stored.state,
    )
