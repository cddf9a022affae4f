"""The exporters' page in a browser: one that delivers, one whose server is away, and a test record on a click. # B11"""

import json
import time
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.journeys.harness import NewDatabase, Server, at_port, browser, free_port
from tests.journeys.pictures import picture
from tests.journeys.team import admin, enter, found_acme, person


def test_an_operator_sees_how_exporters_stand_and_sends_a_test_record(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    lines = tmp_path / "audit.jsonl"
    config = (
        f'[audit]\nexporters = ["jsonl", "otlp"]\n[plugins.jsonl]\npath = "{lines}"\n'
        f'[plugins.otlp]\nendpoint = "http://127.0.0.1:{free_port()}/v1/logs"\n'
    )
    server = at_port(Server(tmp_path / "data", database_url=new_database(), config=config)).start()
    try:
        found_acme(server)
        operator = person(server, "otto")
        admin(server, "platform_role.grant", email=operator.email)
        with browser() as chromium:
            page = chromium.new_page(viewport={"width": 1280, "height": 800})
            enter(page, server, operator)
            page.goto(f"{server.url}/platform")
            page.get_by_role("link", name="Exporters").first.click()
            working = page.locator("section.card").filter(has=page.get_by_role("heading", name="jsonl"))
            away = page.locator("section.card").filter(has=page.get_by_role("heading", name="otlp"))
            expect(working).to_contain_text("up to date")
            expect(away).to_contain_text("Nothing leaves before a test record has arrived.")
            expect(away).to_contain_text("fails")
            fits(page, "exporters")
            before = arrived(lines)
            with page.expect_navigation():
                working.get_by_role("button", name="Send a test record").click()
            fits(page, "exporters-tested")
            deadline = time.monotonic() + 60
            while arrived(lines) == before and time.monotonic() < deadline:
                time.sleep(0.02)
            assert arrived(lines) == before + 1
    finally:
        assert server.stop() == 0


def arrived(lines: Path) -> int:
    return sum(json.loads(line)["log"] == "test" for line in lines.read_text().splitlines())


def fits(page: Page, name: str) -> None:
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than {width}"
    picture(page, name)
