"""Who signed, told by the reviewer's browser itself, and what it says of a server that lies about it. E14 E15 P3"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from failgate.base.canonical import base64url, canonical
from failgate.sealed.form import octets
from failgate.sealed.keys import SigningKey, safety_number
from tests.journeys import team
from tests.journeys.harness import NewDatabase, on_sqlite
from tests.journeys.pictures import picture
from tests.journeys.sealed_house import House, house_of, opened, pin
from tests.journeys.team import WHERE, enter, person


@pytest.fixture(scope="module")
def house(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house_of(new_database, tmp_path_factory.mktemp("sealed")) as made:
        pin(made.page, made.pin)
        expect(made.page.get_by_text("Nothing waits.")).to_be_visible()
        yield made


def approved(house: House, name: str) -> str:
    """Return the request of a command that the browser's reviewer approved, and that ran."""
    agent = house.begun("touch", str(house.folder / name))
    cid = house.waiting()
    opened(house, cid).get_by_role("button", name="Sign: approve").click()
    expect(house.page.locator("[data-say]")).to_contain_text("You signed: approve")
    agent.communicate(timeout=60)
    assert agent.returncode == 0
    return cid


@pytest.fixture(scope="module")
def done(house: House) -> str:
    return approved(house, "done")


def row(page: Page, cid: str) -> Locator:
    return page.locator(f"[data-request='{cid}']")


def looked_at(house: House, page: Page | None = None) -> Page:
    page = page or house.page
    page.goto(f"{house.server.url}/w/acme/sealed")
    return page


def number(house: House) -> str:
    """Return the number of the key that the browser signs with."""
    [found] = [one for one in house.owner.get(f"{WHERE}/device-keys").json()["items"] if one["purpose"] == "deciding"][
        :1
    ]
    return safety_number(found["jkt"])


@on_sqlite
def test_each_decision_says_who_signed_it_with_which_key(house: House, done: str) -> None:
    page = looked_at(house)
    signed = row(page, done).locator(".signed")
    expect(signed).to_have_count(1)
    expect(signed).to_contain_text("Signed by lead@acme.example, you: approve")
    for said in ("browser key", number(house)[:11], "verified by this browser"):
        expect(signed).to_contain_text(said)
    expect(signed.get_by_title(number(house))).to_be_visible()
    expect(row(page, done)).to_contain_text("the server says: executed")
    picture(page, "sealed-signed-by")


@on_sqlite
def test_the_lock_says_what_it_means_on_hover_and_on_focus(house: House, done: str) -> None:
    page = looked_at(house)
    lock = row(page, done).locator(".lock")
    tip = lock.get_by_role("tooltip")
    expect(tip).to_be_hidden()
    lock.hover()
    expect(tip).to_be_visible()
    expect(tip).to_contain_text("Level 0 of 2: scripts that this server gave open it here.")
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    page.mouse.move(0, 0)
    lock.get_by_role("button").focus()
    expect(tip).to_be_visible()
    described = lock.get_by_role("button").get_attribute("aria-describedby")
    assert described == tip.get_attribute("id")
    assert page.locator(f"[id='{described}']").count() == 1
    picture(page, "sealed-lock")
    for width in (320, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        box = tip.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


@on_sqlite
def test_the_audit_page_has_the_lock_beside_what_it_says_of_a_sealed_command(house: House, done: str) -> None:
    with house.context.browser.new_context() as context:
        page = context.new_page()
        enter(page, house.server, person(house.server, "auditor", "auditor"))
        page.goto(f"{house.server.url}/w/acme/audit?object={done}")
        record = page.locator("[data-records] > li").first
        expect(record.locator("summary .chip.seal")).to_have_text("sealed")
        record.locator("summary").click()
        record.locator(".lock").get_by_role("button").focus()
        expect(record.get_by_role("tooltip")).to_contain_text("who signed, a reviewer’s browser verifies itself")
        picture(page, "sealed-audit")
        page.goto(f"{house.server.url}/w/acme/audit?type=member.added")
        expect(page.locator("[data-records] > li").first).to_be_visible()
        expect(page.locator(".lock")).to_have_count(0)


def part(token: str, place: int) -> dict[str, Any]:
    """Return the header (0) or the payload (1) of a compact JWS."""
    found: dict[str, Any] = json.loads(octets(token.split(".")[place], "token", most=4096))
    return found


def resigned(token: str, key: SigningKey, kid: str | None = None) -> str:
    """Return the decision `token` signed anew by `key` in the name of `kid`."""
    header = {"alg": "ES256", "kid": kid or key.jkt, "typ": "failgate-decision+jws"}
    text = f"{base64url(canonical(header))}.{token.split('.')[1]}"
    return f"{text}.{base64url(key.sign(text.encode()))}"


@on_sqlite
@pytest.mark.parametrize(
    ("lie", "why"),
    [
        ("a key of its own", "unknown-key"),
        ("a key of its own, listed as the reviewer's", "unknown-key"),
        ("the reviewer's name on another signature", "signature"),
        ("the word turned", "signature"),
        ("a decision about another request", "claims"),
        ("one decision twice", "replayed"),
        ("no keys", "unknown-key"),
        ("no decision at all", None),
    ],
)
def test_a_signer_whom_the_server_makes_up_is_told(house: House, done: str, lie: str, why: str | None) -> None:
    page, made = house.page, SigningKey.generate()

    def view(route: Route) -> None:
        answer = route.fetch()
        content: dict[str, Any] = answer.json()
        [true] = content["decisions"]
        kid = part(true, 0)["kid"]
        content["decisions"] = {
            "a key of its own, listed as the reviewer's": [resigned(true, made, kid)],
            "the reviewer's name on another signature": [resigned(true, made, kid)],
            "the word turned": [".".join([true.split(".")[0], turned(true), true.split(".")[2]])],
            "one decision twice": [true, true],
            "no keys": [true],
            "no decision at all": [],
        }.get(lie, [resigned(true, made)])
        if lie == "a decision about another request":
            other = house.owner.get(f"{WHERE}/sealed-commands/{another}").json()
            content["decisions"] = other["decisions"]
        route.fulfill(response=answer, body=json.dumps(content))

    def keys(route: Route) -> None:
        answer = route.fetch()
        content: dict[str, Any] = answer.json()
        for one in content["items"]:
            if lie == "no keys":
                one["purpose"] = "opening"
            elif lie.startswith("a key of its own, listed") and one["class"] == "browser":
                one["jwk"] = made.public_jwk()
        route.fulfill(response=answer, body=json.dumps(content))

    another = approved(house, "another") if lie == "a decision about another request" else ""
    page.route(f"**/sealed-commands/{done}", view)
    page.route("**/device-keys", keys)
    try:
        found = row(looked_at(house), done)
        if why is None:
            expect(found).to_contain_text("Nobody has signed a decision.")
        else:
            expect(found.locator(".note.bad")).to_contain_text(f"Not verified: {why}")
        expect(found.locator(".signed")).to_have_count(1 if lie == "one decision twice" else 0)
        if lie == "a key of its own":
            picture(page, "sealed-not-verified")
    finally:
        page.unroute_all(behavior="wait")


def turned(token: str) -> str:
    payload = part(token, 1)
    return base64url(canonical(payload | {"decision": "deny"}))


@on_sqlite
def test_the_name_that_was_first_told_is_the_one_that_counts(house: House, done: str) -> None:
    def renamed(route: Route) -> None:
        answer = route.fetch()
        content: dict[str, Any] = answer.json()
        for one in content["items"]:
            one["email"] = "chief@acme.example"
        route.fulfill(response=answer, body=json.dumps(content))

    house.page.route("**/members", renamed)
    try:
        signed = row(looked_at(house), done).locator(".signed")
        expect(signed).to_contain_text("Signed by lead@acme.example, you (the server now says chief@acme.example)")
    finally:
        house.page.unroute_all(behavior="wait")


@on_sqlite
def test_what_was_signed_under_an_older_manifest_is_still_verified(house: House, done: str) -> None:
    house.manifest()
    expect(row(looked_at(house), done).locator(".signed .chip.ok")).to_have_text("verified by this browser")


@on_sqlite
def test_a_browser_without_a_pin_says_that_it_can_name_nobody(house: House, done: str) -> None:
    with house.context.browser.new_context() as context:
        page = context.new_page()
        second = person(house.server, "second", "reviewer")
        enter(page, house.server, second)
        looked_at(house, page)
        page.get_by_role("button", name="Make and enrol keys").click()
        expect(row(page, done)).to_contain_text("Not verified: it has pinned no workspace.")
        expect(row(page, done).locator(".signed")).to_have_count(0)
        team.admin(house.server, "workspace.remove_member", workspace="acme", email=second.email)
