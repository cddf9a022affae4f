"""People approve at their own pace, by keys and by mouse; programs in their place do not. ASVS 2.4.2"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, browser, on_postgres, on_sqlite
from tests.journeys.team import WHERE, ask, form, slug, vote
from tests.journeys.test_reviewers_page import House, row, shown

LONG = 5.0  # seconds: no busy machine takes that between two requests


@contextlib.contextmanager
def housed(folder: Path, database_url: str | None, read_for: str) -> Iterator[House]:
    config = f'[gate]\nread_for = "{read_for}"\napprove_at_once = 0\n'
    with (
        team.served(Server(folder / "data", database_url=database_url, config=config)) as server,
        browser() as chromium,
    ):
        with House(server, chromium) as one:
            yield one


def asked(house: House, *words: str) -> list[dict[str, Any]]:
    return [ask(house.agent, "make", word, ttl_seconds=600) for word in words]


def counted(page: Page) -> None:
    expect(page.locator(".toast")).to_have_text("Your approval counted.")


def test_with_the_default_a_queue_is_worked_off_by_keys_and_by_mouse_as_ever(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    with housed(tmp_path, new_database(), "500ms") as house:
        views = asked(house, "one", "two", "three")
        with house.page(house.ann) as page:
            for view in views:
                row(page, view).click()
                shown(page, view)
                page.keyboard.press("a")
                counted(page)
                expect(page.locator("[data-verdict]")).to_have_attribute("data-verdict", "approved")
        [last] = asked(house, "four")
        with house.page(house.ann, f"commands/{last['id']}") as page:
            page.wait_for_timeout(600)  # a person who looks, at their quickest
            page.locator("[data-act] button[value=approve]").click()
            counted(page)
        assert [house.state(view) for view in (*views, last)] == ["approved"] * 4


@pytest.fixture(scope="module")
def patient(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with housed(tmp_path_factory.mktemp("patient"), new_database(), f"{LONG:.0f}s") as house:
        yield house


@on_sqlite
def test_a_click_that_comes_too_soon_does_not_count_and_the_page_says_so_and_lets_one_try_again(patient: House) -> None:
    [view] = asked(patient, "clicked")
    with patient.page(patient.ann) as page:
        page.locator("[data-act] button[value=approve]").click()
        expect(page.locator("[data-say]")).to_contain_text("sooner than anybody reads")
        assert patient.state(view) == "pending"
        page.wait_for_timeout(1000 * LONG)
        page.locator("[data-act] button[value=approve]").click()
        counted(page)
    assert patient.state(view) == "approved"


@on_postgres
def test_programs_that_did_not_look_or_approve_many_at_once_are_refused_and_on_record(patient: House) -> None:
    unseen, *opened = asked(patient, "unseen", "a", "b", "c")
    refused = vote(patient.bob, unseen)
    assert (refused.status_code, slug(refused)) == (429, "too-soon")
    assert 1 <= int(refused.headers["retry-after"]) <= LONG
    path = f"/w/acme/commands/{opened[0]['id']}"
    page = form(patient.bob, path, to=f"{path}/votes", decision="approve", digest=opened[0]["digest"])
    assert (page.status_code, "sooner than anybody reads" in page.text) == (429, True)
    for view in opened:
        assert patient.bob.get(f"{WHERE}/commands/{view['id']}").status_code == 200
    time.sleep(LONG)
    assert [vote(patient.bob, view).status_code for view in opened] == [200, 429, 429]
    assert [vote(patient.bob, view, "deny").status_code for view in (*opened[1:], unseen)] == [200] * 3
    with team.sign_in(patient.server, team.person(patient.server, "audrey", "auditor")) as audrey:
        records = audrey.get(f"{WHERE}/audit/records").json()["records"]
    told = [one["record"]["data"] for one in records if one["record"]["act"] == "vote.refused"]
    commands = {one["command"]: one["reason"] for one in told}
    assert commands[unseen["id"]] == "not shown"
    assert commands[opened[1]["id"]] == commands[opened[2]["id"]] == "too soon"
    assert {one["least_ms"] for one in told} == {1000 * LONG}
