"""Attachments in Chromium: chosen without scripts, refused with the reason, downloaded at the desk alone. F24 E27"""

import gzip
import re
from pathlib import Path
from typing import Any

from tests.journeys import team
from tests.journeys.harness import Server
from tests.journeys.pictures import picture
from tests.journeys.team import PASSWORD, codes
from tests.journeys.test_disclosure_browser import DESK, fits

TOKEN = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
LONG = "a-name-that-is-far-longer-than-a-telephone-is-wide-and-has-no-space-in-it-anywhere-at-all.html"


def write(page: Any) -> None:
    """Fill in what the form needs."""
    for name in ("title", "affected", "steps", "actual"):
        page.fill(f"[name={name}]", f"{name}: a share link opens twice")


def test_a_finder_attaches_files_and_the_desk_downloads_them(server: Server, chromium: Any, tmp_path: Path) -> None:
    server.config.write_text(server.config.read_text() + DESK)
    server.start()
    team.found_acme(server)
    log, page_file, bomb = tmp_path / "run.log", tmp_path / LONG, tmp_path / "proof.gz"
    log.write_text(f"GET /s/abc 200\nauthorization: {TOKEN}\n")
    page_file.write_text("<script>document.title = 'owned'</script>")
    bomb.write_bytes(gzip.compress(b"\n" * 60_000_000))

    finder = chromium.new_context(viewport={"width": 1280, "height": 800}, java_script_enabled=False).new_page()
    finder.goto(f"{server.url}/security/report")
    write(finder)
    finder.set_input_files("[name=files]", [str(log), str(bomb)])
    finder.wait_for_timeout(3500)  # nobody writes a report faster
    finder.click("main form button")
    finder.get_by_text("proof.gz is not taken").wait_for()
    assert finder.input_value("[name=title]").startswith("title: ")
    finder.set_input_files("[name=files]", [str(log), str(page_file)])
    finder.wait_for_timeout(3500)
    finder.click("main form button")
    finder.get_by_text("Keep the address of this page").wait_for()
    link = finder.url
    finder.fill("#message", "And once more.")
    finder.set_input_files("[name=files]", [str(log)])
    finder.get_by_role("button", name="Send").click()
    finder.get_by_text("And once more.").wait_for()
    assert finder.inner_text("main").count("run.log") == 2

    who = team.person(server, "sec", "developer")
    team.admin(server, "platform_role.grant", email=who.email)
    page = chromium.new_context(viewport={"width": 1280, "height": 800}).new_page()
    stopped: list[str] = []
    page.on("console", lambda one: stopped.append(one.text) if "Content Security Policy" in one.text else None)
    page.goto(f"{server.url}/security/report")
    picture(page, "disclosure-form-files")
    fits(page)
    write(page)
    page.set_input_files("[name=files]", [str(bomb)])
    page.wait_for_timeout(3500)
    page.click("main form button")
    page.get_by_text("proof.gz is not taken").wait_for()
    picture(page, "disclosure-form-refused")
    fits(page)
    page.goto(link)
    picture(page, "disclosure-follow-files")
    fits(page)
    page.goto(f"{server.url}/platform/x/disclosure")
    page.fill("[name=email]", who.email)
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.fill("[name=code]", next(codes(who.totp or "")))
    page.click("main button[type=submit]")
    page.get_by_role("link", name=re.compile(r"1\. title")).click()
    page.get_by_role("heading", name="Attachments").wait_for()
    picture(page, "disclosure-report-files")
    fits(page)
    with page.expect_download() as kept:
        page.get_by_role("link", name="run.log").first.click()
    assert kept.value.suggested_filename == "run.log"
    assert TOKEN not in Path(kept.value.path()).read_text()
    with page.expect_download() as kept:
        page.get_by_role("link", name=LONG).click()
    assert Path(kept.value.path()).read_text() == page_file.read_text()
    assert "owned" not in page.title()
    assert stopped == []
    server.stop()
    assert team.failures_in(server) == []
