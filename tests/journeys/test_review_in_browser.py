"""A report is looked through in a real browser before anything of it leaves; then exactly that is uploaded. # F2 F19"""

import http.server
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from failgate.client.report_folder import open_report
from failgate.wire.reports import Redaction
from tests.client.test_rewriting import archive, everything
from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, browser, on_postgres, on_sqlite
from tests.journeys.laptop import Laptop, Line, Reviewing
from tests.journeys.pictures import picture
from tests.journeys.team import WHERE, Person, enter, person, program

TAG = "[redacted:github-token:1a2b3c4d]"
OUTPUT = (
    f"export TOKEN={TAG}\n"
    "\x1b]0;owned\x07\x1b[31mFAILED\x1b[0m tests/test_cart.py::test_discount\n"
    "E   assert 89 == 90 for customer-acme-42\n"
    "\tid\u202e 7 <b>bold</b> <script>document.title = 'owned'</script>\n"
).encode()
MARKUP = b"<html><script>document.title = 'owned'</script><img src=x onerror=alert(1)>customer-acme-42</html>"
TAPE = (
    b'{"version": 2, "width": 60, "height": 5, "timestamp": 1}\n[0.1, "o", "hello customer-"]\n'
    b'[0.4, "o", "acme-42\\r\\n\\u001b]52;c;ZXZpbA==\\u0007"]\n[0.9, "o", "\\u001b[31m1 failed\\u001b[0m"]\n'
)
SECOND = "customer-acme-42"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def shop(
    new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, httpx.Client, Laptop, Person]]:
    folder = tmp_path_factory.mktemp("reviewing")
    with team.served(Server(folder / "data", database_url=new_database())) as server:
        key = team.found_acme(server)["api_key"]
        line = Line(server)
        with program(server, key) as client:
            yield server, client, Laptop(folder, key, line), person(server, "lena", "owner")
        line.close()


def captured(laptop: Laptop) -> str:
    return laptop.holding(
        [Redaction("github-token", "output.txt", 1)],
        output=("output.txt", "output", OUTPUT), markup=("report.html", "file", MARKUP), tape=("recording.cast", "recording", TAPE),
        core=("core.bin", "file", b"\0\1\2<svg onload=alert(1)>" * 20), tree=("source.tar", "snapshot", archive(b"x = 1\n")),
    )  # fmt: skip


def select(page: Page, text: str) -> None:
    """Select `text` in what is shown, as a person does with the pointer."""
    page.locator("div.output").evaluate(
        """(root, text) => {
          const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
          for (let node = walker.nextNode(); node; node = walker.nextNode()) {
            const at = node.data.indexOf(text);
            if (at < 0) continue;
            const range = document.createRange();
            range.setStart(node, at);
            range.setEnd(node, at + text.length);
            getSelection().removeAllRanges();
            getSelection().addRange(range);
            return;
          }
          throw new Error("not shown: " + text);
        }""",
        text,
    )


def test_what_was_agreed_to_in_the_browser_is_what_the_workspace_gets(
    shop: tuple[Server, httpx.Client, Laptop, Person], chromium: Browser
) -> None:
    server, client, laptop, lena = shop
    captured(laptop)
    before = laptop.line.carried
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    outside: list[str] = []
    violations: list[str] = []
    page.on("console", lambda one: violations.append(one.text) if "Content Security" in one.text else None)
    with laptop.reviewing("latest") as going:
        page.on("request", lambda one: outside.append(one.url) if not one.url.startswith(going.origin) else None)
        page.goto(going.link)
        page.wait_for_url(re.compile(r".*/$"))
        assert going.link not in page.content()
        shown = page.locator("div.output")
        expect(shown).to_contain_text("⟨U+001B⟩]0;owned⟨U+0007⟩⟨ESC[31m⟩FAILED⟨ESC[0m⟩")
        expect(shown).to_contain_text("id⟨U+202E⟩ 7 <b>bold</b> <script>")
        expect(shown.locator(".mark.finding")).to_have_text(TAG)
        expect(page.get_by_label("What would leave")).to_contain_text("5 of 5 artifacts")
        picture(page, "review")

        page.get_by_role("button", name="Leave out report.html").click()
        expect(page.get_by_label("What would leave")).to_contain_text("4 of 5 artifacts")
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_label("What would leave")).to_contain_text("5 of 5 artifacts")
        page.get_by_role("button", name="Leave out report.html").click()
        page.get_by_role("link", name=re.compile("output.txt")).click()
        select(page, SECOND)
        page.get_by_role("button", name="Replace the selection everywhere").click()
        expect(page.get_by_role("status").first).to_contain_text("2 places are replaced by it")
        expect(page.locator("div.output .mark.hand")).to_contain_text("[redacted:by-hand:")
        assert SECOND not in page.locator("div.output").inner_text()
        page.get_by_label("Words or pattern").fill("id. [0-9]")
        page.get_by_role("button", name="As an RE2 pattern").click()
        expect(page.locator("div.output .mark.hand").last).to_have_text("[redacted:by-hand]")
        page.get_by_role("link", name=re.compile("recording.cast")).click()
        page.get_by_role("button", name="Play", exact=True).click()
        expect(page.locator("[data-screen]")).to_contain_text("1 failed")
        assert "ZXZpbA" not in page.locator("[data-screen]").inner_text()
        page.get_by_role("link", name=re.compile("core.bin")).click()
        expect(page.locator("div.output")).to_contain_text("00 01 02 3c 73 76 67")
        page.get_by_role("link", name=re.compile("source.tar")).click()
        expect(page.locator("div.output")).to_contain_text("src/cart.py")
        page.get_by_role("link", name=re.compile("report.html")).click()
        expect(page.locator("div.output")).to_contain_text("<script>document.title")
        assert laptop.line.carried == before, "nothing leaves before the question"

        page.get_by_role("button", name="Save and go on").click()
        expect(page.get_by_role("heading", name="Upload exactly this?")).to_be_visible()
        asked = page.locator("main")
        expect(asked).to_contain_text(laptop.line.url)
        expect(asked).to_contain_text("acme")
        expect(asked).to_contain_text("left out at the review")
        digest = page.locator(".digest").inner_text()
        assert client.get(f"{WHERE}/reports").json()["items"] == []
        picture(page, "review-consent")
        page.get_by_role("checkbox").check()
        page.get_by_role("button", name="Agree and upload").click()
        expect(page.get_by_role("link", name="Open the report")).to_be_visible(timeout=30_000)
        picture(page, "review-uploaded")
        address = page.get_by_role("link", name="Open the report").get_attribute("href") or ""
        page.get_by_role("button", name="Close the review").click()
        expect(page.get_by_role("heading", name="The review is closed")).to_be_visible()
        assert going.ended() == 0
        assert going.printed.strip() == address
        assert "Traceback" not in "".join(going.said)
    assert (violations, outside) == ([], [])
    assert page.title() != "owned"

    report = client.get(f"{WHERE}/reports/{address.rpartition('/')[2]}").json()
    assert (report["state"], report["manifest_sha256"]) == ("sealed", digest)
    assert [one["name"] for one in report["artifacts"]] == ["output.txt", "recording.cast", "core.bin", "source.tar"]
    enter(page, server, lena)
    page.goto(server.url + address.removeprefix(laptop.line.url))
    expect(page.get_by_role("region", name="output.txt")).to_contain_text("assert 89 == 90 for [redacted:by-hand:")
    assert SECOND not in page.content()
    expect(page.locator("main table")).not_to_contain_text("report.html")
    context.close()


def agree(page: Page, going: Reviewing) -> None:
    page.goto(going.link)
    page.wait_for_url(re.compile(r".*/$"))
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Agree and upload").click()


@on_postgres
def test_an_upload_that_was_killed_goes_on_in_the_next_review(
    shop: tuple[Server, httpx.Client, Laptop, Person], chromium: Browser
) -> None:
    _, client, laptop, _ = shop
    name = laptop.report(8 << 20)
    before = laptop.line.carried
    context = chromium.new_context()
    page = context.new_page()
    laptop.line.pause_seconds = 0.04
    with laptop.reviewing(name) as going:
        agree(page, going)
        expect(page.get_by_role("heading", name="Uploading")).to_be_visible()
        deadline = time.monotonic() + 60
        while laptop.line.carried - before < 1 << 20 and time.monotonic() < deadline:
            time.sleep(0.01)
        going.process.send_signal(signal.SIGKILL)
        expect(page.get_by_role("status")).to_contain_text("has ended")
        picture(page, "review-uploading")
    laptop.line.pause_seconds = 0.0
    laptop.line.cut_after = [3 << 20]  # and once more the line breaks
    with laptop.reviewing(name) as going:
        agree(page, going)
        expect(page.get_by_role("link", name="Open the report")).to_be_visible(timeout=60_000)
    context.close()
    items = client.get(f"{WHERE}/reports").json()["items"]
    mine = [one for one in items if client.get(f"{WHERE}/reports/{one['id']}").json()["manifest"]["id"] == name]
    assert [one["state"] for one in mine] == ["sealed"]


class Neighbour(http.server.BaseHTTPRequestHandler):
    """A program of another account on the same machine, to whose page the person was led."""

    target = ""
    cookies: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.cookies.append(self.headers.get("cookie", ""))
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        page = f"""<form method="post" action="{self.target}act"><input name="act" value="leave-out"><button>Win</button></form>
        <a href="{self.target}">Look</a><iframe src="{self.target}"></iframe>"""
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@on_sqlite
def test_another_program_of_the_machine_gets_neither_the_cookie_nor_the_report(
    shop: tuple[Server, httpx.Client, Laptop, Person], chromium: Browser
) -> None:
    """Even one that learned the address in the bar: a browser sends the cookies of 127.0.0.1 to each port there."""
    laptop = shop[2]
    captured(laptop)
    context = chromium.new_context()
    page, other = context.new_page(), context.new_page()
    neighbour = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Neighbour)
    threading.Thread(target=neighbour.serve_forever, daemon=True).start()
    with laptop.reviewing() as going:
        page.goto(going.link)
        page.wait_for_url(re.compile(r".*/$"))
        expect(page.get_by_role("heading", name="Look through the report")).to_be_visible()
        Neighbour.target = page.url
        answers: list[tuple[str, int]] = []
        other.on("response", lambda one: answers.append((one.url, one.status)))
        other.goto(f"http://127.0.0.1:{neighbour.server_port}/")
        read = other.evaluate(
            "url => fetch(url, {credentials: 'include'}).then(() => 'read', () => 'refused')", page.url
        )
        assert read == "refused"
        other.get_by_role("button", name="Win").click()
        expect(other.locator("body")).to_have_text("This did not come from the page of the review.")
        other.goto(f"http://127.0.0.1:{neighbour.server_port}/")
        other.get_by_role("link", name="Look").click()
        expect(other.locator("body")).not_to_contain_text("output.txt")
        assert {status for url, status in answers if url.startswith(going.origin)} <= {403, 404}
        assert "".join(Neighbour.cookies) == ""
        page.reload()
        expect(page.get_by_label("What would leave")).to_contain_text("5 of 5 artifacts")
        other.goto(going.link)
        expect(other.get_by_role("heading", name="This link was used already")).to_be_visible()
    neighbour.shutdown()
    neighbour.server_close()
    context.close()


@on_sqlite
def test_without_a_server_the_report_is_reviewed_and_the_page_says_what_is_missing(
    tmp_path: Path, shop: tuple[Server, httpx.Client, Laptop, Person], chromium: Browser
) -> None:
    laptop = Laptop(tmp_path, "", shop[2].line)
    laptop.environment.pop("FAILGATE_TOKEN")
    laptop.environment.pop("FAILGATE_URL")
    captured(laptop)
    context = chromium.new_context(viewport={"width": 320, "height": 700}, java_script_enabled=False)
    page = context.new_page()
    with laptop.reviewing() as going:
        page.goto(going.link)
        page.wait_for_url(re.compile(r".*/$"))
        page.get_by_label("Words or pattern").fill("acme")
        page.get_by_role("button", name="Replace the words").click()
        page.get_by_label("Words or pattern").fill("ab ")
        page.get_by_role("button", name="Replace the words").click()
        expect(page.get_by_role("alert")).to_contain_text("too short")
        page.get_by_role("button", name="Save and go on").click()
        expect(page.get_by_role("heading", name="nowhere to go")).to_be_visible()
        expect(page.locator("main")).to_contain_text("failgate login URL")
        expect(page.get_by_role("button", name="Agree and upload")).to_be_disabled()
        going.process.send_signal(signal.SIGINT)
        assert going.ended() == 130
    context.close()
    held = everything(open_report(tmp_path, "latest"))
    assert b"acme" not in held
    assert b"[redacted:by-hand:" in held
