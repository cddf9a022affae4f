"""Rows and records, compared over real services on both databases: what is done behind the server's back is named.

Every test of a damage begins where nothing differs. P1 E3 E7
"""

import asyncio
import logging

import pytest

from failgate.access.role import Role
from failgate.administration.doctor import Doctor, Examination
from failgate.assembly import open_services
from failgate.audit.record import Actor
from failgate.base.canonical import digest_of
from failgate.base.ids import new_id
from failgate.config.load import load_config
from failgate.reconciling.kinds import KINDS
from failgate.reconciling.reconciliation import Reconciliation
from tests.audit.conftest import event
from tests.web.api.test_agents import person
from tests.web.api.test_gate import as_reviewer
from tests.web.api.test_reports import uploaded
from tests.web.conftest import OPERATOR, at_free_port, populate, running, session_of, with_optional_factor
from tests.web.live.test_agent import command

HERE = "/api/v1/workspaces/acme"


@pytest.fixture
async def server(tmp_path, database_url, caplog):
    caplog.set_level(logging.CRITICAL)
    path = tmp_path / "failgate.toml"
    path.write_text(f'[database]\nurl = "{database_url}"\n[gate]\nmax_ttl = "1h"\n')
    with at_free_port(with_optional_factor(load_config(path, {}))) as config:
        async with open_services(config, tmp_path / "data") as services, running(services) as one:
            yield one


@pytest.fixture
async def house(server):
    """A server on which something of each kind happened, and some of it ended."""
    services = server.services
    people = await populate(services)
    by = Actor(t="user", id=people.accounts["owner"])
    await services.accounts.grant_platform_role(people.accounts["nobody"], OPERATOR)
    await services.accounts.disable(people.accounts["foreign"], OPERATOR)
    await services.workspaces.add_member(people.acme, people.accounts["foreign"], Role("auditor"), by)
    await services.workspaces.remove_member(people.acme, people.accounts["foreign"], by)
    await services.workspaces.change_role(people.acme, people.accounts["developer"], Role("auditor"), by)
    other = await services.agents.create(people.acme, "other", people.accounts["owner"], OPERATOR)
    await services.tokens.mint("agt", other.id, people.acme, label="other", actor=OPERATOR)
    await services.agents.disable(people.acme, other.id, OPERATOR)
    await session_of(services, people.accounts["owner"])
    agent, key = ({"authorization": f"Bearer {one}"} for one in (people.agent, people.key))
    async with server.client(headers=key) as client, await as_reviewer(server, people) as reviewer:
        report, _ = await uploaded(client, b"x" * 100)
        gone, _ = await uploaded(client, b"y" * 100)
        assert (await client.delete(f"{HERE}/reports/{gone}")).status_code < 300
        asked = command(["/bin/ls"])
        body = {"command": asked, "digest": digest_of(asked), "ttl_seconds": 600}
        made = (await client.post(f"{HERE}/commands", json=body, headers=agent)).json()
        said = {"decision": "approve", "digest": digest_of(asked)}
        assert (await reviewer.post(f"{HERE}/commands/{made['id']}/votes", json=said)).status_code == 200
    return server, people, report


async def found(services):
    return [str(one) for one in (await services.reconciliation.run()).differences]


async def sql(services, query, *args):
    async def verb(tx):
        await tx.execute(query, *args)

    await services.db.write(verb)


async def test_a_block_that_a_search_would_not_look_at_is_named(server):
    services = server.services
    people = await populate(services)
    told = event(ws=people.acme)

    async def verb(tx):
        for _ in range(1100):
            await services.audit.append(tx, told)

    await services.db.write(verb)
    assert not [one for one in await found(services) if one.startswith("block")]
    is_file = services.db.dialect == "sqlite"
    await sql(
        services, "DROP TRIGGER audit_block_is_kept" if is_file else "ALTER TABLE audit_block DISABLE TRIGGER ALL"
    )
    await sql(services, "DELETE FROM audit_block WHERE what = 'act vote.cast'")
    [line] = [one for one in await found(services) if one.startswith("block")]
    assert line == (
        f"block 0: a search for 'act vote.cast' does not look at records 0 to 1023 (record 0 of log {people.acme})"
    )


async def test_where_everything_went_through_the_server_nothing_differs(house):
    server, _, _ = house
    outcome = await server.services.reconciliation.run()
    assert outcome.differences == ()
    assert outcome.rows > 25


DAMAGES = {
    "a role is changed": ("UPDATE membership SET role = 'owner' WHERE role = 'reviewer'", "member", "say reviewer"),
    "a member is gone": ("DELETE FROM membership WHERE role = 'reviewer'", "member", "recorded, and not stored"),
    "a member is put in": (
        ("INSERT INTO membership SELECT '{new}', workspace.id, account.id, 'owner', 1 FROM workspace, account"
        " WHERE workspace.slug = 'acme' AND account.email = 'nobody@example.org'"),
        "member", "no record tells of it",
    ),
    "a removed member is put back": (
        ("INSERT INTO membership SELECT '{new}', workspace.id, account.id, 'auditor', 1 FROM workspace, account"
        " WHERE workspace.slug = 'acme' AND account.email = 'foreign@example.org'"),
        "member", "its records say that it was removed",
    ),
    "an account is enabled again": ("UPDATE account SET disabled_us = NULL", "account", "say disabled"),
    "an account is put in": (
        "INSERT INTO account (id, email, created_us) VALUES ('{new}', 'x@example.org', 1)", "account", "no record",
    ),
    "the platform role is taken": (
        "UPDATE account SET is_platform_admin = 1 WHERE email = 'owner@example.org'", "platform role", "no record",
    ),
    "an agent is enabled again": ("UPDATE agent SET disabled_us = NULL", "agent", "say disabled"),
    "an agent has another owner": (
        "UPDATE agent SET owner_account_id = 'x' WHERE name = 'builder'", "agent", "its owner is not what is recorded",
    ),
    "a token lives again": ("UPDATE token SET revoked_us = NULL", "token", "say revoked"),
    "a token is put in": (
        ("INSERT INTO token (id, kind, owner_id, account_id, workspace_id, label, token_sha256, created_us)"
        " SELECT '{new}', kind, owner_id, account_id, workspace_id, label, 'x', 1 FROM token WHERE label = 'key'"),
        "token", "no record tells of it",
    ),
    "a session is put in": (
        ("INSERT INTO session (id, account_id, token_sha256, opened_us, seen_us, awaits_second_factor, auth, address,"
        " user_agent) SELECT '{new}', account_id, 'x', opened_us, seen_us, 0, auth, address, user_agent FROM session"
        " ORDER BY id LIMIT 1"),
        "session", "no record tells of it",
    ),
    "a workspace is put in": (
        "INSERT INTO workspace (id, slug, name, created_us) VALUES ('{new}', 'evil', 'Evil', 1)", "workspace", "no record",
    ),
    "a report has another manifest": ("UPDATE report SET manifest = '{{}}'", "report", "its manifest is not the one"),
    "a report and its digest are others": (
        ("UPDATE report SET manifest = '{{}}', manifest_sha256 ="
        " '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'"),
        "report", "its manifest is not what is recorded",
    ),
    "a report is unsealed": ("UPDATE report SET state = 'begun'", "report", "say sealed"),
    "an artifact of a report is another": (
        "UPDATE report_artifact SET sha256 = '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'",
        "report", "an artifact that its manifest does not list",
    ),
    "an artifact of a report is gone": ("DELETE FROM report_artifact", "report", "its artifacts is not what is recorded"),
    "a vote is gone": ("DELETE FROM gate_vote", "command", ""),
    "a command is gone": ("DELETE FROM gate_command", "command", "recorded, and not stored"),
    "a decision is changed": ("UPDATE gate_command SET state = 'denied'", "command", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
async def test_what_is_done_behind_the_servers_back_is_named(house, name):
    server, _, _ = house
    services = server.services
    query, kind, says = DAMAGES[name]
    if name == "a command is gone":
        await sql(services, "DELETE FROM gate_vote")
    await sql(services, query.format(new=new_id()))
    lines = await found(services)
    assert lines
    assert any(line.startswith(f"{kind} ") and says in line for line in lines), lines


async def test_an_artifact_that_nothing_names_is_named(house):
    server, _, _ = house
    services = server.services
    [row] = await services.db.fetch("SELECT * FROM artifact")
    copied = dict(row) | {"id": new_id(), "sha256": "0" * 64}
    if "object_key" in copied:
        copied["object_key"] = new_id()
    places = ", ".join(f"${number}" for number in range(1, len(copied) + 1))
    await sql(services, f"INSERT INTO artifact ({', '.join(copied)}) VALUES ({places})", *copied.values())
    [line] = await found(services)
    assert line.startswith(f"artifact {copied['id']}: it is stored, and no report and no recording names it")


async def test_a_report_that_is_gone_is_named_with_its_last_record(house):
    server, people, report = house
    for table in ("report_artifact", "report_text", "report"):
        column = "id" if table == "report" else "report_id"
        await sql(server.services, f"DELETE FROM {table} WHERE {column} = $1", report)
    lines = await found(server.services)
    [line] = [one for one in lines if one.startswith("report ")]
    sealed = [
        one.seq for one in await server.services.audit.records(people.acme, limit=1000)
        if one.record["act"] == "report.sealed" and one.record["obj"]["id"] == report
    ]  # fmt: skip
    assert line == (f"report {report}: it is recorded, and not stored (record {sealed[0]} of log {people.acme})")


async def test_changes_that_are_under_way_are_no_difference(house):
    """Members come and go, agents and commands too, while everything is compared again and again."""
    server, people, _ = house
    services, by = server.services, Actor(t="user", id=people.accounts["owner"])
    is_over = False

    async def change():
        while not is_over:
            await services.workspaces.add_member(people.acme, people.accounts["nobody"], Role("developer"), by)
            await services.workspaces.change_role(people.acme, people.accounts["nobody"], Role("auditor"), by)
            await services.workspaces.remove_member(people.acme, people.accounts["nobody"], by)
            agent = await services.agents.create(people.acme, new_id()[-20:], people.accounts["owner"], OPERATOR)
            await services.tokens.mint("agt", agent.id, people.acme, label="x", actor=OPERATOR)
            await services.agents.disable(people.acme, agent.id, OPERATOR)

    changing = asyncio.ensure_future(change())
    try:
        for _ in range(5):
            assert await found(services) == []
    finally:
        is_over = True
        await changing


async def test_a_deleted_workspace_is_no_difference_and_its_rows_that_stay_are_swept(house):
    server, people, _ = house
    services = server.services
    await sql(services, "DELETE FROM membership WHERE workspace_id = $1", people.other)
    assert await found(services)
    await services.audit.record(_closed(people.other))
    assert await found(services) == []


def _closed(workspace):
    from failgate.audit.record import SERVER, Act, Event

    facts = {"asked_by": "a", "owners": 1}
    return Event(Act.WORKSPACE_CLOSED, workspace, "workspace", workspace, SERVER, facts)


async def test_the_job_the_doctor_the_page_and_the_metrics_tell(house, caplog):
    server, people, _ = house
    services = server.services
    doctor = Doctor(services).table()["doctor.examine"][1]

    async def said(deep=False):
        checks = (await doctor(Examination(deep=deep)))["checks"]
        return next(one for one in checks if one["name"] == "rows and records")

    assert "Not compared since the start" in (await said())["sentence"]
    assert (await said(deep=True))["verdict"] == "ok"
    await sql(services, "UPDATE membership SET role = 'owner' WHERE role = 'reviewer'")
    room = Reconciliation(services.db, services.audit, services.clock, first_seconds=0.01, every_seconds=3600)
    room.start()
    async with asyncio.timeout(20):
        while room.outcome is None:
            await asyncio.sleep(0.01)
    await room.close()
    services.reconciliation.outcome = room.outcome
    assert (await said())["verdict"] == "fail"
    async with server.client() as client, person(server, people, "nobody") as operator:
        ready = (await client.get("/readyz")).json()
        assert (ready["is_ready"], ready["warnings"]) == (True, ["rows and records"])
        assert f"failgate_audit_contradictions {len(room.outcome.differences)}.0" in (await client.get("/metrics")).text
        page = (await operator.get("/platform/exporters")).text
        assert "it is owner, and its records say reviewer" in page
        assert "audit reconcile" in (await operator.get("/platform")).text


def test_each_kind_is_of_the_catalogue_and_named_once():
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert all(kind.acts for kind in KINDS)
