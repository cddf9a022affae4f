"""From the reporter's form to the desk's answer in Chromium, at a server that the config alone gave a desk. F22-F26 E27"""

from typing import Any

from tests.journeys import team
from tests.journeys.harness import Server
from tests.journeys.pictures import picture
from tests.journeys.team import PASSWORD, codes

DESK = """
[plugins.disclosure]
contacts = ["mailto:security@acme.example"]
expires = 2027-05-01
changed = 2026-11-20
support = "https://acme.example/help"
scope = ["failgate and its plugins"]
"""
SCRIPT = "<script>document.title = 'owned'</script>"


def fits(page: Any) -> None:
    """The page scrolls in one direction alone where it is 320 px wide."""
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.set_viewport_size({"width": 1280, "height": 800})


def test_a_finder_reports_and_the_desk_answers(server: Server, chromium: Any) -> None:
    server.config.write_text(server.config.read_text() + DESK)
    server.start()
    team.found_acme(server)
    finder = chromium.new_context(viewport={"width": 1280, "height": 800}, java_script_enabled=False).new_page()
    finder.goto(f"{server.url}/security")
    finder.get_by_role("link", name="the form").click()
    for name in ("title", "affected", "steps", "expected", "actual"):
        finder.fill(f"[name={name}]", f"{name}: {SCRIPT}")
    finder.wait_for_timeout(3500)  # nobody writes a report faster
    finder.click("main form button")
    finder.get_by_text("Keep the address of this page").wait_for()
    link = finder.url
    assert "/security/follow/" in link

    who = team.person(server, "sec", "developer")
    team.admin(server, "platform_role.grant", email=who.email)
    page = chromium.new_context(viewport={"width": 1280, "height": 800}).new_page()
    stopped: list[str] = []
    page.on("console", lambda one: stopped.append(one.text) if "Content Security Policy" in one.text else None)
    for path, name in (
        ("/security", "policy"),
        ("/security/report", "form"),
        (link.removeprefix(server.url), "follow"),
    ):
        page.goto(server.url + path)
        picture(page, f"disclosure-{name}")
        fits(page)
    page.goto(f"{server.url}/platform/x/disclosure")
    page.fill("[name=email]", who.email)
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.fill("[name=code]", next(codes(who.totp or "")))
    page.click("main button[type=submit]")
    page.get_by_role("heading", name="Disclosure desk").wait_for()
    assert "48 h left" in page.inner_text("main") or "47 h left" in page.inner_text("main")
    picture(page, "disclosure-queue")
    fits(page)
    page.get_by_role("link", name="1. title").click()
    page.fill("#tell", "Thank you. We see it too.")
    page.get_by_role("button", name="Send to the reporter").click()
    page.get_by_text("Thank you. We see it too.").wait_for()
    page.get_by_role("button", name="Take it").click()
    page.get_by_role("button", name="Give it back").wait_for()
    picture(page, "disclosure-report")
    fits(page)
    assert "owned" not in page.title()
    page.select_option("#reason", "duplicate")
    page.get_by_role("button", name="Close the report").click()
    page.get_by_text("Somebody reported it before.").first.wait_for()

    finder.goto(link)
    said = finder.inner_text("main")
    assert "Thank you. We see it too." in said
    assert "Somebody reported it before." in said
    assert who.email not in finder.content()
    assert stopped == []
    server.stop()
    assert team.failures_in(server) == []
