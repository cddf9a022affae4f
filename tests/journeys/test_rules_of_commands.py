"""Rules in a browser and on the command line: tried, made, used by a real run, approved by others, ended. # E2 E28"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.harness import Server, clean_environment
from tests.journeys.pictures import picture
from tests.journeys.team import admin, enter, found_acme, person, program, sign_in

WHERE = "/api/v1/workspaces/acme"
FOLDER = "/src/app"
ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/home/dev", "LANG": "C.UTF-8"}


@pytest.fixture
def acme(server: Server) -> Server:
    server.start()
    found_acme(server)
    return server


def explained(agent, *argv: str, **members) -> str:
    command = {
        "v": 1, "argv": list(argv), "cwd": FOLDER, "env": ENV, "host": "h", "home": "/home/dev",
        "exe": {"path": f"/usr/bin/{argv[0]}", "sha256": "0" * 64},
    } | members  # fmt: skip
    answer = agent.post(f"{WHERE}/policy/explain", json={"command": command})
    assert answer.status_code == 200, answer.text
    return answer.json()["decision"]


def test_a_rule_is_tried_made_looked_at_and_ended(acme: Server, chromium) -> None:
    boss = person(acme, "boss", "owner")
    agent = program(acme, admin(acme, "agent.create", workspace="acme", name="bot")["token"])
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page: Page = context.new_page()
    enter(page, acme, boss)
    page.wait_for_url(f"{acme.url}/")
    page.goto(f"{acme.url}/w/acme/settings")
    page.get_by_role("link", name="Rules", exact=True).click()
    expect(page.get_by_text("Every command waits for people.")).to_be_visible()
    page.get_by_label("Words of the command").fill("sed\n-n")
    page.get_by_label("Arguments behind them, in order").fill("re2 [0-9]+(,[0-9]+)?p")
    page.get_by_label("Every argument behind those").fill("under .")
    page.get_by_label("In folders").fill(FOLDER)
    page.get_by_label("Ends after days").fill("5")
    page.get_by_label("Looked at again by").fill("2020-01-31")
    page.get_by_label("Try it on").fill("sed -n 10,20p src/app.py\nsed -n 1e src/app.py\nsed -n 5p /etc/shadow")
    page.get_by_role("button", name="Try it").click()
    trial = page.locator("#trial")
    expect(trial.get_by_role("listitem").filter(has_text="10,20p")).to_contain_text("passes")
    expect(trial.get_by_role("listitem").filter(has_text="1e src")).to_contain_text("not this rule")
    expect(trial.get_by_role("listitem").filter(has_text="shadow")).to_contain_text("not this rule")
    picture(page, "rules-tried")
    assert explained(agent, "sed", "-n", "5p", "a.txt") == "ask"
    page.get_by_role("button", name="Make the rule").click()
    expect(page.get_by_text("with these arguments behind it")).to_be_visible()
    expect(page.get_by_text("review was due 2020-01-31")).to_be_visible()
    assert explained(agent, "sed", "-n", "5p", "a.txt") == "allow"
    assert explained(agent, "sed", "-n", "5p", "a.txt", exe={"path": "/tmp/sed", "sha256": "0" * 64}) == "ask"
    assert explained(agent, "sed", "-n", "5p", "a.txt", env=ENV | {"LD_PRELOAD": "/x"}) == "ask"
    page.get_by_label("Words of the command").fill("git")
    page.get_by_label("The command", exact=True).select_option("prefix")
    page.get_by_role("button", name="Make the rule").click()
    expect(page.get_by_role("alert")).to_contain_text("git can do anything")
    expect(page.get_by_label("Words of the command")).to_have_value("git")
    page.goto(f"{acme.url}/w/acme/settings/rules")
    page.get_by_label("Folders").first.fill(FOLDER)
    page.get_by_role("button", name="Take them over").click()
    expect(page.get_by_role("link", name="More rules")).to_be_visible()
    picture(page, "rules")
    assert explained(agent, "bash", "-c", "git status && ls -la | head -5") == "allow"
    assert explained(agent, "bash", "-c", "git status && rm x") == "ask"
    page.get_by_role("link", name=re.compile("Look at the rule: .*sed.*-n")).first.click()
    picture(page, "rule")
    page.get_by_role("button", name="End this rule").click()
    expect(page.get_by_text("review was due")).to_have_count(0)
    context.close()
    agent.close()


def test_others_approve_where_the_workspace_wants_it(acme: Server, chromium) -> None:
    lead, peer = person(acme, "lead", "owner"), person(acme, "peer", "admin")
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    page: Page = context.new_page()
    enter(page, acme, lead)
    page.wait_for_url(f"{acme.url}/")
    page.goto(f"{acme.url}/w/acme/settings/rules")
    page.get_by_label("Others", exact=True).fill("1")
    page.get_by_role("button", name="Save").click()
    page.get_by_label("The command", exact=True).select_option("exact")
    page.get_by_label("Words of the command").fill("deploy\n--dry-run")
    page.get_by_role("button", name="Propose the rule").click()
    expect(page.get_by_text("0 of 1 approved.")).to_be_visible()
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    picture(page, "rules-waiting")
    with sign_in(acme, peer) as other:
        [waiting] = other.get(f"{WHERE}/rule-proposals").json()["items"]
        direct = {"kind": "exact", "effect": "allow", "argv": ["x"]}
        assert other.post(f"{WHERE}/rules", json=direct).status_code == 409
        place = f"{WHERE}/rule-proposals/{waiting['id']}/approve"
        assert other.post(place, json={"digest": "x"}).status_code == 409
        assert other.post(place, json={"digest": waiting["digest"]}).json()["is_made"] is True
    page.reload()
    expect(page.get_by_text("proposed by")).to_have_count(0)
    context.close()


def _run(server: Server, token: str, folder: Path, search: str, line: str) -> "subprocess.CompletedProcess[str]":
    """Run a line as an agent does, with the search path of its machine."""
    env = clean_environment(
        FAILGATE_URL=server.url, FAILGATE_TOKEN=token, FAILGATE_WORKSPACE="acme", FAILGATE_UPLOAD="never",
        FAILGATE_HOME=str(folder.parent / "home"), PATH=search,
    )  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "failgate", "run", "--ttl", "1s", "--no-capture", "--", "bash", "-c", line],
        cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_rules_of_every_kind_are_made_on_the_command_line_and_used_by_a_run(acme: Server, tmp_path: Path) -> None:
    add = ("allow", "add", "--workspace", "acme")
    acme.admin(*add, "--prefix", "--directory", FOLDER, "--", "ls")
    acme.admin(*add, "--argument", "--rest", '{"one_of": ["-s"]}', "--owner", "ann", "--", "git", "status")
    acme.admin(*add, "--re2", "--max-uses", "3", "--", "tool (get|list) [a-z]+")
    acme.admin(*add, "--deny", "--path", "--", "/usr/sbin/")
    listed = acme.admin("allow", "list", "--workspace", "acme")["rules"]
    assert {"prefix", "argument", "re2", "path"} <= {rule["kind"] for rule in listed}
    folder, planted = tmp_path.resolve() / "app", tmp_path / "planted"
    for made in (folder, planted):
        made.mkdir()
    taken = [admin(acme, "allow.starter", workspace="acme", directories=[str(folder)])["rules_added"] for _ in range(2)]
    assert taken[0] > 150
    assert taken[1] == 0
    token = admin(acme, "agent.create", workspace="acme", name="bot")["token"]
    ordinary = "/home/dev/.cargo/bin:/home/dev/.local/bin:/usr/local/bin:/usr/bin:/bin"
    (folder / "a.txt").write_text("one\ntwo\n")
    ran = _run(acme, token, folder, ordinary, "ls && cat a.txt | wc -l")
    assert (ran.returncode, ran.stdout.split()) == (0, ["a.txt", "2"]), ran.stderr
    (planted / "cat").write_text(f"#!/bin/sh\ntouch {folder}/evil\n")
    (planted / "cat").chmod(0o755)
    for search in (f"{planted}:{ordinary}", f"../planted:{ordinary}"):
        waited = _run(acme, token, folder, search, "ls && cat a.txt | wc -l")
        assert waited.returncode == 75, waited.stderr
    assert _run(acme, token, folder, ordinary, "ls; touch evil").returncode == 75
    assert not (folder / "evil").exists()
