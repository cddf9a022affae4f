"""A reviewer's browser in end-to-end mode, from enrolment to a signed decision on which the agent relies. E14 E15 P3"""

import json
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from failgate.base.canonical import digest_of
from failgate.client.administering import load_root
from failgate.client.pins import load_pins
from failgate.matching.rendering import render_token
from failgate.sealed.form import octets
from failgate.sealed.keys import safety_number
from failgate.sealed.manifest import MOST_BYTES, sign_manifest
from tests.journeys import team
from tests.journeys.agent_machine import waited_for
from tests.journeys.harness import NewDatabase, on_sqlite
from tests.journeys.pictures import picture
from tests.journeys.sealed_house import House, house_of, opened, pin
from tests.journeys.team import WHERE, program
from tests.journeys.test_sealed import holding
from tests.relay.parties import MARKER

RLO = "\N{RIGHT-TO-LEFT OVERRIDE}"


@pytest.fixture(scope="module")
def house(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house_of(new_database, tmp_path_factory.mktemp("sealed")) as made:
        yield made


@on_sqlite
def test_a_foreign_pin_is_not_believed_and_the_right_one_is(house: House) -> None:
    page = house.page
    page.goto(f"{house.server.url}/w/acme/sealed")
    pin(page, "A" * 43)
    expect(page.locator("[data-say]")).to_contain_text("not believed: pin")
    pin(page, house.pin)
    expect(page.get_by_text("Nothing waits.")).to_be_visible()
    expect(page.locator("[data-unnamed]")).to_be_hidden()
    page.reload()
    expect(page.get_by_text("Nothing waits.")).to_be_visible()
    expect(page.locator("[data-pin-card]")).to_be_hidden()


@on_sqlite
def test_what_the_browser_opens_and_signs_is_executed(house: House) -> None:
    made = house.folder / "made in the browser"
    agent = house.begun("touch", str(made), MARKER, f"x{RLO}   y ")
    cid = house.waiting()
    page = opened(house, cid)
    tokens = page.locator("[data-argv] .token")
    expect(tokens).to_have_text(["touch", str(made), MARKER, "x⟨U+202E RLO⟩⟨U+0020 SPACE x3⟩y⟨U+0020 SPACE⟩"])
    pins = load_pins(str(house.agent_home))
    assert pins is not None
    expect(page.locator("[data-facts]")).to_contain_text(safety_number(pins.key.jkt))
    picture(page, "sealed-opened")
    page.get_by_role("button", name="Sign: approve").click()
    expect(page.locator("[data-say]")).to_have_text("You signed: approve. The request is approved.")
    _, said = agent.communicate(timeout=60)
    assert (agent.returncode, made.exists()) == (0, True), said
    assert house.owner.get(f"{WHERE}/sealed-commands/{cid}").json()["state"] == "executed"
    assert holding(house.server.data, MARKER) == []


@on_sqlite
def test_a_denial_that_the_browser_signs_ends_the_request(house: House) -> None:
    agent = house.begun("touch", "never")
    page = opened(house, house.waiting())
    page.get_by_role("button", name="Sign: deny").click()
    expect(page.locator("[data-say]")).to_have_text("You signed: deny. The request is denied.")
    agent.communicate(timeout=60)
    assert (agent.returncode, (house.folder / "never").exists()) == (77, False)


@on_sqlite
@pytest.mark.parametrize(("lie", "why"), [("tag", "does-not-open"), ("other", "claims"), ("aad", "not-canonical")])
def test_what_a_server_changed_is_not_shown(house: House, lie: str, why: str) -> None:
    agents = [house.begun("touch", "first")]
    first = house.waiting()
    agents.append(house.begun("touch", "second"))
    second = house.waiting()

    def changed(route: Route) -> None:
        answer = route.fetch()
        view: dict[str, Any] = answer.json()
        if lie == "other":
            view["sealed"] = house.owner.get(f"{WHERE}/sealed-commands/{second}").json()["sealed"]
        else:
            text = view["sealed"][lie]
            view["sealed"][lie] = ("B" if text[0] == "A" else "A") + text[1:]
        route.fulfill(response=answer, body=json.dumps(view))

    house.page.route(f"**/sealed-commands/{first}", changed)
    try:
        page = opened(house, first)
        expect(page.locator("[data-say]")).to_contain_text(f"not believed: {why}")
        expect(page.locator("[data-command]")).to_be_hidden()
    finally:
        house.page.unroute(f"**/sealed-commands/{first}")
        for agent in agents:
            agent.kill()
            agent.communicate(timeout=60)


@on_sqlite
def test_the_buttons_sign_what_is_shown_and_nothing_that_was_shown_before(house: House) -> None:
    """While who signed is still being fetched, the buttons are of the command in sight. P4"""
    agents = [house.begun("touch", "one")]
    first = house.waiting()
    agents.append(house.begun("touch", "two"))
    second = house.waiting()
    page, held = opened(house, first), list[Route]()
    expect(page.locator("[data-signatures] li")).to_be_visible()
    expect(page.locator("[data-argv]")).to_contain_text("one")
    page.route("**/device-keys", lambda route: held.append(route))  # not answered before the end
    try:
        page.get_by_role("listitem").filter(has_text=second).get_by_role("button", name="Open").click()
        expect(page.locator("[data-argv]")).to_contain_text("two")
        expect(page.locator("[data-signatures] li")).to_have_count(0)
        page.get_by_role("button", name="Sign: deny").click()

        def states() -> list[str]:
            return [house.owner.get(f"{WHERE}/sealed-commands/{cid}").json()["state"] for cid in (first, second)]

        waited_for(lambda: states()[1] != "pending")
        assert states() == ["pending", "denied"]
    finally:
        page.unroute("**/device-keys")
        for agent in agents:
            agent.kill()
            agent.communicate(timeout=60)


@on_sqlite
def test_keys_that_change_are_told_until_they_are_compared(house: House) -> None:
    with program(house.server, house.key):
        made = team.admin(house.server, "agent.create", workspace="acme", name="other", owner="owner@acme.example")
    token, house.token = house.token, made["token"]
    other = house.folder / "other"
    assert house.as_agent("agent", "enroll", home=other).returncode == 0
    house.token = token
    house.manifest()
    pins = load_pins(str(other))
    assert pins is not None
    page = house.page
    for _ in range(2):  # a reload takes it away from nobody's eyes
        page.goto(f"{house.server.url}/w/acme/sealed")
        expect(page.get_by_role("heading", name="Keys have changed")).to_be_visible()
        expect(page.locator("[data-changes]")).to_have_text(f"new: agent, {safety_number(pins.key.jkt)}")
        expect(page.locator("[data-waiting]")).to_be_hidden()
    picture(page, "sealed-keys-changed")
    page.get_by_role("button", name="I have compared them").click()
    expect(page.locator("[data-waiting]")).to_be_visible()
    page.reload()
    expect(page.locator("[data-waiting]")).to_be_visible()
    expect(page.locator("[data-alarm]")).to_be_hidden()


@on_sqlite
def test_texts_are_shown_as_in_plain_mode(house: House) -> None:
    """The same parts for every character, but that a name of Unicode beyond the short list is left out."""
    page, chance = house.page, random.Random(16)
    texts = [
        "",
        " ",
        "a b",
        "a  b",
        "a   b",
        " a",
        "a ",
        "  ",
        "\n\n",
        "a\u0301",
        "\u27e8empty\u27e9",
        "\U0001f600" * 3,
    ]
    texts += [chr(code) for code in range(1, 0x3100)] + [chr(code) for code in range(0xD7F0, 0xFFFF, 7)]
    letters = [*"abc \u00e9\u0301\u202e\u27e8\u27e9\U000e0101\U0001f600\x00\x7f\ufeff", " ", " "]
    texts += ["".join(chance.choices(letters, k=chance.randrange(1, 12))) for _ in range(3000)]
    version = page.locator("script[src*='/sealed/page.js']").get_attribute("src")
    assert version is not None
    script = "async ([at, texts]) => { const { rendered } = await import(at); return texts.map(rendered); }"
    found = page.evaluate(script, [version.replace("page.js", "rendering.js"), json.loads(json.dumps(texts))])
    kept = ("VS", "C1 CONTROL", "LONE SURROGATE")
    for text, parts in zip(texts, found, strict=True):
        assert [one["isUnusual"] for one in parts] == [one.unusual for one in render_token(text)], repr(text)
        for here, there in zip(parts, render_token(text), strict=True):
            words = there.text.strip("\u27e8\u27e9").split(" ")
            is_short = here["text"] == there.text
            assert is_short or here["text"] == _unnamed(words), (repr(text), here, there)
            assert is_short or not any(name in there.text for name in kept)


@on_sqlite
def test_a_manifest_that_names_this_browsers_key_as_a_terminals_is_refused(house: House) -> None:
    """A server that lists the key as `native` has an administrator sign that: a policy would be met that nobody meant."""
    root = load_root(house.folder / "root.json")
    assert root.last is not None
    last = json.loads(octets(root.last["payload"], "payload", most=MOST_BYTES))
    now = int(time.time())
    payload = last | {"epoch": last["epoch"] + 1, "prev": digest_of(last), "iat": now, "exp": now + 86_400}
    [own] = [key for one in payload["members"] for key in one["sig"] if one["uid"] == house.lead.id]
    assert own["class"] == "browser"

    def answered(route: Route) -> None:
        answer = route.fetch()
        content = answer.json()
        if f"after={last['epoch']}" in route.request.url or content["items"]:
            content["items"].append({**sign_manifest(payload, [root.key]), "keys": [root.key.public_jwk()]})
        route.fulfill(response=answer, body=json.dumps(content))

    page = house.page
    for kind in ("native", "browser"):
        own["class"] = kind
        page.route("**/key-manifests?*", answered)
        try:
            page.goto(f"{house.server.url}/w/acme/sealed")
            if kind == "native":
                expect(page.locator("[data-say]")).to_contain_text("not believed: class")
                expect(page.locator("[data-alarm]")).to_be_hidden()
            else:  # the same manifest with the class that the key has
                expect(page.locator("[data-waiting]")).to_be_visible()
        finally:
            page.unroute_all(behavior="wait")


def _unnamed(words: list[str]) -> str:
    count = [words[-1]] if words[-1][:1] == "x" and words[-1][1:].isdigit() else []
    return "\u27e8" + " ".join([words[0], *count]) + "\u27e9"
