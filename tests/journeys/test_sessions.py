"""Recordings over real sockets: sent in chunks, played in a browser, followed while they run, closed to others. E6 E17"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from failgate.base.links import first_link, next_link
from tests.client.seat import Seat
from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, browser
from tests.journeys.pictures import picture
from tests.journeys.team import Visitor, ask, person, program, sign_in
from tests.pace import busy

BASE = "/api/v1/workspaces/acme/recordings"
BEGUN = {"width": 60, "height": 12, "host": "build-1", "began_at": "2026-11-22T17:00:00Z", "title": "release"}


@dataclass
class House:
    server: Server
    key: Visitor
    agent: Visitor
    developer: Visitor


@dataclass
class Recorder:
    """An honest recorder of our own: the chain as the documents say it."""

    client: httpx.Client
    id: str
    chain: bytes
    chunks: int = 0

    def send(self, *events: tuple[float, str, str]) -> httpx.Response:
        header = [{"version": 2, "width": 60, "height": 12, "timestamp": 1}] if self.chunks == 0 else []
        content = b"".join(json.dumps(one).encode() + b"\n" for one in [*header, *map(list, events)])
        link = next_link(self.chain, self.chunks, hashlib.sha256(content).digest())
        answer = self.client.put(f"{BASE}/{self.id}/chunks/{self.chunks}?chain={link.hex()}", content=content)
        assert answer.status_code == 200, answer.text
        self.chain, self.chunks = link, self.chunks + 1
        return answer

    def end(self, **members: Any) -> None:
        body = {"chunks": self.chunks, "chain": self.chain.hex(), **members}
        assert self.client.post(f"{BASE}/{self.id}/end", json=body).status_code == 200


def recorder(client: httpx.Client) -> Recorder:
    receipt = client.post(BASE, json=BEGUN).json()
    chain = first_link(receipt["id"], BEGUN)
    assert receipt["chain"] == chain.hex()
    return Recorder(client, receipt["id"], chain)


@pytest.fixture(scope="module")
def house(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("sessions")
    with team.served(Server(folder / "data", database_url=new_database())) as server:
        key = program(server, team.found_acme(server)["api_key"])
        keeper = person(server, "keeper", "developer", with_totp=False)
        made = team.admin(server, "agent.create", workspace="acme", name="ci", owner=keeper.email)
        developer = person(server, "dev", "developer")
        with key, program(server, made["token"]) as agent, sign_in(server, developer) as dev:
            yield House(server, key, agent, dev)


def opened(chromium: Any, house: House, path: str, visitor: Visitor | None = None) -> Page:
    jar = (visitor or house.developer).cookies.jar
    cookies = [{"name": one.name, "value": one.value or "", "url": house.server.url} for one in jar]
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.add_cookies(cookies)
    page = context.new_page()
    page.goto(house.server.url + path)
    return page


def test_a_recording_is_played_with_its_commands_and_who_watched_is_on_record(house: House, tmp_path: Path) -> None:
    command = ask(house.agent, "/usr/bin/make", "release")["id"]
    at = recorder(house.agent)
    at.send((0.1, "o", "$ make release\r\n"), (0.2, "m", f"asked {command} make release"))
    at.send((30.0, "m", f"denied {command}"), (30.1, "o", "\x1b]0;title\x07\x1b[31mrefused\x1b[0m\r\n"))
    at.send((31.0, "o", "\u2028needle\r\n$ "), (31.5, "r", "70x20"))
    at.end(exit_code=0)
    view = house.key.get(f"{BASE}/{at.id}").json()
    assert (view["state"], view["chunks"], [one["state"] for one in view["commands"]]) == ("ended", 3, ["pending"])
    assert house.key.get(f"{BASE}/{at.id}/proof").json()["verdict"] == "intact"
    cast = house.key.get(f"{BASE}/{at.id}/cast")
    assert cast.headers["content-type"].startswith("application/x-asciicast")
    newer = house.key.get(f"{BASE}/{at.id}/cast?version=3").text.rstrip("\n").split("\n")
    assert json.loads(newer[0])["term"] == {"cols": 60, "rows": 12}
    assert sum(json.loads(line)[0] for line in newer[1:]) == pytest.approx(31.5)
    played(tmp_path, cast.content, "needle")
    assert house.agent.get(f"{BASE}/{at.id}").status_code == 403  # an agent reads none, its own neither
    with browser() as chromium:
        page = opened(chromium, house, "/w/acme/sessions")
        page.get_by_role("link", name="release").first.click()
        expect(page.locator("[data-screen]")).to_contain_text("needle")
        page.locator("table [data-seek-to]").click()
        expect(page.locator("[data-screen]")).not_to_contain_text("refused")
        page.locator("[data-find]").fill("NEEDLE")
        page.locator("[data-find-next]").click()
        expect(page.locator("[data-found]")).to_have_text("1 of 1")
        page.locator("[data-play]").click()  # from the beginning: half a minute of silence is skipped
        expect(page.locator("[data-clock]")).to_contain_text("31.0 of", timeout=15_000)
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        picture(page, "session")
        page.goto(f"{house.server.url}/w/acme/sessions")
        picture(page, "sessions")
    records = house.key.get("/api/v1/workspaces/acme/audit/records?limit=1000").json()["records"]
    acts = [one["record"]["act"] for one in records if one["record"]["obj"]["id"] == at.id]
    assert acts[:5] == ["recording.begun", *["recording.extended"] * 3, "recording.ended"]
    assert acts[5:] == ["recording.read"] * len(acts[5:])
    assert len(acts) >= 8


def test_an_owner_deletes_a_recording_and_reads_the_receipt(house: House) -> None:
    """F14: with a fresh second factor, not while it runs; who may only read is offered nothing."""
    at = recorder(house.agent)
    at.send((0.1, "o", "to be gone\r\n"))
    running = house.key.get(f"{BASE}/{at.id}").json()
    assert running["state"] == "live"
    refused = house.key.delete(f"{BASE}/{at.id}")
    assert (refused.status_code, refused.json()["state"]) == (409, "live")
    at.end()
    assert house.developer.delete(f"{BASE}/{at.id}").status_code == 403
    admin = person(house.server, "admin", "admin")
    with sign_in(house.server, admin) as visitor, browser() as chromium:
        page = opened(chromium, house, f"/w/acme/sessions/{at.id}")
        expect(page.get_by_role("link", name="Download")).to_be_visible()
        expect(page.get_by_role("link", name="Delete")).to_have_count(0)
        page = opened(chromium, house, f"/w/acme/sessions/{at.id}", visitor)
        page.get_by_role("link", name="Delete").click()
        expect(page.get_by_role("heading", name="Delete this recording")).to_be_visible()
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        picture(page, "session-delete")
        page.get_by_role("button", name="Delete it for good").click()
        expect(page.get_by_role("heading", name="The recording is deleted")).to_be_visible()
        expect(page.get_by_text(at.chain.hex())).to_be_visible()
        assert page.goto(f"{house.server.url}/w/acme/sessions/{at.id}").status == 404
    assert house.key.get(f"{BASE}/{at.id}/cast").status_code == 404
    records = house.key.get("/api/v1/workspaces/acme/audit/records?limit=1000").json()["records"]
    told = [one["record"] for one in records if one["record"]["obj"]["id"] == at.id]
    assert (told[-1]["act"], told[-1]["data"]["chain"]) == ("recording.deleted", at.chain.hex())


def played(folder: Path, content: bytes, word: str) -> None:
    """Let asciinema itself play what was recorded."""
    program = shutil.which("asciinema")
    if program is None:
        pytest.skip("asciinema is missing: install the package `asciinema`")
    (folder / "one.cast").write_bytes(content)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    with Seat(environment, folder) as seat:  # asciinema wants a terminal even to write into a file
        assert b"code=0\r\n" in seat.run(f"{program} cat one.cast > played; echo code=$?")
    assert word in (folder / "played").read_text()


def test_what_runs_is_followed_and_then_says_that_it_broke_off(house: House) -> None:
    at = recorder(house.agent)
    at.send((0.1, "o", "first\r\n"))
    with browser() as chromium:
        page = opened(chromium, house, f"/w/acme/sessions/{at.id}")
        expect(page.locator("[data-screen]")).to_contain_text("first")
        expect(page.locator('[data-playback][data-state="live"]')).to_be_attached()
        at.send((1.0, "o", "second\r\n"))
        expect(page.locator("[data-screen]")).to_contain_text("second")
        at.end(is_broken=True)
        expect(page.locator("[data-session-state]")).to_contain_text("broke off")
        expect(page.locator("[data-screen]")).to_contain_text("second")


@pytest.mark.parametrize("how", ["disabled", "removed"])
def test_who_follows_and_loses_their_place_is_shut_out_though_nothing_is_recorded(house: House, how: str) -> None:
    """B3: within a second, as every other socket; what comes then is not for them."""
    at = recorder(house.agent)
    at.send((0.1, "o", "first\r\n"))
    who = person(house.server, how, "developer", with_totp=False)
    url = f"{house.server.url.replace('http', 'ws', 1)}{BASE}/{at.id}/live"
    with sign_in(house.server, who) as client:
        headers = {"cookie": f"fg_session={team.session_of(client)}"}
        with connect(url, additional_headers=headers, origin=house.server.url, proxy=None) as socket:
            assert "first" in socket.recv(timeout=10)
            if how == "disabled":
                team.admin(house.server, "user.disable", email=who.email)
            else:
                team.admin(house.server, "workspace.remove_member", workspace="acme", email=who.email)
            since = time.monotonic()
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(timeout=10)
            assert time.monotonic() - since < busy(1)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == {"disabled": 4401, "removed": 4403}[how]
    at.end(exit_code=0)


def test_a_long_recording_is_played_in_parts(house: House) -> None:
    at = recorder(house.agent)
    for number in range(3):
        at.send((number * 10.0 + 0.1, "o", f"part {number}\r\n" + "." * 150_000 + f"\r\nend {number}\r\n"))
    at.end(exit_code=0)
    second = house.developer.get(f"/w/acme/sessions/{at.id}?part=2")
    assert ("end 1" in second.text, "end 2" in second.text) == (True, False)
    frames = house.developer.get(f"/w/acme/sessions/{at.id}/playback?part=3").json()["frames"]
    assert frames[0][0] == 0  # times of a part are from its own beginning
    assert house.developer.get(f"/w/acme/sessions/{at.id}/playback?part=4").status_code == 404
