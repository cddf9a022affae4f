"""The roles of a workspace and what each may do: one matrix."""

from enum import StrEnum

from failgate.access.permission import Permission


class Role(StrEnum):
    """A membership's role."""

    OWNER = "owner"
    ADMIN = "admin"
    REVIEWER = "reviewer"
    DEVELOPER = "developer"
    AUDITOR = "auditor"
    AGENT = "agent"


_AGENT = frozenset(
    {
        Permission.WORKSPACE_COMMAND_SUBMIT,
        Permission.WORKSPACE_COMMAND_CONSUME,
        Permission.WORKSPACE_REPORT_CREATE,
        Permission.WORKSPACE_CONTEXT_READ,
        Permission.WORKSPACE_RECORDING_CREATE,
    }
)
_DEVELOPER = _AGENT | {
    Permission.WORKSPACE_COMMAND_READ,
    Permission.WORKSPACE_RULE_READ,
    Permission.WORKSPACE_REPORT_READ,
    Permission.WORKSPACE_SHARE_READ,
    Permission.WORKSPACE_SHARE_WRITE,
    Permission.WORKSPACE_AGENT_READ,
    Permission.WORKSPACE_MEMBER_READ,
    Permission.WORKSPACE_SETTINGS_READ,
    Permission.WORKSPACE_KEY_READ,
    Permission.WORKSPACE_KEY_WRITE,
    Permission.WORKSPACE_REPORT_TRIAGE,
    Permission.WORKSPACE_RECORDING_READ,
}
_REVIEWER = _DEVELOPER | {Permission.WORKSPACE_COMMAND_VOTE, Permission.WORKSPACE_SEALED_DECIDE}
_ADMIN = _REVIEWER | {
    Permission.WORKSPACE_RULE_WRITE,
    Permission.WORKSPACE_REPORT_DELETE,
    Permission.WORKSPACE_AGENT_WRITE,
    Permission.WORKSPACE_MEMBER_WRITE,
    Permission.WORKSPACE_SETTINGS_WRITE,
    # A rule may tell the form of what it hides: who writes them reads them, nobody else.
    Permission.WORKSPACE_REDACTION_READ,
    Permission.WORKSPACE_REDACTION_WRITE,
    Permission.WORKSPACE_REPORT_HOLD,
    Permission.WORKSPACE_USAGE_READ,
    # What is told goes out of the house: who chooses where to reads how it went, nobody else.
    Permission.WORKSPACE_NOTIFICATION_READ,
    Permission.WORKSPACE_NOTIFICATION_WRITE,
}
_OWNER = _ADMIN | {
    Permission.WORKSPACE_AUDIT_READ,
    Permission.WORKSPACE_AUDIT_EXPORT,
    Permission.WORKSPACE_AUDIT_VIEW_WRITE,
    Permission.WORKSPACE_SHARING_WRITE,
    # Whoever sets the mapping of groups gives every role, so no administrator does.
    Permission.WORKSPACE_SIGN_IN_READ,
    Permission.WORKSPACE_SIGN_IN_WRITE,
    Permission.WORKSPACE_DELETION_WRITE,
    # While a workspace only observes, nothing waits: no administrator lets everything pass.
    Permission.WORKSPACE_OBSERVING_WRITE,
}
_AUDITOR = frozenset(
    {
        Permission.WORKSPACE_AUDIT_READ,
        Permission.WORKSPACE_AUDIT_EXPORT,
        Permission.WORKSPACE_AUDIT_VIEW_WRITE,
        Permission.WORKSPACE_COMMAND_READ,
        Permission.WORKSPACE_RULE_READ,
        Permission.WORKSPACE_MEMBER_READ,
        Permission.WORKSPACE_KEY_READ,
        Permission.WORKSPACE_KEY_WRITE,
        Permission.WORKSPACE_USAGE_READ,
        Permission.WORKSPACE_RECORDING_READ,
    }
)

GRANTS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(_OWNER),
    Role.ADMIN: frozenset(_ADMIN),
    Role.REVIEWER: frozenset(_REVIEWER),
    Role.DEVELOPER: frozenset(_DEVELOPER),
    Role.AUDITOR: _AUDITOR,
    Role.AGENT: _AGENT,
}
