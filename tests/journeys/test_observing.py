"""A company tries Failgate out: nothing waits, everything says so, the owner reads what would have. # B8 B12"""

import sys
from pathlib import Path
from subprocess import run

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.harness import Server, at_port, clean_environment
from tests.journeys.pictures import picture
from tests.journeys.team import WHERE, admin, ask, found_acme, person, program, sign_in
from tests.journeys.test_challenge import looking, sign_in_early

BANNER = "Observing only"


@pytest.fixture
def acme(server: Server) -> Server:
    at_port(server).start()
    found_acme(server)
    return server


def fits(page: Page, name: str) -> None:
    size = page.viewport_size
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    assert page.locator(".room").evaluate("one => one.scrollWidth <= one.clientWidth"), name
    picture(page, name)
    if size is not None:
        page.set_viewport_size(size)


def test_an_owner_observes_reads_what_would_have_waited_and_gates_again(
    acme: Server, chromium, tmp_path: Path, width: int
) -> None:
    boss = person(acme, "boss", "owner")
    token = admin(acme, "agent.create", workspace="acme", name="deploy-bot")["token"]
    admin(acme, "allow.add", workspace="acme", argv=["git", "status"], note=None)
    bot = program(acme, token)
    env = clean_environment(
        FAILGATE_URL=acme.url, FAILGATE_TOKEN=token, FAILGATE_WORKSPACE="acme", FAILGATE_HOME=str(tmp_path / "home")
    )
    words = [sys.executable, "-m", "failgate", "run", "--no-capture", "--ttl", "1s", "--", "echo", "observed"]
    with bot, sign_in_early(acme, boss) as reviewer, looking(acme, chromium, reviewer, width) as page:
        page.goto(f"{acme.url}/w/acme/settings")
        page.get_by_role("link", name="Observing", exact=True).click()
        expect(page.get_by_role("heading", name="Begin to observe")).to_be_visible()
        expect(page.locator("[data-observing]")).to_have_count(0)
        fits(page, f"observing-off-{width}")
        page.get_by_label("For", exact=True).select_option("14")
        page.get_by_label("Why (optional)").fill("Trying it out")
        page.get_by_role("button", name="Let commands run, observed only").click()
        expect(page.locator("[data-running]")).to_contain_text("every agent and person")
        expect(page.locator("[data-observing]")).to_contain_text(BANNER)

        said = run(words, env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert (said.returncode, said.stdout) == (0, "observed\n"), said.stderr
        assert said.stderr == ("failgate: only observed: it would have waited for a reviewer; nobody approved it\n")
        passed = ask(bot, "git", "status")
        assert passed["verdict"]["observed"] is None
        for number in range(3):
            view = ask(bot, "make", f"target{number}")
        assert (view["state"], view["verdict"]["by"], view["verdict"]["observed"]["would"]) == ("approved", [], "wait")

        for place in ("queue", "commands", "settings", "agents", f"commands/{view['id']}", f"queue?c={view['id']}"):
            page.goto(f"{acme.url}/w/acme/{place}")
            expect(page.locator("[data-observing]")).to_contain_text(BANNER)
            fits(
                page,
                f"observing-{place.partition('?')[0].partition('/')[0]}{'-one' if view['id'] in place else ''}-{width}",
            )
        expect(page.locator("[data-verdict]")).to_contain_text("Nobody approved it")
        expect(page.locator("[data-verdict]")).to_contain_text("would have waited for a reviewer")
        page.goto(f"{acme.url}/w/acme/settings/observing")
        report = page.locator("[data-report]")
        expect(report).to_contain_text("Of 5 commands, rules and policies answered 20 %")
        expect(report).to_contain_text("4 would have waited for people")
        expect(page.locator("main")).to_contain_text("deploy-bot")
        fits(page, f"observing-report-{width}")
        page.get_by_role("link", name="Rules that would have answered").click()
        expect(page.locator("main")).to_contain_text("only observed: nobody was asked")
        fits(page, f"observing-suggestions-{width}")
        page.goto(f"{acme.url}/w/acme/settings/observing")
        page.get_by_role("button", name="Gate again").click()
        expect(page.locator("[data-running]")).to_have_count(0)
        expect(page.locator("[data-observing]")).to_have_count(0)
        fits(page, f"observing-over-{width}")
        said = run(words, env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert (said.returncode, said.stdout) == (75, "")
        late = bot.post(f"{WHERE}/commands/{view['id']}/consume", json={"digest": view["digest"]})
        assert late.status_code == 409
    assert acme.stop() == 0
    assert acme.verify("--gate").returncode == 0


def test_only_an_owner_in_person_with_a_fresh_factor_switches_it(acme: Server) -> None:
    ada, boss = person(acme, "ada", "admin"), person(acme, "boss", "owner")
    key = admin(acme, "api_key.create", email=boss.email, workspace="acme", label="k")["api_key"]
    with sign_in(acme, ada) as api:
        assert api.post(f"{WHERE}/observing", json={"days": 1}).status_code == 403
    with program(acme, key) as api:
        answer = api.post(f"{WHERE}/observing", json={"days": 1})
        assert (answer.status_code, "A person switches observing" in answer.text) == (403, True)
    with sign_in(acme, boss) as api:
        for wrong, status in (
            ({}, 400),
            ({"days": 0}, 422),
            ({"days": 91}, 422),
            ({"days": "1"}, 400),
            ({"days": 1, "agent": "x"}, 404),
        ):
            assert api.post(f"{WHERE}/observing", json=wrong).status_code == status, wrong
        made = api.post(f"{WHERE}/observing", json={"days": 1, "denials": True}, headers={"idempotency-key": "k"})
        again = api.post(f"{WHERE}/observing", json={"days": 1, "denials": True}, headers={"idempotency-key": "k"})
        assert (made.status_code, again.json()) == (201, made.json())
        assert api.post(f"{WHERE}/observing", json={"days": 1}).status_code == 409
        shown = api.get(f"{WHERE}/observing/{made.json()['id']}").json()
        assert (shown["total"], shown["observing"]["is_running"]) == (0, True)
        assert api.delete(f"{WHERE}/observing/{made.json()['id']}").status_code == 204
        assert api.delete(f"{WHERE}/observing/{made.json()['id']}").status_code == 404
        assert [one["is_running"] for one in api.get(f"{WHERE}/observing").json()["items"]] == [False]


def test_an_operator_who_forbids_it_ends_what_runs(server: Server) -> None:
    at_port(server).start()
    found_acme(server)
    boss = person(server, "boss", "owner")
    token = admin(server, "agent.create", workspace="acme", name="deploy-bot")["token"]
    with sign_in(server, boss) as api:
        assert api.post(f"{WHERE}/observing", json={"days": 1}).status_code == 201
    with program(server, token) as bot:
        assert ask(bot, "make")["state"] == "approved"
    server.stop()
    server.config.write_text(server.config.read_text().replace("[gate]\n", "[gate]\nallow_observing = false\n"))
    server.start()
    with program(server, token) as bot:
        assert ask(bot, "make")["state"] == "pending"
    with sign_in(server, boss) as api:
        assert api.get(f"{WHERE}/observing").json()["is_allowed"] is False
        assert api.post(f"{WHERE}/observing", json={"days": 1}).status_code == 403
