"""The roster: every service of one server, by name. `assembly` fills it, `serving` starts it, rooms never see it."""

from dataclasses import dataclass
from pathlib import Path

from failgate.accounts.access_tokens import AccessTokens
from failgate.accounts.accounts import Accounts
from failgate.accounts.device_login import DeviceLogin
from failgate.accounts.devices import Devices
from failgate.accounts.directory import Directory
from failgate.accounts.invitations import Invitations
from failgate.accounts.logins import Logins
from failgate.accounts.mail import Mail
from failgate.accounts.passkeys import Passkeys
from failgate.accounts.password_reset import PasswordReset
from failgate.accounts.refresh_tokens import RefreshTokens
from failgate.accounts.second_factors import SecondFactors
from failgate.accounts.sessions import Sessions
from failgate.accounts.setup_links import SetupLinks, SignInLinks
from failgate.accounts.signing_keys import SigningKeys
from failgate.accounts.tokens import Tokens
from failgate.artifacts.artifacts import Artifacts
from failgate.artifacts.keys import ArtifactKeys
from failgate.audit.exporting import Exporting
from failgate.audit.log import AuditLog
from failgate.audit.log_of_logs import LogOfLogs
from failgate.audit.witnessing import Witnessing
from failgate.base.clock import Clock
from failgate.base.db import Database
from failgate.base.idempotency import FirstAnswers
from failgate.base.outbound import Outbound
from failgate.config.model import Config
from failgate.evidence.room import Evidence
from failgate.gate.absences import Absences
from failgate.gate.feed import Feed
from failgate.gate.gate import Gate
from failgate.gate.rule_proposals import RuleProposals
from failgate.gate.rules import Rules
from failgate.loader.slots import OpenedPlugins
from failgate.notify.room import Notifications
from failgate.reconciling.reconciliation import Reconciliation
from failgate.recordings.room import RecordingRoom
from failgate.relay.room import RelayRoom
from failgate.reports.redaction_rules import RedactionRules
from failgate.reports.reports import Reports
from failgate.reports.rescanning import Rescanning
from failgate.reports.room import ReportRoom
from failgate.reports.share_visits import ShareVisits
from failgate.reports.sharing import Sharing
from failgate.resealing import Resealing
from failgate.sso.room import SignOnRoom
from failgate.sso.scim.room import ScimRoom
from failgate.workspaces.agents import Agents
from failgate.workspaces.certificates import AgentCertificates
from failgate.workspaces.deletion import WorkspaceDeletion
from failgate.workspaces.emptying import Emptying
from failgate.workspaces.usage import Usage
from failgate.workspaces.workspaces import Workspaces


@dataclass(frozen=True, slots=True)
class Services:
    """The services of one running server."""

    config: Config
    data_dir: Path
    clock: Clock
    db: Database
    audit: AuditLog
    evidence: Evidence
    accounts: Accounts
    second_factors: SecondFactors
    passkeys: Passkeys
    devices: Devices
    sessions: Sessions
    tokens: Tokens
    scim: ScimRoom
    setup_links: SetupLinks
    sign_in_links: SignInLinks
    invitations: Invitations
    password_reset: PasswordReset
    mail: Mail
    logins: Logins
    signing_keys: SigningKeys
    access_tokens: AccessTokens
    refresh_tokens: RefreshTokens
    device_login: DeviceLogin
    directory: Directory
    workspaces: Workspaces
    deletion: WorkspaceDeletion
    emptying: Emptying
    agents: Agents
    certificates: AgentCertificates
    artifacts: Artifacts
    artifact_keys: ArtifactKeys
    reports: Reports
    sharing: Sharing
    share_visits: ShareVisits
    redaction_rules: RedactionRules
    resealing: Resealing
    rescanning: Rescanning
    report_room: ReportRoom
    recording_room: RecordingRoom
    following: Feed
    usage: Usage
    outbound: Outbound
    sso: SignOnRoom
    gate: Gate
    relay_room: RelayRoom
    absences: Absences
    rules: Rules
    rule_proposals: RuleProposals
    feed: Feed
    plugins: OpenedPlugins
    notifications: Notifications
    exporting: Exporting
    witnessing: Witnessing
    log_of_logs: LogOfLogs
    reconciliation: Reconciliation
    first_answers: FirstAnswers
    is_demo: bool
    opened_us: int
