"""Downloads from a host of their own: through real sockets, told apart by `Host`, on each database. # F3"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from failgate.access.role import Role
from failgate.accounts.session import SessionToken
from failgate.assembly import open_services
from failgate.audit.record import Actor
from failgate.base.clock import FrozenClock
from failgate.base.errors import NotFound
from failgate.base.ids import new_id
from failgate.base.links import first_link, next_link
from failgate.config.load import load_config
from failgate.web.artifact_host import ArtifactHost, Ticket
from failgate.web.context import Visit
from failgate.web.routes import DOORS
from tests.web.api.test_reports import WHERE, uploaded
from tests.web.conftest import (
    People,
    Running,
    at_free_port,
    cookies_of,
    populate,
    running,
    session_of,
    with_optional_factor,
)

APP, FILES = "failgate.example", "files.example"
CONTENT = b"<script>alert(1)</script>" * 400
SHA = hashlib.sha256(CONTENT).hexdigest()
CONFIG = f'[server]\npublic_url = "https://{APP}"\nartifact_url = "https://{FILES}"\n'


@dataclass
class Place:
    """A server of two names, a report in it, and somebody whose page shows it."""

    server: Running
    people: People
    account: str
    session: SessionToken
    report_id: str
    path: str
    app: httpx.AsyncClient
    files: httpx.AsyncClient
    program: httpx.AsyncClient

    async def led(self, path: str | None = None, **headers: str) -> str:
        """Ask as the page does; return the path at the other host."""
        cookie = {"cookie": cookies_of(self.session, is_https=True)}
        answer = await self.app.get(path or self.path, headers=cookie | headers)
        assert (answer.status_code, answer.content) == (307, b"")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        to = urlsplit(answer.headers["location"])
        assert (to.scheme, to.netloc, to.query, to.fragment) == ("https", FILES, "", "")
        return to.path

    async def reads(self) -> list[tuple[str, str]]:
        """Return who read which artifact or recording by the log, in its order."""
        records = [one.record for one in await self.server.services.audit.records(self.people.acme, limit=1000)]
        return [
            (one["actor"]["id"], one["act"]) for one in records if one["act"] in {"artifact.read", "recording.read"}
        ]


@pytest.fixture
async def place(tmp_path: Path, database_url: str) -> AsyncIterator[Place]:
    path = tmp_path / "failgate.toml"
    path.write_text(f'{CONFIG}[database]\nurl = "{database_url}"\n')
    with at_free_port(with_optional_factor(load_config(path, {}))) as config:
        async with open_services(config, tmp_path / "data") as services, running(services) as server:
            people = await populate(services)
            bearer = {"authorization": f"Bearer {people.key}"}
            async with (
                server.client(headers={"host": APP}) as app,
                server.client(headers={"host": FILES}) as files,
                server.client(headers={"host": APP} | bearer) as program,
            ):
                identifier, where = await uploaded(program, CONTENT)
                account = people.accounts["developer"]
                session = await session_of(services, account)
                yield Place(server, people, account, session, identifier, where, app, files, program)


async def test_a_page_is_led_to_the_other_host_and_the_bytes_come_from_there(place: Place) -> None:
    """SECURITY 2: artifacts from a separate host, without a cookie, on record as ever."""
    ticket = await place.led()
    assert await place.reads() == []  # nothing was read yet
    whole = await place.files.get(ticket)
    assert (whole.status_code, whole.content) == (200, CONTENT)
    assert whole.headers["content-type"] == "application/octet-stream"
    assert whole.headers["content-disposition"].startswith("attachment; ")
    assert "sandbox" in whole.headers["content-security-policy"]
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["x-robots-tag"].startswith("noindex")
    assert "set-cookie" not in whole.headers
    assert await place.reads() == [(place.account, "artifact.read")]
    part = await place.files.get(ticket, headers={"range": "bytes=10-19", "if-range": f'"{SHA}"'})
    assert (part.status_code, part.content) == (206, CONTENT[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(CONTENT)}"
    assert (await place.files.get(ticket, headers={"range": "bytes=99999999-"})).status_code == 416
    assert (await place.files.get(ticket, headers={"if-none-match": f'"{SHA}"'})).status_code == 304
    head = await place.files.head(ticket)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(CONTENT)))
    assert len(await place.reads()) == 2
    listed = [one.record for one in await place.server.services.audit.records(place.people.acme, limit=1000)]
    [read, _] = [one for one in listed if one["act"] == "artifact.read"]
    assert (read["data"]["sha256"], read["data"]["report"]) == (SHA, place.report_id)
    assert read["actor"]["sid_h"]  # of the session that asked


async def test_its_address_tells_nothing_and_differs_each_time(place: Place) -> None:
    ticket = await place.led()
    for told in (SHA, place.report_id, place.account, place.session, place.people.acme, "acme"):
        assert told not in ticket
    assert ticket != await place.led()
    assert len(ticket) < 600


async def test_the_other_host_serves_nothing_else_and_the_app_no_download(place: Place) -> None:
    ticket = await place.led()
    cookie = {"cookie": cookies_of(place.session, is_https=True)}
    bearer = {"authorization": f"Bearer {place.people.key}"}
    asked = 0
    for door in DOORS:
        if door.method == "WS" or door.name == "downloads.fetch":
            continue
        path = door.path.replace("{workspace}", "acme").replace("{id}", place.report_id).replace("{sha256}", SHA)
        for name in door.parameters:
            path = path.replace(f"{{{name}}}", new_id()).replace(f"{{{name}:path}}", "failgate.css")
        answer = await place.files.request(door.method, path, headers=cookie | bearer)
        assert answer.status_code == 404, door.name
        assert "set-cookie" not in answer.headers
        asked += 1
    assert asked > 250
    for path in ("/", "/a", "/a/", "/A/x", f"{ticket}/x", "/a/x%2fy"):
        assert (await place.files.get(path, headers=cookie)).status_code == 404, path
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert (await place.files.request(method, ticket)).status_code == 405, method
    for host in (APP, "localhost", f"127.0.0.1:{place.server.port}"):
        assert (await place.app.get(ticket, headers=cookie | bearer | {"host": host})).status_code == 404, host
    assert (await place.app.get(ticket, headers={"host": f"evil.{FILES}"})).status_code == 400
    for spelling in (FILES.upper(), f"{FILES}.", f"{FILES}:443"):
        assert (await place.app.get("/healthz", headers={"host": spelling})).status_code == 404, spelling
        assert (await place.app.get(ticket, headers={"host": spelling})).status_code == 200, spelling


async def status_of(place: Place, host: str, path: str) -> int:
    """Ask for `path` exactly as it is written."""
    reader, writer = await asyncio.open_connection(place.server.host, place.server.port)
    cookie = cookies_of(place.session, is_https=True)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n".encode())
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status


async def test_no_spelling_of_a_path_leads_past_the_hosts(place: Place) -> None:
    ticket = await place.led()
    own = place.path
    assert await status_of(place, FILES, ticket) == 200
    assert await status_of(place, APP, own) == 307
    for path in (
        f"/{ticket}",
        f"/.{ticket}",
        f"/x/..{ticket}",
        f"/%61{ticket[2:]}",
        f"https://{FILES}{ticket}",
        f"/A{ticket[2:]}",
    ):
        assert await status_of(place, APP, path) in {400, 404}, path
    for there in (own, "/healthz", "/signin"):
        for path in (
            f"/a/..{there}",
            f"/a/%2e%2e{there}",
            f"/a/..%2f{there[1:]}",
            f"/a/{there}",
            f"/a{there}",
            f"//a/..{there}",
            f"https://{APP}{there}",
        ):
            assert await status_of(place, FILES, path) in {400, 404}, path


async def test_what_a_visitor_carries_says_nothing_there(place: Place) -> None:
    ticket = await place.led()
    owner = await session_of(place.server.services, place.people.accounts["owner"])
    for headers in ({"cookie": cookies_of(owner, is_https=True)}, {"authorization": f"Bearer {place.people.key}"}):
        assert (await place.files.get(ticket, headers=headers)).status_code == 200
        assert (await place.files.get(f"/a/{'x' * 80}", headers=headers)).status_code == 404
    assert {who for who, _ in await place.reads()} == {place.account}


@pytest.mark.parametrize("how", ["signed out", "disabled", "password changed", "removed", "demoted", "deleted"])
async def test_an_address_ends_with_what_it_was_given_by(place: Place, how: str) -> None:
    services, by = place.server.services, Actor(t="user", id=place.people.accounts["owner"])
    ticket = await place.led()
    match how:
        case "signed out":
            session = await services.sessions.resolve(place.session)
            assert session is not None
            await services.sessions.close(session)
        case "disabled":
            await services.accounts.disable(place.account, by)
        case "password changed":
            await services.accounts.set_password(place.account, "quite another long passphrase", by)
        case "removed":
            await services.workspaces.remove_member(place.people.acme, place.account, by)
        case "demoted":
            await services.workspaces.change_role(place.people.acme, place.account, Role.AGENT, by)
        case _:
            assert (await place.program.delete(f"{WHERE}/{place.report_id}")).status_code == 200
    ended = await place.files.get(ticket)
    assert (ended.status_code, CONTENT in ended.content) == (404, False)
    assert ended.json()["detail"] == (await place.files.get("/a/x")).json()["detail"]
    assert await place.reads() == []


async def test_programs_are_answered_where_they_ask(place: Place) -> None:
    answer = await place.program.get(place.path)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    absent = place.path.replace(place.report_id, new_id())
    cookie = {"cookie": cookies_of(place.session, is_https=True)}
    assert (await place.app.get(absent, headers=cookie)).status_code == 404  # nobody is led to what they may not read
    assert (await place.app.get(place.path)).status_code == 401


async def test_a_share_link_leads_there_too_and_its_end_ends_the_address(place: Place) -> None:
    made = await place.program.post(f"{WHERE}/{place.report_id}/shares", json={"artifacts": [SHA]})
    if made.status_code != 201:  # a file is looked through before it is shared
        session = await session_of(place.server.services, place.people.accounts["owner"], is_proven=True)
        principal = await place.server.services.sessions.resolve(session)
        assert principal is not None
        await place.server.services.sharing.review(principal.principal, place.people.acme, place.report_id, {SHA})
        made = await place.program.post(f"{WHERE}/{place.report_id}/shares", json={"artifacts": [SHA]})
    link = made.json()
    opened = await place.app.get("/s/" + link["url"].rpartition("#")[2])
    visit = opened.headers["set-cookie"].partition(";")[0]
    where = f"/s/{link['id']}/artifacts/{SHA}"
    answer = await place.app.get(where, headers={"cookie": visit})
    assert answer.status_code == 307
    assert answer.headers["x-robots-tag"].startswith("noindex")
    ticket = answer.headers["location"].removeprefix(f"https://{FILES}")
    assert visit.partition("=")[2] not in ticket
    assert (await place.files.get(ticket)).content == CONTENT
    assert [who for who, _ in await place.reads()] == [link["id"]]
    assert (await place.app.get(where)).status_code == 404  # without the visit
    by = {"origin": f"https://{APP}"}
    assert (await place.program.delete(f"{WHERE}/{place.report_id}/shares/{link['id']}", headers=by)).status_code == 204
    assert (await place.files.get(ticket)).status_code == 404
    assert len(await place.reads()) == 1


async def test_a_recording_comes_from_there_too(place: Place) -> None:
    base = "/api/v1/workspaces/acme/recordings"
    begun = {"width": 60, "height": 12, "host": "build-1", "began_at": "2026-11-22T17:00:00Z", "title": "release"}
    receipt = (await place.program.post(base, json=begun)).json()
    lines = b'{"version": 2, "width": 60, "height": 12, "timestamp": 1}\n[0.1, "o", "hello"]\n'
    link = next_link(first_link(receipt["id"], begun), 0, hashlib.sha256(lines).digest())
    sent = await place.program.put(f"{base}/{receipt['id']}/chunks/0?chain={link.hex()}", content=lines)
    assert sent.status_code == 200, sent.text
    ended = {"chunks": 1, "chain": link.hex(), "exit_code": 0}
    assert (await place.program.post(f"{base}/{receipt['id']}/end", json=ended)).status_code == 200
    place.session = await session_of(place.server.services, place.people.accounts["owner"])
    for version in (2, 3):
        ticket = await place.led(f"{base}/{receipt['id']}/cast?version={version}")
        answer = await place.files.get(ticket)
        assert json.loads(answer.text.partition("\n")[0])["version"] == version
        assert "sandbox" in answer.headers["content-security-policy"]
    assert await place.reads() == [(place.people.accounts["owner"], "recording.read")] * 2


async def test_without_the_setting_nothing_is_led_anywhere(server: Running, people: People) -> None:
    async with server.client(headers={"authorization": f"Bearer {people.key}"}) as program:
        _, path = await uploaded(program, CONTENT)
    session = await session_of(server.services, people.accounts["developer"])
    async with server.client(headers={"cookie": cookies_of(session)}) as page:
        answer = await page.get(path)
        assert (answer.status_code, answer.content) == (200, CONTENT)
        assert (await page.get("/a/x")).status_code == 404


def ticket_of(host: ArtifactHost) -> str:
    answer = host.lead_visitor("share", "proof", SHA)
    assert answer is not None
    return str(answer.headers["location"]).rpartition("/")[2]


def test_an_address_lives_for_a_minute_and_is_of_one_start() -> None:
    clock = FrozenClock()
    host = ArtifactHost("https://files.example", clock)
    text = ticket_of(host)
    assert host.open(text) == Ticket("share", clock.now_us() + 60_000_000, "share", "proof", "", "", SHA)
    clock.advance(59.999)
    host.open(text)
    clock.advance(0.001)
    with pytest.raises(NotFound):
        host.open(text)
    clock.advance(-3600)  # the machine's clock went back: it is not longer than a minute for that
    with pytest.raises(NotFound):
        host.open(text)
    with pytest.raises(NotFound):
        ArtifactHost("https://files.example", clock).open(ticket_of(host))


def test_no_changed_address_opens_anything() -> None:
    host = ArtifactHost("https://files.example", FrozenClock())
    text = ticket_of(host)
    changed = [
        text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :] for place in range(len(text) - 1)
    ]
    for other in (*changed, text[:-8], text + text, "", "x", "é", "\N{FULLWIDTH LATIN SMALL LETTER A}", "A" * 100_000):
        with pytest.raises(NotFound):
            host.open(other)
    assert host.open(text).detail == SHA


def test_without_a_session_nobody_is_led() -> None:
    visit = Visit(request_id="r", ip=None, nonce="n", is_https=True)
    assert ArtifactHost("https://files.example", FrozenClock()).lead(visit, "report", "id", SHA) is None
    assert ArtifactHost(None, FrozenClock()).lead_visitor("share", "proof", SHA) is None
