"""The gate's messages: a command, its submission, a vote, a verdict.

Times that people read are RFC 3339 in UTC; durations are whole seconds. `digest` is base64url without padding of
SHA-256 over the RFC 8785 bytes of `command` exactly as it was sent.
"""

from typing import Any, Literal

import msgspec

from failgate.wire.glass import BreakGlass, Glass
from failgate.wire.observing import Observation

State = Literal["pending", "approved", "denied", "expired", "cancelled", "executed", "quarantined"]


class ExecutableIdentity(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which file would run: real path, SHA-256 in hex; what reads a script ("": unknown), its SHA-256 if not root's."""

    path: str
    sha256: str
    interpreter: str | None = None
    interpreter_sha256: str | None = None


class FoundProgram(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """The file to which a name leads: its real path, its SHA-256 when not root's alone, what reads it as a script."""

    path: str
    sha256: str | None = None
    interpreter: str | None = None
    interpreter_sha256: str | None = None


class Command(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The exact call. Its canonical bytes are what is digested, shown, approved and run.

    `programs` says to which files names lead along PATH: those in a line for a shell, and basic ones that another file
    than the installed one takes. Without it nobody looked. `home` is the account's folder, says the user database.
    """

    v: Literal[1]
    argv: list[str]
    cwd: str
    env: dict[str, str]
    host: str
    cwd_dev_ino: str | None = None
    exe: ExecutableIdentity | None = None
    uid: int | None = None
    gid: int | None = None
    umask: str | None = None  # four octal digits
    stdin_sha256: str | None = None
    nonce: str | None = None
    programs: dict[str, FoundProgram] | None = None
    home: str | None = None
    script: FoundProgram | None = None  # what an interpreter is given to read, as in `sh FILE`


class Origin(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where a submission comes from, in the agent's own words, which decide nothing. All but the tool name a run."""

    program: str | None = None
    model: str | None = None
    session: str | None = None
    run: str | None = None
    tool: str | None = None


class Submission(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST commands`. `command` stays a plain object so that its digest covers what was sent."""

    command: dict[str, Any]
    digest: str
    reason: str | None = None
    ttl_seconds: int | None = None
    origin: Origin | None = None


class Vote(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST commands/{id}/votes`. `confirm` is the name of the host, typed, where the challenge asks for it.

    A denial with `wants_changes` asks for the command in another form, which its `note` says.
    """

    decision: Literal["approve", "deny"]
    digest: str
    note: str | None = None
    signature: str | None = None
    wants_changes: bool = False
    confirm: str | None = None


class EditedAs(msgspec.Struct, frozen=True):
    """What a reviewer made of a command: the request for it, the digest of its call, its arguments."""

    id: str
    digest: str
    argv: list[str]


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
    """What one policy said and why; `score` rates the danger from 0 to 100 where the policy does that."""

    policy: str
    says: Literal["allow", "ask", "deny", "abstain"]
    reason: str
    need: int = 0
    score: int | None = None
    reasons: list[str] = []


Challenge = Literal["click", "host", "factor", "passkey", "two"]


class VoteView(msgspec.Struct, frozen=True):
    """One vote as shown."""

    reviewer: str
    decision: Literal["approve", "deny"]
    at: str
    note: str | None = None


class Verdict(msgspec.Struct, frozen=True):
    """The terminal answer. An agent acts on it only when `id` and `digest` are its own and `use_by` is ahead.

    `wants_changes` with a denial: the reviewers would take the command in another form, which `note` says, or which
    `edited` is: a request of its own, with a digest of its own. With `observed` nobody approved: it passes because its
    workspace only observes, and `by` is empty. With `glass` one person, who is in `by`, let it run without its quorum,
    for the reason in `note`; it says how the review stands.
    """

    id: str
    digest: str
    decision: Literal["approve", "deny"]
    decided_at: str
    use_by: str | None
    by: list[str]
    policy: str
    note: str | None = None
    wants_changes: bool = False
    observed: Observation | None = None
    glass: Glass | None = None
    edited: EditedAs | None = None


class CommandView(msgspec.Struct, frozen=True):
    """A command request as the API answers it. `rendering` lists the inert token texts that reviewers see.

    `break_glass` says who may let it run without its quorum while it waits: `reviewer` is everybody who may vote.
    `edits` is the id of what was asked, when a reviewer edited that into this.
    """

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
    challenge: Challenge = "click"
    deny_after: int = 1
    observed: Observation | None = None
    glass: Glass | None = None
    break_glass: BreakGlass | None = None
    edits: str | None = None


class CommandPage(msgspec.Struct, frozen=True):
    """`GET commands`."""

    items: list[CommandView]
    next: str | None


class RunView(msgspec.Struct, frozen=True):
    """What one session of an agent asked for: its own words about itself, times, and what its commands led to."""

    id: str
    program: str | None
    model: str | None
    session: str | None
    run: str | None
    began_at: str
    last_at: str
    commands: int
    executed: int
    denied: int
    failed: int


class RunPage(msgspec.Struct, frozen=True):
    """`GET agents/{id}/runs`."""

    items: list[RunView]
    next: str | None


class Argument(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """What an argument may be: one of the members that are given has to fit.

    `re2` fits the whole argument; one that begins with a hyphen only when the pattern does. `under` is a folder, or `.`
    for the folder of the call: a path in it, without `..`, that does not look like a secret.
    """

    literal: str | None = None
    one_of: list[str] | None = None
    re2: str | None = None
    under: str | None = None


class RuleExecutable(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """The file that has to be attested: its real path and, when given, the SHA-256 of its bytes."""

    path: str
    sha256: str | None = None


class RuleScope(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Where a rule holds; without a member everywhere. `agents` are ids; in `directories` and below."""

    agents: list[str] | None = None
    hosts: list[str] | None = None
    directories: list[str] | None = None


RuleKind = Literal["exact", "prefix", "argument", "re2", "path"]


class Rule(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST rules`. What it compares is up to its kind.

    - `exact`: `argv` is the whole argument list;
    - `prefix`: `argv` is how the list begins;
    - `argument`: `argv` is how it begins, `arguments` say what each further one may be, `rest` what all others may;
    - `re2`: `pattern` fits the arguments joined by single spaces, none of which is empty or holds white space;
    - `path`: `pattern` is the real path of the program, or with a slash at its end a folder of programs.

    `env` names variables that may be set besides the ordinary ones; `PATH` in it lets the program lie in any folder.
    `owner` answers for the rule; `review_by` is the day (`2027-01-31`) on which somebody looks at it again.
    """

    kind: RuleKind
    effect: Literal["allow", "deny"]
    argv: list[str] = []
    note: str | None = None
    ttl_seconds: int | None = None
    max_uses: int | None = None
    pattern: str | None = None
    arguments: list[Argument] | None = None
    rest: Argument | None = None
    executable: RuleExecutable | None = None
    scope: RuleScope | None = None
    env: list[str] | None = None
    owner: str | None = None
    review_by: str | None = None


class RuleView(msgspec.Struct, frozen=True):
    """A rule as the API answers it."""

    id: str
    kind: RuleKind
    effect: Literal["allow", "deny"]
    argv: list[str]
    created_at: str
    created_by: str
    uses: int
    note: str | None = None
    expires_at: str | None = None
    max_uses: int | None = None
    pattern: str | None = None
    arguments: list[Argument] | None = None
    rest: Argument | None = None
    executable: RuleExecutable | None = None
    scope: RuleScope | None = None
    env: list[str] | None = None
    owner: str | None = None
    review_by: str | None = None
    last_used_at: str | None = None


class RulePage(msgspec.Struct, frozen=True):
    """`GET rules`."""

    items: list[RuleView]
    next: str | None


class StarterWish(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST rules/starter`: the folders for whose calls the shipped rules are taken over."""

    directories: list[str]
    review_by: str | None = None


class StarterTaken(msgspec.Struct, frozen=True):
    """How many rules were new; where others have to approve, the id of the proposal that holds them."""

    added: int
    proposal: str | None = None


class NewRuleProposal(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST rule-proposals`."""

    rules: list[Rule]


class RuleApproval(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST rule-proposals/{id}/approve`: `digest` is that of the rules that were seen."""

    digest: str


class RuleProposalView(msgspec.Struct, frozen=True):
    """Rules that wait for `need` others to approve them; `approvals` are accounts. Nothing waits when `is_made`."""

    id: str
    rules: list[Rule]
    digest: str
    need: int
    proposed_by: str
    created_at: str
    approvals: list[str]
    is_made: bool = False


class RuleProposalPage(msgspec.Struct, frozen=True):
    """`GET rule-proposals`: what waits, and how many others approve a rule here."""

    items: list[RuleProposalView]
    approvers: int


class RuleTerms(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`PUT rule-terms`: how many others approve a rule that lets commands pass; 0 to 10."""

    approvers: int


class ExplainRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST policy/explain`."""

    command: dict[str, Any]


class Explanation(msgspec.Struct, frozen=True):
    """Which policy would say what, submitting nothing; where people are asked, what an approval takes.

    `groups` name whose approval is needed besides (`2 of security`); the seconds are how long they have to decide and
    the agent to use it, where a policy shortens that; `escalations` say who is told when nobody decides (`oncall after
    30 s`).
    """

    decision: Literal["allow", "ask", "deny"]
    findings: list[Finding]
    reason: str = ""
    need: int = 0
    risk: Risk = msgspec.field(default_factory=lambda: Risk(None, []))
    challenge: Challenge = "click"
    groups: list[str] = []
    deny_after: int = 1
    decide_within_seconds: int | None = None
    use_within_seconds: int | None = None
    escalations: list[str] = []
