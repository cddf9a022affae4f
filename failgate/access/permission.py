"""The permissions. Law of names: `<scope>:<resource>:<action>`.

Scope is `public` (nobody has to sign in), `account` (oneself), `workspace` (one membership), `scim` (what one
connection provisions) or `platform` (the installation). An unsafe HTTP method never stands under an action `read`.
"""

from enum import StrEnum


class Permission(StrEnum):
    """What a route or a message demands."""

    PUBLIC_PAGE_READ = "public:page:read"
    PUBLIC_SESSION_OPEN = "public:session:open"
    PUBLIC_SETUP_COMPLETE = "public:setup:complete"
    PUBLIC_INVITATION_ACCEPT = "public:invitation:accept"
    PUBLIC_PASSWORD_RESET = "public:password:reset"  # noqa: S105  # a permission, not a password
    PUBLIC_SHARE_OPEN = "public:share:open"
    PUBLIC_REPORT_INGEST = "public:report:ingest"
    PUBLIC_POLICY_REPORT = "public:policy:report"

    ACCOUNT_SELF_READ = "account:self:read"
    ACCOUNT_SELF_WRITE = "account:self:write"
    ACCOUNT_SESSION_CLOSE = "account:session:close"
    ACCOUNT_LOGIN_OPEN = "account:login:open"
    ACCOUNT_LOGIN_CLOSE = "account:login:close"

    WORKSPACE_COMMAND_SUBMIT = "workspace:command:submit"
    WORKSPACE_COMMAND_READ = "workspace:command:read"
    WORKSPACE_COMMAND_VOTE = "workspace:command:vote"
    WORKSPACE_COMMAND_CONSUME = "workspace:command:consume"
    WORKSPACE_RULE_READ = "workspace:rule:read"
    WORKSPACE_RULE_WRITE = "workspace:rule:write"
    WORKSPACE_REPORT_READ = "workspace:report:read"
    WORKSPACE_CONTEXT_READ = "workspace:context:read"
    WORKSPACE_REPORT_CREATE = "workspace:report:create"
    WORKSPACE_REPORT_DELETE = "workspace:report:delete"
    WORKSPACE_SHARE_READ = "workspace:share:read"
    WORKSPACE_SHARE_WRITE = "workspace:share:write"
    WORKSPACE_SHARING_WRITE = "workspace:sharing:write"
    WORKSPACE_REPORT_TRIAGE = "workspace:report:triage"
    WORKSPACE_REPORT_HOLD = "workspace:report:hold"
    WORKSPACE_AGENT_READ = "workspace:agent:read"
    WORKSPACE_AGENT_WRITE = "workspace:agent:write"
    WORKSPACE_MEMBER_READ = "workspace:member:read"
    WORKSPACE_MEMBER_WRITE = "workspace:member:write"
    WORKSPACE_KEY_READ = "workspace:key:read"
    WORKSPACE_KEY_WRITE = "workspace:key:write"
    WORKSPACE_AUDIT_READ = "workspace:audit:read"
    WORKSPACE_AUDIT_EXPORT = "workspace:audit:export"
    WORKSPACE_AUDIT_VIEW_WRITE = "workspace:audit-view:write"
    WORKSPACE_SIGN_IN_READ = "workspace:sign-in:read"
    WORKSPACE_SIGN_IN_WRITE = "workspace:sign-in:write"
    WORKSPACE_SETTINGS_READ = "workspace:settings:read"
    WORKSPACE_SETTINGS_WRITE = "workspace:settings:write"
    WORKSPACE_REDACTION_READ = "workspace:redaction:read"
    WORKSPACE_REDACTION_WRITE = "workspace:redaction:write"
    WORKSPACE_NOTIFICATION_READ = "workspace:notification:read"
    WORKSPACE_NOTIFICATION_WRITE = "workspace:notification:write"
    WORKSPACE_USAGE_READ = "workspace:usage:read"
    WORKSPACE_RECORDING_CREATE = "workspace:recording:create"
    WORKSPACE_RECORDING_READ = "workspace:recording:read"
    WORKSPACE_OBSERVING_WRITE = "workspace:observing:write"
    WORKSPACE_DELETION_WRITE = "workspace:deletion:write"

    SCIM_SCHEMA_READ = "scim:schema:read"
    SCIM_RESOURCE_READ = "scim:resource:read"
    SCIM_RESOURCE_SEARCH = "scim:resource:search"
    SCIM_RESOURCE_WRITE = "scim:resource:write"

    PLATFORM_METRICS_READ = "platform:metrics:read"
    PLATFORM_INSTALLATION_READ = "platform:installation:read"
    PLATFORM_USER_READ = "platform:user:read"
    PLATFORM_USER_WRITE = "platform:user:write"
    PLATFORM_LIMIT_WRITE = "platform:limit:write"
    PLATFORM_EXPORTER_WRITE = "platform:exporter:write"
