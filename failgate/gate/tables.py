"""What the gate keeps: requests and votes. Times are microseconds since 1970."""

from typing import Final

from piccolo.columns import BigInt, Integer, Text
from piccolo.table import Table

from failgate.base.emptying import Rows


class GateCommand(Table, tablename="gate_command"):
    """A command request: the projection of its events in the audit log.

    `body` is the canonical text that `digest` covers. `excluded` (account ids), `findings`, `policy_snapshot` and
    `decided_by` (labels) are JSON. `policy` is the digest of the snapshot.
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


class GateKnownRule(Table, tablename="gate_known_rule"):
    """A rule that the rulebook has to hold; `is_kept` is 0 until it has taken it."""

    id = Text(primary_key=True, default="")
    workspace_id = Text()
    is_kept = Integer()


# What goes with a workspace that is deleted, in the order in which it goes.
OF_WORKSPACE: Final = (Rows("gate_command", children=(("gate_vote", "command_id"),)), Rows("gate_known_rule"))
