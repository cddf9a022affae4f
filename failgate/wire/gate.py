"""The gate's messages: a command, its submission, a vote, a verdict.

Times that people read are RFC 3339 in UTC; durations are whole seconds. `digest` is base64url without padding of
SHA-256 over the RFC 8785 bytes of `command` exactly as it was sent.
"""

from typing import Any, Literal

import msgspec

State = Literal["pending", "approved", "denied", "expired", "cancelled", "executed", "quarantined"]


class ExecutableIdentity(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which file would run: its real path and the SHA-256 of its bytes in lower-case hex."""

    path: str
    sha256: str


class Command(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The exact call. Its canonical bytes are what is digested, shown, approved and run."""

    v: Literal[1]
    argv: list[str]
    cwd: str
    env: dict[str, str]
    host: str
    cwd_dev_ino: str | None = None
    exe: ExecutableIdentity | None = None
    uid: int | None = None
    stdin_sha256: str | None = None
    nonce: str | None = None


class Submission(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST commands`. `command` stays a plain object so that its digest covers what was sent."""

    command: dict[str, Any]
    digest: str
    reason: str | None = None
    ttl_seconds: int | None = None


class Vote(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST commands/{id}/votes`."""

    decision: Literal["approve", "deny"]
    digest: str
    note: str | None = None
    signature: str | None = None


class Consume(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST commands/{id}/consume`: the agent is about to execute, once."""

    digest: str


class Outcome(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST commands/{id}/outcome`: how the execution ended. A signal N gives `exit_code` 128+N and `signal` N."""

    digest: str
    exit_code: int
    duration_ms: int
    signal: int | None = None
    report_id: str | None = None


class Risk(msgspec.Struct, frozen=True):
    """How dangerous the command looks: 0-100 or null when nothing rated it, with reasons."""

    score: int | None
    reasons: list[str]


class Finding(msgspec.Struct, frozen=True):
    """What one policy said and why."""

    policy: str
    says: Literal["allow", "ask", "deny", "abstain"]
    reason: str
    need: int = 0


class VoteView(msgspec.Struct, frozen=True):
    """One vote as shown."""

    reviewer: str
    decision: Literal["approve", "deny"]
    at: str
    note: str | None = None


class Verdict(msgspec.Struct, frozen=True):
    """The terminal answer. An agent acts on it only when `id` and `digest` are its own and `use_by` is ahead."""

    id: str
    digest: str
    decision: Literal["approve", "deny"]
    decided_at: str
    use_by: str | None
    by: list[str]
    policy: str
    note: str | None = None


class CommandView(msgspec.Struct, frozen=True):
    """A command request as the API answers it. `rendering` lists the inert token texts that reviewers see."""

    id: str
    state: State
    digest: str
    created_at: str
    expires_at: str
    risk: Risk
    rendering: list[str]
    agent: str
    host: str
    waiting_for: str
    need: int
    votes: list[VoteView]
    findings: list[Finding]
    reason: str | None = None
    verdict: Verdict | None = None
    outcome: Outcome | None = None
    command: dict[str, Any] | None = None


class CommandPage(msgspec.Struct, frozen=True):
    """`GET commands`."""

    items: list[CommandView]
    next: str | None


class Rule(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST rules`. The first kind is `exact`: the whole argv, token by token."""

    kind: Literal["exact"]
    effect: Literal["allow", "deny"]
    argv: list[str]
    note: str | None = None
    ttl_seconds: int | None = None
    max_uses: int | None = None


class RuleView(msgspec.Struct, frozen=True):
    """A rule as the API answers it."""

    id: str
    kind: Literal["exact"]
    effect: Literal["allow", "deny"]
    argv: list[str]
    created_at: str
    created_by: str
    uses: int
    note: str | None = None
    expires_at: str | None = None
    max_uses: int | None = None


class RulePage(msgspec.Struct, frozen=True):
    """`GET rules`."""

    items: list[RuleView]
    next: str | None


class ExplainRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST policy/explain`."""

    command: dict[str, Any]


class Explanation(msgspec.Struct, frozen=True):
    """Which policy would say what, submitting nothing."""

    decision: Literal["allow", "ask", "deny"]
    findings: list[Finding]
