"""A passkey that decides on sealed commands, with Chromium's virtual authenticator. E15 P3 P4"""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from failgate.sealed.keys import safety_number
from tests.journeys.harness import NewDatabase
from tests.journeys.pictures import picture
from tests.journeys.sealed_house import House, house_of, opened, pin
from tests.journeys.team import WHERE
from tests.journeys.test_second_factors import add_authenticator


class Keyed:
    """The house whose reviewer has an authenticator and added a passkey; no manifest names it yet."""

    def __init__(self, house: House) -> None:
        self.house = house
        devtools, self.authenticator = add_authenticator(house.page)
        self.devtools: Any = devtools  # which is said to be any object
        page = house.page
        pin(page, house.pin)
        expect(page.get_by_text("Nothing waits.")).to_be_visible()
        page.get_by_role("button", name="Add a passkey that decides").click()
        expect(page.locator("[data-say]")).to_contain_text("The passkey is enrolled.")
        [self.key] = [one for one in self.keys() if one["class"] == "webauthn"]

    def keys(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.house.owner.get(f"{WHERE}/device-keys").json()["items"]
        return found

    def verifies(self, *, user: bool) -> None:
        self.devtools.send("WebAuthn.setUserVerified", {"authenticatorId": self.authenticator, "isUserVerified": user})


@pytest.fixture(scope="module")
def keyed(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    with house_of(new_database, tmp_path_factory.mktemp("sealed"), host="localhost") as made:  # addresses have none
        yield Keyed(made)


def decisions(house: House, cid: str) -> list[Any]:
    found: list[Any] = house.owner.get(f"{WHERE}/sealed-commands/{cid}").json()["decisions"]
    return found


def test_until_a_manifest_names_it_the_browsers_key_signs(keyed: Keyed) -> None:
    house = keyed.house
    assert (keyed.key["rp"], keyed.key["origins"]) == ("localhost", [house.server.url])
    agent = house.begun("touch", str(house.folder / "before"))
    cid = house.waiting()
    opened(house, cid).get_by_role("button", name="Sign: approve").click()
    expect(house.page.locator("[data-say]")).to_have_text("You signed: approve. The request is approved.")
    agent.communicate(timeout=60)
    assert (agent.returncode, type(decisions(house, cid)[0])) == (0, str)


def test_the_agent_executes_what_the_passkey_signed(keyed: Keyed) -> None:
    """The administrator sees number, class and origin; the page is at level 1; its counter moves on, and is believed."""
    house, page = keyed.house, keyed.house.page
    shown = house.manifest()
    assert safety_number(keyed.key["jkt"]) in shown
    assert f"deciding, webauthn on {house.server.url}" in shown
    page.goto(f"{house.server.url}/w/acme/sealed")
    expect(page.locator("[data-changes]")).to_contain_text(safety_number(keyed.key["jkt"]))
    page.get_by_role("button", name="I have compared them").click()
    expect(page.locator("[data-waiting]")).to_be_visible()
    for name in ("first", "second"):
        agent = house.begun("touch", str(house.folder / name))
        cid = house.waiting()
        opened(house, cid)
        expect(page.locator("[data-command] [data-level='1']")).to_be_attached()
        assert page.locator("[data-command] [data-level='0']").get_attribute("hidden") is not None
        page.get_by_role("button", name="Sign: approve").click()
        expect(page.locator("[data-say]")).to_have_text("You signed: approve. The request is approved.")
        _, said = agent.communicate(timeout=60)
        assert (agent.returncode, (house.folder / name).exists()) == (0, True), said
        [sent] = decisions(house, cid)
        assert sent["kid"] == keyed.key["jkt"]
        signed = page.locator(f"[data-request='{cid}'] .signed")
        expect(signed).to_contain_text("passkey")
        expect(signed).to_contain_text("verified by this browser")
    picture(page, "sealed-passkey")


def test_a_person_whom_the_authenticator_does_not_verify_signs_nothing(keyed: Keyed) -> None:
    house, page = keyed.house, keyed.house.page
    agent = house.begun("touch", "unverified")
    cid = house.waiting()
    keyed.verifies(user=False)
    try:
        opened(house, cid).get_by_role("button", name="Sign: approve").click()
        expect(page.locator("[data-say]")).to_contain_text("Nothing was signed; try again.")
        assert decisions(house, cid) == []
    finally:
        keyed.verifies(user=True)
    page.get_by_role("button", name="Sign: deny").click()
    expect(page.locator("[data-say]")).to_have_text("You signed: deny. The request is denied.")
    agent.communicate(timeout=60)
    assert agent.returncode == 77


@pytest.mark.parametrize("lie", ["the word", "another signature"])
def test_an_assertion_that_was_changed_is_neither_shown_nor_believed(keyed: Keyed, lie: str) -> None:
    """By the page of who looks, and by the agent to whom the server says that it is approved."""
    house, page = keyed.house, keyed.house.page

    def changed(sent: dict[str, Any]) -> dict[str, Any]:
        if lie == "the word":
            payload = json.loads(base64.urlsafe_b64decode(sent["payload"] + "=="))
            text = json.dumps(payload | {"decision": "approve"}, separators=(",", ":"), sort_keys=True)
            return sent | {"payload": base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")}
        signature = base64.urlsafe_b64decode(sent["webauthn"]["signature"] + "==")
        other = signature[:-1] + bytes([signature[-1] ^ 1])
        text = base64.urlsafe_b64encode(other).decode().rstrip("=")
        return sent | {"webauthn": sent["webauthn"] | {"signature": text}}

    def meddle(method: str, path: str, answer: Any) -> Any:
        if method == "GET" and "/sealed-commands/" in path and answer.get("decisions"):
            return answer | {"state": "approved", "decisions": [changed(one) for one in answer["decisions"]]}
        return answer

    house.meddler.meddle = meddle
    try:
        agent = house.begun("touch", str(house.folder / "never"))
        cid = house.waiting()
        opened(house, cid).get_by_role("button", name="Sign: deny").click()
        expect(page.locator("[data-say]")).to_have_text("You signed: deny. The request is denied.")
        _, said = agent.communicate(timeout=60)
        assert (agent.returncode, (house.folder / "never").exists()) == (76, False), said
        why = "challenge" if lie == "the word" else "signature"
        assert why in said
    finally:
        house.meddler.meddle = lambda method, path, answer: answer

    def told(route: Route) -> None:
        answer = route.fetch()
        view = answer.json()
        route.fulfill(
            response=answer, body=json.dumps(view | {"decisions": [changed(one) for one in view["decisions"]]})
        )

    page.route(f"**/sealed-commands/{cid}", told)
    try:
        page.goto(f"{house.server.url}/w/acme/sealed")
        expect(page.locator(f"[data-request='{cid}'] .note.bad")).to_contain_text(f"Not verified: {why}")
    finally:
        page.unroute_all(behavior="wait")
