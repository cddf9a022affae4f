"""The pack of privileged changes: none is left out, and nothing of other workspaces is in it, on both databases. E7"""

from failgate.audit.bundle import Period
from failgate.audit.record import SYSTEM, Act, Actor
from failgate.evidence.privileged import OF_SERVER, OF_WORKSPACE
from tests.evidence.office import DIGEST, OTHER, WS, Office, Person

OPERATOR = Actor("operator", "host")
# Acts that use no privilege, or that another pack is about. A new act has to be put here or there.
ORDINARY = {
    "account.created", "account.password_changed", "password_reset.finished", "invitation.refused",
    "session.opened", "session.refused", "session.closed", "session.recognised", "session.second_factor_proven",
    "session.reauthenticated", "factor.refused", "factor.renamed", "backup_code.used", "device.trusted",
    "device.revoked", "setup.completed", "login.approved", "login.denied", "login.refused", "login.opened",
    "login.renewed", "login.closed", "command.created", "command.allowed", "command.refused", "command.observed",
    "vote.cast", "vote.voided", "mute.begun", "mute.ended", "command.approved", "command.denied", "command.expired", "command.cancelled",
    "command.consumed", "command.mismatched", "command.finished", "command.quarantined", "command.escalated",
    "letter.failed", "report.begun", "report.sealed", "report.read", "report.quarantined", "artifact.read",
    "artifact.reviewed", "artifact.encrypted", "share.viewed", "share.refused", "redaction_scan.ended",
    "report_group.resolved", "report_group.ignored", "report_group.reopened", "report_group.regressed",
    "sso_connection.tested", "sso.refused", "sso.logged_out", "identity.linked", "identity.unlinked",
    "server.started", "server.stopped", "web_bundle.changed", "exporter.tested", "witness.asked", "notification_destination.tested",
    "notification_preference.changed", "notification.failed", "notification.resent", "recording.begun",
    "recording.extended", "recording.resumed", "recording.broken", "recording.ended", "recording.withheld",
    "recording.read", "backup.begun", "audit_view.shared", "audit_view.renamed", "audit_view.withdrawn",
    "access.denied", "head.recorded", "vote.refused", "asking.refused", "artifact.quarantined",
    "sealed_command.created", "sealed_command.decided", "sealed_command.cancelled", "sealed_command.expired",
    "sealed_command.finished", "sealed_run.finished", "plugin.acted",
}  # fmt: skip


def test_every_act_is_privileged_or_known_not_to_be() -> None:
    chosen = {str(act) for act in (*OF_WORKSPACE, *OF_SERVER)}
    assert chosen & ORDINARY == set()
    assert chosen | ORDINARY == {str(act) for act in Act}


async def test_changes_of_the_workspace_say_what_by_whom_and_by_which_factor(office: Office) -> None:
    olga = await office.person("olga@acme.example", "owner")
    by = olga.by("pwd", "otp")
    office.clock.advance(100)
    begin = office.clock.now_us()
    await office.sign_in(olga, "pwd")
    proven = await office.prove(olga, "pwd", "otp")
    told = [
        (Act.MEMBER_CHANGED, "account", olga.id, {"role": "admin", "role_before": "owner"}, "roles"),
        (Act.RULE_CREATED, "rule", "r1", {"digest": DIGEST}, "rules and policies"),
        (Act.RULE_TERMS_CHANGED, "workspace", WS, {"approvers": 2}, "rules and policies"),
        (Act.SSO_ENFORCED, "workspace", WS, {"owner": olga.id}, "single sign-on and provisioning"),
        (Act.SCIM_USER_DELETED, "scim_user", "u1", {"connection": "c1"}, "single sign-on and provisioning"),
        (Act.ARTIFACT_KEY_ROTATED, "artifact_key", "k", {"wrapping_key": "b", "wrapping_key_before": "a"}, "keys"),
        (Act.RETENTION_CHANGED, "workspace", WS, {"kind": "reports", "days": 30}, "retention and legal hold"),
        (Act.REPORT_HELD, "report", "p1", {}, "retention and legal hold"),
        (Act.GLASS_BROKEN, "command", "c1", {"digest": DIGEST, "use_by_us": 1}, "emergencies"),
        (Act.REPORT_DELETED, "report", "p2", {}, "deletions"),
    ]
    for act, kind, key, data, _ in told:
        await office.say(act, kind, key, by, data)
    await office.say(Act.REPORT_READ, "report", "p2", by)
    await office.say(Act.RULE_REVOKED, "rule", "r9", by, {}, log=OTHER)
    end = office.clock.now_us()
    await office.say(Act.RULE_REVOKED, "rule", "r1", by)
    pack = await office.pack("privileged", Period(begin, end + 1))
    rows = pack.lines("workspace")
    assert [(row["act"], row["category"]) for row in rows] == [(str(one[0]), one[-1]) for one in told]
    assert {(row["who"], row["who_id"], row["second_factor"]) for row in rows} == {
        ("olga@acme.example", olga.id, "authenticator code")
    }
    assert [row["second_factor_age_seconds"] for row in rows] == [f"{age}.000" for age in range(1, 11)]
    assert rows[0]["object"] == "account olga@acme.example"
    assert rows[0]["stated"] == "role: admin; role_before: owner"
    assert {row["further_records"] for row in rows} == {f"system:{proven}"}
    assert pack.lines("server") == []


async def test_of_the_server_only_what_bears_on_the_workspace(office: Office) -> None:
    olga = await office.person("olga@acme.example", "owner")
    eve = Person("somebody-else", "eve@elsewhere.example", "s9")
    await office.account(eve)

    async def say(act: Act, kind: str, key: str, who: Actor, **data: object) -> int:
        return await office.say(act, kind, key, who, data, log=SYSTEM)

    before = {"log": OTHER, "number": 1, "attempts": 3, "reason": "too large"}
    await say(Act.EXPORT_REFUSED, "exporter", "siem", OPERATOR, **before)
    await say(Act.ROLLBACK_ACCEPTED, "log", OTHER, OPERATOR, signed_size=9, found_size=3)
    await say(Act.ACCOUNT_DISABLED, "account", eve.id, OPERATOR)
    await say(Act.FACTOR_ENROLLED, "account", olga.id, olga.by("pwd"), method="otp")
    await say(Act.SESSION_OPENED, "session", "s", olga.by("pwd"))
    assert (await office.pack("privileged")).lines("server") == []
    ours = [
        await say(Act.EXPORT_REFUSED, "exporter", "siem", OPERATOR, **(before | {"log": WS})),
        await say(Act.ROLLBACK_ACCEPTED, "log", WS, OPERATOR, signed_size=9, found_size=3),
        await say(Act.ACCOUNT_DISABLED, "account", olga.id, OPERATOR),
        await say(Act.FACTOR_REMOVED, "account", olga.id, OPERATOR, method="all", evidence="met"),
        await say(Act.LOG_KEY_ROTATED, "log_key", "k", OPERATOR, public_key="b", public_key_before="a"),
        await say(Act.PLATFORM_ROLE_GRANTED, "account", eve.id, eve.by("pwd"), role="admin"),
    ]
    pack = await office.pack("privileged")
    rows = pack.lines("server")
    assert [int(row["record"]) for row in rows] == ours
    assert {row["log"] for row in rows} == {"system"}
    assert [row["category"] for row in rows] == [
        "exporters and notifications", "the log and its exports", "accounts of members", "accounts of members", "keys",
        "roles",
    ]  # fmt: skip
    assert (rows[-1]["who"], rows[-1]["object"]) == ("user somebody-else", "account somebody-else")
    assert b"eve@" not in pack.content
    hashes = [(await office.audit.record_at("system", seq)).leaf_hash.hex() for seq in ours]
    assert [row["leaf_hash"] for row in rows] == [f"sha256:{one}" for one in hashes]


async def test_the_period_counts_in_both_logs(office: Office) -> None:
    await office.person("olga@acme.example", "owner")
    first = await office.say(Act.SIGNING_KEY_ROTATED, "signing_key", "a", OPERATOR, {"reason": "due"}, log=SYSTEM)
    begin = office.clock.now_us() + 1
    await office.say(Act.SHARING_STOPPED, "workspace", WS, OPERATOR)
    second = await office.say(Act.SIGNING_KEY_ROTATED, "signing_key", "b", OPERATOR, {"reason": "due"}, log=SYSTEM)
    end = office.clock.now_us() + 1
    await office.say(Act.SHARING_RESUMED, "workspace", WS, OPERATOR)
    third = await office.say(Act.SIGNING_KEY_ROTATED, "signing_key", "c", OPERATOR, {"reason": "due"}, log=SYSTEM)
    for period, seqs in (
        (Period(None, begin), [first]),
        (Period(begin, end), [second]),
        (Period(end, None), [third]),
        (Period(), [first, second, third]),
    ):
        rows = (await office.pack("privileged", period)).lines("server")
        assert [int(row["record"]) for row in rows] == seqs
        assert {(row["who"], row["second_factor"]) for row in rows} == {("the operator of the server", "")}
