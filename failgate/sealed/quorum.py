"""Whether a request may run: enough distinct people, keys of the demanded classes, nobody against it."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Final, NamedTuple

from failgate.sealed import form
from failgate.sealed.command import Context, check_context
from failgate.sealed.decision import Decision, verify_decision
from failgate.sealed.keys import VerifyingKey
from failgate.sealed.manifest import Manifest
from failgate.sealed.policy import Policy
from failgate.sealed.refusal import Refused

MOST_DECISIONS: Final = 1024


class Quorum(NamedTuple):
    """An approved request: by whom, and what the agent keeps before it runs anything.

    `counters` are the highest counts of passkeys, `jtis` each decision's id with the second until which it has to stay
    known.
    """

    approved_by: tuple[str, ...]
    counters: Mapping[str, int]
    jtis: Mapping[str, int]


def decide(
    sent: object,
    *,
    ctx: Context,
    policy: Policy,
    manifest: Manifest,
    keys: Mapping[str, VerifyingKey],
    now: int,
    used: Container[str] = (),
    counters: Mapping[str, int] | None = None,
) -> Quorum:
    """Return who approved the request of `ctx`, the agent's own, if `sent` (one decision or a list) is enough.

    `used` holds the ids of requests that ran and of decisions that counted. Each decision has to be good: one that is
    not refuses all, and says which.
    Raises: Refused (`denied`, `quorum`, `class-quorum`, `replayed`, and whatever makes a decision unbelievable).
    """
    check_context(ctx, manifest, now=now)
    manifest.check_policy(policy)
    if policy.digest != ctx.policy:
        raise Refused("policy", "ctx.policy")
    if ctx.cid in used:
        raise Refused("replayed", "ctx.cid")
    listed = form.a_list(sent if isinstance(sent, list) else [sent], "decisions", most=MOST_DECISIONS)
    decisions: list[Decision] = []
    jtis: dict[str, int] = {}
    for number, one in enumerate(listed):
        place = f"decisions[{number}]"
        found = verify_decision(
            one, ctx=ctx, manifest=manifest, keys=keys, now=now, counters=counters or {}, place=place
        )
        if found.jti in jtis or found.jti in used:
            raise Refused("replayed", f"{place}.jti")
        jtis[found.jti] = found.exp
        decisions.append(found)
    _check_enough(decisions, policy)
    highest: dict[str, int] = {}
    for one in decisions:
        if one.key_class == "webauthn":
            highest[one.jkt] = max(one.counter, highest.get(one.jkt, 0))
    return Quorum(tuple(sorted({one.uid for one in decisions})), highest, jtis)


def _check_enough(decisions: list[Decision], policy: Policy) -> None:
    if any(one.decision == "deny" for one in decisions):
        raise Refused("denied", "decisions")
    if len({one.uid for one in decisions}) < policy.need:
        raise Refused("quorum", "decisions")
    for key_class, least in policy.require.items():
        if len({one.uid for one in decisions if one.key_class == key_class}) < least:
            raise Refused("class-quorum", "decisions")
