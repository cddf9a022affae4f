"""The desk from a report to its advisory, walked with a real server: `contrib/dev/screenshots disclosure`."""

from pathlib import Path

from playwright.sync_api import Page

from tests.journeys import team
from tests.journeys.camera import Camera
from tests.journeys.harness import Server, browser
from tests.journeys.team import PASSWORD, codes
from tests.journeys.test_disclosure_advisory_browser import DESK, DRAFT, VECTOR, WRITTEN, save


def record(place: Path, folder: Path) -> list[str]:
    """Keep the pictures in `place`; return their names in order."""
    camera = Camera(place)
    server = Server(folder / "data")
    server.config.write_text(server.config.read_text() + DESK)
    server.start()
    try:
        team.found_acme(server)
        who = team.person(server, "sec", "developer")
        team.admin(server, "platform_role.grant", email=who.email)
        with browser() as chromium:
            page = chromium.new_page(viewport={"width": 1280, "height": 800})
            page.goto(f"{server.url}/security/report")
            for name, text in WRITTEN.items():
                page.fill(f"[name={name}]", text)
            page.wait_for_timeout(3500)  # nobody writes a report faster
            page.click("main form button")
            page.get_by_text("Keep the address of this page").wait_for()
            page.goto(f"{server.url}/platform/x/disclosure")
            page.fill("[name=email]", who.email)
            page.fill("[name=password]", PASSWORD)
            page.click("main button[type=submit]")
            page.fill("[name=code]", next(codes(who.totp or "")))
            page.click("main button[type=submit]")
            walk(page, camera)
            page.goto(f"{server.url}/security/advisories/acme-2026-0001")
            camera.take(page, "disclosure-4-advisory", height=800)
    finally:
        server.stop()
    return camera.taken


def walk(page: Page, camera: Camera) -> None:
    """Score, draft, publish."""
    page.get_by_role("link", name=WRITTEN["title"]).click()
    page.get_by_role("link", name="Change severity").click()
    page.fill("#vector", VECTOR.replace("PR:L", "PR:?"))
    page.fill("#credits", "Ada Finder")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The metric PR does not take").wait_for()
    camera.take(page, "disclosure-1-severity", height=680)
    page.fill("#vector", VECTOR)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="Severity and disclosure").wait_for()
    camera.take(page, "disclosure-2-report", height=800, scheme="dark")
    page.get_by_role("button", name="Begin an advisory").click()
    page.get_by_text("missing or wrong before it can be published").wait_for()
    camera.take(page, "disclosure-3-draft", height=800)
    save(page, DRAFT)
    page.get_by_text("missing or wrong").wait_for(state="detached")
    page.check("[name=sure]")
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("button", name="Publish revision 2").wait_for()
