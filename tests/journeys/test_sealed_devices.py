"""A reviewer's second browser: added by its number, shares what opens, is removed; and a server that swaps keys. E14 P3"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from failgate.base.canonical import base64url, canonical
from failgate.sealed.form import octets
from failgate.sealed.keys import OpeningKey, SigningKey
from tests.journeys.harness import NewDatabase
from tests.journeys.pictures import picture
from tests.journeys.sealed_house import House, house_of, pin
from tests.journeys.team import WHERE, enter
from tests.journeys.test_sealed import holding
from tests.relay.parties import MARKER


class Two:
    """The house whose reviewer has two browsers, both enrolled and pinned; nothing is shared yet."""

    def __init__(self, house: House, second: Page) -> None:
        self.house, self.first, self.second = house, house.page, second
        pin(house.page, house.pin)
        expect(house.page.get_by_text("Nothing waits.")).to_be_visible()
        enter(second, house.server, house.lead)
        self.look(second)
        second.get_by_role("button", name="Make and enrol keys").click()
        expect(second.locator("[data-say]")).to_contain_text("is enrolled")
        self.number = self.number_of(second)
        pin(second, house.pin)
        expect(second.locator("[data-unnamed]")).to_be_visible()

    def look(self, page: Page) -> Page:
        page.goto(f"{self.house.server.url}/w/acme/sealed")
        return page

    def number_of(self, page: Page) -> str:
        expect(page.locator("[data-device-number]")).to_have_text(re.compile(r"^[0-9]{5}( [0-9]{5}){7}$"))
        return page.locator("[data-device-number]").inner_text()

    def listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.house.owner.get(f"{WHERE}/device-keys").json()["items"]
        return [one for one in found if one["account"] == self.house.lead.id]

    def in_force(self) -> list[dict[str, Any]]:
        return [one for one in self.listed() if one["revoked_at"] is None]

    def share(self, number: str) -> None:
        self.look(self.first)
        self.first.get_by_label("Number of another device of yours").fill(number)
        self.first.get_by_role("button", name="Share with it").click()

    def compared(self, *pages: Page) -> None:
        for page in pages:
            self.look(page)
            page.get_by_role("button", name="I have compared them").click()
            expect(page.locator("[data-waiting]")).to_be_visible()

    def decided(self, page: Page, name: str) -> int:
        agent = self.house.begun("touch", str(self.house.folder / name), MARKER)
        cid = self.house.waiting()
        self.look(page).get_by_role("listitem").filter(has_text=cid).get_by_role("button", name="Open").click()
        expect(page.locator("[data-argv]")).to_contain_text(MARKER)
        page.get_by_role("button", name="Sign: approve").click()
        expect(page.locator("[data-say]")).to_have_text("You signed: approve. The request is approved.")
        agent.communicate(timeout=60)
        return agent.returncode


@pytest.fixture(scope="module")
def two(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with house_of(new_database, tmp_path_factory.mktemp("sealed")) as house:
        assert house.context.browser is not None
        with house.context.browser.new_context(viewport={"width": 1280, "height": 900}) as context:
            yield Two(house, context.new_page())


@pytest.mark.parametrize("swapped", ["opening", "deciding"])
def test_a_key_that_the_server_swapped_during_enrolment_is_shared_with_nobody(two: Two, swapped: str) -> None:
    """The number that is read from the other device is of other keys: the first device finds none, and shares nothing."""
    made = OpeningKey.generate().public_jwk() if swapped == "opening" else SigningKey.generate().public_jwk()
    before = [one["jkt"] for one in two.listed()]

    def lied(route: Route) -> None:
        answer = route.fetch()
        content = answer.json()
        for one in content["items"]:
            if one["label"].endswith(two.number[:11]) and one["purpose"] == swapped:
                one["jwk"] = made
        route.fulfill(response=answer, body=json.dumps(content))

    two.first.route("**/device-keys", lied)
    try:
        two.share(two.number)
        expect(two.first.locator("[data-say]")).to_contain_text("lists other keys than that device made: share nothing")
        picture(two.first, f"sealed-swapped-{swapped}")
    finally:
        two.first.unroute_all(behavior="wait")
    assert [one["jkt"] for one in two.listed()] == before


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("1234", "eight groups of five digits"),
        ("00000 " * 8, "No keys that the server lists for you"),
        ("own", "of this browser"),
    ],
)
def test_a_number_that_is_none_shares_nothing(two: Two, number: str, said: str) -> None:
    before = len(two.listed())
    number = two.number_of(two.look(two.first)) if number == "own" else number
    two.share(number)
    expect(two.first.locator("[data-say]")).to_contain_text(said)
    assert len(two.listed()) == before


def test_both_open_and_decide_once_the_administrator_signed(two: Two) -> None:
    two.share(two.number)
    expect(two.first.locator("[data-say]")).to_contain_text("The two devices share a new key that opens.")
    [shared] = [one for one in two.in_force() if one["copies"]]
    shown = two.house.manifest()
    numbers = two.first.locator("[data-numbers] dd").all_inner_texts()
    assert numbers[-1] in shown  # of the shared key
    two.compared(two.first, two.second)
    expect(two.second.locator("[data-unnamed]")).to_be_hidden()
    expect(two.second.locator("[data-numbers]")).to_contain_text(numbers[-1])
    picture(two.first, "sealed-devices")
    assert [two.decided(two.second, "by the second"), two.decided(two.first, "by the first")] == [0, 0]
    copies = list(shared["copies"].values())
    assert len(copies) == 1
    assert holding(two.house.server.data, MARKER) == []


def test_a_copy_that_no_device_of_the_person_signed_is_not_taken(two: Two) -> None:
    """A server that hands out a key of its own as the shared one is told, and the page goes on with what it has."""
    made, signer = OpeningKey.generate(), SigningKey.generate()

    def lied(route: Route) -> None:
        answer = route.fetch()
        content = answer.json()
        [shared] = [one for one in content["items"] if one["copies"] and one["revoked_at"] is None]
        [(to, true)] = shared["copies"].items()
        payload = json.loads(octets(true.split(".")[1], "copy", most=8192)) | {"key": made.jkt}
        header = {"alg": "ES256", "kid": signer.jkt, "typ": "failgate-opening-key+jws"}
        text = f"{base64url(canonical(header))}.{base64url(canonical(payload))}"
        copy = f"{text}.{base64url(signer.sign(text.encode()))}"
        more = shared | {"id": "x", "jkt": made.jkt, "jwk": made.public_jwk(), "copies": {to: copy}}
        content["items"].append(more)
        route.fulfill(response=answer, body=json.dumps(content))

    two.second.route("**/device-keys", lied)
    try:
        two.look(two.second)
        expect(two.second.locator("[data-say]")).to_contain_text("not believed: unknown-key")
    finally:
        two.second.unroute_all(behavior="wait")


def test_a_device_that_is_removed_opens_and_decides_no_more(two: Two) -> None:
    page, label = two.look(two.first), f"Browser {two.number[:11]}"
    row = page.locator(f"[data-device='{label}']")
    row.get_by_role("button", name="Remove").click()
    assert len([one for one in two.in_force() if one["label"] == label]) == 2  # asked once more before
    row.get_by_role("button", name="Remove for good").click()
    expect(page.locator("[data-say]")).to_contain_text(f"{label} is removed")
    expect(row).to_have_count(0)
    assert [one for one in two.in_force() if one["label"] == label or one["copies"]] == []
    asked = two.house.as_agent("run", "--", "touch", "removed")
    assert (asked.returncode, (two.house.folder / "removed").exists()) == (76, False), asked.stderr
    two.house.manifest()
    two.compared(two.first, two.second)
    expect(two.second.locator("[data-unnamed]")).to_be_visible()
    assert two.decided(two.first, "alone") == 0
    agent = two.house.begun("touch", str(two.house.folder / "unread"), MARKER)
    cid = two.house.waiting()
    two.look(two.second).get_by_role("listitem").filter(has_text=cid).get_by_role("button", name="Open").click()
    expect(two.second.locator("[data-say]")).to_contain_text("not believed: not-a-recipient")
    assert MARKER not in two.second.content()
    agent.kill()
    agent.communicate(timeout=60)
