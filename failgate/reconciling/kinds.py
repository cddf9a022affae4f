"""Which rows stand for which records: the table, what its rows say, and what each act makes of an object. Pure.

What changes without an act of its own (a last use, a name) is not compared. Commands, votes, rules and times of
observing are not here: `gate/verification.py` folds their records by the gate's own laws.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from failgate.audit.record import SYSTEM, Act

GONE: Final = "gone"  # the row has to be absent, or may be
_PLACES: Final = {f"'{SYSTEM}'": True, "workspace_id": False}  # whether the log of a row is that of the installation
_OF_FACT: Final = "*"  # before the name of the fact that is the state


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object.

    `acts` say which state it has after each of them; `state` and `facts` are what its row says, in SQL: a fact is
    compared with the last record that states it. `may_vanish`: its row goes by time, without a record. `sort` is the
    fact `kind` that its records have or, after a `-`, have not. With `member` there are several of one object, told
    apart by that fact: an id is the object's, a space, and the fact.
    """

    name: str
    obj_t: str
    table: str
    acts: Mapping[Act, str | None]  # None: the state stays as it is, facts may change
    state: str
    key: str = "id"
    page: str = "id"
    log: str = "workspace_id"
    where: str = "1 = 1"
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    may_vanish: bool = False
    sort: str | None = None
    member: str | None = None

    def is_of(self, record: Mapping[str, Any], log: str) -> bool:
        """Tell whether `record` is about such an object: what is an account in one log is a member in another."""
        if record["obj"]["t"] != self.obj_t or (self.log in _PLACES and _PLACES[self.log] != (log == SYSTEM)):
            return False
        if self.sort is None:
            return True
        is_same: bool = record["data"].get("kind") == self.sort.removeprefix("-")
        return is_same != self.sort.startswith("-")

    def id_of(self, record: Mapping[str, Any]) -> str:
        """Return the id of what `record`, of this kind, is about."""
        identifier = str(record["obj"]["id"])
        return identifier if self.member is None else f"{identifier} {record['data'][self.member]}"

    def object_of(self, identifier: str) -> str:
        """Return the object's id in an id of this kind."""
        return identifier if self.member is None else identifier.partition(" ")[0]

    @property
    def columns(self) -> str:
        """Return what is selected of each row."""
        facts = "".join(f", {expression} AS fact_{name}" for name, expression in self.facts.items())
        return f"{self.page} AS page, {self.key} AS id, {self.log} AS log, {self.state} AS state{facts}"

    def state_after(self, act: Act, data: Mapping[str, Any]) -> str | None:
        """Return the state after `act`, None when it stays."""
        state = self.acts[act]
        return str(data.get(state[1:])) if state is not None and state.startswith(_OF_FACT) else state


def _ends(column: str, ended: str) -> str:
    return f"CASE WHEN {column} IS NULL THEN 'live' ELSE '{ended}' END"


KINDS: Final = (
    Kind(
        "account", "account", "account",
        {Act.ACCOUNT_CREATED: "live", Act.ACCOUNT_ENABLED: "live", Act.ACCOUNT_DISABLED: "disabled"},
        _ends("disabled_us", "disabled"), log=f"'{SYSTEM}'",
    ),
    Kind(
        "session", "session", "session", {Act.SESSION_OPENED: "live", Act.SESSION_CLOSED: GONE}, "'live'",
        log=f"'{SYSTEM}'",
    ),
    Kind(
        "login", "login", "login", {Act.LOGIN_OPENED: "live", Act.LOGIN_CLOSED: GONE}, "'live'", log=f"'{SYSTEM}'",
    ),
    Kind(
        "trusted device", "device", "trusted_device", {Act.DEVICE_TRUSTED: "live", Act.DEVICE_REVOKED: GONE}, "'live'",
        log=f"'{SYSTEM}'", facts={"expires_us": "expires_us"}, may_vanish=True,
    ),
    Kind(
        "identity", "identity", "sso_identity", {Act.IDENTITY_LINKED: "live", Act.IDENTITY_UNLINKED: GONE}, "'live'",
        log=f"'{SYSTEM}'", facts={"account": "account_id", "connection": "connection_id"}, may_vanish=True,
    ),
    Kind(
        "platform role", "account", "account", {Act.PLATFORM_ROLE_GRANTED: "admin", Act.PLATFORM_ROLE_REVOKED: GONE},
        "'admin'", log=f"'{SYSTEM}'", where="is_platform_admin = 1",
    ),
    Kind("workspace", "workspace", "workspace", {Act.WORKSPACE_CREATED: "live"}, "'live'", log="id"),
    Kind(
        "member", "account", "membership",
        {Act.MEMBER_ADDED: "*role", Act.MEMBER_CHANGED: "*role", Act.MEMBER_REMOVED: GONE},
        "role", key="account_id",
    ),
    Kind(
        "agent", "agent", "agent",
        {Act.AGENT_CREATED: "live", Act.AGENT_CHANGED: None, Act.AGENT_DISABLED: "disabled"},
        _ends("disabled_us", "disabled"), facts={"owner": "owner_account_id"},
    ),
    Kind(
        "certificate", "certificate", "agent_certificate",
        {Act.CERTIFICATE_REGISTERED: "live", Act.CERTIFICATE_REVOKED: "revoked"},
        _ends("revoked_us", "revoked"), facts={"agent": "agent_id"},
    ),
    Kind(
        "token", "token", "token",
        {Act.TOKEN_MINTED: "live", Act.TOKEN_LIMITED: None, Act.TOKEN_REVOKED: "revoked"},
        _ends("revoked_us", "revoked"), facts={"kind": "kind", "expires_us": "expires_us"}, sort="-scim",
    ),
    Kind(
        "SCIM token", "token", "scim_token", {Act.TOKEN_MINTED: "live", Act.TOKEN_REVOKED: "revoked"},
        _ends("revoked_us", "revoked"), sort="scim", facts={"owner": "connection_id"},
        log=f"COALESCE((SELECT workspace_id FROM sso_connection WHERE sso_connection.id = connection_id), '{SYSTEM}')",
    ),
    Kind(
        "connection", "sso_connection", "sso_connection",
        {Act.SSO_CONNECTION_CREATED: "live", Act.SSO_CONNECTION_REMOVED: "removed"},
        _ends("removed_us", "removed"), log=f"COALESCE(workspace_id, '{SYSTEM}')",
    ),
    Kind(
        "invitation", "invitation", "invitation",
        {Act.INVITATION_CREATED: "live", Act.INVITATION_ACCEPTED: "ended", Act.INVITATION_REVOKED: "ended"},
        _ends("ended_us", "ended"), facts={"role": "role"},
    ),
    Kind(
        "report", "report", "report",
        {
            Act.REPORT_BEGUN: "begun", Act.REPORT_SEALED: "sealed", Act.REPORT_QUARANTINED: "quarantined",
            Act.REPORT_DELETED: GONE,
        },
        "state",
        facts={
            "manifest": "manifest_sha256",
            "artifacts": "(SELECT COUNT(*) FROM report_artifact AS part WHERE part.workspace_id = report.workspace_id"
            " AND part.report_id = report.id)",
            "size_bytes": "(SELECT CAST(COALESCE(SUM(part.size_bytes), 0) AS BIGINT) FROM report_artifact AS part"
            " WHERE part.workspace_id = report.workspace_id AND part.report_id = report.id AND NOT EXISTS"
            " (SELECT 1 FROM report_artifact AS same WHERE same.workspace_id = part.workspace_id AND same.report_id"
            " = part.report_id AND same.sha256 = part.sha256 AND same.position < part.position))",  # each digest once
        },
    ),
    Kind(
        "share", "share", "share", {Act.SHARE_CREATED: "live", Act.SHARE_REVOKED: "revoked"},
        _ends("revoked_us", "revoked"), facts={"report": "report_id", "expires_us": "expires_us"}, may_vanish=True,
    ),
    Kind(
        "recording", "recording", "recording",
        {Act.RECORDING_BEGUN: "kept", Act.RECORDING_EXTENDED: None, Act.RECORDING_DELETED: GONE},
        "'kept'", facts={"chain": "chain"},
    ),
    Kind(
        "ingest key", "ingest_key", "ingest_key",
        {Act.INGEST_KEY_MINTED: "live", Act.INGEST_KEY_REVOKED: "revoked"}, _ends("revoked_us", "revoked"),
    ),
    Kind(
        "redaction rule", "redaction_rule", "redaction_rule",
        {Act.REDACTION_RULE_CREATED: "live", Act.REDACTION_RULE_REVOKED: GONE}, "'live'",
    ),
    Kind(
        "device key", "device_key", "device_key",
        {Act.DEVICE_KEY_ENROLLED: "live", Act.DEVICE_KEY_REVOKED: "revoked"},
        _ends("revoked_us", "revoked"), facts={"purpose": "purpose", "jkt": "jkt", "class": "key_class"},
    ),
    Kind(
        "key manifest", "key_manifest", "key_manifest", {Act.KEY_MANIFEST_ACCEPTED: "live"}, "'live'",
        key="digest", facts={"epoch": "epoch", "expires_us": "expires_us"},
    ),
    Kind(
        "sealed command", "sealed_command", "sealed_command",
        {
            Act.SEALED_COMMAND_CREATED: "pending", Act.SEALED_COMMAND_DECIDED: "*state",
            Act.SEALED_COMMAND_CANCELLED: "cancelled", Act.SEALED_COMMAND_EXPIRED: "expired",
            Act.SEALED_COMMAND_FINISHED: "executed",
        },
        "CASE WHEN state = 'executed' AND receipt IS NULL THEN 'executed without a receipt' ELSE state END", key="cid",
        facts={
            "digest": "commitment", "epoch": "epoch", "policy": "policy", "expires_us": "expires_us",
            "size_bytes": "size_bytes",
        },
    ),
    Kind(
        "sealed rules", "sealed_rules", "sealed_rules", {Act.SEALED_RULES_ACCEPTED: "live"}, "'live'",
        key="digest", facts={"epoch": "epoch", "expires_us": "expires_us"},
    ),
    Kind(
        "sealed run", "sealed_run", "sealed_run", {Act.SEALED_RUN_FINISHED: "live"}, "'live'",
        key="rid", facts={"digest": "commitment", "rules": "rules", "jkt": "agent_jkt", "exit_code": "exit_code"},
    ),
    Kind(
        "sealed decision", "sealed_command", "sealed_decision", {Act.SEALED_COMMAND_DECIDED: "*decision"}, "decision",
        key="cid || ' ' || jkt", member="jkt",
    ),
    Kind(
        "notification destination", "notification_destination", "notify_destination",
        {Act.NOTIFICATION_DESTINATION_CREATED: "live", Act.NOTIFICATION_DESTINATION_REMOVED: GONE}, "'live'",
    ),
)  # fmt: skip
