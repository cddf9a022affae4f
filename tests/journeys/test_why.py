"""Why?, in a browser: which policy says what of a command, and why, with nothing submitted. # E2 E28"""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.harness import Server
from tests.journeys.pictures import picture
from tests.journeys.team import WHERE, admin, enter, form, found_acme, person, program, sign_in

CONFIG = """
[gate]
policies = ["allowlist", "risk", "quorum"]
[plugins.quorum]
decide_within = "10m"
[plugins.quorum.groups.lead]
roles = ["owner", "admin"]
[plugins.quorum.escalation.oncall]
after = "30s"
roles = ["admin"]
"""
PLACE = "/w/acme/settings/rules/why"


@pytest.fixture
def acme(server: Server) -> Server:
    server.config.write_text(server.config.read_text() + CONFIG)
    server.start()
    found_acme(server)
    return server


def fits(page: Page) -> None:
    """The page needs no scrolling to the side."""
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("width", [1280, 390])
def test_a_reviewer_asks_which_policy_says_what_and_nothing_is_kept(acme: Server, chromium, width: int) -> None:
    rita, boss = person(acme, "rita", "reviewer"), person(acme, "boss", "owner")
    bot = program(acme, admin(acme, "agent.create", workspace="acme", name="deploy-bot")["token"])
    acme.admin("allow", "add", "--workspace", "acme", "--exact", "--max-uses", "1", "--", "ls", "-l")
    context = chromium.new_context(viewport={"width": width, "height": 844})
    page: Page = context.new_page()
    enter(page, acme, rita)
    page.goto(f"{acme.url}/w/acme/commands")
    page.get_by_role("link", name="Why?").click()
    page.wait_for_url(f"{acme.url}{PLACE}")
    fits(page)
    answer, typed = page.locator("#answer"), page.get_by_label("Program and arguments")

    def ask(line: str) -> None:
        typed.fill(line)
        page.get_by_role("button", name="Ask the policies").click()

    for _ in range(2):  # the rule may be used once: asking does not use it
        ask("ls -l")
        expect(answer.locator("[data-answer]")).to_contain_text("It would pass at once")
        expect(answer.locator("[data-policy=allowlist]")).to_contain_text("allow")
    expect(answer.locator("[data-terms]")).to_have_count(0)
    page.get_by_label("Asked by").select_option("deploy-bot")
    page.get_by_label("On the host").fill("ci-7")
    ask("rm -rf /srv/data")
    expect(answer.locator("[data-answer]")).to_contain_text("People would be asked")
    expect(answer.locator("[data-policy=risk]")).to_contain_text("this agent has not run this program before")
    expect(answer.locator("[data-policy=quorum]")).to_contain_text("1 of lead")
    expect(answer.locator("[data-terms]")).to_contain_text("the name of the host, typed")
    expect(answer.locator("[data-terms]")).to_contain_text("10 min at most")
    expect(answer.locator("[data-terms]")).to_contain_text("oncall after 30 s")
    expect(answer.locator(".slate-head")).to_contain_text("on ci-7, asked by deploy-bot")
    expect(page.get_by_label("On the host")).to_have_value("ci-7")
    fits(page)
    picture(page, f"why-{width}")
    page.set_viewport_size({"width": width, "height": 844})
    ask("make && rm -rf $HOME")
    expect(answer.locator("[data-argv] .token")).to_have_text(["bash", "-c", "make && rm -rf $HOME"])
    expect(answer).to_contain_text("it is judged as that")
    ask("rm inv\u202efdp.exe")
    expect(answer.locator("[data-argv] mark")).to_have_text("\u27e8U+202E RLO\u27e9")
    expect(answer.get_by_label("What one could miss")).to_contain_text("Hidden character in argument 2")
    fits(page)
    picture(page, f"why-unusual-{width}")
    page.set_viewport_size({"width": width, "height": 844})
    ask('rm "a b')
    expect(page.get_by_role("alert")).to_contain_text("a quote that is not closed")
    expect(typed).to_have_value('rm "a b')
    expect(answer).to_have_count(0)
    page.get_by_label("Written").select_option("lines")
    ask(f'rm "a b\n{"x" * 3000}')
    expect(answer.locator("[data-argv] .token").first).to_have_text('rm "a b')
    fits(page)
    context.close()
    with sign_in(acme, boss) as owner:
        assert owner.get(f"{WHERE}/commands").json()["items"] == []
        assert [rule["uses"] for rule in owner.get(f"{WHERE}/rules").json()["items"]] == [0]
        acts = {one["record"]["act"] for one in owner.get(f"{WHERE}/audit/records?limit=1000").json()["records"]}
        assert "rule.created" in acts
        assert not {act for act in acts if act.startswith("command.")}
    bot.close()


def test_what_is_no_command_is_refused_on_the_page(acme: Server, tmp_path: Path) -> None:
    rita, ada = person(acme, "rita", "reviewer"), person(acme, "ada", "auditor")
    other = admin(acme, "agent.create", workspace="acme", name="bot")
    shell = {"written": "shell", "folder": "", "host": "", "agent": ""}
    with sign_in(acme, rita) as reviewer:
        for status, says, fields in (
            (400, "No command is written", {"command": " "}),
            (400, "a quote that is not closed", {"command": "rm 'x"}),
            (400, "NUL character", {"command": "rm a\0b"}),
            (413, "the limit is 16384", {"command": "x" * 20_000}),
            (413, "", {"command": "x" * 70_000}),
            (422, "not absolute", {"command": "ls", "folder": "src"}),
            (422, "no host name", {"command": "ls", "host": "a b"}),
            (404, "no such agent", {"command": "ls", "agent": "x"}),
            (413, "arguments; the limit is 4096", {"command": "\n".join("x" * 5000), "written": "lines"}),
        ):
            answer = form(reviewer, PLACE, **(shell | fields))
            assert answer.status_code == status, (fields, answer.text[-600:])
            assert says in answer.text.replace("is not a host name", "no host name"), says
            assert "It would pass" not in answer.text
        assert form(reviewer, PLACE, **(shell | {"command": "ls", "agent": other["agent"]})).status_code == 200
        assert reviewer.get(f"{WHERE}/commands").json()["items"] == []
    with sign_in(acme, ada) as auditor:  # who may not ask for commands is not told what would pass
        assert auditor.get(PLACE).status_code == 403
        assert "Why?" not in auditor.get("/w/acme/settings/rules").text
