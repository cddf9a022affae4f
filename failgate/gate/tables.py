"""What the gate keeps: requests and votes. Times are microseconds since 1970."""

from typing import Final

from piccolo.columns import BigInt, Integer, Text
from piccolo.table import Table

from failgate.base.emptying import Rows


class GateCommand(Table, tablename="gate_command"):
    """A command request: the projection of its events in the audit log.

    `body` is the canonical text that `digest` covers. `excluded` (account ids), `findings`, `policy_snapshot` and
    `decided_by` (labels) are JSON, and so are `terms`, null when nothing is demanded. `policy` is the digest of the
    snapshot. `alike` and `program` (`likeness.py`) are set for what people were asked about, or would have been.
    `wants_changes` is 1 for a denial that asks for the command in another form. `observed` says what a command that was
    only observed would have met, in the time `observing_id`. `broken_by` is the account that let it run without its
    quorum, and `glass` how the review of that stands. `edited` (JSON: `EditedAs`) and `edits` (an id) join what was
    asked and what a reviewer made of it.
    """

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    state = Text()
    digest = Text()
    body = Text()
    reason = Text(null=True, default=None)
    requester_kind = Text()
    requester_id = Text()
    requester_account_id = Text(null=True, default=None)
    requester_label = Text()
    host = Text()
    excluded = Text()
    need = Integer()
    policy = Text()
    policy_snapshot = Text()
    findings = Text()
    created_us = BigInt()
    expires_us = BigInt()
    decided_us = BigInt(null=True, default=None)
    decided_by = Text(null=True, default=None)
    note = Text(null=True, default=None)
    use_by_us = BigInt(null=True, default=None)
    consumed_us = BigInt(null=True, default=None)
    finished_us = BigInt(null=True, default=None)
    exit_code = Integer(null=True, default=None)
    duration_ms = BigInt(null=True, default=None)
    signal = Integer(null=True, default=None)
    report_id = Text(null=True, default=None)
    terms = Text(null=True, default=None)
    alike = Text(null=True, default=None)
    program = Text(null=True, default=None)
    wants_changes = Integer(default=0)
    observed = Text(null=True, default=None)
    observing_id = Text(null=True, default=None)
    broken_by = Text(null=True, default=None)
    glass = Text(null=True, default=None)
    edited = Text(null=True, default=None)
    edits = Text(null=True, default=None)


class GateVote(Table, tablename="gate_vote"):
    """One person's last decision on one request."""

    id = Text(primary_key=True, default="")
    command_id = Text()
    account_id = Text()
    label = Text()
    decision = Text()
    at_us = BigInt()
    note = Text(null=True, default=None)
    signature = Text(null=True, default=None)


class GateObserving(Table, tablename="gate_observing"):
    """A time in which commands are only observed; `agent_id` is empty where it is of the whole workspace."""

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    agent_id = Text()
    denials = Integer()
    begun_us = BigInt()
    expires_us = BigInt()
    begun_by = Text()
    reason = Text(null=True, default=None)
    ended_us = BigInt(null=True, default=None)
    ended_by = Text(null=True, default=None)


class GateMute(Table, tablename="gate_mute"):
    """What a reviewer muted; `thing` is the `alike` of the muted words where `what` is `same`, else a program."""

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    requester_id = Text()
    requester_label = Text()
    command_id = Text()
    what = Text()
    thing = Text()
    program = Text()
    reason = Text(null=True, default=None)
    account_id = Text()
    begun_us = BigInt()
    expires_us = BigInt()
    denied = BigInt()
    ended_us = BigInt(null=True, default=None)
    ended_by = Text(null=True, default=None)


class GateGlass(Table, tablename="gate_glass"):
    """A command that one person let run without its quorum, and the review that somebody else owes."""

    command_id = Text(primary_key=True, default="")
    workspace_id = Text()
    account_id = Text()
    label = Text()
    reason = Text()
    broken_us = BigInt()
    told_us = BigInt()
    review = Text()
    reviewer_id = Text(null=True, default=None)
    reviewer_label = Text(null=True, default=None)
    words = Text(null=True, default=None)
    reviewed_us = BigInt(null=True, default=None)


class GateFamiliar(Table, tablename="gate_familiar"):
    """A program that a requester has used an approval for."""

    workspace_id = Text(primary_key=True, default="")
    requester_id = Text()
    program = Text()
    first_us = BigInt()


class GateKnownRule(Table, tablename="gate_known_rule"):
    """A rule that the rulebook has to hold; `is_kept` is 0 until it has taken it."""

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    is_kept = Integer()


class GateRuleProposal(Table, tablename="gate_rule_proposal"):
    """Rules that wait for others: `rules` and `approvals` are JSON lists."""

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    rules = Text()
    digest = Text()
    need = Integer()
    proposed_by = Text()
    account_id = Text()
    created_us = BigInt()
    approvals = Text()


class GateRuleTerms(Table, tablename="gate_rule_terms"):
    """How many others have to approve a rule of the workspace."""

    workspace_id = Text(primary_key=True, default="")
    approvers = Integer()


class GateRun(Table, tablename="gate_run"):
    """What one session of an agent asked for. Its texts are the agent's own word; `mark` is their digest."""

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    requester_id = Text()
    mark = Text()
    program = Text(null=True, default=None)
    model = Text(null=True, default=None)
    session = Text(null=True, default=None)
    run = Text(null=True, default=None)
    began_us = BigInt()
    last_us = BigInt()
    commands = BigInt()


class GateRunCommand(Table, tablename="gate_run_command"):
    """Which run a command belongs to, and the tool that it is for."""

    command_id = Text(primary_key=True, default="")
    run_id = Text()
    tool = Text(null=True, default=None)


class GateAbsence(Table, tablename="gate_absence"):
    """Who is away, and the account that stands in for them; the key is workspace and account."""

    workspace_id = Text(primary_key=True, default="")
    account_id = Text()
    from_us = BigInt()
    until_us = BigInt()
    zone = Text()
    stand_in = Text(null=True, default=None)
    declared_us = BigInt()


# What goes with a workspace that is deleted, in the order in which it goes.
OF_WORKSPACE: Final = (
    Rows("gate_run", children=(("gate_run_command", "run_id"),)),
    Rows("gate_glass", "command_id"),
    Rows("gate_command", children=(("gate_vote", "command_id"),)),
    Rows("gate_familiar", "workspace_id"),
    Rows("gate_known_rule"),
    Rows("gate_rule_proposal"),
    Rows("gate_rule_terms", "workspace_id"),
    Rows("gate_observing"),
    Rows("gate_mute"),
    Rows("gate_absence", "account_id"),
)
