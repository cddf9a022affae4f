"""What the page of sealed commands is made of: named, on record, compared, and refused by a browser when it differs. P3"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Route, expect

from failgate.web.bundle import bundle_digest, bundle_files
from tests.journeys import team
from tests.journeys.harness import NewDatabase, failgate
from tests.journeys.pictures import picture
from tests.journeys.sealed_house import House, house_of, pin

SIGNERS = "**/sealed/signers.js"


@pytest.fixture(scope="module")
def house(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house_of(new_database, tmp_path_factory.mktemp("sealed")) as made:
        pin(made.page, made.pin)
        expect(made.page.get_by_text("Nothing waits.")).to_be_visible()
        yield made


def test_a_browser_loads_what_the_manifest_lists_and_nothing_else(house: House) -> None:
    asked = set[str]()
    with house.context.browser.new_context(storage_state=house.context.storage_state()) as context:
        page = context.new_page()  # with nothing of it in a cache
        page.on("request", lambda one: asked.add(urlsplit(one.url).path))
        page.goto(f"{house.server.url}/w/acme/sealed")
        expect(page.get_by_role("button", name="Make and enrol keys")).to_be_visible()
        expect(page.locator("[data-bundle]")).to_have_text(bundle_digest())
        expect(page.locator("[data-unrun]")).to_be_hidden()
    loaded = {path.removeprefix("/static/").split("/", 1)[-1] for path in asked if path.startswith("/static/")}
    assert {path for path in bundle_files() if path != "icon.svg"} <= loaded | {"icon.svg"}
    assert loaded <= set(bundle_files())


def test_a_file_that_was_changed_on_the_way_does_not_run(house: House) -> None:
    def changed(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(
            body=answer.text() + "\nglobalThis.stolen = true;", content_type="text/javascript",
            headers={"cache-control": "no-store"},
        )  # fmt: skip

    page = house.page
    page.route(SIGNERS, changed)
    try:
        page.goto(f"{house.server.url}/w/acme/sealed")
        expect(page.locator("[data-unrun]")).to_be_visible()
        expect(page.locator("[data-waiting]")).to_be_hidden()
        assert page.evaluate("globalThis.stolen") is None
        picture(page, "sealed-changed-file")
    finally:
        page.unroute(SIGNERS)
    page.goto(f"{house.server.url}/w/acme/sealed")
    expect(page.get_by_text("Nothing waits.")).to_be_visible()
    expect(page.locator("[data-unrun]")).to_be_hidden()
    picture(page, "sealed-bundle")


def test_who_compares_finds_the_file_that_a_server_changed(house: House) -> None:
    said = failgate("web-manifest", "--at", house.server.url)
    assert (said.returncode, said.stdout.splitlines()[-2:]) == (
        0, [f"digest  {bundle_digest()}", "Every file is the same there."],
    )  # fmt: skip

    def meddle(method: str, path: str, answer: Any) -> Any:
        if path.endswith("/sealed/decision.js"):
            return answer.replace(b"approve", b"APPROVE")  # as long as before
        return answer + b"\n" if path.endswith("/theme.js") else answer

    house.meddler.meddle = meddle
    try:
        said = failgate("web-manifest", "--json", "--at", house.meddler.url)
        assert said.returncode == 1, said.stderr
        told = json.loads(said.stdout)
        assert (told["digest"], told["others"]) == (bundle_digest(), ["sealed/decision.js", "theme.js"])
        lines = failgate("web-manifest", "--at", house.meddler.url).stdout.splitlines()
        assert [one.split()[1] for one in lines if "ANOTHER" in one] == told["others"]
        assert lines[-1] == "2 files are others there."
    finally:
        house.meddler.meddle = lambda method, path, answer: answer


def test_no_server_is_an_error_that_names_it() -> None:
    said = failgate("web-manifest", "--at", "http://127.0.0.1:9")
    assert (said.returncode != 0, "127.0.0.1:9" in said.stderr, "Traceback" in said.stderr) == (True, True, False)


def test_a_server_puts_its_bundle_on_record_and_not_again_at_each_start(house: House) -> None:
    def records() -> list[tuple[Any, ...]]:
        return team.rows(house.server, "SELECT leaf FROM audit_record WHERE obj_id = 'web_bundle'")

    assert len(records()) == 1
    house.server.stop()
    house.server.start()
    [[leaf]] = records()
    record = json.loads(bytes(leaf))
    assert (record["act"], record["data"]["manifest"]) == ("web_bundle.changed", bundle_digest())
