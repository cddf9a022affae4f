"""What an audit record says: the catalogue of acts, who acts, and the event.

An event states who did what to which object. Its `data` holds digests, ids, numbers and states: never a command's text,
a note or a secret. `facts.py` says which of them each act states; `encoding.py` refuses everything else.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Literal

import msgspec

from failgate.access.principal import Principal
from failgate.base.canonical import JSON, base64url

SYSTEM = "system"  # the log of what belongs to no workspace

Outcome = Literal["ok", "deny", "error"]


class Act(StrEnum):
    """Every act. Law of names: `<noun>.<past participle>`."""

    ACCOUNT_CREATED = "account.created"
    ACCOUNT_DISABLED = "account.disabled"
    ACCOUNT_ENABLED = "account.enabled"
    ACCOUNT_PASSWORD_CHANGED = "account.password_changed"  # noqa: S105  # an act, not a password
    PLATFORM_ROLE_GRANTED = "platform_role.granted"
    PLATFORM_ROLE_REVOKED = "platform_role.revoked"
    PASSWORD_RESET_BEGUN = "password_reset.begun"  # noqa: S105  # an act, not a password
    PASSWORD_RESET_FINISHED = "password_reset.finished"  # noqa: S105  # an act, not a password
    INVITATION_CREATED = "invitation.created"
    INVITATION_ACCEPTED = "invitation.accepted"
    INVITATION_REFUSED = "invitation.refused"
    INVITATION_REVOKED = "invitation.revoked"
    SESSION_OPENED = "session.opened"
    SESSION_REFUSED = "session.refused"
    SESSION_CLOSED = "session.closed"
    SESSION_RECOGNISED = "session.recognised"
    SESSION_SECOND_FACTOR_PROVEN = "session.second_factor_proven"
    SESSION_REAUTHENTICATED = "session.reauthenticated"
    FACTOR_ENROLLED = "factor.enrolled"
    FACTOR_REFUSED = "factor.refused"
    FACTOR_REMOVED = "factor.removed"
    FACTOR_RENAMED = "factor.renamed"
    BACKUP_CODE_USED = "backup_code.used"
    DEVICE_TRUSTED = "device.trusted"
    DEVICE_REVOKED = "device.revoked"
    SETUP_COMPLETED = "setup.completed"
    WORKSPACE_CREATED = "workspace.created"
    MEMBER_ADDED = "member.added"
    MEMBER_CHANGED = "member.changed"
    MEMBER_REMOVED = "member.removed"
    AGENT_CREATED = "agent.created"
    AGENT_DISABLED = "agent.disabled"
    AGENT_CHANGED = "agent.changed"
    WORKSPACE_CHANGED = "workspace.changed"
    CERTIFICATE_REGISTERED = "certificate.registered"
    CERTIFICATE_REVOKED = "certificate.revoked"
    TOKEN_MINTED = "token.minted"  # noqa: S105  # an act, not a token
    TOKEN_REVOKED = "token.revoked"  # noqa: S105  # an act, not a token
    TOKEN_LIMITED = "token.limited"  # noqa: S105  # an act, not a token
    LOGIN_APPROVED = "login.approved"
    LOGIN_DENIED = "login.denied"
    LOGIN_REFUSED = "login.refused"
    LOGIN_OPENED = "login.opened"
    LOGIN_RENEWED = "login.renewed"
    LOGIN_CLOSED = "login.closed"
    SIGNING_KEY_ROTATED = "signing_key.rotated"
    SEALING_KEY_ROTATED = "sealing_key.rotated"
    DEVICE_KEY_ENROLLED = "device_key.enrolled"
    DEVICE_KEY_REVOKED = "device_key.revoked"
    KEY_MANIFEST_ACCEPTED = "key_manifest.accepted"
    SEALED_RULES_ACCEPTED = "sealed_rules.accepted"
    SEALED_RUN_FINISHED = "sealed_run.finished"
    SEALED_COMMAND_CREATED = "sealed_command.created"
    SEALED_COMMAND_DECIDED = "sealed_command.decided"
    SEALED_COMMAND_CANCELLED = "sealed_command.cancelled"
    SEALED_COMMAND_EXPIRED = "sealed_command.expired"
    SEALED_COMMAND_FINISHED = "sealed_command.finished"
    LOG_KEY_ROTATED = "log_key.rotated"
    COMMAND_CREATED = "command.created"
    COMMAND_ALLOWED = "command.allowed"
    COMMAND_REFUSED = "command.refused"
    COMMAND_OBSERVED = "command.observed"
    ASKING_REFUSED = "asking.refused"
    GLASS_BROKEN = "glass.broken"
    GLASS_REVIEWED = "glass.reviewed"
    GLASS_REMINDED = "glass.reminded"
    OBSERVING_BEGUN = "observing.begun"
    OBSERVING_ENDED = "observing.ended"
    MUTE_BEGUN = "mute.begun"
    MUTE_ENDED = "mute.ended"
    VOTE_CAST = "vote.cast"
    VOTE_REFUSED = "vote.refused"
    VOTE_VOIDED = "vote.voided"
    COMMAND_APPROVED = "command.approved"
    COMMAND_DENIED = "command.denied"
    COMMAND_EXPIRED = "command.expired"
    COMMAND_CANCELLED = "command.cancelled"
    COMMAND_CONSUMED = "command.consumed"
    COMMAND_MISMATCHED = "command.mismatched"
    COMMAND_FINISHED = "command.finished"
    COMMAND_QUARANTINED = "command.quarantined"
    COMMAND_ESCALATED = "command.escalated"
    ABSENCE_DECLARED = "absence.declared"
    ABSENCE_ENDED = "absence.ended"
    STAND_IN_ENDED = "stand_in.ended"
    RULE_CREATED = "rule.created"
    RULE_REVOKED = "rule.revoked"
    RULE_QUARANTINED = "rule.quarantined"
    RULE_LOST = "rule.lost"
    RULE_PROPOSED = "rule.proposed"
    RULE_APPROVED = "rule.approved"
    RULE_WITHDRAWN = "rule.withdrawn"
    RULE_TERMS_CHANGED = "rule_terms.changed"
    LETTER_FAILED = "letter.failed"
    REPORT_BEGUN = "report.begun"
    REPORT_SEALED = "report.sealed"
    REPORT_READ = "report.read"
    REPORT_DELETED = "report.deleted"
    REPORT_QUARANTINED = "report.quarantined"
    ARTIFACT_READ = "artifact.read"
    ARTIFACT_REVIEWED = "artifact.reviewed"
    ARTIFACT_QUARANTINED = "artifact.quarantined"
    SHARE_CREATED = "share.created"
    SHARE_VIEWED = "share.viewed"
    SHARE_REFUSED = "share.refused"
    SHARE_REVOKED = "share.revoked"
    SHARING_STOPPED = "sharing.stopped"
    SHARING_RESUMED = "sharing.resumed"
    ARTIFACT_ENCRYPTED = "artifact.encrypted"
    ARTIFACT_KEY_CREATED = "artifact_key.created"
    ARTIFACT_KEY_ROTATED = "artifact_key.rotated"
    ARTIFACT_KEY_DESTROYED = "artifact_key.destroyed"
    REDACTION_RULE_CREATED = "redaction_rule.created"
    REDACTION_RULE_REVOKED = "redaction_rule.revoked"
    REDACTION_SCAN_ENDED = "redaction_scan.ended"
    REPORT_HELD = "report.held"
    REPORT_RELEASED = "report.released"
    REPORT_GROUP_RESOLVED = "report_group.resolved"
    REPORT_GROUP_IGNORED = "report_group.ignored"
    REPORT_GROUP_REOPENED = "report_group.reopened"
    REPORT_GROUP_REGRESSED = "report_group.regressed"
    ARTIFACT_DELETED = "artifact.deleted"
    RETENTION_CHANGED = "retention.changed"
    LIMIT_CHANGED = "limit.changed"
    INGEST_KEY_MINTED = "ingest_key.minted"
    INGEST_KEY_REVOKED = "ingest_key.revoked"
    SSO_CONNECTION_CREATED = "sso_connection.created"
    SSO_CONNECTION_CHANGED = "sso_connection.changed"
    SSO_CONNECTION_ENABLED = "sso_connection.enabled"
    SSO_CONNECTION_DISABLED = "sso_connection.disabled"
    SSO_CONNECTION_REMOVED = "sso_connection.removed"
    SSO_CONNECTION_TESTED = "sso_connection.tested"
    SSO_REFUSED = "sso.refused"
    SSO_ENFORCED = "sso.enforced"
    SSO_RELEASED = "sso.released"
    SSO_LOGGED_OUT = "sso.logged_out"
    BREAK_GLASS_USED = "break_glass.used"
    IDENTITY_LINKED = "identity.linked"
    IDENTITY_UNLINKED = "identity.unlinked"
    DOMAIN_CLAIMED = "domain.claimed"
    DOMAIN_VERIFIED = "domain.verified"
    DOMAIN_REMOVED = "domain.removed"
    SCIM_USER_CREATED = "scim_user.created"
    SCIM_USER_CHANGED = "scim_user.changed"
    SCIM_USER_DELETED = "scim_user.deleted"
    SCIM_GROUP_CREATED = "scim_group.created"
    SCIM_GROUP_CHANGED = "scim_group.changed"
    SCIM_GROUP_DELETED = "scim_group.deleted"
    SCIM_ACCOUNT_ALLOWED = "scim_account.allowed"
    SERVER_STARTED = "server.started"
    SERVER_STOPPED = "server.stopped"
    WEB_BUNDLE_CHANGED = "web_bundle.changed"
    PLUGIN_ENABLED = "plugin.enabled"
    PLUGIN_ACTED = "plugin.acted"
    EXPORTER_ENABLED = "exporter.enabled"
    EXPORTER_TESTED = "exporter.tested"
    EXPORT_REFUSED = "export.refused"
    EXPORT_RESENT = "export.resent"
    WITNESS_ASKED = "witness.asked"
    WITNESS_CONTRADICTED = "witness.contradicted"
    WORKSPACE_DELETION_ASKED = "workspace_deletion.asked"
    WORKSPACE_DELETION_WITHDRAWN = "workspace_deletion.withdrawn"
    WORKSPACE_CLOSED = "workspace.closed"
    WORKSPACE_EMPTIED = "workspace.emptied"
    WORKSPACE_DELETED = "workspace.deleted"
    NOTIFICATION_DESTINATION_CREATED = "notification_destination.created"
    NOTIFICATION_DESTINATION_CHANGED = "notification_destination.changed"
    NOTIFICATION_DESTINATION_ROTATED = "notification_destination.rotated"
    NOTIFICATION_DESTINATION_TESTED = "notification_destination.tested"
    NOTIFICATION_DESTINATION_STOPPED = "notification_destination.stopped"
    NOTIFICATION_DESTINATION_REMOVED = "notification_destination.removed"
    NOTIFICATION_PREFERENCE_CHANGED = "notification_preference.changed"
    NOTIFICATION_FAILED = "notification.failed"
    NOTIFICATION_RESENT = "notification.resent"
    RECORDING_BEGUN = "recording.begun"
    RECORDING_EXTENDED = "recording.extended"
    RECORDING_RESUMED = "recording.resumed"
    RECORDING_BROKEN = "recording.broken"
    RECORDING_ENDED = "recording.ended"
    RECORDING_WITHHELD = "recording.withheld"
    RECORDING_READ = "recording.read"
    RECORDING_DELETED = "recording.deleted"
    BACKUP_BEGUN = "backup.begun"
    BACKUP_MADE = "backup.made"
    BACKUP_RESTORED = "backup.restored"
    AUDIT_VIEW_SHARED = "audit_view.shared"
    AUDIT_VIEW_RENAMED = "audit_view.renamed"
    AUDIT_VIEW_WITHDRAWN = "audit_view.withdrawn"
    AUDIT_EXPORTED = "audit.exported"
    BODY_ERASED = "body.erased"
    ACCESS_DENIED = "access.denied"
    CLOCK_STEP = "clock.step"
    HEAD_RECORDED = "head.recorded"
    ROLLBACK_ACCEPTED = "rollback.accepted"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: the kind of principal, its id, the methods of its credential, a hash that tells sessions apart."""

    t: str
    id: str
    auth: tuple[str, ...] = ()
    sid_h: str | None = None

    @classmethod
    def of(cls, principal: Principal) -> "Actor":
        """Return how `principal` stands in a record; its session appears as a hash only."""
        return _actor_of(principal.kind, principal.id, principal.auth, principal.session_id)

    @property
    def account_id(self) -> str | None:
        """Return the account that acted, itself or by its key; None when no person did."""
        return self.id if self.t in {"user", "api_key"} else None


@lru_cache(maxsize=4096)
def _actor_of(kind: str, identifier: str, auth: tuple[str, ...], session_id: str | None) -> Actor:
    sid_h = None
    if session_id is not None:
        sid_h = base64url(hashlib.sha256(b"failgate session\n" + session_id.encode()).digest()[:12])
    return Actor(kind, identifier, auth, sid_h)


SERVER = Actor("system", "failgate")  # what the server does by itself


class Event(msgspec.Struct, frozen=True):
    """One thing that happened. `ws` is the id of a workspace, or `system`, and names the log that it goes to.

    `obj_t` and `obj_id` name what it happened to. `req` and `ip` come from the request that is being served when they
    are None here.
    """

    act: Act
    ws: str
    obj_t: str
    obj_id: str
    actor: Actor
    data: dict[str, JSON] = {}  # msgspec copies the empty default
    out: Outcome = "ok"
    req: str | None = None
    ip: str | None = None
