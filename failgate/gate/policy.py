"""The contract of approval policies, and the law by which their findings combine. Pure."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import msgspec

from failgate.base.canonical import JSON, digest_of
from failgate.gate.terms import NO_TERMS, Terms, joined, people_needed
from failgate.wire.gate import Command, Rule, RuleView

Says = Literal["allow", "ask", "deny", "abstain"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one policy says of a command.

    `ask` demands `need` approvals by distinct people; `deny` ends it; `allow` lets it pass at once; `abstain` says
    nothing. `rule_id` names the allowlist rule behind an `allow` or a `deny`; `more_rule_ids` those that it took
    besides, one for each further program of a line. `score` rates the danger from 0 to 100, and `reasons` say why;
    `terms` are what it demands of those who decide, also when it abstains.
    """

    says: Says
    reason: str
    need: int = 0
    rule_id: str | None = None
    more_rule_ids: tuple[str, ...] = ()
    score: int | None = None
    reasons: tuple[str, ...] = ()
    terms: Terms = NO_TERMS


class CommandContext(msgspec.Struct, frozen=True, gc=False):
    """What a policy may know of a request besides the command itself.

    `is_known()` tells whether the requester has used an approval for the same program before; None where nobody knows.
    It may read the database: a policy that does not need it does not ask.
    """

    workspace_id: str
    agent_id: str | None
    requester_account_id: str | None
    now_us: int
    is_known: Callable[[], Awaitable[bool]] | None = None


LATER_MEMBERS: Final = ("pattern", "arguments", "rest", "executable", "scope", "env", "owner", "review_by")
"""Members of a rule that the first version of `rule_digest` did not know; None in every rule of that time."""

CLOSED: Final = Finding("abstain", "would pass, but a recorded rule is missing here: nothing passes without people")


class ApprovalPolicy(Protocol):
    """A policy plugin's part. It answers within 2 seconds and raises nothing: otherwise the gate denies, naming it."""

    async def judge(self, command: Command, context: CommandContext) -> Finding:
        """Say what this policy thinks of `command`. Must not change anything."""
        ...

    def snapshot(self, workspace_id: str) -> dict[str, object]:
        """Return what this policy would apply now, as JSON values: it is frozen into each request that it judges."""
        ...


class Rulebook(Protocol):
    """A policy plugin's store of rules. The gate writes the audit record before it calls `add` or `revoke`.

    `rule_digest` is the digest that `stored` answers.
    """

    async def add(self, workspace_id: str, rule_id: str, rule: Rule, *, created_by: str, created_us: int) -> None:
        """Make `rule` effective under the id that its audit record carries. Adding an id again changes nothing."""
        ...

    async def revoke(self, workspace_id: str, rule_id: str) -> bool:
        """End a rule; False when there was none."""
        ...

    async def rules(self, workspace_id: str) -> Sequence[RuleView]:
        """Return the effective rules, oldest first."""
        ...

    async def stored(self) -> Sequence[tuple[str, str, str]]:
        """Return `(workspace_id, rule_id, digest)` of every row, digest over the rule as `rule_digest` gives it."""
        ...

    async def quarantine(self, rule_id: str) -> None:
        """Take a rule out of effect because it differs from its audit record."""
        ...

    async def forget(self, workspace_id: str) -> None:
        """Remove every row of a workspace that is deleted, of ended rules too. Twice is as once."""
        ...

    async def use(self, workspace_id: str, rule_id: str) -> bool:
        """Count one use of a rule, durably where `max_uses` limits it; False when the rule is spent, expired or gone.

        The gate calls it once for each command that the rule lets pass, before that is acknowledged.
        """
        ...


@dataclass(frozen=True, slots=True)
class Combined:
    """The law's answer over all findings: `allow`, `ask` with `need` people on `terms`, or `deny`, and why."""

    decision: Literal["allow", "ask", "deny"]
    need: int
    reason: str
    findings: tuple[tuple[str, Finding], ...]
    terms: Terms = NO_TERMS


def combine(findings: Sequence[tuple[str, Finding]]) -> Combined:
    """Combine what the policies said: deny beats allow, allow beats ask, and silence is a denial.

    `findings` are (policy name, finding) in the order of the config. Among several askers the largest `need` counts, at
    least one person and as many as the terms take; what all of them demand of those who decide holds together, the
    stricter of each, also what a policy that abstains demands. Of a command that passes at once only the time to use
    it is left of that. The order changes nothing but which of two equal findings gives the sentence: the first.
    """
    kept = tuple(findings)
    for name, finding in kept:
        if finding.says == "deny":
            return Combined("deny", 0, f"{name}: {finding.reason}", kept)
    for name, finding in kept:
        if finding.says == "allow":
            within = joined(finding.terms for _, finding in kept).use_within_seconds
            terms = NO_TERMS if within is None else Terms(use_within_seconds=within)
            return Combined("allow", 0, f"{name}: {finding.reason}", kept, terms)
    asking = [(name, finding) for name, finding in kept if finding.says == "ask"]
    if not asking:
        return Combined("deny", 0, "no policy asks for anyone", kept)
    name, finding = max(asking, key=lambda asked: asked[1].need)
    terms = joined(finding.terms for _, finding in kept)
    if terms.break_glass is not None and any(one.terms.break_glass is None for _, one in asking):
        terms = msgspec.structs.replace(terms, break_glass=None)  # whoever asks has to let it be passed by
    return Combined("ask", max(1, finding.need, people_needed(terms)), f"{name}: {finding.reason}", kept, terms)


def combine_for_people(findings: Sequence[tuple[str, Finding]]) -> Combined:
    """Combine what the policies said of a command on which people decide in any case: a rule spares nobody.

    A denial stands. Where a rule would let it pass, one person at least is asked, and as many as any policy asks for.
    """
    combined = combine(findings)
    if combined.decision != "allow":
        return combined
    terms = joined(finding.terms for _, finding in findings)
    need = max(1, people_needed(terms), *(finding.need for _, finding in findings if finding.says == "ask"))
    return Combined("ask", need, combined.reason, combined.findings, terms)


def without_allowing(findings: Sequence[tuple[str, Finding]]) -> list[tuple[str, Finding]]:
    """Return `findings` for a workspace that is closed: nothing passes there without people."""
    return [(name, CLOSED if finding.says == "allow" else finding) for name, finding in findings]


def rule_digest(workspace_id: str, rule_id: str, rule: Rule, *, created_by: str, created_us: int) -> str:
    """Return the digest that binds a rule to its audit record: base64url(SHA-256(RFC 8785 bytes)), unpadded.

    It covers everything that decides what the rule lets pass, where and until when; the count of its uses moves and
    stays outside. A rulebook computes it from what it has stored, the gate from what it was asked to keep. Version 1
    covers exact rules without any later member, so that those keep their digest; all others have version 2.

    Raises: Unprocessable when the rule has no canonical form.
    """
    covered: dict[str, JSON] = {
        "v": 1,
        "ws": workspace_id,
        "id": rule_id,
        "kind": rule.kind,
        "effect": rule.effect,
        "argv": list[JSON](rule.argv),
        "note": rule.note,
        "ttl_seconds": rule.ttl_seconds,
        "max_uses": rule.max_uses,
        "created_by": created_by,
        "created_us": created_us,
    }
    later: dict[str, JSON] = {
        name: msgspec.to_builtins(value) for name in LATER_MEMBERS if (value := getattr(rule, name)) is not None
    }
    if later or rule.kind != "exact":
        covered |= {"v": 2, **later}
    return digest_of(covered)
