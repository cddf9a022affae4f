"""Every page in a real browser under its content security policy: nothing of ours breaks it, what is slipped in does (SECURITY 2)."""

import re
import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Route

from failgate.web.routes import DOORS
from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, browser, on_postgres
from tests.journeys.team import Visitor, ask, person, program, sign_in

WATCH = """
window.broken = [];
document.addEventListener("securitypolicyviolation", (event) => window.broken.push(event.violatedDirective + " " + event.blockedURI));
"""
SLIPPED_IN = "<script>window.slipped = true</script>"


def slip_in(route: Route) -> None:
    """Answer as the server does, with one more script at the end of the page."""
    if route.request.resource_type != "document":
        route.continue_()
        return
    answer = route.fetch(max_redirects=0)
    is_page = answer.headers.get("content-type", "").startswith("text/html")
    route.fulfill(response=answer, body=answer.text() + SLIPPED_IN if is_page else answer.body())


@pytest.fixture(scope="module")
def office(
    new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Visitor, dict[str, str]]]:
    """A server with an owner of everything, who has just proven a factor, and something on every page."""
    folder = tmp_path_factory.mktemp("policy")
    with team.served(Server(folder / "data", database_url=new_database())) as server:
        team.found_acme(server)
        owner = person(server, "lead", "owner")
        team.admin(server, "platform_role.grant", email=owner.email)
        agent = team.admin(server, "agent.create", workspace="acme", name="ci", owner=owner.email)
        with program(server, agent["token"]) as speaker:
            view = ask(speaker, "/bin/sh", "-c", "<script>alert(1)</script>\u202e", ttl_seconds=3600)
        with sign_in(server, owner) as client:
            yield (
                server,
                client,
                {"command": view["id"], "agent": agent["agent"], "member": owner.id, "platform_user": owner.id},
            )


def paths(ids: dict[str, str], *, is_stranger: bool) -> Iterator[str]:
    """Yield every address at which a page of ours stands, to strangers the public ones; what is missing is a page too."""
    for door in DOORS:
        is_shown = not is_stranger or door.permission.startswith("public:")
        if door.method == "GET" and door.kind == "page" and "/sso/" not in door.path and is_shown:
            path = door.path.replace("{workspace}", "acme").replace(
                "{id}", ids.get(door.name.removeprefix("page."), "nothing")
            )
            yield re.sub(r"\{[^}]+\}", "nothing", path)
    yield from (
        "/w/acme/queue?c=" + ids["command"],
        "/w/other/queue",
        "/nothing",
        "/signin?next=/w/acme/queue",
        "/sso/nothing/start",
    )


@on_postgres
def test_no_page_breaks_its_policy_and_what_is_slipped_in_breaks_it_once(
    office: tuple[Server, Visitor, dict[str, str]],
) -> None:
    server, client, ids = office
    wrong, seen = [], 0
    with browser() as chromium:
        held = [{"name": one.name, "value": one.value or "", "url": server.url} for one in client.cookies.jar]
        for cookies in (held, []):
            context = chromium.new_context()
            context.add_cookies(cookies)
            context.add_init_script(WATCH)
            context.route("**/*", slip_in)
            page = context.new_page()
            failures: list[str] = []
            page.on("pageerror", lambda error, failures=failures: failures.append(str(error)))
            for path in paths(ids, is_stranger=not cookies):
                answer = page.goto(server.url + path, wait_until="load")
                assert answer is not None
                assert "unsafe" not in answer.headers["content-security-policy"], path
                page.evaluate("() => new Promise((done) => setTimeout(done))")  # the event is told in a task of its own
                found = page.evaluate("() => [window.broken, window.slipped === true]")
                slipped_in = (
                    answer.request.redirected_from is None
                )  # a request that follows a redirect is not intercepted
                if found != [["script-src-elem inline"] * slipped_in, False] or failures:
                    wrong.append(f"{path}: {found} {failures}")
                seen += slipped_in
            context.close()
    assert wrong == [], "\n".join(wrong)
    assert seen > 45
    # And the browser tells the server (CSP 3 section 5.3), in its own time.
    deadline = time.monotonic() + 20
    while (told := reported(server)) < seen // 2:
        assert time.monotonic() < deadline, f"{told} of {seen}"
        time.sleep(0.1)


def reported(server: Server) -> int:
    text = httpx.get(f"{server.url}/metrics", trust_env=False).text
    found = re.search(r'failgate_policy_violations_total\{directive="script-src-elem"\} (\S+)', text)
    return int(float(found[1])) if found else 0
