"""Who speaks."""

from tests.web.conftest import OPERATOR, cookies_of, session_of


async def test_each_credential_is_named_with_its_workspaces(server, people):
    token = await session_of(server.services, people.accounts["owner"])
    async with server.client() as client:
        by_session = (await client.get("/api/v1/whoami", headers={"cookie": cookies_of(token)})).json()
        by_key = (await client.get("/api/v1/whoami", headers={"authorization": f"Bearer {people.key}"})).json()
        by_agent = (await client.get("/api/v1/whoami", headers={"authorization": f"Bearer {people.agent}"})).json()
    assert by_session["kind"] == "user"
    assert by_session["email"] == "owner@example.org"
    assert by_session["workspaces"] == [{"workspace": "acme", "role": "owner"}]
    assert (by_key["kind"], by_key["id"]) == ("api_key", people.accounts["owner"])
    assert by_agent["kind"] == "agent"
    assert by_agent["workspaces"] == [{"workspace": "acme", "role": "agent"}]
    assert by_agent.get("email") is None


async def test_a_key_of_one_workspace_does_not_name_the_others(server, people):
    services = server.services
    await services.workspaces.create("third", "Third", people.accounts["owner"], OPERATOR)
    async with server.client(headers={"authorization": f"Bearer {people.key}"}) as client:
        assert [one["workspace"] for one in (await client.get("/api/v1/whoami")).json()["workspaces"]] == ["acme"]
