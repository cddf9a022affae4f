"""The reviewer's page in a real browser: read, moved through and decided on by keys, by mouse, by touch; live. E5 E8 P4"""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, browser, on_postgres, on_sqlite
from tests.journeys.pictures import picture
from tests.journeys.team import WHERE, Visitor, ask, person, program, sign_in

DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
HARD = ["rm", "invoice\u202egpj.exe", "till\u200b.py", "a  b", "", "\x1b[2K", "line\nfeed", "р\u0430y"]
"""A name that reads backwards, one with a hidden character, blanks, nothing, an escape, two lines, Cyrillic letters."""


class House(ExitStack):
    """A server with two reviewers who are signed in, and an agent."""

    def __init__(self, server: Server, chromium: Any) -> None:
        super().__init__()
        self.server, self.chromium = server, chromium
        team.found_acme(server)
        token = team.admin(server, "agent.create", workspace="acme", name="bot")["token"]
        self.agent = self.enter_context(program(server, token))
        self.ann, self.bob = (
            self.enter_context(sign_in(server, person(server, name, "reviewer"))) for name in ("ann", "bob")
        )

    @contextmanager
    def page(
        self, who: Visitor, path: str = "queue", *, is_live: bool = True, is_clock_ours: bool = False, **context: Any
    ) -> Iterator[Page]:
        with self.chromium.new_context(**({"viewport": DESK} | context)) as opened:
            opened.add_cookies(
                [{"name": one.name, "value": one.value or "", "url": self.server.url} for one in who.cookies.jar]
            )
            page = opened.new_page()
            if is_clock_ours:
                page.clock.install()
            page.goto(f"{self.server.url}/w/acme/{path}")
            if is_live:
                expect(page.locator("[data-live]")).to_have_attribute("data-state", "live")
            yield page

    def state(self, view: dict[str, Any]) -> str:
        return self.agent.get(f"{WHERE}/commands/{view['id']}").json()["state"]

    def use(self, view: dict[str, Any]) -> None:
        """Use an approval and tell how it ended."""
        told = {"digest": view["digest"], "exit_code": 3, "duration_ms": 20}
        for verb in ("consume", "outcome"):
            body = told if verb == "outcome" else {"digest": view["digest"]}
            assert self.agent.post(f"{WHERE}/commands/{view['id']}/{verb}", json=body).status_code == 200


@pytest.fixture(scope="module")
def house(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One server for this file on each database; what is only of the page is looked at on one of them."""
    stopped = Server(tmp_path_factory.mktemp("pages") / "data", database_url=new_database())
    with team.served(stopped) as server, browser() as chromium, House(server, chromium) as one:
        yield one


@pytest.fixture(autouse=True)
def nothing_waits(house: House) -> Iterator[None]:
    yield
    for one in house.ann.get(f"{WHERE}/commands?state=pending").json()["items"]:
        assert house.agent.post(f"{WHERE}/commands/{one['id']}/cancel", json={}).status_code == 200


def row(page: Page, view: dict[str, Any]) -> Any:
    return page.locator(f"[data-list] [data-id='{view['id']}']")


def shown(page: Page, view: dict[str, Any]) -> None:
    """Wait until the request is the one that is looked at."""
    expect(page.locator("[data-detail]")).to_have_attribute("data-id", view["id"])
    expect(row(page, view)).to_have_attribute("aria-current", "true")


def tokens(page: Page) -> list[str]:
    return page.locator("[data-detail] [data-argv] > *").evaluate_all("all => all.map(one => one.textContent)")


def fits(page: Page, name: str, axe_at: int) -> None:
    """No width makes it scroll sideways; at one of them axe looks, in both themes."""
    for width in (320, 390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} at {width}"
        if width == axe_at:
            picture(page, name)


def test_keys_move_explain_and_decide_with_a_reason_and_take_a_vote_back(house: House) -> None:
    first, second, third = (ask(house.agent, "make", word, ttl_seconds=600) for word in ("one", "two", "three"))
    with house.page(house.ann) as page:
        shown(page, first)
        for key, then in (("j", second), ("j", third), ("j", third), ("k", second)):
            page.keyboard.press(key)
            shown(page, then)
        page.keyboard.press("?")
        keys = page.get_by_role("dialog", name="Keys")
        expect(keys).to_be_visible()
        page.keyboard.press("a")  # decides nothing behind it
        page.keyboard.press("Escape")
        expect(keys).to_be_hidden()
        page.keyboard.press("d")
        page.keyboard.press("Escape")
        expect(page.locator("[data-say]")).to_have_text("Taken back. Nothing was sent.")
        page.keyboard.press("r")
        page.keyboard.type("add jokes")  # a, d and j are letters here
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        page.keyboard.press("a")
        expect(page.locator(".toast")).to_have_text("Your approval counted.")
        expect(page.locator("[data-verdict]")).to_have_attribute("data-verdict", "approved")
        page.keyboard.press("j")
        shown(page, first)
    decided = house.agent.get(f"{WHERE}/commands/{second['id']}").json()
    assert (decided["verdict"]["decision"], decided["verdict"]["note"]) == ("approve", "add jokes")
    assert [house.state(one) for one in (first, second, third)] == ["pending", "approved", "pending"]


@on_postgres
def test_names_of_the_languages_own_change_nothing_on_the_page(house: House) -> None:
    """ASVS 15.3.6: `__proto__` and its like as keys, in answers, in live messages, in what an agent sent."""
    view = ask(house.agent, "make", "__proto__", reason="constructor", ttl_seconds=600)
    names = ("__proto__", "constructor", "toString", "valueOf", "hasOwnProperty")
    hostile = '{"__proto__": {"slipped": 1}, "constructor": {"prototype": {"slipped": 1}}, "prototype": {"slipped": 1}'
    broken: list[str] = []
    own = "[Object, Array, Function, String, Map].map((one) => Object.getOwnPropertyNames(one.prototype).join())"
    with house.page(house.ann) as page:
        page.on("pageerror", lambda error: broken.append(str(error)))
        shown(page, view)
        before = page.evaluate(own)
        for name in names:
            page.evaluate("key => document.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}))", name)
        messages = (
            f'{hostile}, "type": "command", "event": "__proto__", "command": {{"id": "__proto__"}}}}',
            f'{hostile}, "type": "__proto__"}}',
        )
        for message in messages:
            say = "text => document.dispatchEvent(new CustomEvent('failgate:live', {detail: JSON.parse(text)}))"
            page.evaluate(say, message)
        page.route(
            "**/votes",
            lambda route: route.fulfill(
                status=409,
                content_type="application/problem+json",
                body=f'{hostile}, "type": "about:__proto__", "detail": "Not now.", "state": "pending"}}',
            ),
        )
        page.locator("[data-act] button[value=approve]").click()
        expect(page.locator("[data-say]")).to_have_text("Not now.")
        assert page.evaluate(
            "({}).slipped === undefined && [].slipped === undefined && (() => 0).slipped === undefined"
        )
        assert page.evaluate(own) == before
    assert broken == []
    assert house.state(view) == "pending"


def cleared(page: Page) -> None:
    """Wait until nothing of the page is left."""
    deadline = time.monotonic() + 20
    while "a-word-of-ours" in page.content():
        assert time.monotonic() < deadline, page.content()[:2000]
        page.wait_for_timeout(50)


@on_sqlite
@pytest.mark.parametrize(("minutes", "is_left"), [(50, True), (61, False)])
def test_a_page_whose_session_is_over_is_cleared_also_when_the_server_is_gone(
    house: House, minutes: int, *, is_left: bool
) -> None:
    """ASVS 14.3.1: an hour without an answer. The clock is the browser's; the server is not reached any more."""
    view = ask(house.agent, "make", "a-word-of-ours", ttl_seconds=600)
    with house.page(house.ann, f"commands/{view['id']}", is_live=False, is_clock_ours=True) as page:
        expect(page.locator("main")).to_contain_text("a-word-of-ours")
        page.context.set_offline(True)
        page.clock.fast_forward(minutes * 60_000)
        page.clock.run_for(5_000)
        if is_left:
            expect(page.locator("main")).to_contain_text("a-word-of-ours")
        else:
            cleared(page)


@on_postgres
def test_pages_of_one_browser_keep_their_session_alive_for_each_other_but_not_beyond_its_end(house: House) -> None:
    view = ask(house.agent, "make", "a-word-of-ours", ttl_seconds=600)
    path = f"commands/{view['id']}"
    with house.page(house.ann, path, is_live=False, is_clock_ours=True) as page:
        other = page.context.new_page()
        page.clock.fast_forward(50 * 60_000)
        other.goto(f"{house.server.url}/account")  # the server hears of the person
        other.wait_for_load_state("networkidle")
        page.context.set_offline(True)
        page.clock.fast_forward(20 * 60_000)
        page.clock.run_for(5_000)
        expect(page.locator("main")).to_contain_text("a-word-of-ours")
        page.clock.fast_forward(12 * 3_600_000)
        page.clock.run_for(5_000)
        cleared(page)


@on_sqlite
def test_a_sign_out_clears_the_other_pages_of_the_browser(house: House) -> None:
    view = ask(house.agent, "make", "a-word-of-ours", ttl_seconds=600)
    with sign_in(house.server, person(house.server, "walker", "reviewer")) as walker:
        with house.page(walker, f"commands/{view['id']}", is_live=False) as page:
            page.goto(f"{house.server.url}/account/sessions")  # a page without a live connection
            expect(page.locator("form[action='/account/sessions/close'], main")).to_contain_text("Sign out")
            other = page.context.new_page()
            other.goto(f"{house.server.url}/account")
            other.locator('form[action="/signout"] button').last.click()
            other.wait_for_url("**/signin**")
            page.wait_for_url("**/signin**")


@on_postgres
def test_a_sign_out_tells_the_browser_to_forget_what_it_kept(house: House) -> None:
    with sign_in(house.server, person(house.server, "leaver", "reviewer")) as client:
        token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/account").text)
        assert token is not None
        answer = client.post("/signout", data={"csrf_token": token[1]}, headers={"origin": house.server.url})
        assert answer.headers["clear-site-data"] == '"cache"'
        assert client.get("/account").status_code != 200


@on_postgres
def test_every_unusual_character_is_seen_and_the_page_fits_everybody(house: House) -> None:
    hard = ask(house.agent, *HARD, reason="tidy\u202e up", ttl_seconds=600)
    ask(house.agent, "ls", ttl_seconds=1200)
    with house.page(house.ann) as page:
        shown(page, hard)
        assert tokens(page) == hard["rendering"]
        assert [one for one in "\u202e\u200b\x1b" if one in page.inner_text("main")] == []
        for said in ("⟨U+202E RLO⟩", "⟨U+200B ZWSP⟩", "⟨U+001B ESC⟩", "⟨U+000A LF⟩", "⟨empty⟩", "CYRILLIC"):
            expect(page.locator("[data-detail] [data-argv]")).to_contain_text(said)
        expect(row(page, hard)).to_contain_text("unusual")
        fits(page, "queue", axe_at=1280)
    with house.page(house.ann, f"commands/{hard['id']}") as page:
        assert tokens(page) == hard["rendering"]
        fits(page, "command", axe_at=390)


@on_sqlite
def test_a_long_command_is_decided_on_only_when_all_of_it_was_shown(house: House) -> None:
    end = "; rm -rf /"
    long = ask(house.agent, "sh", "-c", "echo " + "x" * 9000 + end, ttl_seconds=600)
    with house.page(house.ann) as page:
        approve = page.locator("[data-detail] [data-approve]")
        expect(approve).to_be_disabled()
        page.keyboard.press("a")
        expect(page.locator("[data-say]")).to_contain_text("Show the collapsed text")
        expect(page.locator("[data-collapsed] .middle")).to_be_hidden()
        expect(page.locator("[data-detail] [data-argv]")).to_contain_text("/")  # its end stands open too
        page.locator("[data-expand]").click()
        expect(approve).to_be_enabled()
        assert tokens(page) == long["rendering"]
        assert house.state(long) == "pending"
        approve.click()
        expect(page.locator(".toast")).to_have_text("Your approval counted.")
    assert house.state(long) == "approved"


def test_what_others_do_shows_by_itself_on_a_phone_and_at_the_page_of_the_command(house: House) -> None:
    with house.page(house.bob, viewport=PHONE, has_touch=True) as phone:
        view = ask(house.agent, "make", "deploy", reason="release", ttl_seconds=600)
        other = ask(house.agent, "make", "clean", ttl_seconds=1200)
        row(phone, other).tap()
        expect(phone.locator("[data-detail] [data-argv]")).to_contain_text("clean")
        expect(row(phone, other)).to_be_hidden()
        phone.locator("[data-back]").tap()
        expect(row(phone, view)).to_be_visible()
        row(phone, view).tap()
        expect(phone.locator("[data-detail] [data-approve]")).to_be_visible()
        with house.page(house.bob, f"commands/{view['id']}") as watching:
            assert team.vote(house.ann, view, "deny", note="not today").status_code == 200
            for page in (phone, watching):
                expect(page.locator("[data-verdict]")).to_have_attribute("data-verdict", "denied")
                expect(page.locator("[data-detail]")).to_contain_text("not today")
                expect(page.locator("[data-act]")).to_have_count(0)
                expect(page.locator("[data-live]").first).to_have_attribute("data-state", "live")
        phone.locator("[data-next]").tap()
        phone.locator("[data-detail] [data-note]").fill("looks good")
        phone.locator("[data-detail] [data-approve]").tap()
        expect(phone.locator("[data-verdict]")).to_have_attribute("data-verdict", "approved")
        house.use(other)
        expect(phone.locator("[data-verdict]")).to_have_attribute("data-verdict", "executed")


def test_without_scripts_a_vote_is_a_form(house: House) -> None:
    view = ask(house.agent, "make", "x" * 9000, ttl_seconds=600)
    with house.page(house.ann, is_live=False, java_script_enabled=False) as page:
        expect(page.locator("[data-detail] [data-approve]")).to_be_disabled()
        page.get_by_role("link", name="Show everything").click()
        page.get_by_label("Reason, sent to the agent").fill("too long")
        page.locator("[data-detail] [data-deny]").click()
        expect(page.locator("[data-verdict]")).to_have_attribute("data-verdict", "denied")
    assert house.agent.get(f"{WHERE}/commands/{view['id']}").json()["verdict"]["note"] == "too long"


def test_a_click_counts_also_when_something_happens_while_the_button_is_down(house: House) -> None:
    first = ask(house.agent, "make", "first", ttl_seconds=600)
    second = ask(house.agent, "make", "second", ttl_seconds=1200)
    with house.page(house.ann) as page:
        shown(page, first)
        row(page, second).hover()
        page.mouse.down()
        with page.expect_response(lambda answer: "part=panes" in answer.url):
            third = ask(house.agent, "make", "third", ttl_seconds=900)
        page.wait_for_timeout(300)  # what was fetched would have been shown
        page.mouse.up()
        shown(page, second)
        expect(row(page, third)).to_be_visible()
