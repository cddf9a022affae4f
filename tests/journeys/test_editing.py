"""A reviewer approves a command in another form, in a browser; an agent runs that form when it accepts edits. # B8 P4"""

import re
import subprocess
import sys
import threading

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.agent_machine import House, waited_for
from tests.journeys.harness import Server
from tests.journeys.pictures import picture
from tests.journeys.team import WHERE, admin, ask, enter, found_acme, person, program, sign_in, vote


@pytest.fixture
def acme(server: Server) -> Server:
    server.start()
    found_acme(server)
    return server


def opened(chromium, server: Server, who, **more) -> Page:
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, **more)
    page: Page = context.new_page()
    enter(page, server, who)
    page.wait_for_url(f"{server.url}/")
    return page


def test_an_edit_is_made_shown_and_approved_with_the_keyboard(acme: Server, chromium) -> None:
    rita = person(acme, "rita", "reviewer")
    bot = program(acme, admin(acme, "agent.create", workspace="acme", name="deploy-bot")["token"])
    argv = ("deploy", "--to", "production", "--force", "--note", "a b\u202e", "")
    asked = ask(bot, *argv, ttl_seconds=900, reason="release 1.4")
    page = opened(chromium, acme, rita)
    page.goto(f"{acme.url}/w/acme/queue?c={asked['id']}")
    page.keyboard.press("e")
    page.wait_for_url(re.compile("/edit$"))
    expect(page.get_by_label("1", exact=True)).to_be_focused()
    expect(page.get_by_label("5", exact=True)).to_have_value("a b⟨U+202E RLO⟩")
    expect(page.get_by_label("6", exact=True)).to_have_value("⟨empty⟩")
    picture(page, "edit-form")
    page.get_by_label("2", exact=True).fill("staging")
    page.get_by_role("button", name="Remove argument 3").click()
    expect(page.get_by_label("3", exact=True)).to_have_value("--note")
    expect(page.get_by_label("2", exact=True)).to_have_value("staging")
    page.get_by_role("button", name="Insert an argument after 5").click()
    expect(page.get_by_label("6", exact=True)).to_be_focused()
    page.keyboard.type("--dry\u0430")  # a Cyrillic letter
    page.keyboard.press("Enter")
    difference = page.locator("[data-difference]")
    expect(difference.locator(".gone del")).to_have_text(["production", "--force"])
    expect(difference.locator(".new ins")).to_have_text(["staging", "--dry⟨U+0430 CYRILLIC SMALL LETTER A⟩"])
    expect(difference.locator(".same")).to_have_text(["deploy", "--to", "--note", "a b⟨U+202E RLO⟩", "⟨empty⟩"])
    expect(page.locator("#trial")).to_contain_text("Unusual character in argument 7")
    picture(page, "edit-difference")
    assert bot.get(f"{WHERE}/commands/{asked['id']}").json()["state"] == "pending"
    page.get_by_label("6", exact=True).fill("--dry")
    page.keyboard.press("Enter")
    tokens = ["deploy", "--to", "staging", "--note", "a b⟨U+202E RLO⟩", "⟨empty⟩", "--dry"]
    expect(page.locator("[data-argv] > *")).to_have_text(tokens)
    expect(page.locator("[data-approve]")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/queue"))
    expect(page.locator("[data-verdict]")).to_contain_text("Approved")
    expect(page.locator("[data-edited]")).to_contain_text("This is not what the agent asked.")
    picture(page, "edit-approved")
    told = bot.get(f"{WHERE}/commands/{asked['id']}").json()
    assert (told["state"], told["command"]["argv"]) == ("denied", list(argv))
    edited = told["verdict"]["edited"]
    assert edited["argv"] == ["deploy", "--to", "staging", "--note", "a b\u202e", "", "--dry"]
    made = bot.get(f"{WHERE}/commands/{edited['id']}").json()
    assert (made["state"], made["edits"], made["digest"]) == ("approved", asked["id"], edited["digest"])
    page.goto(f"{acme.url}/w/acme/commands/{asked['id']}")
    expect(page.locator("[data-verdict]")).to_contain_text("Edited")
    expect(page.locator("[data-edited]")).to_contain_text("a request of its own")
    picture(page, "edit-asked")
    page.context.close()
    bot.close()


def test_on_a_phone_by_touch_two_people_approve_an_edit(acme: Server, chromium) -> None:
    ann, ben = person(acme, "ann", "reviewer"), person(acme, "ben", "reviewer")
    bot = program(acme, admin(acme, "agent.create", workspace="acme", name="deploy-bot")["token"])
    asked = ask(bot, "rm", "-rf", "build", ttl_seconds=900)
    page = opened(chromium, acme, ann, has_touch=True)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{acme.url}/w/acme/queue?c={asked['id']}")
    picture(page, "edit-queue")
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("link", name="Edit").tap()
    field = page.get_by_label("1", exact=True)
    expect(field).to_have_value("-rf")
    field.fill("")
    page.get_by_label("2", exact=True).fill("")
    page.locator("form").get_by_role("button", name="Show the difference").last.tap()
    expect(page.locator("[data-argv] > *")).to_have_text(["rm"])
    box = page.locator("[data-approve]").bounding_box()
    assert box is not None
    assert box["height"] >= 36
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    with sign_in(acme, ben) as other:
        assert vote(other, asked, "deny").status_code == 200
    page.locator("[data-approve]").tap()
    expect(page.get_by_role("alert")).to_contain_text("The command is denied")
    expect(page.locator("main")).to_contain_text("waits no longer")
    assert bot.get(f"{WHERE}/commands/{asked['id']}").json()["verdict"].get("edited") is None
    page.context.close()
    bot.close()


def test_mistakes_are_said_and_decide_nothing(acme: Server, chromium) -> None:
    ann = person(acme, "ann", "reviewer")
    bot = program(acme, admin(acme, "agent.create", workspace="acme", name="deploy-bot")["token"])
    asked = ask(bot, "rm", "-rf", "build", ttl_seconds=900)
    page = opened(chromium, acme, ann)
    page.goto(f"{acme.url}/w/acme/commands/{asked['id']}/edit")
    for text, said in (("-rf", "no edit"), ("⟨U+202Ex", "names no character"), ("⟨U+0041 x999999⟩", "names no character"),
                       ("⟨U+0000 NUL⟩", "holds NUL"), ("⟨U+D800⟩", "surrogate"), ("x" * 66_000, "larger")):  # fmt: skip
        page.goto(f"{acme.url}/w/acme/commands/{asked['id']}/edit")
        page.get_by_label("1", exact=True).fill(text)
        page.keyboard.press("Enter")
        expect(page.locator("body")).to_contain_text(said)
        expect(page.locator("[data-approve]")).to_have_count(0)
    long = ask(bot, *map(str, range(150)), ttl_seconds=900)
    page.goto(f"{acme.url}/w/acme/commands/{long['id']}/edit")
    expect(page.locator("main")).to_contain_text("too long to be edited here")
    assert bot.get(f"{WHERE}/commands/{asked['id']}").json()["state"] == "pending"
    page.context.close()
    bot.close()


def run(house: House, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "failgate", "run", *words], env=house.environment, cwd=house.folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def edit_next(house: House, *argv: str) -> None:
    """Edit what waits next into `argv`, as the reviewer's page does."""
    (one,) = waited_for(house.pending)
    route, wish = f"{WHERE}/commands/{one['id']}/edits", {"digest": one["digest"], "argv": list(argv)}
    trial = house.lead.post(f"{route}/trial", json=wish).json()
    made = house.lead.post(route, json={**wish, "edited_digest": trial["digest"], "note": "gently"})
    assert made.status_code == 201, made.text


def test_an_agent_runs_an_edit_when_it_accepts_it_and_otherwise_says_how(server: Server, tmp_path) -> None:
    server.start()
    with House(server, tmp_path) as house:
        (tmp_path / "home").mkdir(mode=0o700, exist_ok=True)
        asking = run(house, "--", "touch", "asked")
        edit_next(house, "touch", "edited")
        said = asking.communicate(timeout=60)[1]
        assert asking.returncode == 77
        assert "lead@acme.example, who approves it in another form: touch edited: gently" in said
        assert not (tmp_path / "asked").exists()
        assert not (tmp_path / "edited").exists()
        way = re.search(r"failgate run (--edited \S+ -- touch edited)", said)
        assert way is not None
        taken = run(house, *way[1].split())
        assert taken.communicate(timeout=60)[1] == ""
        assert (taken.returncode, (tmp_path / "edited").exists()) == (0, True)
        again = run(house, *way[1].split())
        again.communicate(timeout=60)
        assert again.returncode == 76, "an approval is used once"
        asking = run(house, "--accept-edits", "--json", "--", "touch", "asked")
        edit_next(house, "touch", "other")
        said = asking.communicate(timeout=60)[1]
        assert asking.returncode == 0, said
        assert (tmp_path / "other").exists()
        assert not (tmp_path / "asked").exists()
        hooked = threading.Thread(target=edit_next, args=(house, "/bin/bash", "-c", "make"))
        hooked.start()
        house.environment["SHELL"] = "/bin/bash"
        told = house.hook(house.event("PreToolUse", "make deploy"))
        hooked.join()
        assert '"permissionDecision":"deny"' in told.stdout
        assert "who approves it in another form: /bin/bash -c make" in told.stdout
    server.stop()
    assert server.verify("--gate").returncode == 0


RISK = """
[gate]
policies = ["allowlist", "risk", "quorum"]
[plugins.risk]
host_at = 40
factor_at = 60
two_at = 90
"""


def test_an_edit_takes_what_its_own_risk_demands_and_passes_no_denial(server: Server, chromium) -> None:
    server.config.write_text(server.config.read_text() + RISK)
    server.start()
    found_acme(server)
    boss = person(server, "boss", "owner")
    bot = program(server, admin(server, "agent.create", workspace="acme", name="deploy-bot")["token"])
    with sign_in(server, boss) as owner:
        rule = {"kind": "exact", "effect": "deny", "argv": ["rm", "-rf", "/"]}
        assert owner.post(f"{WHERE}/rules", json=rule).status_code == 201
    asked = ask(bot, "rm", "notes.txt", ttl_seconds=900)
    rita = person(server, "rita", "reviewer")
    page = opened(chromium, server, rita)
    page.goto(f"{server.url}/w/acme/commands/{asked['id']}/edit")
    page.get_by_role("button", name="Insert an argument before the first").click()
    expect(page.get_by_label("1", exact=True)).to_be_focused()
    page.keyboard.type("-rf")
    page.get_by_label("2", exact=True).fill("/")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("A policy denies this command.")
    expect(page.locator("[data-approve]")).to_have_count(0)
    picture(page, "edit-denied")
    page.get_by_label("2", exact=True).fill("/srv/data")
    page.keyboard.press("Enter")
    host = page.get_by_label(re.compile("Type the host"))
    expect(host).to_be_focused()
    picture(page, "edit-challenge")
    page.keyboard.type("other")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("takes the name of the host")
    assert bot.get(f"{WHERE}/commands/{asked['id']}").json()["state"] == "pending"
    page.get_by_label(re.compile("Type the host")).fill("builder")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/queue"))
    expect(page.locator("[data-verdict]")).to_contain_text("Approved")
    edited = bot.get(f"{WHERE}/commands/{asked['id']}").json()["verdict"]["edited"]
    assert edited["argv"] == ["rm", "-rf", "/srv/data"]
    page.context.close()
    bot.close()
