"""Every door crossed with every kind of visitor and of workspace, at a real server: what the table says is what happens.

What is expected is computed here from the table of doors and the one decision; what happens is read off the wire.
"""

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from failgate.access.decision import decide
from failgate.access.permission import Permission as P  # noqa: N817  # as the matrix of roles has it
from failgate.access.principal import ANONYMOUS, Principal
from failgate.access.role import Role
from failgate.base.ids import new_id
from failgate.web.csrf import form_token
from failgate.web.door import Door
from failgate.web.pages.notification_doors import NOTIFICATIONS
from failgate.web.pages.people_doors import PEOPLE, PLATFORM
from failgate.web.routes import DOORS
from tests.journeys import team
from tests.journeys.departed import LEAVES_NO_ROW, STAYS, Departed, delete_workspace, departed, kind_of
from tests.journeys.harness import NewDatabase, Server
from tests.journeys.knocking import Answer, Knocker
from tests.journeys.seated import newcomer, seated
from tests.journeys.team import (
    PASSWORD,
    Person,
    Visitor,
    ask,
    codes,
    form,
    person,
    program,
    sign_in,
    stranger,
    submission,
)
from tests.journeys.test_bad_input import consented, manifest

Expected = Literal["let in", "not signed in", "nothing there", "role lacks it", "second factor"]
LACKS = "Your role does not allow this."
NOWHERE = new_id()  # the id of nothing
CONTENT = b"1 failed in 0.1s\n"
SHA = hashlib.sha256(CONTENT).hexdigest()
# Not from this machine itself, so that what is open to it is not open here.
ELSEWHERE = {"x-forwarded-for": "198.51.100.7"}

BODIES: dict[str, Any] = {
    "commands.submit": {"command": {}, "digest": "x"},
    "commands.vote": {"decision": "deny", "digest": "x"},
    "commands.mute": {"digest": "x", "what": "same", "minutes": 1},
    "commands.edit_trial": {"digest": "x", "argv": []},
    "commands.edit": {"digest": "x", "argv": [], "edited_digest": "x"},
    "commands.consume": {"digest": "x"},
    "commands.finish": {"digest": "x", "exit_code": 0, "duration_ms": 1},
    "commands.break_glass": {"digest": "x", "reason": "", "confirm": ""},
    "commands.review_glass": {"verdict": "justified", "words": ""},
    "policy.explain": {"command": {}},
    "rules.create": {"kind": "exact", "effect": "allow", "argv": [""]},
    "rules.starter": {"directories": []},
    "rule_proposals.create": {"rules": []},
    "rule_proposals.approve": {"digest": "x"},
    "rule_terms.change": {"approvers": -1},
    "observing.begin": {"days": 0},
    "shares.create": {},
    "certificates.register": {"agent": "x", "san": ""},
    "device_keys.enrol": {"purpose": "opening", "jwk": {}, "label": "x"},
    "agent_keys.enrol": {"jwk": {}, "label": "x"},
    "key_manifests.add": {"manifest": {}, "policies": []},
    "sealed_rules.add": {"rules": {}},
    "sealed_runs.add": {"run": "x"},
    "sealed_commands.submit": {"sealed": {}},
    "sealed_commands.decide": {"decision": "x"},
    "sealed_commands.finish": {"receipt": "x"},
    "redaction.create": {"name": "x", "pattern": "(", "must_match": ["x"], "must_not_match": ["y"]},
    "reports.begin": {"manifest": {}, "consent": {"manifest_sha256": "", "by": "person", "at": ""}},
    "agents.create": {"name": ""},
    "agents.describe": {"name": "x"},
    "report_groups.resolve": {"version": "1"},
    "limits.change": {"workspace": "acme", "quota": "x", "amount": 1},
    "reports.hold": {"reason": "x"},
    "deletion.ask": {"name": "x"},
    "deletion.confirm": {"name": "x"},
    "retention.change": {"days": {"x": 1}},
    "agents.change_owner": {"owner": "x"},
    "agents.rotate": {},
    "members.change_role": {"role": "developer"},
    "invitations.create": {"role": "developer", "email": "x"},
    "keys.create": {"label": ""},
    "webhooks.create": {"url": "x"},
    "webhooks.change": {},
    "recordings.begin": {"width": 0, "height": 0, "host": "", "began_at": ""},
    "recordings.end": {"chunks": 0, "chain": ""},
}
QUERIES = {
    "audit.inclusion": "seq=0",
    "audit.consistency": "old=1",
    "live.reviewer": "workspace={workspace}",
    "live.agent": "workspace=acme",
    "recordings.extend": f"chain={SHA}",
}  # who is bound to a workspace is in that one, whatever the query says
# What a visitor who is let in meets there. Each body is one that changes nothing: behind the guard it is refused by
# name, so that a door which forgets its guard is seen by the difference.
LET_IN: dict[str, set[int]] = {
    "commands.submit": {422},
    "commands.vote": {409},
    "commands.mute": {409},
    "mutes.end": {404},
    "page.unmute": {404},
    "commands.edit_trial": {409},
    "commands.edit": {422},
    "commands.cancel": {404},
    "commands.consume": {404, 409},
    "commands.finish": {404, 409},
    "commands.break_glass": {422},
    "commands.review_glass": {422},
    "page.glass": {404},
    "page.glass_break": {422},
    "page.glass_review": {400},  # the form says nothing
    "policy.explain": {422},
    "rules.create": {422},
    "rules.starter": {422},
    "page.rules_create": {400},
    "page.edit_make": {400},  # the form says nothing
    "page.further_make": {400},  # the form says nothing
    "page.rules_starter": {422},
    "page.why_explain": {400},  # the form names no command
    "page.rule": {404},
    "page.rule_revoke": {404},
    "page.rules_terms": {422},
    "page.rules_approve": {404},
    "page.rules_withdraw": {404},
    "rule_proposals.create": {409},
    "rule_proposals.approve": {404},
    "rule_proposals.withdraw": {404},
    "rule_terms.change": {422},
    "observing.begin": {422},
    "observing.report": {404},
    "observing.end": {404},
    "page.audit_take": {400},  # the form says nothing
    "page.audit_save": {400},  # the form says nothing
    "page.audit_rename": {404},
    "page.audit_forget": {404},
    "page.observing_begin": {400},  # the form says nothing
    "page.observing_end": {404},
    "rules.revoke": {404},
    "redaction.create": {422},
    "redaction.revoke": {404},
    "page.redaction_create": {422},
    "page.redaction_revoke": {404},
    "certificates.register": {400},
    "device_keys.enrol": {409},  # this server relays nothing
    "device_keys.revoke": {404},
    "agent_keys.enrol": {403, 409},  # agents alone
    "agent_keys.revoke": {404},
    "key_manifests.add": {409},
    "sealed_rules.add": {409},
    "sealed_runs.add": {409},
    "sealed_commands.submit": {409},
    "sealed_commands.read": {404},
    "sealed_commands.decide": {404},
    "sealed_commands.cancel": {404},
    "sealed_commands.finish": {404},
    "certificates.revoke": {404},
    "reports.begin": {422},
    "reports.upload": {404},
    "reports.seal": {404},
    "reports.delete": {404},
    "reports.document": {404},
    "downloads.fetch": {404},  # there is no other host there
    "ingest.envelope": {404},  # no format is enabled there
    "operation.metrics": {200},
    "operation.policy_report": {415},
    "static.file": {200},
    "shares.create": {404},
    "shares.list": {404},
    "shares.revoke": {404},
    "page.report_playback": {404},  # the report has no recording
    "page.shares": {404},
    "page.share_create": {404},
    "page.share_revoke": {404},
    "page.share_review": {404},
    "page.shared": {404},
    "page.shared_prove": {404},
    "page.shared_artifact": {404},
    "page.shared_playback": {404},
    "page.link": {200},
    "page.link_open": {400},
    "page.setup": {404},
    "page.setup_complete": {404},
    "page.signin": {200, 303},
    "page.signin_password": {401, 429},
    "page.signin_code": {200, 303},
    "page.signin_prove": {303, 401, 429},
    "page.signin_link": {200},
    "page.signin_redeem": {401},
    "page.signin_options": {409},
    "page.signin_passkey": {409},
    "page.signin_sso": {200},
    "page.signin_find": {200},
    "page.sso_start": {404},
    "page.sso_go": {404},
    "page.sso_acs": {404},
    "page.sso_callback": {404},
    "page.sso_metadata": {404},
    "page.sso_logout": {404},
    "page.sso_logout_post": {404},
    "page.sso_backchannel": {404},
    "page.connection_create": {400},
    "page.connection": {404},
    "page.connection_test": {404},
    "page.connection_trial": {404},
    "page.connection_provider": {404},
    "page.connection_mapping": {404},
    "page.connection_domains": {404},
    "page.connection_keys": {404},
    "page.connection_switch": {404},
    "page.connection_remove": {404},
    "page.sso_enforce": {409},
    "page.sso_release": {200},
    "page.sign_in_link": {404},
    "page.sign_in_unlink": {404},
    "page.step_up": {200, 303},
    "page.step_up_prove": {303, 401, 429},
    "page.step_up_options": {303, 409},
    "page.step_up_passkey": {303, 409},
    "page.step_up_provider": {303},  # nobody of the table signed in through a provider
    "page.second_factor_begin": {200},
    "page.second_factor_confirm": {401, 409, 429},
    "page.second_factor_remove": {400},
    "page.backup_codes": {200, 409},
    "page.passkey_register": {409},
    "page.passkey_options": {409},
    "page.passkey_rename": {404},
    "page.passkey_remove": {404},
    "page.password_change": {401, 429},
    "page.devices_revoke": {303},
    "page.device_revoke": {404},
    "page.session_close": {404},
    "page.sessions_close": {303},
    "page.session_known": {404},
    "limits.change": {400},
    "reports.hold": {404},
    "reports.release": {404},
    "retention.change": {400},
    "page.retention_change": {200},
    "deletion.read": {404},
    "deletion.ask": {400},
    "deletion.confirm": {404},
    "deletion.withdraw": {404},
    "deleted_workspaces.read": {404},
    "page.deletion_ask": {400},
    "page.deletion_confirm": {404},
    "page.deletion_withdraw": {404},
    "page.report_delete_form": {404},
    "page.report_delete": {404},
    "page.hold": {404},
    "page.hold_put": {400, 404},
    "page.hold_release": {404},
    "page.report_group": {404},
    "page.report_group_resolve": {404},
    "page.report_group_ignore": {404},
    "page.report_group_reopen": {404},
    "page.vote": {409},
    "page.device": {200, 403},
    "page.device_code": {403, 404},
    "page.device_decision": {403, 404},
    "page.login_close": {404},
    "oauth.device_authorization": {415},
    "oauth.token": {415},
    "oauth.revoke": {415},
    "agents.create": {400},
    "agents.read": {404},
    "agents.describe": {404},
    "agents.change_owner": {404},
    "agents.disable": {404},
    "agents.tokens": {404},
    "agents.runs": {404},
    "page.agent_run": {404},
    "agents.rotate": {404},
    "agents.revoke_token": {404},
    "report_groups.read": {404},
    "report_groups.resolve": {404},
    "report_groups.ignore": {404},
    "report_groups.reopen": {404},
    "members.change_role": {404},
    "members.remove": {404},
    "invitations.create": {400},
    "invitations.revoke": {404},
    "keys.create": {400},
    "keys.revoke": {404},
    "page.invite": {404},
    "page.invite_accept": {404},
    "page.invite_join": {404},
    "page.reset_ask": {403},
    "page.reset_new": {404},
    "page.reset_choose": {404},
    "page.key_new": {200, 404},
    "page.key_create": {404},
    "page.key_revoke": {404},
    "page.agent_create": {404},
    "page.agent": {404},
    "page.agent_describe": {404},
    "page.agent_owner": {404},
    "page.agent_rotate": {404},
    "page.agent_revoke": {404},
    "page.agent_certify": {404},
    "page.agent_decertify": {404},
    "page.agent_disable": {404},
    "page.member": {404},
    "page.member_role": {404},
    "page.member_remove": {404},
    "page.member_reset": {404},
    "page.invitation_create": {400},
    "page.invitation_revoke": {404},
    "page.settings_rename": {200},
    "page.platform_exporter_test": {404},
    "page.platform_exporter_resend": {404},
    "page.platform_witnesses_try": {404},
    "page.platform_user": {404},
    "page.platform_disable": {404},
    "page.platform_enable": {404},
    "page.platform_factor": {404},
    "page.platform_reset": {404},
    "page.platform_role": {404},
    "webhooks.create": {422},
    "webhooks.read": {404},
    "webhooks.change": {404},
    "webhooks.rotate": {404},
    "webhooks.remove": {404},
    "webhooks.test": {404},
    "webhooks.deliveries": {404},
    "webhooks.resend": {404},
    "page.away_declare": {404},
    "page.preferences_choose": {404},
    "page.notification": {404},
    "page.notification_create": {400},
    "page.notification_change": {400, 404},
    "page.notification_rotate": {404},
    "page.notification_remove": {404},
    "page.notification_test": {404},
    "page.notification_resend": {404},
    "recordings.begin": {400, 422},
    "recordings.extend": {404},
    "recordings.hear": {404},
    "recordings.end": {404},
    "recordings.read": {404},
    "recordings.download": {404},
    "recordings.prove": {404},
    "recordings.delete": {404},
    "page.recording_delete_form": {404},
    "page.recording_delete": {404},
    "page.recording": {404},
    "page.recording_playback": {404},
    "live.recording": {404},
    "live.agent": {101},
    "live.reviewer": {101},
    "page.provisioning": {404},
    "page.provisioning_change": {404},
    "scim.resource_type": {404},
    "scim.schema": {404},
    "scim.user_create": {415},
    "scim.user_search": {415},
    "scim.user": {404},
    "scim.user_replace": {415},
    "scim.user_patch": {415},
    "scim.user_delete": {404},
    "scim.group_create": {415},
    "scim.group_search": {415},
    "scim.group": {404},
    "scim.group_replace": {415},
    "scim.group_patch": {415},
    "scim.group_delete": {404},
    "scim.search": {415},
    "scim.bulk": {501},
}
TRIAL = new_id()  # there is none
ABSENT_ID = {
    "scim.user",
    "scim.user_replace",
    "scim.user_patch",
    "scim.user_delete",
    "scim.group",
    "scim.group_replace",
    "scim.group_patch",
    "scim.group_delete",
    "commands.cancel",
    "rules.revoke",
    "page.rule",
    "page.rule_revoke",
    "page.rules_approve",
    "page.rules_withdraw",
    "rule_proposals.approve",
    "rule_proposals.withdraw",
    "mutes.end",
    "page.unmute",
    "observing.report",
    "observing.end",
    "page.observing_end",
    "page.audit_rename",
    "page.audit_forget",
    "redaction.revoke",
    "page.redaction_revoke",
    "certificates.revoke",
    "reports.upload",
    "reports.seal",
    "reports.delete",
    "shares.create",
    "shares.revoke",
    "page.report_playback",
    "page.shares",
    "page.share_create",
    "page.share_revoke",
    "page.share_review",
    "reports.hold",
    "reports.release",
    "deletion.confirm",
    "deletion.withdraw",
    "deleted_workspaces.read",
    "page.report_delete_form",
    "page.report_delete",
    "page.hold",
    "page.hold_put",
    "page.hold_release",
    "page.report_group",
    "page.report_group_resolve",
    "page.report_group_ignore",
    "page.report_group_reopen",
    "page.session_close",
    "page.session_known",
    "page.passkey_rename",
    "page.passkey_remove",
    "page.device_revoke",
    "page.login_close",
    "page.recording",
    "page.recording_playback",
    "page.recording_delete_form",
    "page.recording_delete",
    "live.recording",
    *(door.name for door in (*PEOPLE, *PLATFORM, *NOTIFICATIONS) if "{id}" in door.path),
    *(
        door.name
        for door in DOORS
        if door.tag in {"report_groups", "agents", "members", "invitations", "keys", "webhooks", "recordings"}
        and "{id}" in door.path
    ),
}


@dataclass
class Speaker:
    """A visitor: what they carry, and what is true of them."""

    client: Visitor
    principal: Principal
    roles: dict[str, Role] = field(default_factory=dict)
    is_platform_admin: bool = False
    is_ended: bool = False
    token: str | None = None
    refresh_token: str = ""
    totp: str | None = None
    proven: float = field(default_factory=time.monotonic)
    knocker: Knocker = field(init=False)

    def __post_init__(self) -> None:
        self.knocker = Knocker(self.client)

    def prove_again(self) -> None:
        """Show the second factor once more before its five minutes end: this test may be slow."""
        if self.totp is None or time.monotonic() - self.proven < 120:
            return
        answers = (form(self.client, "/account/step-up", code=code).status_code for code in codes(self.totp))
        assert any(status == 303 for status in answers)
        self.proven = time.monotonic()


@dataclass
class World:
    """One server and everybody who knocks."""

    server: Server
    speakers: dict[str, Speaker]
    ids: dict[str, str]
    departed: Departed
    is_postgres: bool
    known: dict[tuple[int, str, str], Answer] = field(default_factory=dict)

    def crowd(self) -> Iterator[tuple[str, Speaker]]:
        for name in VISITORS:
            if name == COMMAND_LINE:
                renew(self.speakers[name])
            self.speakers[name].prove_again()
            yield name, self.speakers[name]

    def gone(self, door: Door, filling: dict[str, str]) -> str:
        """Return the path in `acme` that names what `filling` says."""
        path = door.path
        for name, value in filling.items():
            path = path.replace(f"{{{name}}}", value)
        return self.url(replace(door, path=path), "acme")

    def url(self, door: Door, workspace: str, *, identifier: str | None = None) -> str:
        kind = door.name.partition(".")[0].removeprefix("page").strip("s") or _noun(door)
        chosen = identifier or (NOWHERE if door.name in ABSENT_ID else self.ids.get(kind, new_id()))
        path = (
            door.path.replace("{connection}", "nowhere")
            .replace("{trial}", TRIAL)
            .replace("{workspace}", workspace)
            .replace("{id}", chosen)
            .replace("{token}", chosen)
            .replace("{link}", chosen)
            .replace("{share}", NOWHERE)
            .replace("{certificate}", chosen)
            .replace("{delivery}", chosen)
            .replace("{run}", chosen)
            .replace("{sha256}", SHA)
            .replace("{project}", "1")
            .replace("{format}", "junit")
            .replace("{number}", "0")
            .replace("{exporter}", "nowhere")
        )
        query = QUERIES.get(door.name, "").replace("{workspace}", workspace)
        return path.replace("{name:path}", "failgate.css").replace("{place:path}", "entries/000.p/1") + (
            f"?{query}" if query else ""
        )


def _noun(door: Door) -> str:
    return "report" if "/reports/" in door.path else "command"


ROLES = {"developer": Role.DEVELOPER, "reviewer": Role.REVIEWER, "admin": Role.ADMIN, "auditor": Role.AUDITOR}
COMMAND_LINE = "command line of a developer"
VISITORS = (
    "anonymous", COMMAND_LINE, "developer", "reviewer without second factor", "reviewer", "admin", "owner", "auditor", "agent token",
    "API key of an owner", "API key of a reviewer", "platform admin", "owner of another workspace", "disabled account",
    "key of a disabled account", "provider of acme", "holder of a share link",
)  # fmt: skip


def user(who: Person, *, has_factor: bool = True) -> Principal:
    return Principal("user", account_id=who.id, second_factor_us=1 if has_factor else None)


def populate(server: Server, stack: contextlib.ExitStack) -> World:
    """Make two workspaces, everybody of the list, and something to find in `acme`."""
    key = team.found_acme(server)["api_key"]
    people = {name: newcomer(server, name, role.value) for name, role in ROLES.items()}
    plain = newcomer(server, "plain", "reviewer", with_totp=False)
    keeper = newcomer(server, "keeper", "developer", with_totp=False)
    second, gone = newcomer(server, "second", "owner"), newcomer(server, "gone", "owner")
    platform, foreign = newcomer(server, "platform"), newcomer(server, "foreign")
    remote = newcomer(server, "remote", "developer")
    team.admin(server, "platform_role.grant", email=platform.email)
    team.admin(server, "workspace.create", workspace="other", owner=foreign.email)
    agent = team.admin(server, "agent.create", workspace="acme", name="ci", owner=keeper.email)
    reviewers_key = team.admin(
        server, "api_key.create", email=people["reviewer"].email, workspace="acme", label="scripts"
    )["api_key"]
    everybody = [*people.values(), plain, second, gone, platform, foreign, remote]
    seats = seated(server, everybody)
    browsers = {who: stack.enter_context(seat) for who, seat in zip(everybody, seats, strict=True)}

    def script(token: str) -> Visitor:
        return stack.enter_context(program(server, token))

    def key_of(who_id: str) -> Principal:
        return Principal("api_key", account_id=who_id, workspace_id="acme")

    gone_key = team.admin(server, "api_key.create", email=gone.email, workspace="acme", label="k")["api_key"]
    assert browsers[gone].get("/api/v1/whoami").status_code == 200
    team.admin(server, "user.disable", email=gone.email)
    provider = _provider(server)
    speakers = {
        "anonymous": Speaker(stack.enter_context(stranger(server, origin=server.url)), ANONYMOUS),
        "reviewer without second factor": Speaker(
            browsers[plain], user(plain, has_factor=False), {"acme": Role.REVIEWER}
        ),
        "owner": Speaker(browsers[second], user(second), {"acme": Role.OWNER}, totp=second.totp),
        "agent token": Speaker(
            script(agent["token"]),
            Principal("agent", agent_id=agent["agent"], owner_account_id=keeper.id, workspace_id="acme"),
            {"acme": Role.AGENT},
            token=agent["token"],
        ),
        "API key of an owner": Speaker(script(key), key_of("first"), {"acme": Role.OWNER}, token=key),
        "API key of a reviewer": Speaker(
            script(reviewers_key), key_of(people["reviewer"].id), {"acme": Role.REVIEWER}, token=reviewers_key
        ),
        "platform admin": Speaker(browsers[platform], user(platform), is_platform_admin=True, totp=platform.totp),
        "owner of another workspace": Speaker(
            browsers[foreign], user(foreign), {"other": Role.OWNER}, totp=foreign.totp
        ),
        "disabled account": Speaker(browsers[gone], ANONYMOUS, is_ended=True),
        "provider of acme": Speaker(
            script(provider["token"]), Principal("scim", connection_id=provider["connection"]), token=provider["token"]
        ),
        "key of a disabled account": Speaker(script(gone_key), ANONYMOUS, is_ended=True, token=gone_key),
    }
    for name, role in ROLES.items():
        speakers[name] = Speaker(browsers[people[name]], user(people[name]), {"acme": role}, totp=people[name].totp)
    # Of somebody who does not knock themselves: signing out everywhere else would end it.
    at_desk = Speaker(browsers[remote], user(remote), {"acme": Role.DEVELOPER})
    ended = _ended_login(server, at_desk, stack)
    speakers[COMMAND_LINE] = _command_line(server, at_desk, stack)
    team.admin(server, "workspace.create", workspace="gone", owner=second.email)
    team.admin(server, "workspace.add_member", workspace="gone", email=remote.email, role="owner")
    delete_workspace(server, "gone", speakers["owner"].client, at_desk.client)
    things = _things(speakers["agent token"].client, server, key)
    with program(server, key) as owner:
        link = owner.post(f"{team.WHERE}/reports/{things['report']}/shares", json={}).json()
    share = link["url"].rpartition("#")[2]
    speakers["holder of a share link"] = Speaker(script(share), ANONYMOUS, is_ended=True, token=share)
    live = {"report": things["report"], "agent": agent["agent"], "connection": provider["connection"]}
    clients = (speakers[name].client for name in ("owner", "agent token", "provider of acme"))
    for speaker in speakers.values():
        stack.callback(speaker.knocker.close)
    is_postgres = "postgresql" in server.config.read_text()
    return World(server, speakers, things, departed(server, *clients, live, {"login": ended}), is_postgres)


def _command_line(server: Server, person: Speaker, stack: contextlib.ExitStack) -> Speaker:
    """Sign a command line in, as `person` does in their browser."""
    client, named = stack.enter_context(stranger(server)), {"client_id": "failgate-cli"}
    begun = client.post("/oauth/device_authorization", data=named).json()
    fields = {"user_code": begun["user_code"], "decision": "approve", "mine": "yes"}
    fields["csrf_token"] = form_token(person.client.cookies["fg_session"])
    assert "signed in" in person.client.post("/device/decision", data=fields).text
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": begun["device_code"]}
    tokens = client.post("/oauth/token", data=named | grant).json()
    principal = Principal("user", account_id=person.principal.account_id, auth=("device",), may_change_account=False)
    speaker = Speaker(client, principal, person.roles, token="", refresh_token=tokens["refresh_token"])
    renew(speaker)
    return speaker


def _ended_login(server: Server, person: Speaker, stack: contextlib.ExitStack) -> str:
    """Sign a command line in and end that; return the id of what it was."""
    _command_line(server, person, stack)
    listed = re.search(r"/account/logins/([0-9a-f-]{36})/close", person.client.get("/account/logins").text)
    assert listed is not None
    fields = {"csrf_token": form_token(team.session_of(person.client))}
    assert person.client.post(listed[0], data=fields).status_code == 303
    return listed[1]


def renew(speaker: Speaker) -> None:
    """Give a command line another access token: the old one lives ten minutes, and this test may be slow."""
    fields = {"client_id": "failgate-cli", "grant_type": "refresh_token", "refresh_token": speaker.refresh_token}
    tokens = speaker.client.post("/oauth/token", data=fields).json()
    speaker.token, speaker.refresh_token = tokens["access_token"], tokens["refresh_token"]
    speaker.client.headers["authorization"] = f"Bearer {speaker.token}"


def _provider(server: Server) -> dict[str, str]:
    """Make a connection of the workspace `acme` and the token of its provider."""
    connection = new_id()
    settings = '{"kind": "saml", "entity_id": "https://idp.example", "sso_url": "https://idp.example/sso"}'
    team.sql(
        server,
        "INSERT INTO sso_connection (id, slug, title, workspace_id, settings, roles, trusted_methods, is_enabled,"
        " is_listed, created_us, changed_us) SELECT $1, 'okta', 'Okta', id, $2, '[]', '[]', 1, 1, 1, 1 FROM workspace"
        " WHERE slug = 'acme'",
        connection, settings,
    )  # fmt: skip
    return {"connection": connection, "token": team.admin(server, "scim.token", connection="okta")["token"]}


def _things(agent: Visitor, server: Server, owner_key: str) -> dict[str, str]:
    """Make a pending command, a sealed report and a rule in `acme`; return their ids by what they are."""
    view = ask(agent, ttl_seconds=3600)
    begun = agent.post(f"{team.WHERE}/reports", json=consented(manifest(CONTENT))).json()
    agent.put(f"{team.WHERE}/reports/{begun['id']}/artifacts/{SHA}", content=CONTENT)
    assert agent.post(f"{team.WHERE}/reports/{begun['id']}/seal").json()["state"] == "sealed"
    with program(server, owner_key) as owner:
        rule = owner.post(f"{team.WHERE}/rules", json={"kind": "exact", "effect": "allow", "argv": ["/bin/x"]}).json()
    return {"command": view["id"], "digest": view["digest"], "report": begun["id"], "rule": rule["id"]}


@pytest.fixture(scope="module")
def world(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    url, data = new_database(), tmp_path_factory.mktemp("world") / "data"
    with team.served(Server(data, database_url=url)) as server, contextlib.ExitStack() as stack:
        yield populate(server, stack)


# What the table says


def expected(door: Door, speaker: Speaker, workspace: str) -> Expected:
    """Compute the answer from the door, the roles and the decision."""
    principal = speaker.principal
    carries = "bearer" if speaker.token is not None else "cookie"
    if carries not in door.accepted:
        principal = ANONYMOUS
    elif speaker.is_ended and carries == "bearer":
        return "not signed in"  # a bearer token that is not valid is never passed over
    role = speaker.roles.get(workspace) if principal is not ANONYMOUS else None
    if door.workspace == "credential":
        workspace, role = "acme", speaker.roles.get("acme") if principal is not ANONYMOUS else None
    if door.workspace is not None:
        if principal is ANONYMOUS:
            return "not signed in"
        if role is None:
            return "nothing there"
    known = workspace if door.workspace is not None else None
    found = decide(
        principal, door.permission, workspace_id=known, role=role, is_platform_admin=speaker.is_platform_admin
    )
    if door.own_permission is not None and principal.kind == "agent" and found.reason == "role_lacks_it":
        found = decide(principal, door.own_permission, workspace_id=known, role=role)
    if found.allowed:
        # Who has no factor yet passes the sensitive doors of their own account: there is nothing to show.
        has_factor = principal.second_factor_us is not None or door.permission.startswith("account:")
        return "second factor" if door.is_sensitive and principal.kind == "user" and not has_factor else "let in"
    reasons: dict[str, Expected] = {
        "not_signed_in": "not signed in",
        "platform_role_needed": "nothing there",
        "second_factor_needed": "second factor",
    }
    return reasons.get(found.reason, "role lacks it")


# What happens


def knock(world: World, speaker: Speaker, door: Door, path: str) -> Answer:
    """Ask at `door` as a browser or a program does, with a body that changes nothing."""
    if door.method == "WS":
        return knock_for_a_socket(world, speaker, path)
    how: dict[str, Any] = {"headers": ELSEWHERE | {"accept": "text/html" if door.kind == "page" else "*/*"}}
    if door.name in BODIES:
        how["json"] = BODIES[door.name]
    elif door.method == "PUT":
        how["content"] = b"x"
    elif door.method == "POST" and door.kind == "page":
        how["data"] = fields_of(world, speaker)
        how["headers"] |= {"origin": world.server.url}
    return speaker.knocker.ask(door.method, path, **how)


def knock_once(world: World, speaker: Speaker, door: Door, path: str) -> Answer:
    """Ask as `knock` does, or remember what was answered to the same question before."""
    asked = id(speaker), door.name, path
    if asked not in world.known:
        world.known[asked] = knock(world, speaker, door, path)
    return world.known[asked]


def fields_of(world: World, speaker: Speaker) -> dict[str, str]:
    """Return a form that is one of this visit: what is tested is the permission, not the wall before it."""
    client = speaker.client
    is_browser = speaker.principal.kind == "user" and speaker.token is None
    if not is_browser and "fg_form" not in client.cookies:
        client.get("/signin")
    keyed = client.cookies.get("fg_session" if is_browser else "fg_form")
    return {
        "csrf_token": form_token(keyed or ""),
        "decision": "approve",
        "digest": "x",
        "email": "nobody@acme.example",
        "password": PASSWORD,
        "token": "x" * 43,
        "code": "00000x",
        "name": "x",
    }


def knock_for_a_socket(world: World, speaker: Speaker, path: str) -> Answer:
    upgrade = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    headers = ELSEWHERE | upgrade | {"sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==", "origin": world.server.url}
    return speaker.knocker.ask("GET", path, headers)


def fits(door: Door, wanted: Expected, answer: Answer) -> bool:
    """Tell whether `answer` is what `wanted` looks like at this kind of door."""
    code, where = answer.status_code, answer.headers.get("location", "")
    if wanted == "let in":
        return code in LET_IN.get(door.name, {200})
    if wanted == "not signed in":
        if door.kind == "page":
            return code == 303 and re.fullmatch(r"/signin(\?next=\S+)?", where) is not None
        return code == 401 and answer.headers["www-authenticate"].startswith("Bearer")
    if wanted == "second factor":
        if door.kind == "page":
            return code == 303 and where.startswith("/account/step-up")
        return code == 403 and answer.json()["type"] == "urn:failgate:error:step-up-required"
    if wanted == "role lacks it":
        return code == 403 and LACKS in answer.text
    return code == 404 and "There is nothing here" in answer.text


def body_of(answer: Answer) -> bytes:
    """Return the body without the nonce of its page, and without the request id except where there shall be none."""
    nonce = re.search(r"'nonce-([^']+)'", answer.headers.get("content-security-policy", ""))
    body = answer.content.replace(nonce[1].encode(), b"NONCE") if nonce else answer.content
    return body if answer.status_code == 404 else body.replace(answer.headers["x-request-id"].encode(), b"ID")


def shape_of(answer: Answer) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Return everything of an answer that is not different each time: request id, date, nonce."""
    headers = [
        (name, re.sub(r"'nonce-[^']+'", "NONCE", value))
        for name, value in answer.fields
        if name not in {"x-request-id", "date"}
    ]
    return answer.status_code, body_of(answer), headers


KNOCKED = [door for door in DOORS if door.name != "page.signout"]
MALFORMED = ("ACME", "acme%00", "a" * 300, "%E2%80%AE")


def test_every_door_answers_as_the_table_says(world: World) -> None:
    """F4 F5 F11 F12 E22: own, foreign and missing workspace, at every door, for everybody."""
    wrong = []
    for visitor, speaker in world.crowd():
        for door in KNOCKED:
            for workspace in ("acme", "other", "absent") if door.workspace in {"path", "query"} else ("acme",):
                wanted = expected(door, speaker, workspace)
                if workspace == "other" and wanted == "let in" and "{id}" in door.path:
                    wanted = "nothing there"  # its own workspace, and an id of another
                answer = knock_once(world, speaker, door, world.url(door, workspace))
                if not fits(door, wanted, answer):
                    wrong.append(
                        f"{visitor} at {door.name} in {workspace}: {wanted}, and it was {answer.status_code}"
                        f" {answer.text[:200]}"
                    )
    assert wrong == [], "\n".join(wrong)[:3000]


def test_a_foreign_workspace_cannot_be_told_from_a_missing_deleted_or_misspelt_one(world: World) -> None:
    """F5: the same status, headers and bytes."""
    wrong = []
    for visitor, speaker in world.crowd():
        foreign = "acme" if "other" in speaker.roles else "other"
        for door in KNOCKED:
            if door.workspace not in {"path", "query"}:
                continue
            seen = shape_of(knock_once(world, speaker, door, world.url(door, foreign)))
            is_signed_in = (
                visitor in {"owner", "owner of another workspace", "agent token"}
                and expected(door, speaker, foreign) == "nothing there"
            )
            misspelt = () if world.is_postgres else MALFORMED  # no database is asked about them
            names = ("absent", "gone", *misspelt) if is_signed_in else ("absent",)
            for other in names:
                shape = shape_of(knock_once(world, speaker, door, world.url(door, other)))
                if without(shape, other) != without(seen, foreign):
                    wrong.append(f"{visitor} at {door.name}: {foreign} {seen}, {other} {shape}")
    assert wrong == [], "\n".join(wrong)[:3000]


def without(shape: tuple[int, bytes, list[tuple[str, str]]], slug: str) -> object:
    """Return the shape without the name that the visitor wrote into the address: `next` says it back to them alone."""
    status, body, headers = shape
    return (
        status,
        body,
        [(name, value.replace(f"/{slug}/", "/") if name == "location" else value) for name, value in headers],
    )


def test_a_foreign_thing_in_ones_own_workspace_is_a_missing_one(world: World) -> None:
    """F5: ids in the path, the query, the body and the header."""
    speaker = world.speakers["owner of another workspace"]
    speaker.prove_again()
    for door in KNOCKED:
        if "{id}" not in door.path or "{workspace}" not in door.path:
            continue
        missing = shape_of(knock(world, speaker, door, world.url(door, "other", identifier=new_id())))
        assert missing[0] == 404, door.name
        for kind in ("command", "report", "rule"):
            foreign = knock(world, speaker, door, world.url(door, "other", identifier=world.ids[kind]))
            assert shape_of(foreign) == missing, door.name
    client, where = speaker.client, "/api/v1/workspaces/other"

    def pair(method: str, path: str, **how: Any) -> tuple[httpx.Response, httpx.Response]:
        def filled(with_id: str) -> httpx.Response:
            given = json.loads(json.dumps(how).replace("ID", with_id))
            return client.request(method, path.replace("ID", with_id), **given)

        return filled(world.ids["command"]), filled(new_id())

    def linked(command_id: str) -> httpx.Response:
        return client.post(f"{where}/reports", json=consented(manifest(CONTENT)) | {"command_id": command_id})

    for foreign, missing in (
        pair("GET", "/w/other/queue?c=ID"),
        pair("GET", f"{where}/commands?after=ID"),
        pair("GET", f"{where}/rules?after=ID"),
        (linked(world.ids["command"]), linked(new_id())),
    ):
        assert foreign.status_code == missing.status_code
        if foreign.status_code != 200:
            assert without_request_id(foreign) == without_request_id(missing)
    named = client.get(f"{where}/commands", headers={"x-workspace": "acme", "x-original-url": "/w/acme/queue"})
    assert named.json()["items"] == []


def test_what_was_deleted_is_a_missing_one_for_everybody(world: World) -> None:
    """F5: a report, a link, a rule, a member, a token and so on: status, headers and bytes as if it had never been."""
    wrong, crossed = [], set()
    for visitor, speaker in world.crowd():
        for door in KNOCKED:
            filling = world.departed.filling(door)
            if filling is None:
                continue
            missing = {**filling, list(filling)[-1]: missing_of(door)}
            asked = knock if door.is_sensitive else knock_once  # a proof grows old: both of one moment
            seen = shape_of(asked(world, speaker, door, world.gone(door, filling)))
            wanted = shape_of(asked(world, speaker, door, world.gone(door, missing)))
            if named_alike(seen, filling) != named_alike(wanted, missing):
                wrong.append(f"{visitor} at {door.name}: deleted {seen}, missing {wanted}")
            crossed.add(door.name)
    assert wrong == [], "\n".join(wrong)[:3000]
    placed = {
        door.name for door in KNOCKED if re.search(r"\{(id|link|token|certificate|share|connection)\}", door.path)
    }
    assert {kind_of(door) for door in KNOCKED if door.name in placed - crossed} == STAYS | LEAVES_NO_ROW


def missing_of(door: Door) -> str:
    return "nowhere" if "{connection}" in door.path else NOWHERE


def named_alike(shape: tuple[int, bytes, list[tuple[str, str]]], filling: dict[str, str]) -> object:
    """Return the shape without the id that the visitor wrote into the address: `next` says it back to them alone."""
    status, body, headers = shape
    for value in filling.values():
        headers = [(name, text.replace(value, "ID") if name == "location" else text) for name, text in headers]
    return status, body, headers


def test_what_was_deleted_is_missing_in_query_body_and_socket_too(world: World) -> None:
    """F5: a member that left, a report that is no more, an agent's ended token: said anywhere but in the path."""
    owner, agent = world.speakers["owner"].client, world.speakers["agent token"].client
    gone, command, where = world.departed.ids, world.ids["command"], team.WHERE
    for client, method, path, body in (
        (owner, "POST", f"{where}/agents", {"name": "x", "owner": gone["member"]}),
        (owner, "POST", f"{where}/agents/{world.departed.live['agent']}/owner", {"owner": gone["member"]}),
        (owner, "POST", f"{where}/certificates", {"agent": gone["token"], "san": "spiffe://acme.example/y"}),
        (owner, "GET", f"{where}/reports?group={gone['group']}", None),
        (owner, "GET", f"{where}/reports?after={gone['report']}", None),
        (owner, "GET", f"/w/acme/queue?c={gone['rule']}", None),
        (owner, "GET", f"/w/acme/reports?group={gone['group']}", None),
        (owner, "GET", f"/s/{gone['share']}?report={gone['report']}", None),
        (agent, "POST", f"{where}/commands/{command}/outcome", {"digest": world.ids["digest"], "exit_code": 1, "duration_ms": 1,
                                                                 "report_id": gone["report"]}),
    ):  # fmt: skip
        never = [new_id() if value in gone.values() else value for value in (path, *(body or {}).values())]
        other = re.sub("|".join(map(re.escape, gone.values())), NOWHERE, path)
        asked = client.request(method, path, json=body)
        missing = client.request(method, other, json=dict(zip(body, never[1:], strict=True)) if body else None)
        assert asked.status_code == missing.status_code, (path, asked.text, missing.text)
        if body or asked.status_code != 200:
            assert without_request_id(asked) == without_request_id(missing), path
    said = {"digest": world.ids["digest"]}
    misspelt = (gone["report"], gone["rule"], gone["token"], "0", command.upper(), f"{command}\0", "")
    headers = {"authorization": f"Bearer {world.speakers['agent token'].token}"}
    url = world.server.url.replace("http", "ws", 1) + "/api/v1/agent"
    with connect(url, additional_headers=headers, proxy=None) as peer:
        for frame in (
            {"type": "cancel"},
            {"type": "consume", **said},
            {"type": "outcome", **said, "exit_code": 1, "duration_ms": 1},
        ):
            heard = []
            for identifier in (new_id(), *misspelt):
                peer.send(json.dumps(frame | {"id": identifier, "ref": 1}))
                problem = json.loads(peer.recv(timeout=10))["problem"]
                heard.append({key: value for key, value in problem.items() if key != "request_id"})
            assert heard[0]["status"] == 404
            assert all(one == heard[0] for one in heard), frame


def test_every_frame_is_answered_as_its_door_is_to_everybody_who_may_open_the_socket(world: World) -> None:
    """F4 F5 F11: own, foreign, missing and malformed ids in each message; what nobody may do is refused alike."""
    foreign = _foreign_command(world)
    body = {"digest": world.ids["digest"]}
    said = {"cancel": {}, "consume": body, "outcome": body | {"exit_code": 1, "duration_ms": 1}}
    url = world.server.url.replace("http", "ws", 1) + "/api/v1/agent"
    opened: list[str] = []
    for name, speaker in world.crowd():
        if not speaker.token:
            continue
        try:
            peer = connect(url, additional_headers={"authorization": f"Bearer {speaker.token}"}, proxy=None)
        except InvalidStatus:
            continue  # what that answers is a cell of the table above
        with peer:
            opened.append(name)
            for verb, fields in said.items():
                for identifier in (world.ids["command"], foreign, NOWHERE, "0"):
                    if (name, verb, identifier) == ("agent token", "cancel", world.ids["command"]):
                        continue  # its own: that would be done
                    peer.send(json.dumps({"type": verb, "id": identifier, "ref": 1} | fields))
                    heard = json.loads(peer.recv(timeout=10))["problem"]
                    door = speaker.client.post(f"{team.WHERE}/commands/{identifier}/{verb}", json=fields or None)
                    assert door.status_code == heard["status"], (name, verb, identifier, door.text, heard)
                    assert heard["type"] == door.json()["type"]
                    if identifier in {foreign, "0"}:
                        assert heard["status"] == 404, (name, verb)
            asked = {"command": {}, "digest": "x"}  # nothing that could be kept
            peer.send(json.dumps({"type": "submit", "ref": 1} | asked))
            heard = json.loads(peer.recv(timeout=10))["problem"]
            door = speaker.client.post(f"{team.WHERE}/commands", json=asked)
            assert (door.status_code, door.json()["type"]) == (heard["status"], heard["type"]), (name, heard)
    assert "agent token" in opened


def _foreign_command(world: World) -> str:
    """Make a pending command in `other`; return its id."""
    agent = team.admin(world.server, "agent.create", workspace="other", name="theirs")
    with program(world.server, agent["token"]) as theirs:
        answer = theirs.post("/api/v1/workspaces/other/commands", json=team.submission("true", ttl_seconds=3600))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


def without_request_id(answer: httpx.Response) -> object:
    if answer.headers["content-type"] != "application/problem+json":
        return body_of(answer)
    return {key: value for key, value in answer.json().items() if key != "request_id"}


def test_malformed_identifiers_are_missing_ones(world: World) -> None:
    known, wrong = new_id(), []
    misspelt = (known[:-1], "%00", "x" * 2000)
    if not world.is_postgres:  # to a database that took any of them these would be a text like another
        misspelt += (known.upper(), "0", "..%2F..%2Fetc", "%27%20OR%201=1--", f"{known}%0A")
    for visitor in ("anonymous", "agent token", "owner", "owner of another workspace"):
        speaker = world.speakers[visitor]
        speaker.prove_again()
        for door in KNOCKED:
            if "{id}" not in door.path:
                continue
            answers = [knock(world, speaker, door, world.url(door, "acme", identifier=text)) for text in misspelt]
            shapes = {repr(shape_of(answer)) for answer in answers}
            if {answer.status_code for answer in answers} != {404} or len(shapes) != 1:
                wrong.append(f"{visitor} at {door.name}: {shapes}")
    assert wrong == [], "\n".join(wrong)[:3000]


INNER = ("sha256", "link", "token", "trial", "certificate", "run", "delivery")


def test_malformed_identifiers_inside_of_what_is_there_are_missing_ones(world: World) -> None:
    """The second name of a path: of an artifact, a link, a token, a test, a certificate, a run, a delivery."""
    wrong, crossed = [], set()
    for visitor in ("anonymous", "agent token", "owner"):
        speaker = world.speakers[visitor]
        speaker.prove_again()
        for door in KNOCKED:
            inner = next((name for name in INNER if f"{{{name}}}" in door.path and "{id}" in door.path), None)
            if inner is None:
                continue
            outer = world.departed.live.get(kind_of(door), NOWHERE)
            texts = (NOWHERE[:-1], NOWHERE.upper(), "0", "%00", f"{NOWHERE}%00", "x" * 2000)
            answers = [knock(world, speaker, door, world.gone(door, {"id": outer, inner: text})) for text in texts]
            shapes = {repr(shape_of(answer)) for answer in answers}
            if {answer.status_code for answer in answers} != {404} or len(shapes) != 1:
                wrong.append(f"{visitor} at {door.name}: {shapes}")
            crossed.add(inner)
    assert wrong == [], "\n".join(wrong)[:3000]
    assert crossed == set(INNER)


# The four sentences that the table has to keep, said once more without it


def command_now(world: World) -> dict[str, Any]:
    return world.speakers["owner"].client.get(f"{team.WHERE}/commands/{world.ids['command']}").json()


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_nobody_decides_without_a_second_factor_nor_by_a_key_nor_as_an_agent(world: World, decision: str) -> None:
    """E4 E22: with the right digest, by the API and by the form."""
    api = f"{team.WHERE}/commands/{world.ids['command']}/votes"
    page = f"/w/acme/commands/{world.ids['command']}/votes"
    body = {"decision": decision, "digest": world.ids["digest"]}
    for visitor, speaker in world.speakers.items():
        if visitor in {"reviewer", "admin", "owner"}:
            continue
        assert speaker.client.post(api, json=body).status_code in {401, 403, 404}, visitor
        answer = speaker.client.post(page, data=fields_of(world, speaker) | body)
        assert answer.status_code in {303, 403, 404}, visitor
        if answer.status_code == 303:
            assert answer.headers["location"].startswith(("/signin", "/account/step-up")), visitor
    seen = command_now(world)
    assert (seen["state"], seen["votes"]) == ("pending", [])


def test_the_platform_is_not_the_owners_and_its_role_opens_no_private_content(world: World) -> None:
    """F12."""
    for visitor, speaker in world.speakers.items():
        answer = speaker.client.get("/metrics", headers=ELSEWHERE)
        assert (answer.status_code == 200) == (visitor == "platform admin"), visitor
    platform = world.speakers["platform admin"].client
    private = (*world.ids.values(), "builder", "1 failed", "ci", "keeper@acme.example")
    for door in DOORS:
        if door.method != "GET" or door.workspace is None:
            continue
        answer = platform.get(world.url(door, "acme"))
        assert answer.status_code == 404, door.name
        assert not any(word in answer.text for word in private if len(word) > 3), door.name
    for path in ("/", "/account", "/account/sessions", "/api/v1/whoami"):
        answer = platform.get(path)
        assert answer.status_code == 200
        assert "/w/" not in answer.text, path
    assert platform.get("/api/v1/whoami").json()["workspaces"] == []


def test_signing_out_ends_the_session_and_no_other(world: World) -> None:
    """The one door that the matrix does not knock at: it would end everybody's."""
    who = person(world.server, f"leaver-{world.server.url.rpartition(':')[2]}", "reviewer")
    with sign_in(world.server, who) as one, sign_in(world.server, who) as other:
        kept = team.session_of(one)
        left = one.post("/signout", data={"csrf_token": form_token(kept)}, headers={"origin": world.server.url})
        assert (left.status_code, left.headers["location"]) == (303, "/signin")
        one.cookies.set("fg_session", kept)
        assert one.get("/api/v1/whoami").status_code == 401
        assert other.get("/api/v1/whoami").status_code == 200
    with stranger(world.server, origin=world.server.url) as nobody:
        assert nobody.post("/signout", data={"csrf_token": ""}).status_code == 403
        assert team.form(nobody, "/signin", email=who.email, password="wrong " + PASSWORD).status_code == 401


def test_every_door_is_knocked_at() -> None:
    """A new door is in the matrix by itself; what it answers to those it lets in has to be said when that is not 200."""
    assert {door.permission for door in DOORS} <= set(P)
    stray = (set(LET_IN) | set(BODIES) | set(QUERIES) | ABSENT_ID) - {door.name for door in DOORS}
    assert stray == set()
    assert len(KNOCKED) == len(DOORS) - 1


def test_a_body_that_names_more_than_it_may_is_refused_by_the_name(world: World) -> None:
    """B4: nothing about who, where or in which state is taken from a body."""
    agent = world.speakers["agent token"].client
    for stray in ({"state": "approved"}, {"workspace": "other"}, {"need": 0}, {"agent": "x"}, {"verdict": {}}):
        answer = agent.post(f"{team.WHERE}/commands", json=submission() | stray)
        assert (answer.status_code, answer.json()["member"]) == (400, next(iter(stray)))
    reviewer = world.speakers["reviewer"].client
    body = {"decision": "approve", "digest": world.ids["digest"], "account_id": new_id()}
    answer = reviewer.post(f"{team.WHERE}/commands/{world.ids['command']}/votes", json=body)
    assert (answer.status_code, answer.json()["member"]) == (400, "account_id")
    assert command_now(world)["votes"] == []
