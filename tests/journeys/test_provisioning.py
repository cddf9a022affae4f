"""Deprovisioning as an owner and a provider live it: a token from the page, people and groups, and who leaves is out. # B1"""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from failgate.base.ids import new_id
from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, browser
from tests.journeys.team import PASSWORD, Person, ask, person, program, sign_in, vote
from tests.pace import busy

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@pytest.fixture
def server(new_database: NewDatabase, tmp_path: Path) -> Iterator[Server]:
    asking = Server(tmp_path / "data", database_url=new_database(), config="[plugins.quorum]\nneed = 2\n")
    with team.served(asking) as one:
        yield one


def connected(server: Server) -> str:
    """Make a connection of the workspace `acme` with a verified domain; return its id."""
    connection = new_id()
    settings = '{"kind": "saml", "entity_id": "https://idp.example", "sso_url": "https://idp.example/sso"}'
    team.sql(
        server,
        "INSERT INTO sso_connection (id, slug, title, workspace_id, settings, roles, trusted_methods, is_enabled,"
        " is_listed, created_us, changed_us) SELECT $1, 'okta', 'Okta', id, $2, $3, '[]', 1, 1, 1, 1 FROM workspace"
        " WHERE slug = 'acme'",
        connection, settings, '[["Reviewers", "reviewer"]]',
    )  # fmt: skip
    team.sql(
        server,
        "INSERT INTO sso_domain (id, connection_id, domain, token, verified_by, verified_us, created_us)"
        " VALUES ($1, $2, 'corp.example', 'x', 'operator', 1, 1)",
        new_id(), connection,
    )  # fmt: skip
    return connection


def test_an_owner_connects_a_provider_and_who_leaves_is_out_within_a_second(server: Server) -> None:
    team.found_acme(server)
    owner = person(server, "keeper", "owner")
    leaver = team.admin(server, "user.create", email="ann@corp.example", password=PASSWORD, with_totp=True)
    team.admin(server, "workspace.add_member", workspace="acme", email="ann@corp.example", role="developer")
    page = f"/w/acme/settings/sign-in/{connected(server)}/provisioning"
    with sign_in(server, owner) as client:
        assert "none yet" in client.get(page).text
        shown = team.form(client, page, action="mint")
        token = re.search(r"data-token>(fg_scim_\w+)<", shown.text)
        assert token is not None, shown.text
        assert token[1] not in client.get(page).text
        idp = httpx.Client(
            base_url=f"{server.url}/scim/v2",
            headers={"authorization": f"Bearer {token[1]}"},
            trust_env=False,
            timeout=60,
        )
        ann = {"schemas": [USER], "userName": "ann@corp.example", "active": True}
        taken = idp.post("/Users", json=ann)
        assert (taken.status_code, taken.json()["scimType"]) == (409, "uniqueness")
        assert team.form(client, page, action="allow", email="nobody@corp.example").status_code == 400
        assert "Allowed" in team.form(client, page, action="allow", email="ann@corp.example").text
        made = idp.post("/Users", json=ann)
        assert made.status_code == 201, made.text
        members = [{"value": made.json()["id"]}]
        body = {"schemas": [GROUP], "displayName": "Reviewers", "members": members}
        assert idp.post("/Groups", json=body).status_code == 201
        with sign_in(server, Person("ann@corp.example", leaver["user"], leaver["totp_secret"])) as gone:
            assert gone.get("/w/acme/queue").status_code == 200
            with program(server, team.admin(server, "agent.create", workspace="acme", name="ci")["token"]) as agent:
                view = ask(agent, ttl_seconds=600)
            assert vote(gone, view).json()["state"] == "pending", "one of two"
            off = {"schemas": [PATCH], "Operations": [{"op": "Replace", "path": "active", "value": "False"}]}
            began = time.monotonic()
            assert idp.patch(f"/Users/{made.json()['id']}", json=off).status_code == 200
            assert gone.get("/w/acme/queue").status_code in {303, 404}
            assert time.monotonic() - began < busy(1)
            assert gone.get("/api/v1/whoami").status_code == 401
            assert "vote.voided" in client.get("/w/acme/audit").text
            assert vote(client, view).json()["state"] == "pending", "the vote of who left does not count"
        text = client.get(page).text
        assert "are deactivated at the provider" in text
        assert "has ended" in team.form(client, page, action="revoke").text
        assert idp.get("/Users").status_code == 401
        idp.close()
    assert server.verify("--gate").returncode in {0, 3}


def test_the_page_reads_well_on_a_phone_and_by_a_screen_reader(server: Server, tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    team.found_acme(server)
    owner = person(server, "keeper", "owner")
    page_path = f"/w/acme/settings/sign-in/{connected(server)}/provisioning"
    with sign_in(server, owner) as client:
        with browser() as chromium:
            for width in (1280, 390):
                context = chromium.new_context(viewport={"width": width, "height": 900})
                context.add_cookies(
                    [
                        {"name": name, "value": client.cookies[name], "url": server.url}
                        for name in ("fg_session", "fg_fresh")
                    ]
                )
                page = context.new_page()
                page.goto(server.url + page_path)
                page.get_by_role("button", name=re.compile("token")).first.click()
                page.locator("[data-token]").wait_for()
                assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
                found = Axe().run(page).response["violations"]
                assert found == [], found
                page.screenshot(path=tmp_path / f"provisioning-{width}.png", full_page=True)
                context.close()
