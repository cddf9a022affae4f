"""The table of every door: name, method, path, handler, permission. A security review reads this page.

`app.py` builds the application from it and refuses to start with a door that is not here; `tests/web/test_routes.py`
pins it. A new door is a line here; the doors of pages stand in `failgate/web/pages/doors.py` and are joined at the end.
"""

from collections.abc import Callable
from typing import Any, Final, TypedDict, Unpack

from failgate.access.permission import Permission as P  # noqa: N817  # as the matrix of roles has it
from failgate.web import oauth
from failgate.web.api import (
    agents,
    audit,
    certificates,
    deletion,
    device_keys,
    downloads,
    gate,
    glass,
    ingest,
    keys,
    members,
    mutes,
    notices,
    observing,
    openapi,
    operation,
    policy_reports,
    recordings,
    redaction,
    report_context,
    report_groups,
    reports,
    retention,
    reviewers,
    rules,
    sealed,
    sealed_rules,
    shares,
    static,
    usage,
    webhooks,
    whoami,
)
from failgate.web.artifact_host import PREFIX
from failgate.web.door import Credential, Door
from failgate.web.headers import REPORTS_TO
from failgate.web.live import agent, recording, reviewer
from failgate.web.pages.doors import PAGES
from failgate.web.scim import doors as scim

_WORKSPACE: Final = "/api/v1/workspaces/{workspace}"
_BEARER: Final = frozenset[Credential]({"bearer"})


class _More(TypedDict, total=False):
    own_permission: P
    is_sensitive: bool
    status: int


def _api(name: str, method: str, path: str, handler: Callable[..., Any], needs: P, **more: Unpack[_More]) -> Door:
    """Return a door of the JSON API inside a workspace."""
    where = _WORKSPACE + path
    return Door(
        name=name, method=method, path=where, handler=handler, permission=needs, kind="api", is_documented=True, **more
    )


def _open(name: str, path: str, handler: Callable[..., Any], **more: Any) -> Door:
    """Return a door that anybody may read."""
    kind = more.pop("kind", "operation")
    return Door(name=name, method="GET", path=path, handler=handler, permission=P.PUBLIC_PAGE_READ, kind=kind, **more)


def _oauth(name: str, path: str, handler: Callable[..., Any]) -> Door:
    """Return a door of OAuth: what proves a right here stands in the form, no cookie and no token in a header."""
    return Door(name=name, method="POST", path=path, handler=handler, permission=P.PUBLIC_SESSION_OPEN, kind="oauth")


def _scim(name: str, method: str, path: str, handler: Callable[..., Any], needs: P, status: int = 200) -> Door:
    """Return a door of provisioning: opened by the token of a connection alone."""
    return Door(
        name=f"scim.{name}", method=method, path=f"/scim/v2{path}", handler=handler, permission=needs, kind="scim",
        credentials=_BEARER, status=status,
    )  # fmt: skip


OPERATION: Final = (
    _open("operation.alive", "/healthz", operation.healthz),
    _open("operation.ready", "/readyz", operation.readyz),
    Door(
        name="operation.metrics", method="GET", path="/metrics", handler=operation.metrics,
        permission=P.PLATFORM_METRICS_READ, kind="operation", is_open_to_loopback=True,
    ),
    Door(
        name="operation.policy_report", method="POST", path=REPORTS_TO, handler=policy_reports.report,
        permission=P.PUBLIC_POLICY_REPORT, kind="operation", credentials=frozenset(), status=204,
    ),
    _open("openapi.document", "/api/openapi.json", openapi.document, kind="api"),
    _open("openapi.reader", "/api/docs", openapi.reader, kind="page"),
    _open("openapi.manifest", "/api/schemas/manifest-v1.json", openapi.manifest_schema, kind="api"),
    _open("static.file", "/static/{name:path}", static.static_file),
)  # fmt: skip

API: Final = (
    Door(
        name="whoami.read", method="GET", path="/api/v1/whoami", handler=whoami.whoami,
        permission=P.ACCOUNT_SELF_READ, kind="api", is_documented=True,
    ),
    _api("commands.submit", "POST", "/commands", gate.submit, P.WORKSPACE_COMMAND_SUBMIT, status=201),
    _api("commands.list", "GET", "/commands", gate.listing, P.WORKSPACE_COMMAND_READ),
    _api("commands.read", "GET", "/commands/{id}", gate.one, P.WORKSPACE_COMMAND_READ,
         own_permission=P.WORKSPACE_COMMAND_SUBMIT),
    _api("commands.notice", "GET", "/commands/{id}/notice", notices.of_command, P.WORKSPACE_COMMAND_READ),
    _api("commands.history", "GET", "/commands/{id}/history", gate.history, P.WORKSPACE_COMMAND_READ),
    _api("commands.vote", "POST", "/commands/{id}/votes", gate.vote, P.WORKSPACE_COMMAND_VOTE),
    _api("commands.edit_trial", "POST", "/commands/{id}/edits/trial", gate.try_edit, P.WORKSPACE_COMMAND_VOTE),
    _api("commands.edit", "POST", "/commands/{id}/edits", gate.edit, P.WORKSPACE_COMMAND_VOTE, status=201,
         is_sensitive=True),
    _api("commands.cancel", "POST", "/commands/{id}/cancel", gate.cancel, P.WORKSPACE_COMMAND_SUBMIT),
    _api("commands.consume", "POST", "/commands/{id}/consume", gate.consume, P.WORKSPACE_COMMAND_CONSUME),
    _api("commands.finish", "POST", "/commands/{id}/outcome", gate.outcome, P.WORKSPACE_COMMAND_CONSUME),
    _api("glass.list", "GET", "/glass", glass.listing, P.WORKSPACE_COMMAND_READ),
    _api("commands.break_glass", "POST", "/commands/{id}/glass", glass.break_glass, P.WORKSPACE_COMMAND_VOTE,
         is_sensitive=True),
    _api("commands.review_glass", "POST", "/commands/{id}/glass-review", glass.review, P.WORKSPACE_COMMAND_VOTE,
         is_sensitive=True),
    _api("mutes.list", "GET", "/mutes", mutes.listing, P.WORKSPACE_COMMAND_READ),
    _api("commands.mute", "POST", "/commands/{id}/mute", mutes.mute, P.WORKSPACE_COMMAND_VOTE, status=201),
    _api("mutes.end", "DELETE", "/mutes/{id}", mutes.unmute, P.WORKSPACE_COMMAND_VOTE, status=204),
    _api("policy.explain", "POST", "/policy/explain", gate.explain, P.WORKSPACE_COMMAND_SUBMIT),
    _api("rules.list", "GET", "/rules", rules.listing, P.WORKSPACE_RULE_READ),
    _api("rules.create", "POST", "/rules", rules.create, P.WORKSPACE_RULE_WRITE, status=201, is_sensitive=True),
    _api("rules.starter", "POST", "/rules/starter", rules.take_starter, P.WORKSPACE_RULE_WRITE, is_sensitive=True),
    _api("rules.revoke", "DELETE", "/rules/{id}", rules.revoke, P.WORKSPACE_RULE_WRITE, status=204, is_sensitive=True),
    _api("rule_proposals.list", "GET", "/rule-proposals", rules.proposals, P.WORKSPACE_RULE_READ),
    _api("rule_proposals.create", "POST", "/rule-proposals", rules.propose, P.WORKSPACE_RULE_WRITE, status=201,
         is_sensitive=True),
    _api("rule_proposals.approve", "POST", "/rule-proposals/{id}/approve", rules.approve, P.WORKSPACE_RULE_WRITE,
         is_sensitive=True),
    _api("rule_proposals.withdraw", "DELETE", "/rule-proposals/{id}", rules.withdraw, P.WORKSPACE_RULE_WRITE,
         status=204, is_sensitive=True),
    _api("rule_terms.change", "PUT", "/rule-terms", rules.set_terms, P.WORKSPACE_SETTINGS_WRITE, is_sensitive=True),
    _api("observing.list", "GET", "/observing", observing.listing, P.WORKSPACE_COMMAND_READ),
    _api("observing.begin", "POST", "/observing", observing.begin, P.WORKSPACE_OBSERVING_WRITE, status=201,
         is_sensitive=True),
    _api("observing.report", "GET", "/observing/{id}", observing.report, P.WORKSPACE_COMMAND_READ),
    _api("observing.end", "DELETE", "/observing/{id}", observing.end, P.WORKSPACE_OBSERVING_WRITE, status=204,
         is_sensitive=True),
    _api("reports.begin", "POST", "/reports", reports.begin, P.WORKSPACE_REPORT_CREATE, status=201),
    _api("reports.upload", "PUT", "/reports/{id}/artifacts/{sha256}", reports.put_artifact, P.WORKSPACE_REPORT_CREATE),
    _api("reports.seal", "POST", "/reports/{id}/seal", reports.seal, P.WORKSPACE_REPORT_CREATE),
    _api("reports.list", "GET", "/reports", reports.listing, P.WORKSPACE_REPORT_READ),
    _api("reports.read", "GET", "/reports/{id}", reports.one, P.WORKSPACE_REPORT_READ),
    _api("reports.context", "GET", "/reports/{id}/context", report_context.read, P.WORKSPACE_CONTEXT_READ),
    _api("reports.download", "GET", "/reports/{id}/artifacts/{sha256}", reports.artifact, P.WORKSPACE_REPORT_READ),
    _api("reports.delete", "DELETE", "/reports/{id}", reports.delete, P.WORKSPACE_REPORT_DELETE, is_sensitive=True),
    _api("shares.create", "POST", "/reports/{id}/shares", shares.create, P.WORKSPACE_SHARE_WRITE, status=201),
    _api("shares.list", "GET", "/reports/{id}/shares", shares.listing, P.WORKSPACE_SHARE_READ),
    _api("shares.revoke", "DELETE", "/reports/{id}/shares/{link}", shares.revoke, P.WORKSPACE_SHARE_WRITE, status=204),
    _api("redaction.list", "GET", "/redaction-rules", redaction.listing, P.WORKSPACE_REDACTION_READ),
    _api("redaction.create", "POST", "/redaction-rules", redaction.create, P.WORKSPACE_REDACTION_WRITE, status=201,
         is_sensitive=True),
    _api("redaction.revoke", "DELETE", "/redaction-rules/{id}", redaction.revoke, P.WORKSPACE_REDACTION_WRITE,
         status=204, is_sensitive=True),
    _api("reports.hold", "POST", "/reports/{id}/hold", retention.hold, P.WORKSPACE_REPORT_HOLD, is_sensitive=True),
    _api("reports.release", "DELETE", "/reports/{id}/hold", retention.release, P.WORKSPACE_REPORT_HOLD, status=204,
         is_sensitive=True),
    _api("retention.read", "GET", "/retention", retention.read, P.WORKSPACE_SETTINGS_READ),
    _api("retention.change", "POST", "/retention", retention.change, P.WORKSPACE_REPORT_DELETE, is_sensitive=True),
    _api("usage.read", "GET", "/usage", usage.read, P.WORKSPACE_USAGE_READ),
    _api("usage.export", "GET", "/usage.csv", usage.export, P.WORKSPACE_USAGE_READ),
    _api("deletion.read", "GET", "/deletion", deletion.read, P.WORKSPACE_DELETION_WRITE),
    _api("deletion.ask", "POST", "/deletion", deletion.ask, P.WORKSPACE_DELETION_WRITE, status=201, is_sensitive=True),
    _api("deletion.confirm", "POST", "/deletion/{id}/confirm", deletion.confirm, P.WORKSPACE_DELETION_WRITE,
         is_sensitive=True),
    _api("deletion.withdraw", "DELETE", "/deletion/{id}", deletion.withdraw, P.WORKSPACE_DELETION_WRITE, status=204),
    Door(
        name="deleted_workspaces.list", method="GET", path="/api/v1/deleted-workspaces", handler=deletion.deleted,
        permission=P.ACCOUNT_SELF_READ, kind="api", is_documented=True,
    ),
    Door(
        name="deleted_workspaces.read", method="GET", path="/api/v1/deleted-workspaces/{id}",
        handler=deletion.one_deleted, permission=P.ACCOUNT_SELF_READ, kind="api", is_documented=True,
    ),
    Door(
        name="limits.change", method="POST", path="/api/v1/platform/limits", handler=usage.change_limit,
        permission=P.PLATFORM_LIMIT_WRITE, kind="api", is_documented=True, is_sensitive=True,
    ),
    _api("report_groups.list", "GET", "/report-groups", report_groups.listing, P.WORKSPACE_REPORT_READ),
    _api("report_groups.read", "GET", "/report-groups/{id}", report_groups.one, P.WORKSPACE_REPORT_READ),
    _api("report_groups.resolve", "POST", "/report-groups/{id}/resolve", report_groups.resolve,
         P.WORKSPACE_REPORT_TRIAGE),
    _api("report_groups.ignore", "POST", "/report-groups/{id}/ignore", report_groups.ignore, P.WORKSPACE_REPORT_TRIAGE),
    _api("report_groups.reopen", "POST", "/report-groups/{id}/reopen", report_groups.reopen, P.WORKSPACE_REPORT_TRIAGE),
    _api("reports.document", "POST", "/reports/documents/{format}", ingest.document, P.WORKSPACE_REPORT_CREATE,
         status=201),
    _api("certificates.list", "GET", "/certificates", certificates.listing, P.WORKSPACE_AGENT_READ),
    _api("certificates.register", "POST", "/certificates", certificates.register, P.WORKSPACE_AGENT_WRITE,
         status=201, is_sensitive=True),
    _api("certificates.revoke", "DELETE", "/certificates/{id}", certificates.revoke, P.WORKSPACE_AGENT_WRITE,
         status=204, is_sensitive=True),
    _api("device_keys.list", "GET", "/device-keys", device_keys.listing, P.WORKSPACE_MEMBER_READ),
    _api("device_keys.enrol", "POST", "/device-keys", device_keys.enrol, P.WORKSPACE_SEALED_DECIDE, status=201),
    _api("device_keys.revoke", "DELETE", "/device-keys/{id}", device_keys.revoke, P.WORKSPACE_SEALED_DECIDE,
         status=204),
    _api("agent_keys.enrol", "POST", "/agent-keys", device_keys.enrol_agent, P.WORKSPACE_COMMAND_SUBMIT, status=201),
    _api("agent_keys.revoke", "DELETE", "/agent-keys/{id}", device_keys.revoke_any, P.WORKSPACE_MEMBER_WRITE,
         status=204, is_sensitive=True),
    _api("key_manifests.list", "GET", "/key-manifests", sealed.manifests, P.WORKSPACE_COMMAND_SUBMIT),
    _api("key_manifests.add", "POST", "/key-manifests", sealed.accept_manifest, P.WORKSPACE_MEMBER_WRITE, status=201,
         is_sensitive=True),
    _api("sealed_rules.add", "POST", "/sealed-rules", sealed_rules.accept, P.WORKSPACE_MEMBER_WRITE, status=201,
         is_sensitive=True),
    _api("sealed_runs.list", "GET", "/sealed-runs", sealed_rules.runs, P.WORKSPACE_COMMAND_READ),
    _api("sealed_runs.add", "POST", "/sealed-runs", sealed_rules.take_run, P.WORKSPACE_COMMAND_CONSUME, status=201),
    _api("sealed_commands.list", "GET", "/sealed-commands", sealed.listing, P.WORKSPACE_COMMAND_READ),
    _api("sealed_commands.submit", "POST", "/sealed-commands", sealed.submit, P.WORKSPACE_COMMAND_SUBMIT, status=201),
    _api("sealed_commands.read", "GET", "/sealed-commands/{id}", sealed.one, P.WORKSPACE_COMMAND_READ,
         own_permission=P.WORKSPACE_COMMAND_SUBMIT),
    _api("sealed_commands.decide", "POST", "/sealed-commands/{id}/decisions", sealed.decide,
         P.WORKSPACE_SEALED_DECIDE),
    _api("sealed_commands.cancel", "POST", "/sealed-commands/{id}/cancel", sealed.withdraw, P.WORKSPACE_COMMAND_SUBMIT),
    _api("sealed_commands.finish", "POST", "/sealed-commands/{id}/receipt", sealed.finish,
         P.WORKSPACE_COMMAND_CONSUME),
    _api("agents.list", "GET", "/agents", agents.listing, P.WORKSPACE_AGENT_READ),
    _api("agents.create", "POST", "/agents", agents.create, P.WORKSPACE_AGENT_WRITE, status=201, is_sensitive=True),
    _api("agents.read", "GET", "/agents/{id}", agents.one, P.WORKSPACE_AGENT_READ),
    _api("agents.describe", "POST", "/agents/{id}", agents.describe, P.WORKSPACE_AGENT_WRITE),
    _api("agents.change_owner", "POST", "/agents/{id}/owner", agents.change_owner, P.WORKSPACE_AGENT_WRITE,
         is_sensitive=True),
    _api("agents.disable", "POST", "/agents/{id}/disable", agents.disable, P.WORKSPACE_AGENT_WRITE),
    _api("agents.runs", "GET", "/agents/{id}/runs", agents.runs, P.WORKSPACE_COMMAND_READ),
    _api("agents.tokens", "GET", "/agents/{id}/tokens", agents.tokens, P.WORKSPACE_AGENT_READ),
    _api("agents.rotate", "POST", "/agents/{id}/tokens", agents.rotate, P.WORKSPACE_AGENT_WRITE, status=201,
         is_sensitive=True),
    _api("agents.revoke_token", "DELETE", "/agents/{id}/tokens/{token}", agents.revoke, P.WORKSPACE_AGENT_WRITE,
         status=204),
    _api("members.list", "GET", "/members", members.listing, P.WORKSPACE_MEMBER_READ),
    _api("members.change_role", "POST", "/members/{id}/role", members.change_role, P.WORKSPACE_MEMBER_WRITE,
         is_sensitive=True),
    _api("members.remove", "DELETE", "/members/{id}", members.remove, P.WORKSPACE_MEMBER_WRITE, status=204,
         is_sensitive=True),
    _api("invitations.list", "GET", "/invitations", members.invitations, P.WORKSPACE_MEMBER_READ),
    _api("invitations.create", "POST", "/invitations", members.invite, P.WORKSPACE_MEMBER_WRITE, status=201,
         is_sensitive=True),
    _api("invitations.revoke", "DELETE", "/invitations/{id}", members.revoke, P.WORKSPACE_MEMBER_WRITE, status=204),
    _api("keys.list", "GET", "/api-keys", keys.listing, P.WORKSPACE_KEY_READ),
    _api("keys.create", "POST", "/api-keys", keys.create, P.WORKSPACE_KEY_WRITE, status=201, is_sensitive=True),
    _api("keys.revoke", "DELETE", "/api-keys/{id}", keys.revoke, P.WORKSPACE_KEY_WRITE, status=204),
    _api("webhooks.list", "GET", "/webhooks", webhooks.listing, P.WORKSPACE_NOTIFICATION_READ),
    _api("webhooks.create", "POST", "/webhooks", webhooks.create, P.WORKSPACE_NOTIFICATION_WRITE, status=201,
         is_sensitive=True),
    _api("webhooks.read", "GET", "/webhooks/{id}", webhooks.one, P.WORKSPACE_NOTIFICATION_READ),
    _api("webhooks.change", "POST", "/webhooks/{id}", webhooks.change, P.WORKSPACE_NOTIFICATION_WRITE,
         is_sensitive=True),
    _api("webhooks.rotate", "POST", "/webhooks/{id}/secret", webhooks.rotate, P.WORKSPACE_NOTIFICATION_WRITE,
         status=201, is_sensitive=True),
    _api("webhooks.remove", "DELETE", "/webhooks/{id}", webhooks.remove, P.WORKSPACE_NOTIFICATION_WRITE, status=204,
         is_sensitive=True),
    _api("webhooks.test", "POST", "/webhooks/{id}/test", webhooks.send_test, P.WORKSPACE_NOTIFICATION_WRITE,
         status=202),
    _api("webhooks.deliveries", "GET", "/webhooks/{id}/deliveries", webhooks.deliveries,
         P.WORKSPACE_NOTIFICATION_READ),
    _api("webhooks.resend", "POST", "/webhooks/{id}/deliveries/{delivery}/resend", webhooks.resend,
         P.WORKSPACE_NOTIFICATION_WRITE, status=202),
    _api("recordings.begin", "POST", "/recordings", recordings.begin, P.WORKSPACE_RECORDING_CREATE, status=201),
    _api("recordings.extend", "PUT", "/recordings/{id}/chunks/{number}", recordings.extend,
         P.WORKSPACE_RECORDING_CREATE),
    _api("recordings.hear", "POST", "/recordings/{id}/heartbeat", recordings.hear, P.WORKSPACE_RECORDING_CREATE),
    _api("recordings.end", "POST", "/recordings/{id}/end", recordings.end, P.WORKSPACE_RECORDING_CREATE),
    _api("recordings.list", "GET", "/recordings", recordings.listing, P.WORKSPACE_RECORDING_READ),
    _api("recordings.read", "GET", "/recordings/{id}", recordings.one, P.WORKSPACE_RECORDING_READ),
    _api("recordings.download", "GET", "/recordings/{id}/cast", recordings.cast, P.WORKSPACE_RECORDING_READ),
    _api("recordings.delete", "DELETE", "/recordings/{id}", recordings.delete, P.WORKSPACE_REPORT_DELETE,
         is_sensitive=True),
    _api("recordings.prove", "GET", "/recordings/{id}/proof", recordings.proof, P.WORKSPACE_RECORDING_READ),
    _api("reviewers.list", "GET", "/reviewers", reviewers.listing, P.WORKSPACE_AUDIT_READ),
    _api("audit.records", "GET", "/audit/records", audit.records, P.WORKSPACE_AUDIT_READ),
    _api("audit.checkpoint", "GET", "/audit/checkpoint", audit.checkpoint, P.WORKSPACE_AUDIT_READ),
    _api("audit.inclusion", "GET", "/audit/proof/inclusion", audit.inclusion, P.WORKSPACE_AUDIT_READ),
    _api("audit.consistency", "GET", "/audit/proof/consistency", audit.consistency, P.WORKSPACE_AUDIT_READ),
    _api("audit.tile", "GET", "/audit/tile/{place:path}", audit.tile, P.WORKSPACE_AUDIT_READ),
)  # fmt: skip

OAUTH: Final = (
    _open("oauth.metadata", "/.well-known/oauth-authorization-server", oauth.metadata, kind="oauth"),
    _open("oauth.keys", "/.well-known/jwks.json", oauth.keys, kind="oauth"),
    _oauth("oauth.device_authorization", "/oauth/device_authorization", oauth.device_authorization),
    _oauth("oauth.token", "/oauth/token", oauth.token),
    _oauth("oauth.revoke", "/oauth/revoke", oauth.revoke),
)

LIVE: Final = (
    Door(
        name="live.agent", method="WS", path="/api/v1/agent", handler=agent.agent_socket,
        permission=P.WORKSPACE_COMMAND_SUBMIT, kind="live", credentials=_BEARER, workspace_from="credential",
    ),
    Door(
        name="live.reviewer", method="WS", path="/api/v1/live", handler=reviewer.reviewer_socket,
        permission=P.WORKSPACE_COMMAND_READ, kind="live", workspace_from="query",
    ),
    Door(
        name="live.recording", method="WS", path=_WORKSPACE + "/recordings/{id}/live",
        handler=recording.recording_socket, permission=P.WORKSPACE_RECORDING_READ, kind="live",
    ),
)  # fmt: skip

SCIM: Final = (
    _scim("config", "GET", "/ServiceProviderConfig", scim.service_provider_config, P.SCIM_SCHEMA_READ),
    _scim("resource_types", "GET", "/ResourceTypes", scim.resource_types, P.SCIM_SCHEMA_READ),
    _scim("resource_type", "GET", "/ResourceTypes/{name}", scim.resource_type, P.SCIM_SCHEMA_READ),
    _scim("schemas", "GET", "/Schemas", scim.schemas, P.SCIM_SCHEMA_READ),
    _scim("schema", "GET", "/Schemas/{name}", scim.schema, P.SCIM_SCHEMA_READ),
    _scim("users", "GET", "/Users", scim.find, P.SCIM_RESOURCE_READ),
    _scim("user_create", "POST", "/Users", scim.create, P.SCIM_RESOURCE_WRITE, status=201),
    _scim("user_search", "POST", "/Users/.search", scim.search, P.SCIM_RESOURCE_SEARCH),
    _scim("user", "GET", "/Users/{id}", scim.read, P.SCIM_RESOURCE_READ),
    _scim("user_replace", "PUT", "/Users/{id}", scim.replace, P.SCIM_RESOURCE_WRITE),
    _scim("user_patch", "PATCH", "/Users/{id}", scim.patch, P.SCIM_RESOURCE_WRITE),
    _scim("user_delete", "DELETE", "/Users/{id}", scim.delete, P.SCIM_RESOURCE_WRITE, status=204),
    _scim("groups", "GET", "/Groups", scim.find, P.SCIM_RESOURCE_READ),
    _scim("group_create", "POST", "/Groups", scim.create, P.SCIM_RESOURCE_WRITE, status=201),
    _scim("group_search", "POST", "/Groups/.search", scim.search, P.SCIM_RESOURCE_SEARCH),
    _scim("group", "GET", "/Groups/{id}", scim.read, P.SCIM_RESOURCE_READ),
    _scim("group_replace", "PUT", "/Groups/{id}", scim.replace, P.SCIM_RESOURCE_WRITE),
    _scim("group_patch", "PATCH", "/Groups/{id}", scim.patch, P.SCIM_RESOURCE_WRITE),
    _scim("group_delete", "DELETE", "/Groups/{id}", scim.delete, P.SCIM_RESOURCE_WRITE, status=204),
    _scim("everything", "GET", "", scim.find, P.SCIM_RESOURCE_READ),
    _scim("search", "POST", "/.search", scim.search, P.SCIM_RESOURCE_SEARCH),
    _scim("bulk", "POST", "/Bulk", scim.bulk, P.SCIM_RESOURCE_WRITE),
)

# What proves a right here is the address itself, at a host of its own.
DOWNLOADS: Final = (
    _open("downloads.fetch", PREFIX + "{ticket}", downloads.fetch, kind="api", credentials=frozenset()),
)

# What proves a right here is a key in a header or the query, as SDKs of Sentry send it; no token of ours counts.
INGEST: Final = (
    Door(
        name="ingest.envelope", method="POST", path="/api/{project}/envelope", handler=ingest.envelope,
        permission=P.PUBLIC_REPORT_INGEST, kind="api", credentials=frozenset(),
    ),
)  # fmt: skip

DOORS: Final[tuple[Door, ...]] = (*OPERATION, *API, *OAUTH, *LIVE, *PAGES, *SCIM, *DOWNLOADS, *INGEST)
