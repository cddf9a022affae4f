"""A sealed workspace on a real server whose reviewer sits at a real browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, expect

from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, at_port, browser
from tests.journeys.team import enter
from tests.journeys.test_sealed import Sealed


class House(Sealed):
    """The sealed workspace, whose reviewer has a browser in place of a terminal."""

    page: Page
    context: BrowserContext

    def enrol_in_browser(self) -> None:
        """Enrol the browser and the agent, sign the first manifest, pin it on both."""
        page = self.page
        page.goto(f"{self.server.url}/w/acme/sealed")
        page.get_by_role("button", name="Make and enrol keys").click()
        expect(page.locator("[data-numbers] dd")).to_have_count(2)
        expect(page.locator("[data-say]")).to_contain_text("is enrolled")
        numbers = page.locator("[data-numbers] dd").all_inner_texts()
        assert self.as_agent("agent", "enroll").returncode == 0
        assert self.as_admin("root", "root.json").returncode == 0
        shown = self.manifest()
        assert [number in shown for number in numbers] == [True, True]  # which the administrator compares
        assert self.as_agent("agent", "pin", self.pin).returncode == 0


@contextmanager
def house_of(new_database: NewDatabase, folder: Path, *, host: str = "127.0.0.1") -> Iterator[House]:
    """Serve one at `host`; its page is signed in and enrolled, not yet pinned. No script of it may fail."""
    server = Server(folder / "data", database_url=new_database(), config='[gate]\nrelay = "e2ee"\n')
    with team.served(at_port(server, host=host)), House(server, folder) as made, browser() as chromium:
        with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
            made.page, made.context = context.new_page(), context
            said: list[str] = []
            made.page.on("pageerror", lambda one: said.append(str(one)))
            enter(made.page, server, made.lead)
            made.enrol_in_browser()
            yield made
            assert said == []


def pin(page: Page, digest: str) -> None:
    page.get_by_label("Digest of the first manifest").fill(digest)
    page.get_by_role("button", name="Believe it").click()


def opened(house: House, cid: str) -> Page:
    page = house.page
    page.goto(f"{house.server.url}/w/acme/sealed")
    page.get_by_role("listitem").filter(has_text=cid).get_by_role("button", name="Open").click()
    return page
