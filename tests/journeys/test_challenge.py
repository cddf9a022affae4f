"""What an approval takes, by the risk, in a browser: the host typed, a fresh second factor, two people. # B7 E5"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Page, expect

from tests.journeys.harness import Server, at_port
from tests.journeys.pictures import picture
from tests.journeys.team import (
    PASSWORD,
    WHERE,
    Person,
    Visitor,
    admin,
    ask,
    form,
    found_acme,
    person,
    program,
    sign_in,
    sql,
    stranger,
    vote,
)

CONFIG = """
[gate]
policies = ["allowlist", "risk", "quorum"]
[plugins.risk]
host_at = 40
factor_at = 60
two_at = 90
"""
HOST, FACTOR = ("rm", "notes.txt"), ("rm", "-rf", "/srv/data")
TWO = ("sudo", "dd", "if=/dev/zero", "of=/dev/sda")


@pytest.fixture
def acme(server: Server) -> Server:
    server.config.write_text(server.config.read_text() + CONFIG)
    at_port(server).start()
    found_acme(server)
    return server


def sign_in_early(server: Server, who: Person) -> Visitor:
    """Sign in with the code of the step before, so that the one of now is left for a step-up."""
    client = stranger(server, origin=server.url)
    assert form(client, "/signin", email=who.email, password=PASSWORD).status_code == 303
    clock = pyotp.TOTP(who.totp or "")
    answers = (form(client, "/signin/code", code=clock.at(int(time.time()) - 30)).status_code for _ in range(2))
    assert any(status == 303 for status in answers)
    return client


@contextmanager
def looking(server: Server, chromium: Any, who: Visitor, width: int, **more: Any) -> Iterator[Page]:
    with chromium.new_context(viewport={"width": width, "height": 844}, **more) as opened:
        opened.add_cookies([{"name": one.name, "value": one.value or "", "url": server.url} for one in who.cookies.jar])
        yield opened.new_page()


def fits(page: Page, name: str, width: int) -> None:
    """Nothing is cut off at the side, and what has to be typed stands before where it is typed."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    assert page.locator("[data-detail]").evaluate("one => one.scrollWidth <= one.clientWidth"), name
    label, typed = page.locator("label[for=confirm]").bounding_box(), page.locator("#confirm").bounding_box()
    assert label["x"] + label["y"] < typed["x"] + typed["y"], name
    assert label["y"] <= typed["y"] + typed["height"] / 2, name
    picture(page, name)
    page.set_viewport_size({"width": width, "height": 844})


def test_what_is_risky_is_approved_only_by_who_answers_the_challenge(acme: Server, chromium, width: int) -> None:
    rita, ben = person(acme, "rita", "reviewer"), person(acme, "ben", "reviewer")
    bot = program(acme, admin(acme, "agent.create", workspace="acme", name="deploy-bot")["token"])
    plain, host, factor, two = (ask(bot, *argv, ttl_seconds=600) for argv in (("make",), HOST, FACTOR, TWO))
    assert [one["challenge"] for one in (plain, host, factor, two)] == ["click", "host", "factor", "two"]

    def state(view: dict[str, Any]) -> str:
        return bot.get(f"{WHERE}/commands/{view['id']}").json()["state"]

    reviewer = sign_in_early(acme, rita)
    with looking(acme, chromium, reviewer, width) as page:
        votes: list[str] = []
        page.on("request", lambda sent: votes.append(sent.url) if sent.url.endswith("/votes") else None)
        confirm, approve, say = (
            page.locator("[data-confirm]"),
            page.locator("[data-approve]"),
            page.locator("[data-say]"),
        )

        def look(view: dict[str, Any]) -> None:
            page.goto(f"{acme.url}/w/acme/queue?c={view['id']}")
            expect(page.locator("[data-live]").first).to_have_attribute("data-state", "live")

        look(plain)
        expect(approve).to_be_visible()
        expect(confirm).to_have_count(0)
        look(host)
        expect(page.locator("[data-risk-why]")).to_contain_text("deletes files")
        expect(page.get_by_label("To approve, type the host builder")).to_be_visible()
        fits(page, f"challenge-host-{width}", width)
        for wrong in ("", "Builder", "builder2"):
            confirm.fill(wrong)
            approve.click()
            expect(say).to_contain_text("Type the name of the host as it stands there")
            expect(confirm).to_be_focused()
        assert (votes, state(host)) == ([], "pending")
        fits(page, f"challenge-wrong-{width}", width)
        confirm.fill("builder")
        approve.click()
        expect(page.locator("[data-verdict]")).to_have_attribute("data-verdict", "approved")
        assert state(host) == "approved"
        # The factor was proven at sign-in; six minutes later it has to be proven again.
        past = round((time.time() - 360) * 1_000_000)
        sql(acme, "UPDATE session SET second_factor_us = $1 WHERE account_id = $2", past, rita.id)
        acme.stop()
        acme.start()  # it knows its sessions by heart
        look(factor)
        expect(page.get_by_label("a second factor of the last five minutes is asked for")).to_be_visible()
        fits(page, f"challenge-factor-{width}", width)
        confirm.fill("builder")
        approve.click()
        page.wait_for_url(f"{acme.url}/account/step-up?**")
        assert state(factor) == "pending"
        page.locator("#code").fill(pyotp.TOTP(rita.totp or "").now())
        page.locator("form:has(#code) button").click()
        page.wait_for_url(f"{acme.url}/w/acme/queue?c={factor['id']}")
        assert state(factor) == "pending"
        confirm.fill("builder")
        approve.click()
        expect(page.locator("[data-verdict]")).to_have_attribute("data-verdict", "approved")
        look(two)
        expect(page.get_by_label(", of two people")).to_be_visible()
        fits(page, f"challenge-two-{width}", width)
        confirm.fill("builder")
        approve.click()
        expect(page.locator("[data-counted]")).to_contain_text("1 of 2")
        assert state(two) == "pending"
    with sign_in(acme, ben) as second:
        assert vote(second, two).status_code == 422
        assert state(two) == "pending"
        assert vote(second, two, confirm="builder").status_code == 200
    assert state(two) == "approved"
    reviewer.close()
    bot.close()


def test_without_scripts_a_wrong_answer_approves_nothing_and_says_so(acme: Server, chromium) -> None:
    rita = person(acme, "rita", "reviewer")
    bot = program(acme, admin(acme, "agent.create", workspace="acme", name="deploy-bot")["token"])
    view, other = (ask(bot, *HOST, ttl_seconds=600) for _ in range(2))
    with sign_in(acme, rita) as reviewer, looking(acme, chromium, reviewer, 390, java_script_enabled=False) as page:
        page.goto(f"{acme.url}/w/acme/queue?c={view['id']}")
        page.locator("[data-confirm]").fill("builder2")
        page.locator("[data-approve]").click()
        expect(page.locator("main")).to_contain_text("This approval takes the name of the host on which it runs.")
        assert bot.get(f"{WHERE}/commands/{view['id']}").json()["votes"] == []
        page.goto(f"{acme.url}/w/acme/queue?c={view['id']}")
        page.locator("[data-confirm]").fill("builder")
        page.locator("[data-approve]").click()
        expect(page.locator("[data-verdict]")).to_have_attribute("data-verdict", "approved")
        page.goto(f"{acme.url}/w/acme/queue?c={other['id']}")
        page.locator("[data-deny]").click()  # a denial takes nothing
        expect(page.locator("[data-verdict]")).to_have_attribute("data-verdict", "denied")
    bot.close()
