"""From the reporter's form to the published advisory in Chromium, every step by a person's clicks. F25 E27"""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.journeys import team
from tests.journeys.harness import Server
from tests.journeys.pictures import picture
from tests.journeys.team import PASSWORD, codes
from tests.journeys.test_disclosure_browser import fits

DESK = """
[plugins.disclosure]
contacts = ["mailto:security@acme.example"]
expires = 2027-05-01
changed = 2026-11-20
url = "https://desk.acme.example"
publisher = "Acme"
"""
VECTOR = "CVSS:4.0/AV:N/AC:L/AT:N/PR:L/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N"
WRITTEN = {
    "title": "A share link opens a report twice",
    "affected": "failgate 1.4.1, /s/{share}",
    "steps": "1. Make a share link.\n2. Send two requests with it at once.",
    "actual": "Both show the report.",
    "credit": "Ada Finder",
}
DRAFT = {
    "tracking_id": "ACME-2026-0001",
    "summary": "Whoever has a single-use link reads the report more than once.",
    "description": "A link was marked as used after its report was read.\n\nTwo requests at once both passed the check.",
    "products.0.vendor": "Acme",
    "products.0.name": "Gate",
    "products.0.purl": "pkg:pypi/gate",
    "products.0.affected": ">=1.0.0 <1.4.2",
    "products.0.fixed": "1.4.2",
    "remediations.0.details": "Install 1.4.2 or later.",
    "remediations.0.url": "https://acme.example/download",
    "references.0.summary": "The change",
    "references.0.url": "https://acme.example/changes/17",
    "timeline.0.at": "2026-11-01T09:00",
    "timeline.0.what": "Reported.",
}


def save(page: Any, fields: dict[str, str]) -> None:
    for name, text in fields.items():
        page.fill(f"[name='{name}']", text)
    page.get_by_role("button", name="Save the draft").click()


def test_a_report_becomes_an_advisory_that_everybody_reads_after_its_embargo(server: Server, chromium: Any) -> None:
    server.config.write_text(server.config.read_text() + DESK)
    server.start()
    team.found_acme(server)
    finder = chromium.new_context(viewport={"width": 1280, "height": 800}, java_script_enabled=False).new_page()
    finder.goto(f"{server.url}/security/report")
    for name, text in WRITTEN.items():
        finder.fill(f"[name={name}]", text)
    finder.wait_for_timeout(3500)  # nobody writes a report faster
    finder.click("main form button")
    finder.get_by_text("Keep the address of this page").wait_for()

    who, other = team.person(server, "sec", "developer"), team.person(server, "other")
    for each in (who, other):
        team.admin(server, "platform_role.grant", email=each.email)
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    page = context.new_page()
    stopped: list[str] = []
    page.on("console", lambda one: stopped.append(one.text) if "Content Security Policy" in one.text else None)
    page.goto(f"{server.url}/platform/x/disclosure")
    page.fill("[name=email]", who.email)
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.fill("[name=code]", next(codes(who.totp or "")))
    page.click("main button[type=submit]")
    page.get_by_role("link", name=WRITTEN["title"]).click()
    report = page.url
    page.select_option("#assignee", other.email)
    page.get_by_role("button", name="Give it to them").click()
    page.get_by_text(f"{other.email} looks after it").wait_for()
    page.fill("#link-workspace", "acme")
    page.select_option("#link-kind", "record")
    page.fill("#link-object", "3")
    page.get_by_role("button", name="Add the link").click()
    assert page.get_by_role("link", name="Audit record 3, acme").get_attribute("href") == "/w/acme/audit?object=3"

    # The severity: the metric that is wrong is named, and what was written stands there still.
    page.get_by_role("link", name="Change severity").click()
    page.fill("#vector", VECTOR.replace("PR:L", "PR:?"))
    page.fill("#embargo", "2126-01-01")
    page.fill("#credits", "Ada Finder")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The metric PR does not take").wait_for()
    assert page.input_value("#embargo") == "2126-01-01"
    picture(page, "disclosure-triage")
    fits(page)
    page.fill("#vector", VECTOR)
    page.get_by_role("button", name="Save").click()
    page.get_by_text("High 7.1").first.wait_for()
    picture(page, "disclosure-triaged")
    fits(page)

    # The draft: all that is missing is said; what is written is kept all the same.
    page.get_by_role("button", name="Begin an advisory").click()
    page.get_by_text("missing or wrong before it can be published").wait_for()
    assert page.input_value("[name='credits.0.name']") == "Ada Finder"
    picture(page, "disclosure-draft-begun")
    fits(page)
    late = context.new_page()
    late.goto(page.url)
    save(page, DRAFT)
    page.get_by_text("missing or wrong before").wait_for()  # the embargo alone
    assert page.get_by_text("1 thing is missing or wrong").count() == 1

    # Somebody whose page is older loses nothing and overwrites nothing.
    save(late, {"summary": "Another summary."})
    late.get_by_text("Nothing was saved").wait_for()
    assert late.input_value("[name=summary]") == "Another summary."
    assert late.locator(".note.wait pre", has_text=DRAFT["summary"]).count() == 1
    picture(late, "disclosure-draft-both")
    fits(late)
    late.close()

    with page.expect_download() as kept:
        page.get_by_role("link", name="CSAF 2.0").click()
    document = json.loads(kept.value.path().read_text())["document"]
    assert (kept.value.suggested_filename, document["tracking"]["status"]) == ("acme-2026-0001.json", "draft")
    with page.expect_download() as kept:
        page.get_by_role("link", name="Markdown").click()
    assert kept.value.path().read_text().startswith("# A share link opens a report twice")

    page.check("[name=sure]")
    page.get_by_role("button", name="Publish").click()
    page.get_by_text("Nothing was published").wait_for()
    page.get_by_text("nothing is published before").wait_for()
    picture(page, "disclosure-draft-embargo")
    fits(page)
    finder.goto(f"{server.url}/security/advisories")
    finder.get_by_text("Nothing was published.").wait_for()

    # The embargo ends, and everybody reads it.
    ends = datetime.now(UTC) + timedelta(seconds=3)
    page.goto(f"{report}/triage")
    page.fill("#embargo", ends.strftime("%Y-%m-%dT%H:%M:%S"))
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Open the advisory").click()
    page.get_by_role("heading", name="Publish").wait_for()
    deadline = time.monotonic() + 60
    while datetime.now(UTC) < ends and time.monotonic() < deadline:
        page.wait_for_timeout(200)
    page.check("[name=sure]")
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("button", name="Publish revision 2").wait_for()
    picture(page, "disclosure-draft-published")
    fits(page)

    finder.reload()
    finder.get_by_role("link", name=WRITTEN["title"]).click()
    said = finder.inner_text("main")
    for told in (
        "ACME-2026-0001",
        "High 7.1",
        "from 1.0.0 before 1.4.2",
        "Ada Finder",
        "Install 1.4.2",
        "First publication.",
    ):
        assert told in said, told
    assert who.email not in finder.content()
    page.goto(f"{server.url}/security/advisories")
    picture(page, "disclosure-advisories")
    fits(page)
    page.get_by_role("link", name=WRITTEN["title"]).click()
    picture(page, "disclosure-advisory")
    fits(page)
    with page.expect_download() as kept:
        page.get_by_role("link", name="CSAF 2.0").click()
    document = json.loads(kept.value.path().read_text())["document"]
    assert document["tracking"]["status"] == "final"
    page.goto(f"{server.url}/platform/x/disclosure")
    picture(page, "disclosure-queue-triaged")
    fits(page)
    assert stopped == []
    server.stop()
    assert team.failures_in(server) == []
