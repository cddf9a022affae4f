"""The pages of the installation. # F12"""

import re

import pytest

from failgate.base.ids import new_id
from tests.web.api.test_agents import person
from tests.web.conftest import OPERATOR

PATHS = ("/platform", "/platform/plugins", "/platform/connections", "/platform/users", "/platform/exporters")


@pytest.fixture
async def platform(server, people):
    await server.services.accounts.grant_platform_role(people.accounts["nobody"], OPERATOR)
    async with person(server, people, "nobody") as client:
        yield client


async def post(client, server, path, **fields):
    page = await client.get("/account")
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
    return await client.post(path, data={**fields, "csrf_token": token}, headers={"origin": server.origin})


async def test_the_role_opens_the_installation_and_no_workspace(server, people, platform):
    for path in PATHS:
        answer = await platform.get(path)
        assert answer.status_code == 200, path
        for private in ("/w/", "Acme", "builder"):
            assert private not in answer.text, path
    assert "owner@example.org" in (await platform.get("/platform/users?q=OWNER")).text
    assert "owner@example.org" not in (await platform.get("/platform/users?q=o%25ner")).text
    for path in ("/w/acme/queue", "/w/acme/members", "/api/v1/workspaces/acme/members"):
        assert (await platform.get(path)).status_code == 404


async def test_for_everybody_else_there_is_nothing_there(server, people):
    async with person(server, people, "owner") as owner:
        missing = await owner.get("/nowhere/at/all", headers={"accept": "text/html"})
        for path in (*PATHS, f"/platform/users/{people.accounts['admin']}"):
            answer = await owner.get(path, headers={"accept": "text/html"})
            assert answer.status_code == missing.status_code == 404, path
            assert "There is nothing here" in answer.text


async def test_an_account_is_barred_let_in_and_helped(server, people, platform):
    who = people.accounts["developer"]
    here = f"/platform/users/{who}"
    assert (await post(platform, server, f"{here}/disable")).status_code == 200
    assert not (await server.services.accounts.by_id(who)).is_enabled
    assert (await post(platform, server, f"{here}/enable")).status_code == 200
    await server.services.workspaces.remove_member(people.acme, who, OPERATOR)
    shown = await post(platform, server, f"{here}/reset-link")
    assert re.search(r"/link#fg_rst_\w+", shown.text)
    await server.services.second_factors.issue(who, OPERATOR)
    refused = await post(platform, server, f"{here}/reset-factor", evidence="met")
    assert refused.status_code == 409
    assert "within the last day" in refused.text
    assert await server.services.second_factors.has(who)
    other = people.accounts["reviewer"]
    await server.services.second_factors.issue(other, OPERATOR)
    assert (
        await post(platform, server, f"/platform/users/{other}/reset-factor", evidence="called_back")
    ).status_code == 200
    assert not await server.services.second_factors.has(other)


@pytest.mark.parametrize("given", [{}, {"evidence": ""}, {"evidence": "they said so"}, {"evidence": "method"}])
async def test_nobodys_factors_are_reset_before_it_is_said_how_it_was_made_sure_who_asks(
    server, people, platform, given
):
    """ASVS 6.4.4."""
    who = people.accounts["reviewer"]
    await server.services.second_factors.issue(who, OPERATOR)
    refused = await post(platform, server, f"/platform/users/{who}/reset-factor", **given)
    assert refused.status_code == 400
    assert "how you made sure" in refused.text
    assert await server.services.second_factors.has(who)


@pytest.mark.parametrize("evidence", ["met", "called_back", "vouched"])
async def test_it_is_on_record_how_it_was_made_sure_who_lost_their_factors(server, people, platform, evidence):
    who = people.accounts["reviewer"]
    await server.services.second_factors.issue(who, OPERATOR)
    page = (await platform.get(f"/platform/users/{who}")).text
    assert f'name="evidence" value="{evidence}" required' in page
    assert (await post(platform, server, f"/platform/users/{who}/reset-factor", evidence=evidence)).status_code == 200
    records = [stored.record for stored in await server.services.audit.records("system", None, 1000)]
    [removed] = [one for one in records if one["act"] == "factor.removed"]
    assert removed["data"] == {"method": "all", "evidence": evidence}
    assert (removed["actor"]["t"], removed["actor"]["id"]) == ("user", people.accounts["nobody"])
    assert not await server.services.second_factors.has(who)


async def test_the_role_does_not_become_somebody_who_reads_private_content(server, people, platform):
    """Neither with a factor that it took away before, nor where there was none."""
    who = people.accounts["developer"]
    here = f"/platform/users/{who}"
    await server.services.second_factors.issue(who, OPERATOR)
    assert (await post(platform, server, f"{here}/reset-factor", evidence="met")).status_code == 200
    refused = await post(platform, server, f"{here}/reset-link")
    assert (refused.status_code, "fg_rst_" in refused.text) == (409, False)
    assert "An owner of all of" in refused.text
    assert "Make a link" not in (await platform.get(here)).text


async def test_the_role_is_given_and_the_last_one_stays(server, people, platform):
    own = f"/platform/users/{people.accounts['nobody']}"
    assert (await post(platform, server, f"{own}/platform-role", role="revoke")).status_code == 409
    for path in ("disable", "reset-link", "reset-factor"):
        assert (await post(platform, server, f"{own}/{path}")).status_code == 409
    other = f"/platform/users/{people.accounts['auditor']}"
    assert (await post(platform, server, f"{other}/platform-role", role="king")).status_code == 400
    assert (await post(platform, server, f"{other}/platform-role", role="grant")).status_code == 200
    assert (await post(platform, server, f"{own}/platform-role", role="revoke")).status_code == 303
    assert (await platform.get("/platform")).status_code == 404
    assert (await post(platform, server, f"{other}/disable")).status_code == 404
    records = [stored.record for stored in await server.services.audit.records("system", None, 1000)]
    assert [one["act"] for one in records if one["act"].startswith("platform_role.")][-2:] == [
        "platform_role.granted",
        "platform_role.revoked",
    ]


async def test_what_is_not_there_is_404(server, people, platform):
    for path in ("disable", "enable", "reset-link", "reset-factor", "platform-role"):
        assert (
            await post(platform, server, f"/platform/users/{new_id()}/{path}", role="grant", evidence="met")
        ).status_code == 404
