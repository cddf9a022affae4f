"""What a session reaches that one workspace's own provider opened: that workspace, and nothing else of its person.

The owner of a workspace chooses its provider and may have it say that anybody of its people signs in.  # E24 F4 F12
"""

import re

import httpx
import pytest

from failgate.access.role import Role
from failgate.accounts.session import Origin
from failgate.sso.connection import OidcSettings
from failgate.sso.connections import Draft
from tests.web.conftest import OPERATOR, People, Running

SETTINGS = OidcSettings(issuer="https://id.example", client_id="failgate")


class Confined:
    """Sessions that a connection of `acme` opened, its provider saying that a second factor was shown just now."""

    def __init__(self, server: Running, connection_id: str, workspace_id: str) -> None:
        self.server = server
        self.connection_id = connection_id
        self.workspace_id = workspace_id

    async def browser(self, account_id: str, *, may_change_account: bool = True) -> httpx.AsyncClient:
        services = self.server.services
        origin = Origin(self.connection_id, self.workspace_id, may_change_account, services.clock.now_us())
        token, _ = await services.db.write(
            lambda tx: services.sessions.open_within(tx, account_id, "10.9.8.7", "seen", ("oidc",), origin=origin)
        )
        return self.server.client(cookies={"fg_session": token}, headers={"origin": self.server.origin})


@pytest.fixture
async def confined(server: Running, people: People) -> Confined:
    services = server.services
    made = await services.sso.connections.create(people.acme, "ours", Draft("Ours", SETTINGS), OPERATOR)
    return Confined(server, made.id, people.acme)


async def post(client: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    page = await client.get("/account")
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token is not None, page.text
    return await client.post(path, data={**fields, "csrf_token": token[1]})


async def test_the_platform_role_does_not_come_with_it(server: Running, people: People, confined: Confined) -> None:
    who, another = people.accounts["developer"], people.accounts["reviewer"]
    await server.services.accounts.grant_platform_role(who, OPERATOR)
    async with await confined.browser(who) as client:
        assert (await client.get("/w/acme/queue")).status_code == 200
        for path in ("/platform", "/platform/users", f"/platform/users/{another}"):
            assert (await client.get(path)).status_code == 404, path
        changed = await post(client, f"/platform/users/{another}/platform-role", role="grant")
        assert changed.status_code == 404
        assert "/platform" not in (await client.get("/")).text
        assert (await client.get("/metrics", headers={"x-forwarded-for": "10.0.0.9"})).status_code == 404
    assert not (await server.services.accounts.by_id(another)).is_platform_admin


async def test_an_account_with_the_platform_role_is_not_changed_by_it(
    server: Running, people: People, confined: Confined
) -> None:
    """Else the provider gives it a password, and whoever knows that one is the administrator."""
    who = people.accounts["developer"]
    fields = {"current": "", "password": "a long and plain passphrase"}
    async with await confined.browser(who) as client:
        await server.services.accounts.grant_platform_role(who, OPERATOR)
        answers = [
            await post(client, "/account/password", **fields),
            await post(client, "/account/second-factor/begin"),
            await post(client, "/account/sign-ins", connection="ours"),
        ]
    assert [answer.status_code for answer in answers] == [403] * 3
    assert not await server.services.second_factors.has(who)


async def test_it_reads_nothing_of_what_its_person_does_elsewhere(
    server: Running, people: People, confined: Confined
) -> None:
    services, who = server.services, people.accounts["foreign"]  # the owner of `other`
    await services.workspaces.add_member(people.acme, who, Role.DEVELOPER, OPERATOR)
    await services.sessions.open(who, "203.0.113.77", "Elsewhere/1.0", ("pwd",))
    await services.tokens.mint("usr", who, people.other, label="key of elsewhere", actor=OPERATOR)
    _, session = await services.sessions.open(who, "203.0.113.78", "Elsewhere/1.0", ("pwd",))
    proven = await services.sessions.prove_second_factor(session, "otp")
    found = await services.sessions.resolve(proven)
    assert found is not None
    await services.devices.trust(found, "a device of elsewhere")
    corp = await services.sso.connections.create(people.other, "theirs", Draft("Theirs", SETTINGS), OPERATOR)
    await services.db.write(
        lambda tx: tx.execute(
            "INSERT INTO sso_identity (id, connection_id, issuer, subject, account_id, email, is_origin, linked_us)"
            " VALUES ('i', $1, 'https://id.example', 's', $2, 'private@elsewhere.example', 0, 1)",
            corp.id, who,
        )
    )  # fmt: skip
    private = re.compile(
        r'href="/w/other|Other\b|203\.0\.113|Elsewhere|key of elsewhere|device of elsewhere|private@elsewhere|theirs'
    )
    paths = ["/", "/account", "/w/acme/queue", "/signin/sso?next=/w/other/queue", "/api/v1/whoami"]
    paths += [f"/account/{name}" for name in ("sessions", "devices", "api-keys", "sign-ins", "logins", "second-factor")]
    plain = server.client(cookies={"fg_session": proven})
    for client, is_confined in ((await confined.browser(who), True), (plain, False)):
        async with client:
            seen = {path: private.findall((await client.get(path)).text) for path in paths}
        if is_confined:
            assert not any(seen.values()), seen
        else:
            assert all(seen[path] for path in ("/", "/account/sessions", "/account/devices", "/account/sign-ins")), seen


async def test_an_owner_whom_it_brought_resets_nobody_who_reaches_further(
    server: Running, people: People, confined: Confined
) -> None:
    """An owner of both workspaces may; the provider of one of them may not, in that owner's name."""
    services, owner, member = server.services, people.accounts["owner"], people.accounts["developer"]
    await services.workspaces.add_member(people.other, owner, Role.OWNER, OPERATOR)
    await services.workspaces.add_member(people.other, member, Role.DEVELOPER, OPERATOR)
    async with await confined.browser(owner) as client:
        refused = await post(client, f"/w/acme/members/{member}/reset-link")
        alone = await post(client, f"/w/acme/members/{people.accounts['reviewer']}/reset-link")
    assert (refused.status_code, "fg_rst_" in refused.text) == (403, False)
    assert (alone.status_code, "fg_rst_" in alone.text) == (200, True)
