"""The whole of Failgate, built once, in floor order, and closed in reverse.

`open_services` is the only place that knows every room. A reader who asks "which clock, which store, which policies?"
finds the answer here and nowhere else.
"""

import contextlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from failgate.accounts.directory import Directory, platform_people
from failgate.accounts.invitations import Invitations
from failgate.accounts.mail import Letterbox, Mail, Relay
from failgate.accounts.room import build_accounts
from failgate.accounts.setup_links import SetupLinks, SignInLinks
from failgate.artifacts.room import open_artifacts
from failgate.artifacts.store import ArtifactStore
from failgate.audit.exporting import Exporting
from failgate.audit.follower import Follower
from failgate.audit.log import AuditLog
from failgate.audit.log_of_logs import LogOfLogs
from failgate.audit.rekeying import LogKey
from failgate.audit.requiring import Required
from failgate.audit.sieve import Sieve
from failgate.audit.signer.asking import SignerProcess
from failgate.audit.signing import log_key_of
from failgate.audit.witnessing import EVERY_SECONDS, Witnessing, witness_of
from failgate.base.clock import Clock, SystemClock
from failgate.base.data_folder import SECRETS_KEY, hold_data_folder, hold_database_file
from failgate.base.db import Database
from failgate.base.idempotency import FirstAnswers
from failgate.base.outbound import Outbound
from failgate.base.secret import key_of
from failgate.base.secretbox import SecretBox
from failgate.config.model import Config
from failgate.core_database import ROWS_OF_WORKSPACE, keep_reserve, open_core_database
from failgate.evidence.room import build_evidence
from failgate.gate.absences import Absences
from failgate.gate.electorate import Members
from failgate.gate.feed import Feed
from failgate.gate.gate import Gate
from failgate.gate.known_rules import KnownRules
from failgate.gate.parts import limits_of
from failgate.gate.rule_proposals import RuleProposals
from failgate.gate.rules import Rules
from failgate.loader.host import HostMaker
from failgate.loader.keys import PluginKeys
from failgate.loader.opening import open_artifact_store, open_plugins
from failgate.loader.slots import OpenedPlugins
from failgate.notify.cursor import follow_from
from failgate.notify.room import build_notifications
from failgate.reconciling.reconciliation import Reconciliation
from failgate.recordings.room import build_recordings
from failgate.relay.room import build_relay
from failgate.reports.redaction_rules import RedactionRules
from failgate.reports.rescanning import Rescanning
from failgate.reports.retention import SESSION
from failgate.reports.room import build_reports
from failgate.reports.share_visits import ShareVisits
from failgate.reports.sharing import Sharing
from failgate.reports.uploaders import UploaderLimits
from failgate.resealing import Resealing
from failgate.roster import Services
from failgate.serving import begin_serving
from failgate.sso.room import build_room
from failgate.sso.scim.room import build_scim
from failgate.workspaces.agents import Agents
from failgate.workspaces.certificates import AgentCertificates
from failgate.workspaces.deletion import WorkspaceDeletion
from failgate.workspaces.emptying import Emptying
from failgate.workspaces.usage import Usage
from failgate.workspaces.workspaces import Workspaces


@contextlib.asynccontextmanager
async def open_services(
    config: Config,
    data_dir: Path,
    *,
    is_serving: bool = True,
    is_demo: bool = False,
    accept_rollback: bool = False,
    clock: Clock | None = None,
) -> AsyncIterator[Services]:
    """Open the data folder and everything over it; close in reverse, also when a step fails.

    `is_serving` is off for a command that works on the folder while no server runs: then no timer, no exporter and no
    rebuild of the queue.

    Raises: StartRefused and ConfigRefused, naming cause and mend.
    """
    clock, data_dir = clock or SystemClock(), Path.cwd() / data_dir
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(hold_data_folder(data_dir))
        stack.enter_context(hold_database_file(config.database.url_in(data_dir)))
        db = await open_core_database(config, data_dir, clock)
        stack.push_async_callback(db.close)
        if is_serving:
            keep_reserve(db, config, data_dir)
        audit = AuditLog(
            db, clock, data_dir, origin=config.audit.origin, key=log_key_of(config.keys.log),
            previous_key=log_key_of(config.keys.previous_log), signer=signer_in(config),
        )  # fmt: skip
        await audit.open(accept_rollback=accept_rollback)
        await LogKey(db, audit).go_on()
        stack.push_async_callback(audit.close)
        outbound, box = _outbound(config), _box(config, data_dir / SECRETS_KEY)
        keys, people = PluginKeys(db, audit, box), partial(platform_people, db)
        hosts = HostMaker(data_dir, clock, outbound, _letterbox(config, clock), audit, keys, people)
        plugins = await stack.enter_async_context(open_plugins(config, hosts))
        services = await _build(config, data_dir, clock, db, audit, box, plugins, outbound, stack, is_demo=is_demo)
        hosts.tell_by(services.notifications.notices)
        if is_serving:
            await begin_serving(services, stack)
        yield services


@contextlib.asynccontextmanager
async def open_plugins_only(config: Config, folder: Path) -> AsyncIterator[OpenedPlugins]:
    """Open the plugins that `config` names over `folder`, as `serve` would, and nothing else.

    Raises: StartRefused (another server uses the folder, a plugin does not open) and ConfigRefused.
    """
    with hold_data_folder(folder):
        async with open_plugins(config, _hosts(config, folder, SystemClock())) as plugins:
            yield plugins


@contextlib.asynccontextmanager
async def open_store_only(config: Config, folder: Path) -> AsyncIterator[ArtifactStore]:
    """Open the artifact store alone, over `folder`, also beside a server that runs. Raises: as `open_plugins_only`."""
    async with open_artifact_store(config, _hosts(config, Path.cwd() / folder, SystemClock())) as store:
        yield store


async def _build(
    config: Config,
    data_dir: Path,
    clock: Clock,
    db: Database,
    audit: AuditLog,
    box: SecretBox,
    plugins: OpenedPlugins,
    outbound: Outbound,
    stack: contextlib.AsyncExitStack,
    *,
    is_demo: bool,
) -> Services:
    resealing = Resealing(db, audit, box)
    await resealing.go_on()
    people = build_accounts(
        db, audit, clock, box,
        section=config.accounts, mail=Mail(_relay(config), clock, audit), base_url=config.server.base_url,
    )  # fmt: skip
    stack.push_async_callback(people.close)
    accounts, sessions, tokens = people.accounts, people.sessions, people.tokens
    workspaces = Workspaces(db, audit, clock, leavings=[tokens.end_in_workspace])
    relay_room = build_relay(db, audit, clock, plugins.relay)
    feed = Feed()
    artifacts, artifact_keys = await open_artifacts(config, db, audit, clock, plugins.artifact_store)
    redaction_rules = RedactionRules(db, audit, clock, box)
    rescanning = Rescanning(db, audit, clock, artifacts, redaction_rules)
    known_rules = KnownRules(db)
    usage = Usage(db, audit, clock, config.limits.quotas)
    artifacts.count_by(usage.count)
    workspaces.also_admit(lambda tx, workspace_id: usage.check(tx, workspace_id, "seats", 1))
    gate = Gate(
        db, audit, clock, plugins.policies, plugins.rulebook,
        limits=limits_of(config), feed=feed, known_rules=known_rules, asked=usage.asked, told=follow_from,
        refuse_clear=relay_room.refuse_clear,
    )  # fmt: skip
    absences = Absences(db, audit, clock, Members())
    workspaces.also_follow(absences.follow_role)
    certificates = AgentCertificates(db, audit, clock)
    for room in (absences, certificates, relay_room.directory):
        accounts.also_end(room.end_of_account)
        workspaces.also_end(room.end_in_workspace)
    accounts.also_end(gate.void_votes_of)
    workspaces.also_end(gate.void_votes_in)
    sso = build_room(
        db, audit, clock, box,
        accounts=accounts, sessions=sessions, workspaces=workspaces, logins=people.logins, outbound=outbound,
        table=config.sso, base_url=config.server.base_url, allow_loopback=config.server.allow_loopback,
        throttle=people.throttle,
    )  # fmt: skip
    scim = build_scim(
        db, audit, clock,
        accounts=accounts, sessions=sessions, devices=people.devices, workspaces=workspaces, sso=sso,
    )  # fmt: skip
    invitations = Invitations(
        db, audit, clock,
        accounts=accounts, passwords=people.passwords, throttle=people.throttle, joining=workspaces,
        is_sso_only=sso.enforcements.is_demanded,
    )  # fmt: skip
    report_room = build_reports(
        db, audit, clock, artifacts,
        formats=plugins.report_formats, scanner_of=redaction_rules.scanner_of, command_of=gate.requester_of,
        tell=gate.tell_report, days=config.reports.days, workspace_ids=workspaces.ids,
        document_formats=plugins.document_formats, ingest_per_minute=config.limits.ingest_per_minute,
        revisit=rescanning.revisit, count=usage.count, admit=usage.check,
        uploader_limits=UploaderLimits(config.limits.uploader_files, config.limits.uploader_storage.bytes),
        scan=config.artifacts.scan,
    )  # fmt: skip
    following = Feed()

    def tell_recording(recording_id: str) -> None:
        following.hand(recording_id, b"{}")

    recording_room = build_recordings(
        db, audit, clock, artifacts,
        scanner_of=redaction_rules.scanner_of, is_current=redaction_rules.is_current, requester_of=gate.requester_of,
        commands_of=gate.views, tell=tell_recording, count=usage.count, admit=usage.check,
        unlink=report_room.reports.deletion.unlink,
    )  # fmt: skip
    redaction_rules.also_begin(recording_room.rescanning.begin)
    report_room.retention.also_sweep(SESSION, recording_room.deletion)
    rules = Rules(db, audit, clock, plugins.rulebook, known_rules)
    rule_proposals = RuleProposals(db, audit, clock, rules)
    agents = Agents(
        db, audit, clock,
        disablings=[tokens.end_of_agent, certificates.end_of_agent, relay_room.directory.end_of_agent],
        owner_changes=[
            tokens.end_at_owner_change, certificates.end_at_owner_change, relay_room.directory.end_at_owner_change
        ],
    )  # fmt: skip
    sharing = Sharing(db, audit, clock, people.passwords, lambda: config.server.base_url)
    notifications = build_notifications(
        db, audit, clock, box,
        notifiers=plugins.notifiers, workspaces=workspaces, accounts=accounts, scanner_of=redaction_rules.scanner_of,
        silent=gate.silent, stand_ins=absences.stand_ins, base_url=config.server.base_url,
    )  # fmt: skip
    workspaces.also_end(notifications.end_in_workspace)
    evidence = build_evidence(db, audit, clock, data_dir, workspaces, keep=config.audit.keep_addresses)
    emptying = Emptying(
        db, audit, clock,
        rows=ROWS_OF_WORKSPACE, remove_objects=artifacts.remove_objects, forget_rules=rules.forget,
        erase_bodies=evidence.erasing.erase_log,
    )  # fmt: skip
    await emptying.open()
    deletion = WorkspaceDeletion(
        db, audit, clock, workspaces,
        oldest_hold=report_room.retention.oldest_hold, closed=emptying.due.wake,
        endings=(
            gate.end_of_workspace, rules.end_of_workspace, tokens.end_of_workspace, certificates.end_of_workspace,
            invitations.end_of_workspace, report_room.ingestion.keys.end_of_workspace,
            sharing.end_of_workspace, redaction_rules.end_of_workspace, recording_room.rescanning.end_of_workspace,
            notifications.end_of_workspace, relay_room.commands.end_of_workspace,
            relay_room.directory.end_of_workspace,
            sso.connections.end_of_workspace, sso.enforcements.release_within, artifact_keys.destroy,
        ),
    )  # fmt: skip
    witnessing = await _witnessing(config, db, audit, clock, outbound)
    accounts.also_end(deletion.end_of_account)
    workspaces.also_end(deletion.end_of_owner)
    workspaces.also_demote(deletion.end_of_owner)
    return Services(
        config=config,
        data_dir=data_dir,
        clock=clock,
        db=db,
        audit=audit,
        evidence=evidence,
        accounts=accounts,
        second_factors=people.second_factors,
        passkeys=people.passkeys,
        devices=people.devices,
        sessions=sessions,
        tokens=tokens,
        scim=scim,
        setup_links=SetupLinks(
            db, audit, clock,
            accounts=accounts, passwords=people.passwords, found_workspace=workspaces.create_within,
        ),
        sign_in_links=SignInLinks(clock),
        invitations=invitations,
        password_reset=people.password_reset,
        mail=people.mail,
        logins=people.logins,
        signing_keys=people.signing_keys,
        access_tokens=people.access_tokens,
        refresh_tokens=people.refresh_tokens,
        device_login=people.device_login,
        directory=Directory(db),
        workspaces=workspaces,
        deletion=deletion,
        emptying=emptying,
        agents=agents,
        certificates=certificates,
        artifacts=artifacts,
        artifact_keys=artifact_keys,
        reports=report_room.reports,
        report_room=report_room,
        recording_room=recording_room,
        following=following,
        relay_room=relay_room,
        usage=usage,
        sharing=sharing,
        share_visits=ShareVisits(
            db, audit, clock, box, reading=report_room.reports, passwords=people.passwords, throttle=people.throttle
        ),
        redaction_rules=redaction_rules,
        resealing=resealing,
        rescanning=rescanning,
        outbound=outbound,
        sso=sso,
        gate=gate,
        absences=absences,
        rules=rules,
        rule_proposals=rule_proposals,
        feed=feed,
        plugins=plugins,
        notifications=notifications,
        exporting=_exporting(config, db, audit, clock, plugins, witnessing),
        witnessing=witnessing,
        log_of_logs=LogOfLogs(db, audit),
        reconciliation=Reconciliation(db, audit, clock, plugins.rulebook),
        first_answers=FirstAnswers(db, clock.now_us),
        is_demo=is_demo,
        opened_us=clock.now_us(),
    )  # fmt: skip


async def _witnessing(config: Config, db: Database, audit: AuditLog, clock: Clock, outbound: Outbound) -> Witnessing:
    """Return the witnesses, asked as often as what is required of them wants."""
    section = config.audit
    witnesses = [witness_of(name, one.vkey, one.url, outbound) for name, one in section.witnesses.items()]
    within = section.require_witness_within
    every_seconds = EVERY_SECONDS if within is None else min(EVERY_SECONDS, within.seconds / 4)
    witnessing = Witnessing(db, audit, clock, witnesses, quorum=section.effective_quorum, every_seconds=every_seconds)
    await witnessing.open()
    return witnessing


def _exporting(
    config: Config, db: Database, audit: AuditLog, clock: Clock, plugins: OpenedPlugins, witnessing: Witnessing
) -> Exporting:
    """Return the exporters, each behind the sieve that the config gives it, and the witnesses."""
    followers: list[Follower] = []
    for name, exporter in plugins.exporters.items():
        told = config.audit.filters.get(name)
        sieve = Sieve(told.acts, told.without, told.logs, told.bodies) if told is not None else Sieve()
        followers.append(Follower(db, audit, name, exporter, clock, sieve=sieve))
    section = config.audit
    needed = [follower for follower in followers if follower.name in section.require]
    witnessed_within = section.require_witness_within
    required = Required(
        needed,
        section.require_within.seconds,
        witnessing,
        None if witnessed_within is None else witnessed_within.seconds,
    )
    return Exporting(db, followers, required, witnessing)


def signer_in(config: Config) -> SignerProcess | None:
    """Return the signer that is a process of its own, where `[audit.signer]` names one."""
    audit = config.audit
    return None if audit.signer is None else SignerProcess(audit.signer.socket, audit.origin)


def _box(config: Config, path: Path) -> SecretBox:
    """Return what seals: by the key of `[keys]`, else by that of the file `path`."""
    keys = config.keys
    if keys.sealing is None:
        return SecretBox.open(path)
    previous = keys.previous_sealing
    return SecretBox.given(key_of(keys.sealing), path, None if previous is None else key_of(previous))


def _outbound(config: Config) -> Outbound:
    """Return the way out to the hosts that the config lists and to those that its connections name."""
    server = config.server
    named = {host for connection in config.sso.connections.values() for host in connection.hosts}
    return Outbound(
        allow_loopback=server.allow_loopback,
        networks=server.outbound_networks,
        hosts=(*server.outbound_hosts, *sorted(named)),
    )


def _letterbox(config: Config, clock: Clock) -> Letterbox | None:
    relay = _relay(config)
    return None if relay is None else Letterbox(relay, clock)


def _hosts(config: Config, folder: Path, clock: Clock) -> HostMaker:
    return HostMaker(folder, clock, _outbound(config), _letterbox(config, clock))


def _relay(config: Config) -> Relay | None:
    """Return the SMTP server of `[notify.smtp]`, or None."""
    smtp = config.notify.smtp
    if smtp is None:
        return None
    return Relay(
        smtp.host, smtp.effective_port, smtp.sender, smtp.tls, smtp.username, smtp.password, smtp.ca_file,
        smtp.timeout.seconds,
    )  # fmt: skip
