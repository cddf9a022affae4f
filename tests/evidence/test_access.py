"""The pack of access: who had which role, and how they came to it, as the records say it, on both databases. E7"""

import pytest

from failgate.audit.bundle import Period
from failgate.audit.record import SYSTEM, Act, Actor
from tests.evidence.office import OTHER, WS, Office, Person

BOX = Actor("sso_connection", "conn-1", ("oidc",))
HOUR = 3600 * 10**6


async def by_name(office: Office, section: str, key: str, period: Period | None = None) -> dict[str, dict[str, str]]:
    return {row[key]: row for row in (await office.pack("access", period)).lines(section)}


async def test_members_are_told_with_how_and_when_they_came_to_their_role(office: Office) -> None:
    olga = await office.person("olga@acme.example", "owner")
    rita, scim = Person("rita", "rita@acme.example", "s1"), Actor("scim", "conn-1")
    await office.account(rita)
    invited = await office.say(Act.INVITATION_CREATED, "invitation", "i1", olga.by("pwd", "otp"), {"role": "reviewer"})
    joined = await office.say(Act.MEMBER_ADDED, "account", rita.id, rita.by("pwd"), {"role": "reviewer"})
    accepted = await office.say(
        Act.INVITATION_ACCEPTED, "invitation", "i1", rita.by("pwd"), {"role": "reviewer", "account": rita.id}
    )
    given = await office.say(
        Act.MEMBER_CHANGED, "account", rita.id, olga.by("pwd"), {"role": "admin", "role_before": "reviewer"}
    )
    added = await office.person("ann@acme.example", "auditor", by=olga.by("pwd"))
    sso = await office.person("sso@acme.example", "developer", by=BOX)
    fed = await office.person("fed@acme.example", "developer", by=scim)
    alone = Person("alone", "alone@acme.example", "s2")
    await office.account(alone)
    await office.say(Act.MEMBER_ADDED, "account", alone.id, alone.by("pwd"), {"role": "developer"})
    left = await office.person("left@acme.example", "owner")
    await office.say(Act.MEMBER_REMOVED, "account", left.id, olga.by("pwd"))
    rows = await by_name(office, "members", "member")
    assert {name: (row["role"], row["how"]) for name, row in rows.items()} == {
        "olga@acme.example": ("owner", "by the operator of the server"),
        "rita@acme.example": ("admin", "invited by olga@acme.example"),
        "ann@acme.example": ("auditor", "added by olga@acme.example"),
        "sso@acme.example": ("developer", "by single sign-on"),
        "fed@acme.example": ("developer", "provisioned"),
        "alone@acme.example": ("developer", "by itself"),
    }
    row = rows["rita@acme.example"]
    assert (row["record"], row["further_records"]) == (str(given), f"{invited} {joined} {accepted}")
    assert row["role_by"] == "olga@acme.example"
    assert row["role_since"] > row["member_since"]
    assert row["leaf_hash"] == f"sha256:{(await office.audit.record_at(WS, given)).leaf_hash.hex()}"
    assert {added.id, sso.id, fed.id} <= {one["member_id"] for one in rows.values()}


async def test_sign_ins_and_second_factors_are_those_of_the_end_of_the_period(office: Office) -> None:
    rita = await office.person("rita@acme.example")
    rolf = await office.person("rolf@acme.example")

    async def factor(act: Act, **data: str) -> int:
        return await office.say(act, "account", rita.id, rita.by("pwd"), data, log=SYSTEM)

    await factor(Act.FACTOR_ENROLLED, method="otp")
    await factor(Act.FACTOR_ENROLLED, method="passkey", passkey="p1")
    await factor(Act.FACTOR_ENROLLED, method="passkey", passkey="p2")
    await factor(Act.FACTOR_ENROLLED, method="backup_codes")
    last = await factor(Act.FACTOR_REMOVED, method="passkey", passkey="p1")
    signed_in = await office.sign_in(rita, "pwd", "otp")
    await office.prove(rita, "pwd", "otp")
    office.clock.advance(100)
    end = office.clock.now_us()
    await factor(Act.FACTOR_REMOVED, method="all", evidence="met")
    await office.sign_in(rita, "pwd")
    await office.say(Act.ACCOUNT_DISABLED, "account", rolf.id, Actor("operator", "host"), {}, log=SYSTEM)
    rows = await by_name(office, "members", "member", Period(None, end))
    row = rows["rita@acme.example"]
    assert (row["second_factors"], row["last_signed_in_by"], row["account"]) == (
        "authenticator app, 1 passkey", "pwd otp", "enabled",
    )  # fmt: skip
    assert row["further_records"] == f"system:{last} system:{signed_in}"
    rolfs = rows["rolf@acme.example"]
    assert (rolfs["second_factors"], rolfs["last_sign_in_at"], rolfs["account"]) == ("none", "none recorded", "enabled")
    later = await by_name(office, "members", "member")
    assert later["rita@acme.example"]["second_factors"] == "none"
    assert later["rolf@acme.example"]["account"].startswith("disabled since ")


async def test_agents_tokens_keys_and_certificates_are_those_that_live(office: Office) -> None:
    olga, rita = await office.person("olga@acme.example", "owner"), await office.person("rita@acme.example")
    bot, old = await office.agent("deploy-bot", olga), await office.agent("old-bot", olga)
    by, now = olga.by("pwd", "otp"), office.clock.now_us()
    data = {"owner": rita.id, "owner_before": olga.id}
    given = await office.say(Act.AGENT_CHANGED, "agent", bot.id, by, data)
    await office.say(Act.AGENT_CHANGED, "agent", bot.id, by, {"fields": "name"})
    await office.say(Act.AGENT_DISABLED, "agent", old.id, by)

    async def token(key: str, kind: str, owner: str, **more: object) -> None:
        facts = {"kind": kind, "owner": owner} | more
        await office.say(Act.TOKEN_MINTED, "token", key, by, facts)

    await token("t1", "agt", bot.id, expires_us=now + HOUR, scopes=2, networks=1)
    await token("t2", "agt", bot.id, expires_us=now + 1)  # over by now
    await token("t3", "usr", rita.id)
    await token("t4", "usr", rita.id)
    await token("t5", "scim", "conn-1")
    await token("t6", "agt", bot.id)
    await office.say(Act.TOKEN_REVOKED, "token", "t4", by, {"kind": "usr", "reason": "asked"})
    await office.say(Act.TOKEN_LIMITED, "token", "t6", by, {"kind": "agt", "expires_us": now + 1})
    await office.say(Act.TOKEN_LIMITED, "token", "t3", by, {"kind": "usr", "expires_us": now + HOUR})
    facts = {"agent": bot.id, "kind": "uri", "san": "d" * 43}
    await office.say(Act.CERTIFICATE_REGISTERED, "certificate", "x1", by, facts)
    await office.say(Act.INGEST_KEY_MINTED, "ingest_key", "k1", by)
    await office.say(Act.INGEST_KEY_MINTED, "ingest_key", "k2", by)
    await office.say(Act.INGEST_KEY_REVOKED, "ingest_key", "k2", by)
    pack = await office.pack("access")
    agents = {row["agent"]: row for row in pack.lines("agents")}
    assert agents["deploy-bot"]["owner"] == "rita@acme.example"
    assert (agents["deploy-bot"]["record"], agents["deploy-bot"]["state"]) == (str(given), "enabled")
    assert agents["old-bot"]["state"].startswith("disabled since ")
    found = {
        row["credential_id"]: (row["credential"], row["holder"], row["scopes"], row["networks"])
        for row in pack.lines("credentials")
    }
    assert found == {
        "t1": ("agent token", "deploy-bot", "2", "1"),
        "t3": ("API key", "rita@acme.example", "all", ""),
        "t5": ("SCIM token", "conn-1", "all", ""),
        "x1": ("certificate", "deploy-bot", "", ""),
        "k1": ("ingest key", "", "", ""),
    }
    expiry = {row["credential_id"]: row["expires_at"] for row in pack.lines("credentials")}
    assert expiry["t1"] == expiry["t3"] != "never"
    assert (expiry["t5"], expiry["x1"]) == ("never", "not stated")


async def test_single_sign_on_and_what_changed_in_the_period(office: Office) -> None:
    olga = await office.person("olga@acme.example", "owner")
    by = olga.by("pwd", "otp")
    await office.say(Act.SSO_CONNECTION_CREATED, "sso_connection", "conn-0", by, {"kind": "oidc", "settings": "d" * 43})
    office.clock.advance(10)
    begin = office.clock.now_us()
    await office.sign_in(olga, "pwd", "otp")
    await office.say(Act.SSO_CONNECTION_CREATED, "sso_connection", "conn-1", by, {"kind": "saml", "settings": "d" * 43})
    await office.say(Act.SSO_CONNECTION_ENABLED, "sso_connection", "conn-1", by)
    await office.say(Act.SSO_CONNECTION_REMOVED, "sso_connection", "conn-0", by, {"sessions": 0, "identities": 0})
    await office.say(Act.DOMAIN_CLAIMED, "domain", "d1", by, {"connection": "conn-1"})
    await office.say(Act.SSO_ENFORCED, "workspace", WS, by, {"owner": olga.id})
    await office.say(Act.SHARING_STOPPED, "workspace", WS, by)
    await office.say(Act.MEMBER_ADDED, "account", "u9", by, {"role": "owner"}, log=OTHER)
    pack = await office.pack("access", Period(begin, None))
    assert {(row["what"], row["its_id"], row["state"]) for row in pack.lines("sign_on")} == {
        ("connection", "conn-1", "enabled"),
        ("domain", "d1", "claimed"),
        ("demand", WS, "enforced"),
    }
    changes = pack.lines("changes")
    assert [row["act"] for row in changes] == [
        "sso_connection.created", "sso_connection.enabled", "sso_connection.removed", "domain.claimed", "sso.enforced",
    ]  # fmt: skip
    assert {(row["who"], row["second_factor"]) for row in changes} == {("olga@acme.example", "authenticator code")}
    assert [row["second_factor_age_seconds"] for row in changes] == [f"{age}.000" for age in range(1, 6)]
    assert [row["member"] for row in pack.lines("members")] == ["olga@acme.example"]
    assert "proofs/record-0.tlog-proof" not in pack.files  # it lies in the tile of the period


@pytest.mark.parametrize("role", ["owner", "auditor"])
async def test_a_member_of_elsewhere_is_not_looked_up(office: Office, role: str) -> None:
    await office.person("olga@acme.example", role)
    eve = Person("somebody-else", "eve@elsewhere.example", "s9")
    await office.account(eve)
    await office.sign_in(eve, "pwd")
    pack = await office.pack("access")
    assert b"eve@" not in pack.content
    assert b"somebody-else" not in pack.content
