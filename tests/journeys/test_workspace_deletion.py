"""Two owners delete a workspace, at a real server: by the API with everything open, and in a browser. F14"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, browser, old_path
from tests.journeys.pictures import picture
from tests.journeys.team import WHERE, Visitor, admin, ask, person, program, sign_in, slug, stranger
from tests.journeys.test_people import mailbox
from tests.journeys.test_report_life import sealed


@dataclass
class House:
    server: Server
    key: Visitor
    ann: Visitor
    bob: Visitor
    boss: Visitor


@pytest.fixture(scope="module")
def house(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("deletion")
    with inhabited(Server(folder / "data", database_url=new_database())) as one:
        yield one


@contextmanager
def inhabited(stopped: Server) -> Iterator[House]:
    with team.served(stopped) as server:
        key = program(server, team.found_acme(server)["api_key"])
        people = [person(server, "ann", "owner"), person(server, "bob", "owner"), person(server, "boss", "admin")]
        with (
            key,
            sign_in(server, people[0]) as ann,
            sign_in(server, people[1]) as bob,
            sign_in(server, people[2]) as boss,
        ):
            yield House(server, key, ann, bob, boss)


def wait_for(path: str, client: Visitor) -> dict[str, Any]:
    """Return what is left of a workspace, once it is emptied."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        left: dict[str, Any] = client.get(path).json()
        if left["state"] == "deleted":
            return left
        time.sleep(0.05)
    raise AssertionError(left)


def shape_of(answer: Any) -> tuple[int, str]:
    document = answer.json()
    return answer.status_code, document["type"] + document["title"]


def test_the_pages_and_letters_lead_two_owners_through_it(new_database: NewDatabase, tmp_path: Path) -> None:
    with mailbox() as (inbox, port):
        smtp = f'[notify.smtp]\nhost = "127.0.0.1"\nport = {port}\nsender = "f@acme.example"\ntls = "none"\n'
        with inhabited(Server(tmp_path / "data", database_url=new_database(), config=smtp)) as house:
            walk_through(house)
        told = [letter.partition(".\n")[0].replace("\n", " ") for letter in inbox.letters]
    assert [one.partition(" of the workspace")[0].partition(" with everything")[0] for one in told] == [
        "ann@acme.example asked to delete the workspace beta",
        "bob@acme.example withdrew the deletion",
        "bob@acme.example asked to delete the workspace beta",
        "ann@acme.example confirmed the deletion",
    ]


def walk_through(house: House) -> None:
    server = house.server
    admin(server, "workspace.create", workspace="beta", owner="ann@acme.example", name="Beta")
    with browser() as chromium:
        ann, bob = (page_of(chromium, server, who, width) for who, width in ((house.ann, 1280), (house.bob, 390)))
        ann.goto(f"{server.url}/w/beta/settings")
        ann.get_by_role("link", name="Delete the workspace").click()
        expect(ann.get_by_role("heading", name="A second owner is needed")).to_be_visible()
        admin(server, "workspace.add_member", workspace="beta", email="bob@acme.example", role="owner")
        ann.reload()
        ann.get_by_label("Type beta").fill("bet")
        ann.get_by_role("button", name="Ask to delete this workspace").click()
        expect(ann.get_by_text("The name is not this workspace's.")).to_be_visible()
        picture(ann, "deletion-ask")
        ann.get_by_label("Type beta").fill("beta")
        ann.get_by_role("button", name="Ask to delete this workspace").click()
        expect(ann.get_by_text("It waits for bob@acme.example to confirm on this page.")).to_be_visible()
        bob.goto(f"{server.url}/w/beta/settings")
        bob.get_by_role("link", name="Confirm or withdraw").click()
        picture(bob, "deletion-confirm")
        bob.get_by_role("button", name="Withdraw: the workspace stays").click()
        bob.get_by_label("Type beta").fill("beta")
        bob.get_by_role("button", name="Ask to delete this workspace").click()
        expect(bob.get_by_text("to confirm on this page.")).to_be_visible()
        ann.goto(f"{server.url}/w/beta/settings/delete")
        ann.get_by_label("Type beta").fill("beta")
        ann.get_by_role("button", name="Delete this workspace for good").click()
        ann.wait_for_url(f"{server.url}/account/deleted-workspaces")
        left = wait_for(f"/api/v1/deleted-workspaces/{deleted_id(house.ann, 'beta')}", house.ann)
        assert left["receipt"]["reports"] == 0
        ann.reload()
        with ann.expect_download() as download:
            ann.get_by_role("link", name="Receipt").click()
        assert json.loads(download.value.path().read_text()) == left
        picture(ann, "deletion-deleted")
        bob.goto(f"{server.url}/account")
        bob.get_by_role("listitem").filter(has_text="Deleted workspaces").get_by_role("link").click()
        expect(bob.get_by_role("heading", name="beta")).to_be_visible()
        answer = bob.goto(f"{server.url}/w/beta/queue")
        assert answer is not None
        assert answer.status == 404


def page_of(chromium: Any, server: Server, who: Visitor, width: int) -> Page:
    context = chromium.new_context(viewport={"width": width, "height": 900})
    context.add_cookies([{"name": one.name, "value": one.value or "", "url": server.url} for one in who.cookies.jar])
    return context.new_page()


def deleted_id(client: Visitor, name: str) -> str:
    return next(one["id"] for one in client.get("/api/v1/deleted-workspaces").json()["items"] if one["name"] == name)


def test_everything_that_was_open_ends_and_the_receipt_is_proven(house: House, tmp_path: Path) -> None:
    server, where = house.server, f"{WHERE}/deletion"
    report = sealed(house.key)
    share = old_path(house.ann.post(f"{WHERE}/reports/{report}/shares", json={}).json()["url"])
    token = admin(server, "agent.create", workspace="acme", name="builder")["token"]
    agent = program(server, token)
    command = ask(agent, "/usr/bin/true")
    assert house.boss.post(where, json={"name": "acme"}).status_code == 403
    assert house.key.post(where, json={"name": "acme"}).status_code == 403
    assert slug(house.ann.post(where, json={"name": "Acme"})) == "bad-input"
    asked = house.ann.post(where, json={"name": "acme"})
    assert (asked.status_code, house.bob.get(where).json()) == (201, asked.json())
    confirm = f"{where}/{asked.json()['id']}/confirm"
    assert house.ann.post(confirm, json={"name": "acme"}).status_code == 403
    held = f"{WHERE}/reports/{report}/hold"
    assert house.ann.post(held, json={"reason": "case 12"}).status_code == 200
    refused = house.bob.post(confirm, json={"name": "acme"})
    assert (refused.status_code, "legal hold: case 12" in refused.text) == (409, True)
    assert house.ann.delete(held).status_code == 204

    def opened(path: str, **headers: str) -> Any:
        return connect(f"ws{server.url[4:]}{path}", additional_headers=headers, proxy=None, open_timeout=20)

    cookie = "; ".join(f"{one.name}={one.value}" for one in house.boss.cookies.jar)
    with (
        opened("/api/v1/agent", authorization=f"Bearer {token}") as asking,
        opened("/api/v1/live?workspace=acme", cookie=cookie, origin=server.url) as watching,
    ):
        answer = house.bob.post(confirm, json={"name": "acme"})
        assert (answer.status_code, answer.json()["state"]) == (200, "emptying"), answer.text
        for socket in (asking, watching):
            with pytest.raises(ConnectionClosed):
                while True:
                    socket.recv(timeout=1)
    missing = shape_of(house.ann.get("/api/v1/workspaces/nowhere/reports"))
    for client, path in ((house.ann, "reports"), (house.boss, f"commands/{command['id']}"), (house.bob, "deletion")):
        assert shape_of(client.get(f"{WHERE}/{path}")) == missing
    assert [house.key.get(f"{WHERE}/reports").status_code, agent.get("/api/v1/whoami").status_code] == [401, 401]
    with stranger(server) as guest:
        assert guest.get(share).status_code == 404

    path = f"/api/v1/deleted-workspaces/{deleted_id(house.bob, 'acme')}"
    left = wait_for(path, house.bob)
    assert (left["receipt"]["reports"], left["receipt"]["rows"]["gate_command"]) == (1, 1)
    assert house.boss.get(path).status_code == 404
    receipt = tmp_path / "acme-deletion.json"
    receipt.write_text(json.dumps(left))
    proven = server.verify("--receipt", str(receipt), "--gate")
    assert (proven.returncode, "the receipt is as it was issued" in proven.stdout) == (0, True), proven.stdout
    receipt.write_text(json.dumps(left).replace('"reports": 1', '"reports": 2'))
    forged = server.verify("--receipt", str(receipt))
    assert (forged.returncode, "the receipt was changed" in forged.stdout) == (1, True), forged.stdout
    listed = admin(server, "workspace.deleted")["workspaces"]
    assert left in listed
    assert admin(server, "audit.checkpoint", log=left["id"])["checkpoint"] == left["receipt"]["checkpoint"]
    agent.close()
