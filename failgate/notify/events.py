"""What may be told: each event, which record of the audit log it stands for, and who hears of it in person. Pure."""

from dataclasses import dataclass
from typing import Final

from failgate.access.permission import Permission
from failgate.audit.record import Act

TEST: Final = "notification.test"


@dataclass(frozen=True, slots=True)
class Kind:
    """An event: its name for programs, its name for people, the permission that a member needs to hear of it.

    With `is_own` a member hears of what they, or their agents, asked for alone; with `is_always` whatever they chose.
    """

    name: str
    label: str
    needs: Permission
    is_own: bool = False
    is_always: bool = False


KINDS: Final = (
    Kind("command.pending", "A command waits for a decision", Permission.WORKSPACE_COMMAND_VOTE),
    Kind("command.escalated", "Nobody decided in time, and it is my turn", Permission.WORKSPACE_COMMAND_READ),
    Kind("command.decided", "A command of mine was decided, or expired", Permission.WORKSPACE_COMMAND_SUBMIT, True),  # noqa: FBT003 - read in columns
    Kind("command.quarantined", "A command was quarantined", Permission.WORKSPACE_COMMAND_READ),
    Kind(
        "glass.broken",
        "A command runs without its quorum, or that waits for its review",
        Permission.WORKSPACE_COMMAND_VOTE,
        is_always=True,
    ),
    Kind("glass.reviewed", "Such a run was reviewed", Permission.WORKSPACE_COMMAND_VOTE, is_always=True),
    Kind("report.uploaded", "A failure report was uploaded", Permission.WORKSPACE_REPORT_READ),
    Kind("report.quarantined", "A failure report was quarantined", Permission.WORKSPACE_REPORT_READ),
    Kind("report.regressed", "A failure that was resolved came back", Permission.WORKSPACE_REPORT_READ),
)
NAMES: Final = tuple(kind.name for kind in KINDS)
BY_NAME: Final = {kind.name: kind for kind in KINDS}

# Without a word of theirs, members are told by mail when an escalation names them, and of nothing else.
DEFAULT_OF_MEMBERS: Final = frozenset({"command.escalated"})

# `command.allowed` and `command.refused` are decided by a policy while the agent waits: nobody is told.
OF_ACT: Final = {
    str(Act.COMMAND_CREATED): "command.pending",
    str(Act.COMMAND_ESCALATED): "command.escalated",
    str(Act.COMMAND_APPROVED): "command.decided",
    str(Act.COMMAND_DENIED): "command.decided",
    str(Act.COMMAND_EXPIRED): "command.decided",
    str(Act.COMMAND_CANCELLED): "command.decided",
    str(Act.SEALED_COMMAND_CREATED): "command.pending",
    str(Act.SEALED_COMMAND_DECIDED): "command.decided",
    str(Act.SEALED_COMMAND_EXPIRED): "command.decided",
    str(Act.SEALED_COMMAND_CANCELLED): "command.decided",
    str(Act.COMMAND_QUARANTINED): "command.quarantined",
    str(Act.GLASS_BROKEN): "glass.broken",
    str(Act.GLASS_REMINDED): "glass.broken",
    str(Act.GLASS_REVIEWED): "glass.reviewed",
    str(Act.REPORT_SEALED): "report.uploaded",
    str(Act.REPORT_QUARANTINED): "report.quarantined",
    str(Act.REPORT_GROUP_REGRESSED): "report.regressed",
}
