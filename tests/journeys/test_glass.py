"""An emergency at night: one person lets a command run, everybody hears of it, another one reviews it. # E5 B9"""

import re
import time
from typing import Any

from playwright.sync_api import Page, expect

from tests.journeys.harness import Server, at_port
from tests.journeys.pictures import picture
from tests.journeys.team import WHERE, admin, ask, found_acme, person, program, sign_in, sql
from tests.journeys.test_challenge import looking, sign_in_early
from tests.journeys.test_notifications import Mailbox, delivering_to, until

CONFIG = """
[plugins.quorum]
need = 3
break_glass = "reviewer"
[notify]
notifiers = ["webhook", "mail"]
[notify.smtp]
host = "127.0.0.1"
port = {port}
sender = "Failgate <f@acme.example>"
tls = "none"
"""
RED = "Glass broken"


def fits(page: Page, name: str) -> None:
    size = page.viewport_size
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    assert page.locator(".room").evaluate("one => one.scrollWidth <= one.clientWidth"), name
    picture(page, name)
    if size is not None:
        page.set_viewport_size(size)


def test_one_person_breaks_the_glass_and_another_reviews_it(server: Server, chromium: Any, width: int) -> None:
    box = Mailbox()
    with delivering_to(box) as port:
        server.config.write_text(server.config.read_text() + CONFIG.format(port=port))
        acme = at_port(server)
        acme.start()
        found_acme(acme)
        rita, ben, boss = (
            person(acme, "rita", "reviewer"),
            person(acme, "ben", "reviewer"),
            person(acme, "boss", "owner"),
        )
        token = admin(acme, "agent.create", workspace="acme", name="deploy-bot")["token"]
        with program(acme, token) as bot, sign_in_early(acme, rita) as breaker, sign_in_early(acme, ben) as reviewer:
            view, other = (ask(bot, "reboot", host, ttl_seconds=900) for host in ("db-1", "db-2"))
            assert (view["need"], view["break_glass"]) == (3, "reviewer")
            with looking(acme, chromium, breaker, width) as page:
                page.goto(f"{acme.url}/w/acme/queue?c={view['id']}")
                fits(page, f"glass-waiting-{width}")
                page.locator("[data-break]").click()
                expect(page.get_by_role("heading", name="Break the glass")).to_be_visible()
                fits(page, f"glass-break-{width}")
                page.get_by_label("What the emergency is").fill("The shop is down, nobody answers")
                page.get_by_label("Type the host").fill("wrong")
                page.get_by_role("button", name="Break the glass: let it run").click()
                expect(page.get_by_role("alert").first).to_contain_text("the name of the host")
                page.get_by_label("Type the host").fill("builder")
                page.get_by_role("button", name="Break the glass: let it run").click()
                expect(page.locator("[data-verdict]")).to_contain_text(RED)
                expect(page.locator(".timeline")).to_contain_text("without its quorum")
                fits(page, f"glass-broken-{width}")
                # A second one is not for who owes a review.
                page.goto(f"{acme.url}/w/acme/commands/{other['id']}/glass")
                page.get_by_label("What the emergency is").fill("Another one")
                page.get_by_label("Type the host").fill("builder")
                page.get_by_role("button", name="Break the glass: let it run").click()
                expect(page.get_by_role("alert").first).to_contain_text("review of glass that you broke is still open")
                page.goto(f"{acme.url}/w/acme/commands/{view['id']}/glass")
                expect(page.locator("main")).to_contain_text("Somebody else reviews it")
            told = bot.get(f"{WHERE}/commands/{view['id']}").json()
            assert (told["state"], told["glass"], told["verdict"]["glass"]) == ("approved", "open", "open")
            assert told["verdict"]["note"] == "The shop is down, nobody answers"
            assert (
                bot.post(f"{WHERE}/commands/{view['id']}/consume", json={"digest": view["digest"]}).status_code == 200
            )
            everybody = sorted((rita.email, ben.email, boss.email, "owner@acme.example"))
            until(lambda: sorted(one["to"] for one in box.letters) == everybody, "not everybody was told at once")
            assert all("GLASS BROKEN" in str(one["subject"]) for one in box.letters)
            # Four hours later nobody has reviewed it: they are told again, within a minute.
            sql(acme, "UPDATE gate_glass SET told_us = $1", round((time.time() - 4 * 3600 - 5) * 1e6))
            until(lambda: len(box.letters) == 8, "nobody was told again", seconds=90)
            assert "still waits for its review" in str(box.letters[-1]["subject"])
            with looking(acme, chromium, reviewer, width) as page:
                page.goto(f"{acme.url}/w/acme/queue")
                owed = page.locator("[data-owed]")
                expect(owed).to_contain_text("rita@acme.example let a command run without its quorum")
                expect(owed).to_be_visible()
                rail = page.locator("[data-rail]").inner_text()
                assert rail.index("rita@acme.example let a command run") < rail.index("deploy-bot on builder")
                fits(page, f"glass-queue-{width}")
                page.goto(f"{acme.url}/w/acme/commands")
                expect(page.locator("[data-glass]")).to_contain_text("not reviewed yet")
                fits(page, f"glass-commands-{width}")
                page.goto(f"{acme.url}/w/acme/queue")
                page.locator("[data-owed] a").click()
                expect(page.get_by_role("heading", name="Review it")).to_be_visible()
                fits(page, f"glass-review-{width}")
                page.get_by_label("What you found").fill("The shop was up, and two of us were there")
                page.get_by_role("button", name="It was not justified").click()
                expect(page.locator("[data-verdict]")).to_contain_text("NOT justified")
                fits(page, f"glass-reviewed-{width}")
                page.goto(f"{acme.url}/w/acme/queue")
                expect(page.locator("[data-owed]")).to_have_count(0)
                page.goto(f"{acme.url}/w/acme/commands/{view['id']}/glass")
                expect(page.locator("main")).to_contain_text("The shop was up, and two of us were there")
            with sign_in(acme, boss) as api:
                [one] = api.get(f"{WHERE}/glass").json()["items"]
                assert (one["by"], one["review"], one["reviewer"]) == (rita.email, "unjustified", ben.email)
                acts = re.findall(r'"act":"(glass[^"]+)"', api.get(f"{WHERE}/audit/records?limit=1000").text)
                assert acts == ["glass.broken", "glass.reminded", "glass.reviewed"]
        assert acme.stop() == 0
        assert acme.verify("--gate").returncode == 0


def test_no_program_breaks_the_glass_and_without_the_setting_nobody(server: Server) -> None:
    at_port(server).start()
    found_acme(server)
    boss = person(server, "boss", "owner")
    token = admin(server, "agent.create", workspace="acme", name="deploy-bot")["token"]
    key = admin(server, "api_key.create", email=boss.email, workspace="acme", label="k")["api_key"]
    with program(server, token) as bot, program(server, key) as script, sign_in(server, boss) as api:
        view = ask(bot, "reboot", ttl_seconds=600)
        wish = {"digest": view["digest"], "reason": "It burns", "confirm": "builder"}
        for client in (bot, script, api):
            assert client.post(f"{WHERE}/commands/{view['id']}/glass", json=wish).status_code == 403
        assert api.get(f"/w/acme/commands/{view['id']}/glass").status_code == 404
        for wrong, status in (
            ({}, 400),
            ({**wish, "x": 1}, 400),
            ({**wish, "reason": " "}, 422),
            ({**wish, "digest": 1}, 400),
        ):
            assert api.post(f"{WHERE}/commands/{view['id']}/glass", json=wrong).status_code == status, wrong
        assert bot.get(f"{WHERE}/commands/{view['id']}").json()["state"] == "pending"
