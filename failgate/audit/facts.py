"""What `data` of an audit record states for each act, and the shapes that hold an event to it."""

from typing import Annotated, Any, Literal

import msgspec

from failgate.audit.leaf import Count, Integer
from failgate.audit.record import Act

Digest = Annotated[str, msgspec.Meta(min_length=43, max_length=71)]  # SHA-256 as base64url, hex, or hex after "sha256:"
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Word = Annotated[str, msgspec.Meta(max_length=200)]  # a state, a reason of the catalogue, a version
Microseconds = Count


class Maybe:
    """A member that may be absent or null."""

    def __init__(self, kind: Any) -> None:
        """Keep the `kind`, a type or a special form of typing, that it has when it is there."""
        self.kind = kind


def _shape(name: str, members: dict[str, object]) -> type[msgspec.Struct]:
    """Return a struct whose members stand in canonical order, so that encoding one gives canonical bytes."""
    fields: list[Any] = []
    for member, kind in sorted(members.items()):
        if isinstance(kind, Maybe):
            fields.append((member, kind.kind | None | msgspec.UnsetType, msgspec.UNSET))
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
    Act.SESSION_REAUTHENTICATED: {"method": _WORD},
    Act.FACTOR_ENROLLED: {"method": _WORD, "passkey": _ID},
    Act.FACTOR_REFUSED: {"reason": _WORD, "method": _WORD, "count": _COUNT},
    Act.FACTOR_REMOVED: {"method": _WORD, "passkey": _ID, "evidence": _WORD},
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
    Act.SEALING_KEY_ROTATED: {"key_before": Word, "values": _COUNT, "unreadable": _COUNT},
    Act.LOG_KEY_ROTATED: {"public_key": Word, "public_key_before": Word},
    Act.COMMAND_CREATED: {
        "digest": Digest,
        "expires_us": Microseconds,
        "need": Count,
        "requester": Maybe(Id),
        "excluded": list[Id],
        "policy": Digest,
        "state": Literal["pending"],
        "terms": _DIGEST,
        "deny_after": _COUNT,
        "edits": _ID,
        "edits_digest": _DIGEST,
    },
    Act.COMMAND_ALLOWED: {"digest": Digest, "policy": Digest, "rule": _ID, "use_by_us": Microseconds},
    Act.COMMAND_REFUSED: {"digest": Digest, "policy": Digest, "rule": _ID, "mute": _ID},
    Act.COMMAND_OBSERVED: {
        "digest": Digest,
        "policy": Digest,
        "use_by_us": Microseconds,
        "would": Literal["wait", "deny"],
        "need": Count,
        "observing": Id,
        "terms": _DIGEST,
        "deny_after": _COUNT,
    },
    Act.GLASS_BROKEN: {"digest": Digest, "use_by_us": Microseconds},
    Act.GLASS_REVIEWED: {"digest": Digest, "verdict": Literal["justified", "unjustified"]},
    Act.GLASS_REMINDED: {"digest": Digest, "waited_us": Microseconds},
    Act.OBSERVING_BEGUN: {"expires_us": Microseconds, "denials": Count, "agent": _ID},
    Act.MUTE_BEGUN: {"agent": Id, "command": Id, "what": Literal["same", "program"], "expires_us": Microseconds},
    Act.MUTE_ENDED: {"agent": Id, "denied": Count},
    Act.VOTE_CAST: {"digest": Digest, "decision": Literal["approve", "deny"], "vote": _ID},
    Act.VOTE_REFUSED: {"command": Id, "reason": Word, "after_ms": _COUNT, "least_ms": Count},
    Act.VOTE_VOIDED: {"account": Id, "digest": _DIGEST, "reason": _WORD},
    Act.COMMAND_APPROVED: {
        "digest": Digest,
        "use_by_us": Microseconds,
        "approvals": _COUNT,
        "stand_ins": Maybe(list[Id]),
    },
    Act.ABSENCE_DECLARED: {"from_us": Microseconds, "until_us": Microseconds, "stand_in": _ID},
    Act.ABSENCE_ENDED: {"reason": Word},
    Act.STAND_IN_ENDED: {"stand_in": Id, "reason": Word},
    Act.COMMAND_DENIED: {"digest": _DIGEST, "reason": _WORD, "edited": _ID, "edited_digest": _DIGEST},
    Act.COMMAND_EXPIRED: {"digest": _DIGEST, "reason": _WORD},
    Act.COMMAND_CANCELLED: {"digest": _DIGEST, "reason": _WORD},
    Act.COMMAND_CONSUMED: {"digest": Digest},
    Act.COMMAND_MISMATCHED: {"digest": Digest, "digest_found": Maybe(Digest)},
    Act.COMMAND_FINISHED: {"digest": _DIGEST, "exit_code": Maybe(Integer), "duration_ms": _COUNT, "report": _ID},
    Act.COMMAND_QUARANTINED: {"digest_found": Maybe(Word), "digest": _DIGEST, "reason": _WORD},
    Act.COMMAND_ESCALATED: {"group": Word, "step": Count, "accounts": list[Id], "waited_us": Microseconds},
    Act.NOTIFICATION_DESTINATION_CREATED: {"notifier": Word, "events": Count},
    Act.NOTIFICATION_DESTINATION_CHANGED: {"events": Count, "details": Count, "enabled": Count},
    Act.NOTIFICATION_PREFERENCE_CHANGED: {"events": Count},
    Act.NOTIFICATION_FAILED: {"event": Word, "notifier": Word, "attempts": Count, "destination": _ID},
    Act.NOTIFICATION_RESENT: {"destination": Id},
    Act.RULE_CREATED: {"digest": Digest, "expires_us": _COUNT, "max_uses": _COUNT},
    Act.RULE_REVOKED: {"digest": _DIGEST},
    Act.RULE_QUARANTINED: {"digest_found": _WORD, "digest": _DIGEST, "reason": _WORD},
    Act.RULE_LOST: {"digest": _DIGEST},
    Act.RULE_PROPOSED: {"digest": Digest, "need": Count, "rules": Count},
    Act.RULE_APPROVED: {"digest": Digest, "approvals": Count},
    Act.RULE_TERMS_CHANGED: {"approvers": Count},
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
    Act.ARTIFACT_QUARANTINED: {"sha256": Digest, "malware": Word},
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
    Act.EXPORTER_ENABLED: {"number": Count},
    Act.EXPORT_REFUSED: {"log": Id, "number": Count, "attempts": Count, "reason": Word},
    Act.EXPORT_RESENT: {"records": Count},
    Act.WITNESS_CONTRADICTED: {"log": Id, "size": Count, "reason": Word},
    Act.WORKSPACE_DELETION_ASKED: {"expires_us": Microseconds},
    Act.WORKSPACE_DELETION_WITHDRAWN: {"asked_by": Id, "reason": Word},
    Act.WORKSPACE_CLOSED: {"asked_by": Id, "owners": Count},
    Act.WORKSPACE_EMPTIED: {"reports": Count, "artifacts": Count, "size_bytes": Count},
    Act.WORKSPACE_DELETED: {"log_size": Count, "log_root": Digest, "receipt": Digest},
    Act.RECORDING_BEGUN: {"chain": Digest},
    Act.RECORDING_EXTENDED: {"number": Count, "sha256": Digest, "chain": Digest, "size_bytes": Count},
    Act.RECORDING_RESUMED: {"chunks": Count, "chain": Digest},
    Act.RECORDING_BROKEN: {"chunks": Count, "chain": Digest, "reason": Word},
    Act.RECORDING_ENDED: {"chunks": Count, "chain": Digest},
    Act.RECORDING_WITHHELD: {"number": Count, "findings": Count},
    Act.RECORDING_READ: {"chunks": Count, "chain": Digest, "first": _COUNT, "last": _COUNT},
    Act.RECORDING_DELETED: {"chunks": Count, "chain": Digest, "reason": _WORD},
    Act.BACKUP_BEGUN: {"keys": Word, "artifacts": Word},
    Act.BACKUP_MADE: {"manifest": Digest, "made_us": Microseconds, "size_bytes": Count, "artifacts": Count},
    Act.BACKUP_RESTORED: {"manifest": Digest, "made_us": Microseconds, "keys": Word, "forgotten": Count},
    Act.AUDIT_VIEW_SHARED: {"filter": Digest, "account": Id},
    Act.AUDIT_VIEW_RENAMED: {"filter": Digest, "account": Id},
    Act.AUDIT_VIEW_WITHDRAWN: {"filter": Digest, "account": Id},
    Act.AUDIT_EXPORTED: {
        "kind": Word,
        "first": Count,
        "last": Count,
        "size": Count,
        "from_us": _COUNT,
        "to_us": _COUNT,
    },
    Act.ACCESS_DENIED: {"permission": Word, "reason": Word, "count": _COUNT},
    Act.CLOCK_STEP: {"from_us": Microseconds, "to_us": Microseconds},
    Act.HEAD_RECORDED: {"size": Count, "root": Digest},
    Act.ROLLBACK_ACCEPTED: {
        "signed_size": Count,
        "signed_root": _DIGEST,
        "found_size": Count,
        "found_root": _DIGEST,
        "reason": _WORD,
    },
}

SHAPES: dict[str, type[msgspec.Struct]] = {str(act): _shape(act, MEMBERS.get(act, {})) for act in Act}
