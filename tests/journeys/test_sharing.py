"""A report is shared, looked at by somebody without an account, and withdrawn: in a real browser, at a real server. # F13"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from failgate.base.canonical import canonical
from failgate.base.ids import new_id
from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, browser
from tests.journeys.pictures import picture
from tests.journeys.team import WHERE, Person, enter, person, program

OUTPUT = b"".join(b"tests/test_cart.py::test_total_%d PASSED\n" % number for number in range(400)) + (
    b"tests/test_cart.py::test_discount FAILED\n\nE   assert 89 == 90\nE    +  where 89 = total(items, '10%')\n"
    b"FAILED tests/test_cart.py::test_discount - assert 89 == 90\n1 failed, 400 passed in 2.31s\n"
)
DIFF = b"diff --git a/cart.py b/cart.py\n--- a/cart.py\n+++ b/cart.py\n@@ -3,2 +3,2 @@\n-    return sum(items)\n+    return int(sum(items) * 0.9)\n"
PAGE = b"<html><script>document.title = 'owned'</script><svg onload=alert(1)></html>"
CAST = b'{"version": 2, "width": 60, "height": 6}\n[0.1, "o", "collected 401 items\\r\\n"]\n[0.4, "o", "\\u001b[31m1 failed\\u001b[0m"]\n'
TREE = b"a tar\0".ljust(257, b"\0") + b"ustar\0" + bytes(3000)
PASSPHRASE = "four words in a row"


def entry(name: str, kind: str, media_type: str, content: bytes) -> dict[str, Any]:
    sha256 = hashlib.sha256(content).hexdigest()
    return {"name": name, "kind": kind, "media_type": media_type, "size_bytes": len(content), "sha256": sha256}


def upload(server: Server, key: str) -> str:
    """Upload a report like one of a failed test run; return its id."""
    contents = {"output.txt": OUTPUT, "changes.diff": DIFF, "report.html": PAGE, "source.tar": TREE, "run.cast": CAST}
    kinds = {
        "output.txt": "output", "changes.diff": "diff", "report.html": "file", "source.tar": "snapshot", "run.cast": "recording",
    }  # fmt: skip
    manifest = {
        "v": 1, "id": new_id(), "created_at": "2026-11-20T03:04:05.000000Z", "argv": ["pytest", "-q", "tests/test_cart.py"],
        "cwd": "/home/lena/shop-private", "host": "lenas-laptop", "exit_code": 1, "duration_ms": 2310,
        "environment": {"names": ["HOUSE_ONLY"], "values": {"LANG": "C"}, "platform": "Linux 6.1"},
        "artifacts": [entry(name, kinds[name], "text/plain", content) for name, content in contents.items()],
        "redactions": [{"rule": "github-token", "where": "output.txt", "count": 2}], "redaction_rules": "3",
        "tools": [{"name": "python", "version": "3.11.7"}, {"name": "pytest", "version": "9.0.1"}],
    }  # fmt: skip
    sha256 = hashlib.sha256(canonical(manifest)).hexdigest()
    consent = {"manifest_sha256": sha256, "by": "person", "at": "2026-11-20T03:04:06Z"}
    with program(server, key) as client:
        begun = client.post(f"{WHERE}/reports", json={"manifest": manifest, "consent": consent}).json()
        for content in contents.values():
            digest = hashlib.sha256(content).hexdigest()
            assert client.put(f"{WHERE}/reports/{begun['id']}/artifacts/{digest}", content=content).status_code == 200
        assert client.post(f"{WHERE}/reports/{begun['id']}/seal").json()["state"] == "sealed"
    return begun["id"]


@pytest.fixture(scope="module")
def shop(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Person, str]]:
    """A server with an owner and a report."""
    with team.served(Server(tmp_path_factory.mktemp("sharing") / "data", database_url=new_database())) as server:
        key = team.found_acme(server)["api_key"]
        yield server, person(server, "lena", "owner"), upload(server, key)


@contextmanager
def contexts() -> Iterator[tuple[BrowserContext, BrowserContext]]:
    """A browser of the owner and one of a stranger, each with its own cookies."""
    with browser() as chromium:
        owner, guest = chromium.new_context(), chromium.new_context(accept_downloads=True)
        yield owner, guest
        owner.close()
        guest.close()


def make(page: Page, server: Server, report_id: str, passphrase: str = "") -> str:
    """Make a link by the pages; return its address at this server."""
    page.goto(f"{server.url}/w/acme/reports/{report_id}")
    page.get_by_role("link", name="Share").click()
    page.get_by_label("report.html").check()
    page.get_by_label("run.cast").check()
    if passphrase:
        page.get_by_label("Passphrase (optional)").fill(passphrase)
    page.get_by_role("button", name="Make the link").click()
    return server.url + "/s/" + page.locator("[data-shown-secret]").inner_text().rpartition("#")[2]


def test_a_report_is_shared_read_by_a_stranger_and_withdrawn(shop: tuple[Server, Person, str], tmp_path: Path) -> None:
    server, lena, report_id = shop
    with contexts() as (owners, guests):
        page, guest = owners.new_page(), guests.new_page()
        asked: list[tuple[str, str]] = []
        guest.on("request", lambda one: asked.append((one.url, one.headers.get("referer", ""))))
        enter(page, server, lena)
        page.goto(f"{server.url}/w/acme/reports/{report_id}/shares")
        picture(page, "share-form")
        expect(page.get_by_label("source.tar")).to_be_disabled()
        link = make(page, server, report_id, PASSPHRASE)
        token = link.rpartition("/")[2]
        picture(page, "share-shown")

        guest.goto(link)
        assert token not in guest.url
        picture(guest, "share-passphrase")
        guest.get_by_label("Passphrase").fill("wrong wrong wrong")
        guest.get_by_role("button", name="Open the report").click()
        expect(guest.get_by_role("alert")).to_contain_text("not the passphrase")
        guest.get_by_label("Passphrase").fill(PASSPHRASE)
        guest.get_by_role("button", name="Open the report").click()
        expect(guest.get_by_role("region", name="output.txt")).to_contain_text("assert 89 == 90")
        with guest.expect_response(lambda one: one.url.endswith("/playback")) as played:
            guest.get_by_role("button", name="Play", exact=True).click()
        assert played.value.status == 200
        expect(guest.locator("[data-clock]")).to_have_text("0.4 of 0.4 s")
        expect(guest.locator("[data-screen]")).to_contain_text("1 failed")
        picture(guest, "share-page")
        shown = guest.content()
        for hidden in ("lenas-laptop", "/home/lena", "HOUSE_ONLY", "lena@acme", "acme", "source.tar", "/w/", token):
            assert hidden not in shown, hidden
        with guest.expect_download() as coming:
            guest.get_by_role("link", name="Download report.html").click()
        coming.value.save_as(tmp_path / "report.html")
        assert (tmp_path / "report.html").read_bytes() == PAGE
        assert "owned" not in guest.title()
        assert [pair for pair in asked if token in pair[0]] == [(link, "")]
        assert all(token not in referer for _, referer in asked)
        opened = guest.url
        for path in ("/w/acme/reports", f"/w/acme/reports/{report_id}", "/account"):
            guest.goto(server.url + path)
            assert "/signin" in guest.url, path

        page.goto(f"{server.url}/w/acme/reports/{report_id}/shares")
        expect(page.get_by_text("1 view", exact=True)).to_be_visible()
        page.get_by_text("Latest visits").click()
        expect(page.get_by_text("127.0.0.0/24")).to_be_visible()
        picture(page, "share-list")
        page.locator("summary", has_text="Revoke").click()
        page.get_by_role("button", name=re.compile("Revoke the link")).click()
        expect(page.get_by_text("revoked")).to_be_visible()
        for address in (opened, link):
            answer = guest.goto(address)
            assert answer is not None
            assert answer.status == 404
        picture(guest, "share-nothing")
        said = "".join(server.lines + server.logs)
        assert token not in said
        assert PASSPHRASE not in said


def test_a_snapshot_waits_for_eyes_and_an_owner_switches_sharing_off(shop: tuple[Server, Person, str]) -> None:
    server, lena, report_id = shop
    with contexts() as (owners, guests):
        page, guest = owners.new_page(), guests.new_page()
        guest.set_viewport_size({"width": 320, "height": 700})
        enter(page, server, lena)
        page.goto(f"{server.url}/w/acme/reports/{report_id}/shares")
        page.get_by_label("I have looked through it").check()
        page.get_by_role("button", name="It may be shared").click()
        page.get_by_label("source.tar").check()
        page.get_by_role("button", name="Make the link").click()
        link = server.url + "/s/" + page.locator("[data-shown-secret]").inner_text().rpartition("#")[2]
        guest.goto(link)
        expect(guest.get_by_role("link", name="Download source.tar")).to_be_visible()
        assert guest.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.goto(f"{server.url}/w/acme/settings")
        page.get_by_role("link", name="Share links").click()
        picture(page, "share-switch")
        page.get_by_role("button", name="Switch sharing off").click()
        expect(page.get_by_role("heading", name="Switched off")).to_be_visible()
        answer = guest.reload()
        assert answer is not None
        assert answer.status == 404
        page.get_by_role("button", name="Switch sharing on").click()
        expect(page.get_by_role("button", name="Switch sharing off")).to_be_visible()
        answer = guest.reload()
        assert answer is not None
        assert answer.status == 200
