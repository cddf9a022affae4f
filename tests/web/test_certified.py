"""Client certificates at the doors: who gets in, as whom, and until when (E9, E11)."""

import asyncio
import base64
import contextlib
import json
import re

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from failgate.audit.record import Actor
from tests.web.authority import AGENT, CLIENT, DAY, NOW, SERVER, Authority, issue
from tests.web.conftest import OPERATOR, cookies_of, session_of
from tests.web.tls_server import TlsFiles, TlsRunning, running_tls

CUT = (httpx.TransportError,)
WHERE = "/api/v1/workspaces/acme/commands"


async def who(one: TlsRunning, *shown, headers=None) -> str:
    """Return whom the server takes the holder of `shown` for: an agent's id, `nobody`, or `cut` before any answer."""
    try:
        async with one.client(*shown) as client:
            answer = await client.get("/api/v1/whoami", headers=headers)
    except CUT:
        return "cut"
    assert answer.status_code in {200, 401}, answer.text
    return answer.json()["id"] if answer.status_code == 200 else "nobody"


def sixteen(files: TlsFiles) -> dict[str, tuple]:
    """Certificates by what is wrong with them; `right` and `chain` are good."""
    root, stranger = files.clients, Authority("Client root")
    middle = Authority("Issuing", root)
    revoked = root.client(AGENT)
    root.revoked.append(revoked.certificate)
    files.crl.write_bytes(root.crl() + middle.crl())
    own = [x509.UniformResourceIdentifier(AGENT)]
    return {
        "none": (),
        "rsa of 2048 bits": (root.client(AGENT, rsa_bits=2048),),
        "expired": (root.client(AGENT, begins=NOW - 2 * DAY, ends=NOW - DAY),),
        "not yet valid": (root.client(AGENT, begins=NOW + DAY, ends=NOW + 2 * DAY),),
        "another authority of the same name": (stranger.client(AGENT),),
        "for servers": (root.client(AGENT, purposes=SERVER),),
        "for nothing in particular": (root.client(AGENT, purposes=()),),
        "no name": (root.client(),),
        "unknown name": (root.client("spiffe://acme.example/other"),),
        "name in another case": (root.client(AGENT.upper()),),
        "name as a host": (root.client(sans=[x509.DNSName("acme.example")]),),
        "revoked": (revoked,),
        "self-signed": (issue("a client", None, sans=own, purposes=CLIENT),),
        "its own chain": (issue("x", stranger.pair, sans=own, purposes=CLIENT), stranger.pair),
        "right": (root.client(AGENT),),
        "chain": (middle.client(AGENT), middle.pair),
    }


NOBODY = {"no name", "unknown name", "name in another case", "name as a host"}


@pytest.mark.parametrize("mode", ["optional", "required"])
async def test_of_all_certificates_the_right_ones_alone_are_the_agent(services, files, builder, mode):
    shown = sixteen(files)
    async with running_tls(services, files, mode) as one:
        seen = {what: await who(one, *how) for what, how in shown.items()}
    wanted = dict.fromkeys(shown, "cut") | dict.fromkeys(NOBODY, "nobody")
    wanted |= {"right": builder.id, "chain": builder.id, "none": "cut" if mode == "required" else "nobody"}
    assert seen == wanted


async def test_without_client_certificates_in_the_config_one_that_is_shown_says_nothing(services, files, builder):
    async with running_tls(services, files) as one:
        assert await who(one, files.clients.client(AGENT)) == "nobody"


IDENTITY_HEADERS = [
    {"x-ssl-client-verify": "SUCCESS", "x-ssl-client-s-dn": "CN=builder"},
    {"x-ssl-client-cert": "PEM"},
    {"ssl-client-cert": "PEM"},
    {"x-forwarded-client-cert": f"URI={AGENT}"},
    {"client-cert": ":DER:"},
    {"client-cert": ":DER:", "client-cert-chain": ":DER:"},
    {"x-client-cert": "PEM"},
    {"x-forwarded-user": "owner@example.org"},
    {"x-remote-user": "owner@example.org"},
    {"remote-user": "owner@example.org"},
    {"x-auth-request-email": "owner@example.org"},
    {"x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1"},
    {"forwarded": "for=127.0.0.1;proto=https;by=unix"},
]


@pytest.mark.parametrize("headers", IDENTITY_HEADERS, ids=lambda given: " ".join(given))
async def test_headers_that_name_somebody_say_nothing(services, files, builder, headers):
    right = files.clients.client(AGENT)
    der = base64.b64encode(right.certificate.public_bytes(Encoding.DER)).decode()
    pem = right.pem.decode().strip().replace("\n", " ")
    given = {key: value.replace("DER", der).replace("PEM", pem) for key, value in headers.items()}
    async with running_tls(services, files, "optional", trusted_proxies=("127.0.0.0/8",)) as one:
        assert await who(one, headers=given) == "nobody"


async def test_the_agent_asks_as_itself_and_the_record_says_how_it_was_proven(services, files, builder, people):
    async with running_tls(services, files, "optional") as one:
        async with one.client(files.clients.client(AGENT)) as client:
            answer = await client.get(WHERE)
            assert answer.status_code in {200, 403}
            assert (await client.get("/api/v1/workspaces/other/commands")).status_code == 404
            missing = await client.get("/api/v1/workspaces/missing/commands")
            assert missing.status_code == 404
            me = (await client.get("/api/v1/whoami")).json()
    assert me["kind"] == "agent"
    assert me["workspaces"] == [{"workspace": "acme", "role": "agent"}]


async def test_a_certificate_beside_the_credential_of_another_is_refused(services, files, builder, people):
    right = files.clients.client(AGENT)
    second = await services.agents.create(people.acme, "second", people.accounts["owner"], OPERATOR)
    foreign = await services.tokens.mint("agt", second.id, people.acme, label="x", actor=OPERATOR)
    session = await session_of(services, people.accounts["owner"])
    async with running_tls(services, files, "optional") as one:
        assert await who(one, right, headers={"authorization": f"Bearer {people.agent}"}) == builder.id
        for headers in (
            {"authorization": f"Bearer {people.key}"},
            {"authorization": f"Bearer {foreign}"},
            {"authorization": "Bearer nonsense"},
            {"authorization": "Basic eDp5"},
            {"cookie": cookies_of(session, is_https=True)},
            {"cookie": "__Host-fg_session=x"},
        ):
            assert await who(one, right, headers=headers) == "nobody", headers
        unknown = files.clients.client("spiffe://acme.example/other")
        assert await who(one, unknown, headers={"authorization": f"Bearer {foreign}"}) == second.id


async def test_at_pages_a_certificate_counts_for_nothing(services, files, builder, people):
    session = await session_of(services, people.accounts["owner"])
    async with running_tls(services, files, "optional") as one:
        async with one.client(files.clients.client(AGENT)) as client:
            assert (await client.get("/w/acme/queue")).status_code == 303
            headers = {"cookie": cookies_of(session, is_https=True)}
            assert (await client.get("/w/acme/queue", headers=headers)).status_code == 200


async def test_a_name_of_agents_in_two_workspaces_needs_the_workspace(services, files, builder, people):
    foreign = await services.agents.create(people.other, "builder", people.accounts["foreign"], OPERATOR)
    await services.certificates.register(people.other, foreign.id, AGENT, OPERATOR)
    async with running_tls(services, files, "optional") as one:
        right = files.clients.client(AGENT)
        assert await who(one, right) == "nobody"
        async with one.client(right) as client:
            for slug in ("acme", "other"):
                assert (await client.get(f"/api/v1/workspaces/{slug}/commands")).status_code in {200, 403}


async def test_two_names_of_one_certificate_that_are_two_agents_are_nobody(services, files, builder, people):
    second = await services.agents.create(people.acme, "second", people.accounts["owner"], OPERATOR)
    await services.certificates.register(people.acme, second.id, "two.acme.example", OPERATOR)
    sans = [x509.UniformResourceIdentifier(AGENT), x509.DNSName("TWO.acme.example")]
    async with running_tls(services, files, "optional") as one:
        assert await who(one, files.clients.client(sans=sans)) == "nobody"
        assert await who(one, files.clients.client(sans=sans[1:])) == second.id


async def test_a_page_of_another_site_cannot_use_the_browsers_certificate(services, files, builder):
    body = {"command": {}, "digest": "x"}
    async with running_tls(services, files, "optional") as one:
        async with one.client(files.clients.client(AGENT)) as client:
            for headers in (
                {"origin": "https://evil.example"},
                {"sec-fetch-site": "cross-site"},
                {"sec-fetch-site": "same-site", "origin": one.origin},
                {"origin": "null"},
            ):
                answer = await client.post(WHERE, headers=headers, json=body)
                assert answer.status_code == 403
                assert answer.json()["type"] == "urn:failgate:error:cross-site"
            assert (await client.post(WHERE, json=body)).status_code == 422


@contextlib.asynccontextmanager
async def agent_socket(one: TlsRunning, *shown, query: str = "?workspace=acme"):
    url = f"wss://localhost:{one.port}/api/v1/agent{query}"
    async with connect(url, ssl=one.files.context(*shown), proxy=None) as socket:
        yield socket


async def test_a_socket_is_the_agents_and_names_its_workspace(services, files, builder):
    right = files.clients.client(AGENT)
    async with running_tls(services, files, "optional") as one:
        async with agent_socket(one, right) as socket:
            await socket.send('{"type": "cancel", "id": "x", "ref": 1}')
            assert json.loads(await socket.recv())["ref"] == 1
        for query, status in (
            ("", 401),
            ("?workspace=other", 404),
            ("?workspace=missing", 404),
            ("?workspace=%ff", 401),
        ):
            with pytest.raises(InvalidStatus) as refused:
                await agent_socket(one, right, query=query).__aenter__()
            assert refused.value.response.status_code == status, query


async def test_open_sockets_end_with_the_registration_within_a_second(services, files, builder, people):
    by = Actor(t="user", id=people.accounts["owner"])
    [registered] = await services.certificates.list(people.acme)
    async with running_tls(services, files, "required") as one:
        async with agent_socket(one, files.clients.client(AGENT)) as socket:
            began = asyncio.get_running_loop().time()
            await services.certificates.revoke(people.acme, registered.id, by)
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(socket.recv(), 5)
            assert asyncio.get_running_loop().time() - began < 1
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4401
        assert await who(one, files.clients.client(AGENT)) == "nobody"


async def test_disabling_the_account_that_answers_ends_it_too(services, files, builder, people):
    async with running_tls(services, files, "optional") as one:
        async with agent_socket(one, files.clients.client(AGENT)) as socket:
            await services.accounts.disable(people.accounts["owner"], OPERATOR)
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), 5)


async def test_owners_register_names_at_the_api_with_a_fresh_second_factor(services, files, people):
    token = await session_of(services, people.accounts["admin"], is_proven=True)
    stale = await session_of(services, people.accounts["admin"])
    [agent] = await services.agents.list(people.acme)
    body = {"agent": agent.id, "san": AGENT}
    where = "/api/v1/workspaces/acme/certificates"
    async with running_tls(services, files, "optional") as one, one.client() as client:

        def headers(cookie):
            return {"cookie": cookies_of(cookie, is_https=True), "origin": one.origin, "sec-fetch-site": "same-origin"}

        assert (await client.post(where, json=body, headers=headers(stale))).status_code == 403
        made = await client.post(where, json=body, headers={**headers(token), "idempotency-key": "k"})
        assert made.status_code == 201
        assert made.json()["san"] == AGENT
        again = await client.post(where, json=body, headers={**headers(token), "idempotency-key": "k"})
        assert again.json() == made.json()
        assert (await client.post(where, json=body, headers=headers(token))).status_code == 409
        listed = (await client.get(where, headers=headers(token))).json()
        assert [each["id"] for each in listed["items"]] == [made.json()["id"]]
        assert await who(one, files.clients.client(AGENT)) == agent.id
        gone = await client.delete(f"{where}/{made.json()['id']}", headers=headers(token))
        assert gone.status_code == 204
        assert await who(one, files.clients.client(AGENT)) == "nobody"


async def test_the_page_of_an_agent_adds_shows_and_revokes_names(services, files, people):
    """E9: what `failgate admin agent certificate` does, for owners and admins in a browser."""
    token = await session_of(services, people.accounts["admin"], is_proven=True)
    [agent] = await services.agents.list(people.acme)
    second = await services.agents.create(people.acme, "second", people.accounts["owner"], OPERATOR)
    here, other = (f"/w/acme/agents/{one.id}" for one in (agent, second))
    async with running_tls(services, files, "optional") as one, one.client() as client:
        client.headers.update(
            {"cookie": cookies_of(token, is_https=True), "origin": one.origin, "sec-fetch-site": "same-origin"}
        )
        shown = await client.get(here)
        csrf = re.search(r'name="csrf_token" value="([^"]+)"', shown.text)[1]

        async def send(path, **fields):
            return await client.post(path, data={"csrf_token": csrf, **fields})

        assert AGENT not in shown.text.replace(f'placeholder="{AGENT}"', "")
        for wrong, status, words in (
            ("", 400, "This is no subject alternative name."),
            ("<b>two words</b>", 400, "This is no subject alternative name."),
        ):
            refused = await send(f"{here}/certificates", san=wrong)
            assert (refused.status_code, words in refused.text) == (status, True)
        assert "&lt;b&gt;two words" in refused.text  # what was typed is still there
        assert (await send(f"{here}/certificates", san=f" {AGENT} ")).headers["location"] == here
        taken = await send(f"{other}/certificates", san=AGENT)
        assert (taken.status_code, "stands for an agent" in taken.text) == (409, True)
        assert await who(one, files.clients.client(AGENT)) == agent.id
        page = (await client.get(here)).text
        assert f'<span class="mono wrap">{AGENT}</span>' in page
        revoke = re.search(rf'action="{here}/certificates/([^"/]+)/revoke"', page)[1]
        assert (await send(f"{other}/certificates/{revoke}/revoke")).status_code == 404  # it is not that agent's
        assert await who(one, files.clients.client(AGENT)) == agent.id
        assert (await send(f"{here}/certificates/{revoke}/revoke")).status_code == 303
        assert await who(one, files.clients.client(AGENT)) == "nobody"
        assert (await send(f"{here}/certificates/{revoke}/revoke")).status_code == 404


async def test_where_no_certificate_is_asked_for_the_page_offers_none_and_says_why_a_name_is_idle(
    services, files, people
):
    token = await session_of(services, people.accounts["admin"], is_proven=True)
    [agent] = await services.agents.list(people.acme)
    async with running_tls(services, files) as one, one.client() as client:
        client.headers.update({"cookie": cookies_of(token, is_https=True)})
        assert "ertificate" not in (await client.get(f"/w/acme/agents/{agent.id}")).text
        await services.certificates.register(people.acme, agent.id, AGENT, OPERATOR)
        page = (await client.get(f"/w/acme/agents/{agent.id}")).text
        assert AGENT in page
        assert 'name="san"' not in page
        assert "This server asks for no client certificate" in page
