"""The matrix of roles, as `docs/roles.md` prints it, and what must never be in it."""

import pytest

from failgate.access.permission import Permission as P  # noqa: N817  # as the matrix of roles has it
from failgate.access.role import GRANTS, Role

PINNED = {
    P.WORKSPACE_COMMAND_SUBMIT: "owner admin reviewer developer agent",
    P.WORKSPACE_COMMAND_READ: "owner admin reviewer developer auditor",
    P.WORKSPACE_COMMAND_VOTE: "owner admin reviewer",
    P.WORKSPACE_SEALED_DECIDE: "owner admin reviewer",
    P.WORKSPACE_COMMAND_CONSUME: "owner admin reviewer developer agent",
    P.WORKSPACE_RULE_READ: "owner admin reviewer developer auditor",
    P.WORKSPACE_RULE_WRITE: "owner admin",
    P.WORKSPACE_REPORT_READ: "owner admin reviewer developer",
    P.WORKSPACE_CONTEXT_READ: "owner admin reviewer developer agent",
    P.WORKSPACE_REPORT_CREATE: "owner admin reviewer developer agent",
    P.WORKSPACE_REPORT_DELETE: "owner admin",
    P.WORKSPACE_SHARE_READ: "owner admin reviewer developer",
    P.WORKSPACE_SHARE_WRITE: "owner admin reviewer developer",
    P.WORKSPACE_SHARING_WRITE: "owner",
    P.WORKSPACE_REPORT_TRIAGE: "owner admin reviewer developer",
    P.WORKSPACE_REPORT_HOLD: "owner admin",
    P.WORKSPACE_USAGE_READ: "owner admin auditor",
    P.WORKSPACE_RECORDING_CREATE: "owner admin reviewer developer agent",
    P.WORKSPACE_RECORDING_READ: "owner admin reviewer developer auditor",
    P.WORKSPACE_AGENT_READ: "owner admin reviewer developer",
    P.WORKSPACE_AGENT_WRITE: "owner admin",
    P.WORKSPACE_MEMBER_READ: "owner admin reviewer developer auditor",
    P.WORKSPACE_MEMBER_WRITE: "owner admin",
    P.WORKSPACE_KEY_READ: "owner admin reviewer developer auditor",
    P.WORKSPACE_KEY_WRITE: "owner admin reviewer developer auditor",
    P.WORKSPACE_AUDIT_READ: "owner auditor",
    P.WORKSPACE_AUDIT_EXPORT: "owner auditor",
    P.WORKSPACE_AUDIT_VIEW_WRITE: "owner auditor",
    P.WORKSPACE_SETTINGS_READ: "owner admin reviewer developer",
    P.WORKSPACE_SETTINGS_WRITE: "owner admin",
    P.WORKSPACE_NOTIFICATION_READ: "owner admin",
    P.WORKSPACE_NOTIFICATION_WRITE: "owner admin",
    P.WORKSPACE_REDACTION_READ: "owner admin",
    P.WORKSPACE_REDACTION_WRITE: "owner admin",
    P.WORKSPACE_SIGN_IN_READ: "owner",
    P.WORKSPACE_SIGN_IN_WRITE: "owner",
    P.WORKSPACE_OBSERVING_WRITE: "owner",
    P.WORKSPACE_DELETION_WRITE: "owner",
}


@pytest.mark.parametrize("permission", list(P))
def test_a_permission_is_given_by_exactly_the_roles_that_were_reviewed(permission: P) -> None:
    """B4: a grant that nobody reviewed fails here first; a permission outside of workspaces is no role's."""
    granted = [role.value for role in Role if permission in GRANTS[role]]
    assert sorted(granted) == sorted(PINNED.get(permission, "").split())


def test_every_role_has_its_row() -> None:
    assert set(GRANTS) == set(Role)


def test_an_agent_neither_votes_nor_reads_nor_writes_rules() -> None:
    """E8: who asks is never who decides, nor who writes the exception."""
    assert GRANTS[Role.AGENT] == {
        P.WORKSPACE_COMMAND_SUBMIT,
        P.WORKSPACE_COMMAND_CONSUME,
        P.WORKSPACE_REPORT_CREATE,
        P.WORKSPACE_CONTEXT_READ,  # of its own reports, as Markdown
        P.WORKSPACE_RECORDING_CREATE,
    }


def test_an_auditor_changes_nothing() -> None:
    # But makes keys of their own, for scripts that read, keeps views of the log, and takes a copy of it along.
    own = {P.WORKSPACE_KEY_WRITE, P.WORKSPACE_AUDIT_VIEW_WRITE, P.WORKSPACE_AUDIT_EXPORT}
    others = GRANTS[Role.AUDITOR] - own
    assert {permission.rpartition(":")[2] for permission in others} == {"read"}


def test_an_admin_does_not_read_the_log_that_watches_admins() -> None:
    above = {
        P.WORKSPACE_AUDIT_READ,
        P.WORKSPACE_AUDIT_EXPORT,
        P.WORKSPACE_AUDIT_VIEW_WRITE,
        P.WORKSPACE_DELETION_WRITE,
        P.WORKSPACE_OBSERVING_WRITE,
        P.WORKSPACE_SIGN_IN_READ,
        P.WORKSPACE_SIGN_IN_WRITE,
        P.WORKSPACE_SHARING_WRITE,
    }
    assert GRANTS[Role.OWNER] - GRANTS[Role.ADMIN] == above
