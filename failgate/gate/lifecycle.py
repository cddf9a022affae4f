r"""The life of a command request: a pure fold. `apply` is the only way in which a state changes.

```text
            (nothing)
   Allowed /    | Asked     \ Refused
  Observed v     v            v
     approved  pending ---> denied | expired | cancelled | quarantined
          |      |  ^
          |      |  | VoteCast, VoteVoided
          | <----+ Approved (quorum complete, before expires_us)
          | <----+ GlassBroken (by one person, in an emergency) -> GlassReviewed, once, by another, whatever the state
          v
   executed (Consumed, once, before use_by_us) -> Finished, once
          v
   expired (Lapsed: the time to use it went by)
```

The journal of these events is the audit log; the row of a request is its projection, and `verification.py` folds the
journal again to compare the two.
"""

from collections.abc import Callable
from typing import Any, Literal, cast

import msgspec
from msgspec.structs import replace

from failgate.wire.gate import State

Decision = Literal["approve", "deny"]
Would = Literal["wait", "deny"]
Glass = Literal["open", "justified", "unjustified"]
Judgement = Literal["justified", "unjustified"]


class IllegalTransition(Exception):  # named after the law, not after its class
    """The event cannot happen in this state; `state` is the state that stands."""

    def __init__(self, sentence: str, state: State | None) -> None:
        """Keep the sentence and the state that stands."""
        super().__init__(sentence)
        self.state: State | None = state


class Request(msgspec.Struct, frozen=True):
    """A command request as its events made it. Times are microseconds since 1970.

    `approvals` and `denials` are account ids in the order of their votes; nobody is in both. `need` is 0 when a policy
    decided; what a policy refused has no `expires_us` (0). `terms` is the digest of what was demanded of those who
    decide, None when nothing was; `deny_after` denials end it. `observed` says what a command that was only observed
    would have met, in the time `observing`; `need` and `terms` are then what it would have taken. `broken_by` is the
    account that let it run without its quorum, `glass` how the review of that stands.
    """

    id: str
    state: State
    digest: str
    expires_us: int
    need: int
    policy: str
    requester: str | None
    excluded: frozenset[str]
    approvals: tuple[str, ...] = ()
    denials: tuple[str, ...] = ()
    use_by_us: int | None = None
    is_finished: bool = False
    terms: str | None = None
    deny_after: int = 1
    observed: Would | None = None
    observing: str | None = None
    broken_by: str | None = None
    glass: Glass | None = None


class Asked(msgspec.Struct, frozen=True):
    """People are asked: `need` distinct accounts, none of `excluded`, before `expires_us`; the rest as in `Request`."""

    id: str
    digest: str
    expires_us: int
    need: int
    policy: str
    requester: str | None
    excluded: frozenset[str]
    terms: str | None = None
    deny_after: int = 1


class Allowed(msgspec.Struct, frozen=True):
    """A policy let it pass at once; it has to be consumed before `use_by_us`."""

    id: str
    digest: str
    policy: str
    requester: str | None
    use_by_us: int


class Refused(msgspec.Struct, frozen=True):
    """A policy refused it at once."""

    id: str
    digest: str
    policy: str
    requester: str | None


class Observed(msgspec.Struct, frozen=True):
    """It passes because its workspace only observes, in the time `observing`: nobody and no rule let it."""

    id: str
    digest: str
    policy: str
    requester: str | None
    use_by_us: int
    would: Would
    need: int
    observing: str
    terms: str | None = None
    deny_after: int = 1


class VoteCast(msgspec.Struct, frozen=True):
    """A person decided, of exactly the call that `digest` names."""

    account_id: str
    decision: Decision
    digest: str
    at_us: int


class VoteVoided(msgspec.Struct, frozen=True):
    """An approval counts no more: who gave it was deactivated. They may vote again if they come back."""

    account_id: str


class Approved(msgspec.Struct, frozen=True):
    """The quorum is complete: `approvals` counts the approvers who still may vote."""

    digest: str
    at_us: int
    use_by_us: int
    approvals: int


class GlassBroken(msgspec.Struct, frozen=True):
    """One person lets it run without its quorum; they owe a review by another."""

    account_id: str
    digest: str
    at_us: int
    use_by_us: int


class GlassReviewed(msgspec.Struct, frozen=True):
    """Another person looked at why, and says whether it was justified."""

    account_id: str
    digest: str
    verdict: Judgement


class Denied(msgspec.Struct, frozen=True):
    """Enough people denied it."""

    at_us: int


class Expired(msgspec.Struct, frozen=True):
    """Its time went by undecided. `at_us` is None in a journal whose own clock may lag behind the gate's."""

    at_us: int | None


class Cancelled(msgspec.Struct, frozen=True):
    """Who asked does not ask any longer."""

    at_us: int


class Consumed(msgspec.Struct, frozen=True):
    """The agent is about to execute it, for the only time."""

    digest: str
    at_us: int


class Lapsed(msgspec.Struct, frozen=True):
    """It was approved and not consumed in time; `at_us` as in `Expired`."""

    at_us: int | None


class Finished(msgspec.Struct, frozen=True):
    """The execution ended."""


class Quarantined(msgspec.Struct, frozen=True):
    """What is stored differs from its audit record."""


Event = (
    Asked
    | Allowed
    | Refused
    | Observed
    | VoteCast
    | VoteVoided
    | Approved
    | GlassBroken
    | GlassReviewed
    | Denied
    | Expired
    | Cancelled
    | Consumed
    | Lapsed
    | Finished
    | Quarantined
)
Beginning = Asked | Allowed | Refused | Observed


def apply(request: Request | None, event: Event) -> Request:
    """Return the request after `event`.

    Raises: IllegalTransition for everything that the drawing at the head of this module does not show.
    """
    if isinstance(event, Beginning):
        if request is not None:
            raise IllegalTransition("a request begins once", request.state)
        return _begin(event)
    if request is None:
        raise IllegalTransition("nothing was asked", None)
    return cast("Callable[[Request, Any], Request]", _STEPS[type(event)])(request, event)


def _begin(event: Beginning) -> Request:
    if isinstance(event, Asked):
        if event.need < 1 or event.deny_after < 1:
            raise IllegalTransition("a request that asks needs at least one person", None)
        return Request(
            event.id, "pending", event.digest, event.expires_us, event.need, event.policy, event.requester,
            event.excluded, terms=event.terms, deny_after=event.deny_after,
        )  # fmt: skip
    if isinstance(event, Allowed):
        return Request(
            event.id, "approved", event.digest, event.use_by_us, 0, event.policy, event.requester, frozenset(),
            use_by_us=event.use_by_us,
        )  # fmt: skip
    if isinstance(event, Observed):
        if (event.need < 1) is (event.would == "wait") or event.deny_after < 1:
            raise IllegalTransition("what would have waited needs at least one person, what would not needs none", None)
        return Request(
            event.id, "approved", event.digest, event.use_by_us, event.need, event.policy, event.requester, frozenset(),
            use_by_us=event.use_by_us, terms=event.terms, deny_after=event.deny_after, observed=event.would,
            observing=event.observing,
        )  # fmt: skip
    return Request(event.id, "denied", event.digest, 0, 0, event.policy, event.requester, frozenset())


def _require(request: Request, state: State) -> None:
    if request.state != state:
        raise IllegalTransition(f"the request is {request.state}, not {state}", request.state)


def _require_digest(request: Request, digest: str) -> None:
    if digest != request.digest:
        raise IllegalTransition("the digest is of another call", request.state)


def _vote(request: Request, event: VoteCast) -> Request:
    _require(request, "pending")
    _require_digest(request, event.digest)
    if event.at_us >= request.expires_us:
        raise IllegalTransition("the time to decide has gone by", request.state)
    if event.account_id in request.excluded or event.account_id == request.requester:
        raise IllegalTransition("nobody decides on their own request", request.state)
    approvals = tuple(account for account in request.approvals if account != event.account_id)
    denials = tuple(account for account in request.denials if account != event.account_id)
    if event.decision == "approve":
        if event.account_id in request.denials:
            raise IllegalTransition("a denial is not taken back", request.state)
        if event.account_id in request.approvals:
            return request
        return replace(request, approvals=(*approvals, event.account_id))
    return replace(request, approvals=approvals, denials=(*denials, event.account_id))


def _void(request: Request, event: VoteVoided) -> Request:
    _require(request, "pending")
    if event.account_id not in request.approvals:
        raise IllegalTransition("there is no such approval", request.state)
    return replace(request, approvals=tuple(account for account in request.approvals if account != event.account_id))


def _approve(request: Request, event: Approved) -> Request:
    _require(request, "pending")
    _require_digest(request, event.digest)
    if event.at_us >= request.expires_us:
        raise IllegalTransition("nothing is approved after its expiry", request.state)
    if len(request.denials) >= request.deny_after:
        raise IllegalTransition("a denial wins", request.state)
    if not request.need <= event.approvals <= len(request.approvals):
        raise IllegalTransition("the quorum is not complete", request.state)
    return replace(request, state="approved", use_by_us=event.use_by_us)


def _break(request: Request, event: GlassBroken) -> Request:
    _require(request, "pending")
    _require_digest(request, event.digest)
    if event.at_us >= request.expires_us:
        raise IllegalTransition("nothing is let run after its expiry", request.state)
    if event.account_id in request.excluded or event.account_id == request.requester:
        raise IllegalTransition("nobody breaks the glass for their own request", request.state)
    if request.denials:
        raise IllegalTransition("somebody denied it", request.state)
    return replace(request, state="approved", use_by_us=event.use_by_us, broken_by=event.account_id, glass="open")


def _review(request: Request, event: GlassReviewed) -> Request:
    _require_digest(request, event.digest)
    if request.glass != "open":
        raise IllegalTransition("no review is open", request.state)
    if event.account_id in request.excluded | {request.broken_by, request.requester}:
        raise IllegalTransition("another person reviews than who broke the glass or asked", request.state)
    return replace(request, glass=event.verdict)


def _deny(request: Request, event: Denied) -> Request:
    _require(request, "pending")
    if len(request.denials) < request.deny_after:
        raise IllegalTransition("too few denied it", request.state)
    if event.at_us >= request.expires_us:
        raise IllegalTransition("the time to decide has gone by", request.state)
    return replace(request, state="denied")


def _expire(request: Request, event: Expired) -> Request:
    _require(request, "pending")
    if event.at_us is not None and event.at_us < request.expires_us:
        raise IllegalTransition("its time has not gone by", request.state)
    return replace(request, state="expired")


def _cancel(request: Request, _event: Cancelled) -> Request:
    _require(request, "pending")
    return replace(request, state="cancelled")


def _consume(request: Request, event: Consumed) -> Request:
    _require(request, "approved")
    _require_digest(request, event.digest)
    if request.use_by_us is None or event.at_us >= request.use_by_us:
        raise IllegalTransition("the time to use it has gone by", request.state)
    return replace(request, state="executed")


def _lapse(request: Request, event: Lapsed) -> Request:
    _require(request, "approved")
    if event.at_us is not None and request.use_by_us is not None and event.at_us < request.use_by_us:
        raise IllegalTransition("its time has not gone by", request.state)
    return replace(request, state="expired")


def _finish(request: Request, _event: Finished) -> Request:
    _require(request, "executed")
    if request.is_finished:
        raise IllegalTransition("its outcome is known already", request.state)
    return replace(request, is_finished=True)


def _quarantine(request: Request, _event: Quarantined) -> Request:
    _require(request, "pending")
    return replace(request, state="quarantined")


_STEPS: dict[type[Any], Callable[..., Request]] = {
    VoteCast: _vote,
    VoteVoided: _void,
    Approved: _approve,
    GlassBroken: _break,
    GlassReviewed: _review,
    Denied: _deny,
    Expired: _expire,
    Cancelled: _cancel,
    Consumed: _consume,
    Lapsed: _lapse,
    Finished: _finish,
    Quarantined: _quarantine,
}
