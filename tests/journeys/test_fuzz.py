"""Forty thousand hostile requests over every door of a real server on each engine: no answer above 499, nothing of its inside (SECURITY 2).

The seed is fixed; a failure prints the requests of the connection on which it happened.
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from failgate.web.csrf import new_form_key
from failgate.web.routes import DOORS
from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, at_port
from tests.journeys.noise import Noise, Speaker
from tests.journeys.team import person, program, sign_in, submission
from tests.journeys.test_bad_input import consented, manifest
from tests.journeys.test_saml import metadata_of
from tests.sso.saml.provider import Provider

SEED = 20260102
REQUESTS = {"sqlite": 36_000, "postgres": 4_000}
"""Of the same seed. What differs by engine is few verbs' work; the doors and their parsers are the same."""
CONNECTIONS = 12  # at a time
PIPELINED = 40  # requests on one of them
KEPT = frozenset(
    {"page.signout", "page.sessions_close", "page.session_close", "page.settings_rename", "page.password_change"}
)
ON_PURPOSE = {501}  # SCIM without bulk operations: docs/scim.md
INSIDE = (b"Traceback", b'File "', b"sqlite3", b"asyncpg", b"SELECT ", b"INSERT ", b"site-packages")
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
GOODBYE = b"\x88\x82\0\0\0\0\x03\xe8"
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [ -~]*\r\n")


@dataclass
class Place:
    """A server with something of every kind in it."""

    server: Server
    noise: Noise
    requests: int
    statuses: Counter[int] = field(default_factory=Counter)
    doors: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    sent: int = 0

    def judge(self, said: bytes, sent: list[bytes]) -> None:
        """Note what was answered to `sent`, and whatever may never be."""
        found = [int(each) for each in STATUS.findall(said)]
        self.statuses.update(found)
        self.sent += len(sent)
        bad = [status for status in found if status >= 500 and status not in ON_PURPOSE]
        inside = [word for word in (*INSIDE, str(self.server.data).encode()) if word in said]
        if bad or inside:
            at = next((number for number, status in enumerate(found) if status in bad), 0)
            self.wrong.append(f"{bad} {inside}: {sent[min(at, len(sent) - 1)][:2000]!r}")


def user() -> dict[str, object]:
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "a@example.org", "externalId": "x", "active": True,
        "name": {"givenName": "A", "familyName": "B"}, "emails": [{"value": "a@example.org", "type": "work", "primary": True}],
    }  # fmt: skip


def patch() -> dict[str, object]:
    operations = [
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "b@example.org"},
        {"op": "Add", "value": {"active": "False"}},
    ]
    return {"schemas": [PATCH], "Operations": operations}


@pytest.fixture(scope="module")
def place(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "corp.xml").write_bytes(metadata_of(Provider(entity_id="https://forge.example/metadata")))
    config = f"""
[sso.connections.corp]
protocol = "saml"
title = "Corp"
metadata_file = "{folder / "corp.xml"}"
domains = ["example.org"]
[sso.connections.open]
protocol = "oidc"
title = "Open"
issuer = "http://127.0.0.1:9"
client_id = "failgate"
"""
    url = new_database()
    server = at_port(Server(folder / "data", database_url=url, config=config), 'trusted_proxies = ["127.0.0.1"]')
    server.start()
    try:
        assert (server.data / "failgate.sqlite").exists() == (url is None)
        yield Place(server, noise_for(server), REQUESTS["sqlite" if url is None else "postgres"])
        assert server.stop() == 0
        assert team.failures_in(server) == [], "".join(team.failures_in(server))[:6000]
    finally:
        server.kill()


def noise_for(server: Server) -> Noise:
    key = team.found_acme(server)["api_key"]
    owner = person(server, "lead", "owner")
    team.admin(server, "platform_role.grant", email=owner.email)
    agent = team.admin(server, "agent.create", workspace="acme", name="ci", owner=owner.email)
    provider = team.admin(server, "scim.token", connection="corp")["token"]
    with sign_in(server, owner) as browser:
        session, cookies = team.session_of(browser), team.cookies_of(browser)
    with program(server, agent["token"]) as speaker:
        view = team.ask(speaker, ttl_seconds=3600)
        begun = speaker.post(f"{team.WHERE}/reports", json=consented(manifest(b"x"))).json()
    form_key = new_form_key()
    somebody = Speaker({"cookie": cookies}, session)
    agent_program, script, directory = (
        Speaker({"authorization": f"Bearer {each}"}) for each in (agent["token"], key, provider)
    )
    nobody = Speaker({"cookie": f"fg_form={form_key}"}, form_key)
    who = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "g",
        "members": [{"value": owner.id}],
    }
    search = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": 'userName eq "a"',
        "startIndex": 1,
        "count": 5,
    }
    return Noise(
        chance=random.Random(SEED),
        doors=DOORS,
        speakers=[nobody, somebody, script, agent_program, directory],
        at={"page": [somebody, somebody, somebody, nobody], "api": [script, somebody, agent_program], "scim": [directory], "live": [agent_program, somebody]},
        host=server.url.removeprefix("http://"),
        ids=[view["id"], begun["id"], owner.id, agent["agent"], view["digest"]],
        slugs=["acme", "corp", "open", "other"],
        bodies={
            "commands.submit": lambda: submission(ttl_seconds=1),
            "policy.explain": lambda: {"command": submission()["command"]},
            "commands.vote": lambda: {"decision": "approve", "digest": view["digest"], "note": "n"},
            # For a minute: what is asked later waits for people again.
            "commands.mute": lambda: {"digest": view["digest"], "what": "same", "minutes": 1, "note": "n"},
            "commands.consume": lambda: {"digest": view["digest"]},
            "commands.finish": lambda: {"digest": view["digest"], "exit_code": 0, "duration_ms": 1, "signal": 9},
            "rules.create": lambda: {"kind": "re2", "effect": "allow", "pattern": "^a+$", "ttl_seconds": 60, "max_uses": 1},
            "reports.begin": lambda: consented(manifest(b"y")),
            "certificates.register": lambda: {"agent": agent["agent"], "san": "spiffe://acme.example/x"},
            "agents.create": lambda: {"name": "x", "model": "m"},
            "agents.describe": lambda: {"name": "x", "model": "m"},
            "agents.change_owner": lambda: {"owner": owner.id},
            "agents.rotate": lambda: {"label": "l", "networks": ["10.0.0.0/8"], "ttl_seconds": 60, "grace_seconds": 60},
            "members.change_role": lambda: {"role": "owner"},
            "invitations.create": lambda: {"role": "developer", "email": "x@example.org"},
            "keys.create": lambda: {"label": "l", "scopes": ["workspace:command:read"], "networks": ["::1"], "ttl_seconds": 60},
            "scim.user_create": user,
            "scim.user_replace": user,
            "scim.user_patch": patch,
            "scim.group_patch": patch,
            "scim.user_search": lambda: search,
            "scim.group_search": lambda: search,
            "scim.search": lambda: search,
            "scim.group_create": lambda: who,
            "scim.group_replace": lambda: who,
            "scim.bulk": lambda: {"Operations": []},
        },
        kept=KEPT,
    )  # fmt: skip


async def knock(place: Place, sent: list[bytes], closing: bytes, *, is_whole: bool) -> None:
    """Send everything down one connection at once, read to its end and judge what came.

    What is not whole is waited for as long as it is no request: then we leave, as peers do.
    """
    host, _, port = place.noise.host.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 24)
    said = b""
    try:
        writer.write(b"".join(sent) + closing)
        async with asyncio.timeout(60):
            while piece := await reader.read(1 << 20):
                said += piece
                if not is_whole and len(STATUS.findall(said)) >= len(sent):
                    break
    except ConnectionError:
        pass  # a server that closes while bytes still come resets
    except TimeoutError:
        place.wrong.append(f"no end: {[each[:300] for each in sent[-3:]]} {closing!r}")
    finally:
        writer.close()
    place.judge(said, [*sent, closing])


async def knock_for_a_socket(place: Place, handshake: bytes, frames: bytes) -> None:
    """Open a socket, or not; send frames, and leave with a goodbye."""
    host, _, port = place.noise.host.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 24)
    said = b""
    try:
        writer.write(handshake)
        async with asyncio.timeout(60):
            said = await reader.readuntil(b"\r\n\r\n")
            if b" 101 " in said:
                writer.write(frames + GOODBYE)
                while len(piece := await reader.read(1 << 20)) and b"\x88\x02\x03\xe8" not in piece:
                    said += piece
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    except TimeoutError:
        place.wrong.append(f"no end: {handshake!r} {frames!r}")
    finally:
        writer.close()
    place.judge(said, [handshake + frames])


async def make_noise(place: Place) -> None:
    noise = place.noise

    async def one_after_another() -> None:
        while place.sent < place.requests and len(place.wrong) < 400:
            luck = noise.chance.random()
            if luck < 0.15:
                await knock_for_a_socket(place, noise.handshake(), noise.frames())
                continue
            made = [noise.request(is_last=False) for _ in range(PIPELINED)]
            place.doors.update(name for _, name in made)
            closing = noise.nonsense() if luck < 0.5 else noise.request(is_last=True)[0]
            await knock(place, [octets for octets, _ in made], closing, is_whole=luck >= 0.5)

    await asyncio.gather(*(one_after_another() for _ in range(CONNECTIONS)))


def test_no_request_is_answered_with_a_failure_or_with_anything_of_the_inside(place: Place) -> None:
    """The log of the server is read for tracebacks and failures when it stops. About 80 s of one core for both engines."""
    team.apart(make_noise(place))
    assert place.wrong == [], "\n".join(place.wrong)[:6000]
    assert place.sent >= place.requests
    assert place.statuses.total() > 0.98 * place.requests  # what stands behind the end of a connection is not answered
    assert set(place.doors) == {door.name for door in DOORS}
    assert {101, 200, 201, 303, 404, 409, 415, 422} <= set(place.statuses)  # it came behind the first wall
