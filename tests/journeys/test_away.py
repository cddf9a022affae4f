"""A reviewer goes away and names who stands in, in a browser; the queue says so, and the place in the group counts. # B8"""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from failgate.web.pages.doors import PAGES
from tests.journeys.harness import Server
from tests.journeys.pictures import picture
from tests.journeys.team import WHERE, admin, ask, enter, form, found_acme, person, program, sign_in, vote

GROUPS = """
[plugins.quorum.groups.lead]
need = 1
members = ["ann@acme.example"]
"""


@pytest.fixture
def acme(server: Server) -> Server:
    server.config.write_text(server.config.read_text() + GROUPS)
    server.start()
    found_acme(server)
    return server


def opened(chromium, server: Server, who) -> Page:
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, timezone_id="Europe/Berlin")
    page: Page = context.new_page()
    enter(page, server, who)
    page.wait_for_url(f"{server.url}/")
    return page


def local(**ahead: int) -> str:
    return f"{datetime.now(UTC) + timedelta(**ahead):%Y-%m-%dT%H:%M}"


def test_an_absence_is_declared_seen_and_counts_until_one_is_back(acme: Server, chromium) -> None:
    ann, ben = person(acme, "ann", "reviewer"), person(acme, "ben", "reviewer")
    person(acme, "dev", "developer")
    bot = program(acme, admin(acme, "agent.create", workspace="acme", name="deploy-bot")["token"])
    page = opened(chromium, acme, ann)
    page.goto(f"{acme.url}/account")
    page.locator("a[href='/account/away']").click()
    stand_in = page.get_by_label("Who stands in")
    expect(stand_in.locator("option")).to_have_text(["Nobody", "ben@acme.example", "owner@acme.example"])
    picture(page, "away-form")
    page.get_by_label("Until").fill(local(days=-1))
    page.get_by_role("button", name="Save for").click()
    expect(page.get_by_role("alert")).to_contain_text("The absence ends before it begins")
    page.get_by_label("Until").fill(local(days=2))
    page.get_by_label("Time zone").fill("Mars/Olympus")
    page.get_by_role("button", name="Save for").click()
    expect(page.get_by_role("alert")).to_contain_text("no such time zone")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    stand_in.select_option("ben@acme.example")
    stand_in.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # on the button
    expect(page.locator("[data-away]")).to_contain_text("You are away.")
    expect(page.locator("[data-away]")).to_contain_text("Europe/Berlin. ben@acme.example stands in for you.")
    picture(page, "away-declared")
    asked = ask(bot, "deploy", "all", ttl_seconds=900)
    reviewing = opened(chromium, acme, ben)
    reviewing.goto(f"{acme.url}/w/acme/queue?c={asked['id']}")
    expect(reviewing.locator("[data-away-now]")).to_contain_text("ann@acme.example is away until")
    expect(reviewing.locator("[data-away-now]")).to_contain_text("ben@acme.example stands in")
    expect(reviewing.locator("[data-stand-in]")).to_have_text("or ben@acme.example (standing in for ann@acme.example)")
    picture(reviewing, "away-queue")
    reviewing.locator("[data-approve]").click()
    expect(reviewing.locator("[data-verdict]")).to_contain_text("Approved")
    page.get_by_role("button", name="I am back").click()
    expect(page.locator("main")).not_to_contain_text("You are away.")
    again = ask(bot, "deploy", "all", ttl_seconds=900)
    reviewing.goto(f"{acme.url}/w/acme/queue?c={again['id']}")
    expect(reviewing.locator("[data-away-now]")).to_have_count(0)
    reviewing.locator("[data-approve]").click()
    expect(reviewing.locator("[data-counted]")).to_contain_text("1 of lead")
    page.get_by_label("Until").fill(local(days=2))
    stand_in.select_option("ben@acme.example")
    page.get_by_role("button", name="Save for").click()
    expect(page.locator("[data-away]")).to_contain_text("You are away.")
    reviewing.reload()
    reviewing.locator("[data-approve]").click()  # once more, now in ann's place
    expect(reviewing.locator("[data-verdict]")).to_contain_text("Approved")
    page.get_by_role("button", name="I am back").click()
    third = ask(bot, "deploy", "all", ttl_seconds=900)
    with sign_in(acme, ben) as other:
        assert vote(other, third).json()["state"] == "pending"
    assert bot.get(f"{WHERE}/commands/{third['id']}").json()["state"] == "pending"
    for one in (page, reviewing):
        one.context.close()
    bot.close()
    acme.stop()
    assert acme.verify("--gate").returncode == 0


def test_only_who_decides_declares_for_themselves_with_a_fresh_factor(acme: Server) -> None:
    assert {door.is_sensitive for door in PAGES if door.path == "/account/away"} == {True}
    ann, ben, dev = person(acme, "ann", "reviewer"), person(acme, "ben", "reviewer"), person(acme, "dev", "developer")
    fields = {"workspace": "acme", "until": local(days=1), "zone": "UTC", "stand_in": ben.id, "action": "declare"}
    with sign_in(acme, dev) as visitor:
        assert "You decide in no workspace" in visitor.get("/account/away").text
        assert form(visitor, "/account/away", **fields).status_code == 404
    with sign_in(acme, ann) as visitor:
        assert form(visitor, "/account/away", **{**fields, "workspace": "other"}).status_code == 404
        assert form(visitor, "/account/away", **{**fields, "stand_in": dev.id}).status_code == 422
        assert form(visitor, "/account/away", **{**fields, "stand_in": "x"}).status_code == 422
        assert form(visitor, "/account/away", **{**fields, "until": "x"}).status_code == 400
        assert form(visitor, "/account/away", **{**fields, "zone": "../x"}).status_code == 400
        assert form(visitor, "/account/away", **{**fields, "action": "end"}).status_code == 404
    with sign_in(acme, ann) as visitor, sign_in(acme, ben) as other:
        assert form(visitor, "/account/away", **fields).status_code == 200
        bot = program(acme, admin(acme, "agent.create", workspace="acme", name="ann-bot", owner=ann.email)["token"])
        own = ask(bot, "deploy", "all", ttl_seconds=900)
        assert vote(other, own).json()["state"] == "pending", "nobody chooses who takes their seat on their own request"
        bot.close()
