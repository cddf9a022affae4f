"""The pack `privileged`: changes of who may do what, of rules, keys, retention and the log itself, and emergencies.

Two logs are read: the workspace's own, and of the log `system` what bears on this workspace: the server's keys,
exporters and backups, rollbacks of its log, and what others did to the accounts of its members.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Final

from failgate.audit.record import SYSTEM, Act
from failgate.evidence.access import CHANGE_COLUMNS, changed
from failgate.evidence.reading import Reading
from failgate.evidence.sheets import Column, Line, Record, Section

_COLUMNS: Final = (Column("category", "what it is a change of", is_printed=True), *CHANGE_COLUMNS)
_WORKSPACE: Final = Section(
    "workspace",
    "In the workspace",
    "Every privileged change that the log of the workspace has of the period.",
    _COLUMNS,
)
_SERVER: Final = Section(
    "server",
    "On the server",
    "What the log system has of the period and bears on this workspace: keys, exporters, backups, rollbacks, the"
    " platform role, and what others did to the accounts of members.",
    _COLUMNS,
)
SECTIONS: Final = (_WORKSPACE, _SERVER)

_ROLES, _AGENTS, _RULES, _SSO = (
    "roles",
    "agents and credentials",
    "rules and policies",
    "single sign-on and provisioning",
)
_KEYS, _KEPT, _GLASS, _GONE = "keys", "retention and legal hold", "emergencies", "deletions"
_OUT, _SHARED, _AUDIT, _SETTINGS = "exporters and notifications", "sharing", "the log and its exports", "settings"
_ACCOUNTS, _BACKUPS = "accounts of members", "backups"
OF_WORKSPACE: Final[Mapping[Act, str]] = {
    Act.WORKSPACE_CREATED: _ROLES,
    Act.MEMBER_ADDED: _ROLES,
    Act.MEMBER_CHANGED: _ROLES,
    Act.MEMBER_REMOVED: _ROLES,
    Act.INVITATION_CREATED: _ROLES,
    Act.INVITATION_ACCEPTED: _ROLES,
    Act.INVITATION_REVOKED: _ROLES,
    Act.ABSENCE_DECLARED: _ROLES,
    Act.ABSENCE_ENDED: _ROLES,
    Act.STAND_IN_ENDED: _ROLES,
    Act.AGENT_CREATED: _AGENTS,
    Act.AGENT_CHANGED: _AGENTS,
    Act.AGENT_DISABLED: _AGENTS,
    Act.TOKEN_MINTED: _AGENTS,
    Act.TOKEN_REVOKED: _AGENTS,
    Act.TOKEN_LIMITED: _AGENTS,
    Act.CERTIFICATE_REGISTERED: _AGENTS,
    Act.CERTIFICATE_REVOKED: _AGENTS,
    Act.DEVICE_KEY_ENROLLED: _KEYS,
    Act.DEVICE_KEY_REVOKED: _KEYS,
    Act.KEY_MANIFEST_ACCEPTED: _KEYS,
    Act.SEALED_RULES_ACCEPTED: _KEYS,
    Act.INGEST_KEY_MINTED: _AGENTS,
    Act.INGEST_KEY_REVOKED: _AGENTS,
    Act.RULE_CREATED: _RULES,
    Act.RULE_REVOKED: _RULES,
    Act.RULE_QUARANTINED: _RULES,
    Act.RULE_LOST: _RULES,
    Act.RULE_PROPOSED: _RULES,
    Act.RULE_APPROVED: _RULES,
    Act.RULE_WITHDRAWN: _RULES,
    Act.RULE_TERMS_CHANGED: _RULES,
    Act.REDACTION_RULE_CREATED: _RULES,
    Act.REDACTION_RULE_REVOKED: _RULES,
    Act.SSO_CONNECTION_CREATED: _SSO,
    Act.SSO_CONNECTION_CHANGED: _SSO,
    Act.SSO_CONNECTION_ENABLED: _SSO,
    Act.SSO_CONNECTION_DISABLED: _SSO,
    Act.SSO_CONNECTION_REMOVED: _SSO,
    Act.SSO_ENFORCED: _SSO,
    Act.SSO_RELEASED: _SSO,
    Act.DOMAIN_CLAIMED: _SSO,
    Act.DOMAIN_VERIFIED: _SSO,
    Act.DOMAIN_REMOVED: _SSO,
    Act.SCIM_USER_CREATED: _SSO,
    Act.SCIM_USER_CHANGED: _SSO,
    Act.SCIM_USER_DELETED: _SSO,
    Act.SCIM_GROUP_CREATED: _SSO,
    Act.SCIM_GROUP_CHANGED: _SSO,
    Act.SCIM_GROUP_DELETED: _SSO,
    Act.SCIM_ACCOUNT_ALLOWED: _SSO,
    Act.ARTIFACT_KEY_CREATED: _KEYS,
    Act.ARTIFACT_KEY_ROTATED: _KEYS,
    Act.ARTIFACT_KEY_DESTROYED: _KEYS,
    Act.RETENTION_CHANGED: _KEPT,
    Act.REPORT_HELD: _KEPT,
    Act.REPORT_RELEASED: _KEPT,
    Act.GLASS_BROKEN: _GLASS,
    Act.GLASS_REVIEWED: _GLASS,
    Act.GLASS_REMINDED: _GLASS,
    Act.BREAK_GLASS_USED: _GLASS,
    Act.OBSERVING_BEGUN: _GLASS,
    Act.OBSERVING_ENDED: _GLASS,
    Act.REPORT_DELETED: _GONE,
    Act.ARTIFACT_DELETED: _GONE,
    Act.RECORDING_DELETED: _GONE,
    Act.WORKSPACE_DELETION_ASKED: _GONE,
    Act.WORKSPACE_DELETION_WITHDRAWN: _GONE,
    Act.WORKSPACE_CLOSED: _GONE,
    Act.WORKSPACE_EMPTIED: _GONE,
    Act.NOTIFICATION_DESTINATION_CREATED: _OUT,
    Act.NOTIFICATION_DESTINATION_CHANGED: _OUT,
    Act.NOTIFICATION_DESTINATION_ROTATED: _OUT,
    Act.NOTIFICATION_DESTINATION_STOPPED: _OUT,
    Act.NOTIFICATION_DESTINATION_REMOVED: _OUT,
    Act.SHARE_CREATED: _SHARED,
    Act.SHARE_REVOKED: _SHARED,
    Act.SHARING_STOPPED: _SHARED,
    Act.SHARING_RESUMED: _SHARED,
    Act.AUDIT_EXPORTED: _AUDIT,
    Act.BODY_ERASED: _AUDIT,
    Act.ROLLBACK_ACCEPTED: _AUDIT,
    Act.CLOCK_STEP: _AUDIT,
    Act.WORKSPACE_CHANGED: _SETTINGS,
    Act.LIMIT_CHANGED: _SETTINGS,
}
OF_SERVER: Final[Mapping[Act, str]] = {
    Act.SIGNING_KEY_ROTATED: _KEYS,
    Act.SEALING_KEY_ROTATED: _KEYS,
    Act.LOG_KEY_ROTATED: _KEYS,
    Act.PLATFORM_ROLE_GRANTED: _ROLES,
    Act.PLATFORM_ROLE_REVOKED: _ROLES,
    Act.EXPORTER_ENABLED: _OUT,
    Act.EXPORT_REFUSED: _OUT,
    Act.EXPORT_RESENT: _OUT,
    Act.PLUGIN_ENABLED: _SETTINGS,
    Act.BODY_ERASED: _AUDIT,
    Act.ROLLBACK_ACCEPTED: _AUDIT,
    Act.WITNESS_CONTRADICTED: _AUDIT,
    Act.BACKUP_MADE: _BACKUPS,
    Act.BACKUP_RESTORED: _BACKUPS,
    Act.WORKSPACE_DELETED: _GONE,
    Act.ACCOUNT_DISABLED: _ACCOUNTS,
    Act.ACCOUNT_ENABLED: _ACCOUNTS,
    Act.FACTOR_ENROLLED: _ACCOUNTS,
    Act.FACTOR_REMOVED: _ACCOUNTS,
    Act.PASSWORD_RESET_BEGUN: _ACCOUNTS,
}
_OF_A_LOG: Final = {Act.ROLLBACK_ACCEPTED, Act.EXPORT_REFUSED, Act.WITNESS_CONTRADICTED, Act.WORKSPACE_DELETED}


async def privileged(reading: Reading) -> AsyncIterator[Line]:
    """Yield the lines of the pack, those of a section in the order of its log."""
    async for record in reading.records(tuple(map(str, OF_WORKSPACE))):
        yield await changed(reading, _WORKSPACE, record, category=OF_WORKSPACE[Act(record.act)])
    async for record in reading.system_records(tuple(map(str, OF_SERVER))):
        if _bears_on(reading, record):
            yield await changed(reading, _SERVER, record, category=OF_SERVER[Act(record.act)])


def _bears_on(reading: Reading, record: Record) -> bool:
    """Tell whether what the log `system` says bears on this workspace: other workspaces and their people do not."""
    act = Act(record.act)
    if act in _OF_A_LOG:
        return str(record.data.get("log") or record.object_id) in {reading.head.log, SYSTEM}
    if OF_SERVER[act] == _ACCOUNTS:  # by others: what people do to their own account is no privilege
        return record.object_id in reading.names.members and record.actor_id != record.object_id
    return True
