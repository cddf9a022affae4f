"""What an audit record says: the catalogue of acts, and what each must state.

An event states who did what to which object. Its `data` holds digests, ids, numbers and states: never a command's text,
a note or a secret. `encoding.py` refuses what the catalogue does not allow.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec

from failgate.access.principal import Principal
from failgate.audit.leaf import Count, Integer
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
    COMMAND_CREATED = "command.created"
    COMMAND_ALLOWED = "command.allowed"
    COMMAND_REFUSED = "command.refused"
    VOTE_CAST = "vote.cast"
    VOTE_VOIDED = "vote.voided"
    COMMAND_APPROVED = "command.approved"
    COMMAND_DENIED = "command.denied"
    COMMAND_EXPIRED = "command.expired"
    COMMAND_CANCELLED = "command.cancelled"
    COMMAND_CONSUMED = "command.consumed"
    COMMAND_FINISHED = "command.finished"
    COMMAND_QUARANTINED = "command.quarantined"
    RULE_CREATED = "rule.created"
    RULE_REVOKED = "rule.revoked"
    RULE_QUARANTINED = "rule.quarantined"
    RULE_LOST = "rule.lost"
    LETTER_FAILED = "letter.failed"
    REPORT_BEGUN = "report.begun"
    REPORT_SEALED = "report.sealed"
    REPORT_READ = "report.read"
    REPORT_DELETED = "report.deleted"
    REPORT_QUARANTINED = "report.quarantined"
    ARTIFACT_READ = "artifact.read"
    ARTIFACT_REVIEWED = "artifact.reviewed"
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
    PLUGIN_ENABLED = "plugin.enabled"
    WORKSPACE_DELETION_ASKED = "workspace_deletion.asked"
    WORKSPACE_DELETION_WITHDRAWN = "workspace_deletion.withdrawn"
    WORKSPACE_CLOSED = "workspace.closed"
    WORKSPACE_EMPTIED = "workspace.emptied"
    WORKSPACE_DELETED = "workspace.deleted"
    ACCESS_DENIED = "access.denied"
    CLOCK_STEP = "clock.step"
    ROLLBACK_ACCEPTED = "rollback.accepted"


Digest = Annotated[str, msgspec.Meta(min_length=43, max_length=71)]  # SHA-256 as base64url, hex, or hex after "sha256:"
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Word = Annotated[str, msgspec.Meta(max_length=200)]  # a state, a reason of the catalogue, a version
Microseconds = Count


class Maybe:
    """A member that may be absent or null."""

    def __init__(self, kind: object) -> None:
        """Keep the `kind` that it has when it is there."""
        self.kind = kind


def _shape(name: str, members: dict[str, object]) -> type[msgspec.Struct]:
    """Return a struct whose members stand in canonical order, so that encoding one gives canonical bytes."""
    fields: list[Any] = []
    for member, kind in sorted(members.items()):
        if isinstance(kind, Maybe):
            fields.append((member, kind.kind | None | msgspec.UnsetType, msgspec.UNSET))  # type: ignore[operator]  # a union made at run time
        else:
            fields.append((member, kind))
    return msgspec.defstruct(f"Data_{name.replace('.', '_')}", fields, kw_only=True, forbid_unknown_fields=True)


_WORD = Maybe(Word)
_COUNT = Maybe(Count)
_ID = Maybe(Id)
_DIGEST = Maybe(Digest)

_SCIM_USER: dict[str, object] = {
    "connection": Id,
    "version": _COUNT,
    "account": _ID,
    "state": _WORD,
    "reason": _WORD,
}

# What `data` states for each act. Acts that are not named here state nothing more than who, when and which object.
MEMBERS: dict[Act, dict[str, object]] = {
    Act.ACCOUNT_CREATED: {"method": _WORD},
    Act.ACCOUNT_DISABLED: {"sessions": _COUNT, "reason": _WORD},
    Act.ACCOUNT_PASSWORD_CHANGED: {"sessions": _COUNT, "method": _WORD},
    Act.PLATFORM_ROLE_GRANTED: {"role": Word},
    Act.PLATFORM_ROLE_REVOKED: {"role": Word},
    Act.PASSWORD_RESET_BEGUN: {"reset": Id, "expires_us": _COUNT, "method": _WORD},
    Act.PASSWORD_RESET_FINISHED: {"reset": Id},
    Act.INVITATION_CREATED: {"role": Word, "expires_us": _COUNT, "method": _WORD},
    Act.INVITATION_ACCEPTED: {"role": Word, "account": _ID},
    Act.INVITATION_REFUSED: {"reason": Word},
    Act.INVITATION_REVOKED: {"role": _WORD},
    Act.AGENT_CHANGED: {"owner": _ID, "owner_before": _ID, "fields": _WORD},
    Act.WORKSPACE_CHANGED: {"fields": _WORD},
    Act.SESSION_OPENED: {"method": _WORD, "expires_us": _COUNT},
    Act.SESSION_REFUSED: {"reason": Word, "count": _COUNT},
    Act.SESSION_CLOSED: {"reason": _WORD},
    Act.SESSION_SECOND_FACTOR_PROVEN: {"method": _WORD},
    Act.FACTOR_ENROLLED: {"method": _WORD, "passkey": _ID},
    Act.FACTOR_REFUSED: {"reason": _WORD, "method": _WORD, "count": _COUNT},
    Act.FACTOR_REMOVED: {"method": _WORD, "passkey": _ID},
    Act.FACTOR_RENAMED: {"method": _WORD, "passkey": _ID},
    Act.BACKUP_CODE_USED: {"left": _COUNT},
    Act.DEVICE_TRUSTED: {"expires_us": _COUNT},
    Act.DEVICE_REVOKED: {"reason": Word},
    Act.SETUP_COMPLETED: {"account": _ID, "workspace": _ID},
    Act.WORKSPACE_CREATED: {"owner": _ID},
    Act.MEMBER_ADDED: {"role": Word, "account": _ID},
    Act.MEMBER_CHANGED: {"role": Word, "account": _ID, "role_before": _WORD},
    Act.MEMBER_REMOVED: {"account": _ID},
    Act.AGENT_CREATED: {"owner": _ID},
    Act.TOKEN_MINTED: {"kind": Word, "owner": _ID, "expires_us": _COUNT, "scopes": _COUNT, "networks": _COUNT},
    Act.CERTIFICATE_REGISTERED: {"agent": Id, "kind": Word, "san": Digest},
    Act.CERTIFICATE_REVOKED: {"agent": Id, "reason": Word},
    Act.TOKEN_REVOKED: {"kind": _WORD, "reason": _WORD},
    Act.TOKEN_LIMITED: {"kind": _WORD, "expires_us": _COUNT},
    Act.LOGIN_APPROVED: {"client": Word},
    Act.LOGIN_DENIED: {"client": Word},
    Act.LOGIN_REFUSED: {"reason": Word, "count": _COUNT},
    Act.LOGIN_OPENED: {"client": Word, "expires_us": _COUNT},
    Act.LOGIN_CLOSED: {"reason": Word},
    Act.SIGNING_KEY_ROTATED: {"reason": Word},
    Act.COMMAND_CREATED: {
        "digest": Digest,
        "expires_us": Microseconds,
        "need": Count,
        "requester": Maybe(Id),
        "excluded": list[Id],
        "policy": Digest,
        "state": Literal["pending"],
    },
    Act.COMMAND_ALLOWED: {"digest": Digest, "policy": Digest, "rule": _ID, "use_by_us": Microseconds},
    Act.COMMAND_REFUSED: {"digest": Digest, "policy": Digest, "rule": _ID},
    Act.VOTE_CAST: {"digest": Digest, "decision": Literal["approve", "deny"], "vote": _ID},
    Act.VOTE_VOIDED: {"account": Id, "digest": _DIGEST, "reason": _WORD},
    Act.COMMAND_APPROVED: {"digest": Digest, "use_by_us": Microseconds, "approvals": _COUNT},
    Act.COMMAND_DENIED: {"digest": _DIGEST, "reason": _WORD},
    Act.COMMAND_EXPIRED: {"digest": _DIGEST, "reason": _WORD},
    Act.COMMAND_CANCELLED: {"digest": _DIGEST, "reason": _WORD},
    Act.COMMAND_CONSUMED: {"digest": Digest},
    Act.COMMAND_FINISHED: {"digest": _DIGEST, "exit_code": Maybe(Integer), "duration_ms": _COUNT, "report": _ID},
    Act.COMMAND_QUARANTINED: {"digest_found": Maybe(Word), "digest": _DIGEST, "reason": _WORD},
    Act.RULE_CREATED: {"digest": Digest, "expires_us": _COUNT, "max_uses": _COUNT},
    Act.RULE_REVOKED: {"digest": _DIGEST},
    Act.RULE_QUARANTINED: {"digest_found": _WORD, "digest": _DIGEST, "reason": _WORD},
    Act.RULE_LOST: {"digest": _DIGEST},
    Act.LETTER_FAILED: {"purpose": Word, "reason": Word},
    Act.REPORT_BEGUN: {
        "manifest": Digest,
        "command": _ID,
        "consent": _WORD,
        "artifacts": _COUNT,
        "size_bytes": _COUNT,
    },
    Act.REPORT_SEALED: {
        "manifest": Digest,
        "artifacts": _COUNT,
        "size_bytes": _COUNT,
        "command": _ID,
        "consent": _WORD,
    },
    Act.REPORT_READ: {"manifest": _DIGEST},
    Act.REPORT_DELETED: {"manifest": _DIGEST, "reason": _WORD},
    Act.REPORT_QUARANTINED: {"manifest": _DIGEST, "reason": _WORD, "findings": _COUNT},
    Act.ARTIFACT_READ: {"sha256": Digest, "report": _ID, "first_byte": _COUNT, "last_byte": _COUNT},
    Act.ARTIFACT_REVIEWED: {"sha256": Digest},
    Act.SHARE_CREATED: {"report": Id, "artifacts": Count, "expires_us": Microseconds, "method": Word},
    Act.SHARE_VIEWED: {"report": Id, "count": Count},
    Act.SHARE_REFUSED: {"report": Id, "reason": Word},
    Act.SHARE_REVOKED: {"report": Id},
    Act.ARTIFACT_ENCRYPTED: {"sha256": Digest},
    Act.ARTIFACT_KEY_CREATED: {"wrapping_key": Word},
    Act.ARTIFACT_KEY_ROTATED: {"wrapping_key": Word, "wrapping_key_before": Word},
    Act.ARTIFACT_KEY_DESTROYED: {},
    Act.REDACTION_RULE_CREATED: {"rules": _COUNT, "examples": _COUNT},
    Act.REDACTION_RULE_REVOKED: {"rules": _COUNT},
    Act.REDACTION_SCAN_ENDED: {"version": Word, "reports": Count, "quarantined": Count},
    Act.REPORT_HELD: {"manifest": _DIGEST},
    Act.REPORT_RELEASED: {"manifest": _DIGEST},
    Act.REPORT_GROUP_REGRESSED: {"report": Id},
    Act.ARTIFACT_DELETED: {"sha256": Digest, "report": Id, "reason": _WORD},
    Act.RETENTION_CHANGED: {"kind": Word, "days": _COUNT},
    Act.LIMIT_CHANGED: {"quota": Word, "amount": _COUNT},
    Act.SSO_CONNECTION_CREATED: {"kind": Word, "settings": Digest},
    Act.SSO_CONNECTION_CHANGED: {"change": Word, "settings": _DIGEST},
    Act.SSO_CONNECTION_ENABLED: {},
    Act.SSO_CONNECTION_DISABLED: {"sessions": _COUNT, "reason": _WORD},
    Act.SSO_CONNECTION_REMOVED: {"sessions": _COUNT, "identities": _COUNT},
    Act.SSO_CONNECTION_TESTED: {"result": Word},
    Act.SSO_REFUSED: {"reason": Word, "account": _ID, "count": _COUNT},
    Act.SSO_ENFORCED: {"owner": Id},
    Act.SSO_RELEASED: {},
    Act.SSO_LOGGED_OUT: {"sessions": Count, "by": Word},
    Act.BREAK_GLASS_USED: {"session": _ID},
    Act.IDENTITY_LINKED: {"connection": Id, "account": Id, "method": Word},
    Act.IDENTITY_UNLINKED: {"connection": Id, "account": Id, "reason": _WORD},
    Act.DOMAIN_CLAIMED: {"connection": Id},
    Act.DOMAIN_VERIFIED: {"connection": Id, "method": Word},
    Act.DOMAIN_REMOVED: {"connection": Id},
    Act.SCIM_USER_CREATED: _SCIM_USER,
    Act.SCIM_USER_CHANGED: _SCIM_USER,
    Act.SCIM_USER_DELETED: _SCIM_USER,
    Act.SCIM_GROUP_CREATED: {"connection": Id, "version": _COUNT},
    Act.SCIM_GROUP_CHANGED: {"connection": Id, "version": _COUNT},
    Act.SCIM_GROUP_DELETED: {"connection": Id, "version": _COUNT},
    Act.SCIM_ACCOUNT_ALLOWED: {"connection": Id, "account": Id},
    Act.SERVER_STARTED: {"version": Word, "boot": _ID},
    Act.SERVER_STOPPED: {"version": _WORD, "boot": _ID},
    Act.PLUGIN_ENABLED: {"name": Word, "version": Word, "hash": Word},
    Act.WORKSPACE_DELETION_ASKED: {"expires_us": Microseconds},
    Act.WORKSPACE_DELETION_WITHDRAWN: {"asked_by": Id, "reason": Word},
    Act.WORKSPACE_CLOSED: {"asked_by": Id, "owners": Count},
    Act.WORKSPACE_EMPTIED: {"reports": Count, "artifacts": Count, "size_bytes": Count},
    Act.WORKSPACE_DELETED: {"log_size": Count, "log_root": Digest, "receipt": Digest},
    Act.ACCESS_DENIED: {"permission": Word, "reason": Word, "count": _COUNT},
    Act.CLOCK_STEP: {"from_us": Microseconds, "to_us": Microseconds},
    Act.ROLLBACK_ACCEPTED: {
        "signed_size": Count,
        "signed_root": _DIGEST,
        "found_size": Count,
        "found_root": _DIGEST,
        "reason": _WORD,
    },
}

SHAPES: dict[str, type[msgspec.Struct]] = {str(act): _shape(act, MEMBERS.get(act, {})) for act in Act}


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
