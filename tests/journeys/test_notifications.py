"""Notifications at a real server: signed webhooks to a real receiver, letters to a real mailbox, the browser's own. B9 E18."""

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from axe_playwright_python.sync_playwright import Axe
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from failgate.base.canonical import digest_of
from failgate.testing import Receiver, Reply, receiving
from tests.journeys.harness import NewDatabase, Server, browser, free_port
from tests.journeys.team import (
    WHERE,
    Person,
    admin,
    ask,
    command,
    enter,
    form,
    found_acme,
    person,
    program,
    served,
    sign_in,
    vote,
)
from tests.journeys.test_bad_input import consented, manifest

TOKEN = "ghp_" + "x7Kq2mZ9" * 4 + "Wd4R"


NOTIFYING = """
[server]
allow_loopback = true
[notify]
notifiers = ["webhook", "mail", "slack", "teams"]
[notify.smtp]
host = "127.0.0.1"
port = {port}
sender = "Failgate <f@acme.example>"
tls = "none"
[plugins.slack]
hosts = ["127.0.0.1"]
[plugins.teams]
hosts = ["127.0.0.1"]
"""


class Mailbox:
    def __init__(self) -> None:
        self.letters: list[Any] = []

    async def handle_DATA(self, server, session, envelope):
        self.letters.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@contextmanager
def delivering_to(box: Mailbox) -> Iterator[int]:
    port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def until(is_so, what: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class Acme:
    """A server with a workspace, its people and an agent."""

    def __init__(self, server: Server, receiver: Receiver, mailbox: Mailbox) -> None:
        self.server, self.receiver, self.mailbox = server, receiver, mailbox
        found_acme(server)
        self.admin: Person = person(server, "admin", "admin")
        self.reviewer: Person = person(server, "ann", "reviewer")
        self.developer: Person = person(server, "dev", "developer")
        self.browsing: Person = person(server, "bea", "admin")
        self.agent_token: str = admin(server, "agent.create", workspace="acme", name="ci")["token"]
        self.api, self.ann = sign_in(server, self.admin), sign_in(server, self.reviewer)
        self.dev = sign_in(server, self.developer)

    def restart(self) -> None:
        """Kill the server and start it again, elsewhere; sessions go on."""
        self.server.kill()
        self.server.start(timeout=60)
        for client in (self.api, self.ann, self.dev):
            client.base_url = self.server.url
            client.headers["origin"] = self.server.url

    def close(self) -> None:
        for client in (self.api, self.ann, self.dev):
            client.close()

    def hook(self, **more: Any) -> dict[str, Any]:
        answer = self.api.post(f"{WHERE}/webhooks", json={"url": self.receiver.url, **more})
        assert answer.status_code == 201, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def acme(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acme]:
    box = Mailbox()
    with delivering_to(box) as port, receiving() as receiver:
        config = NOTIFYING.format(port=port)
        with served(
            Server(tmp_path_factory.mktemp("notified") / "data", database_url=new_database(), config=config)
        ) as server:
            acme = Acme(server, receiver, box)
            yield acme
            acme.close()


def test_a_webhook_from_its_making_to_its_end(acme: Acme) -> None:
    """The secret is shown once, what is sent verifies by it, the log shows it, and a kill loses nothing."""
    made = acme.hook(name="books", events=["command.pending", "command.decided"])
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made["secret"])
    listed = acme.api.get(f"{WHERE}/webhooks")
    assert made["secret"] not in listed.text
    assert listed.json()["items"][0]["url"] == acme.receiver.url

    acme.receiver.replies.append(Reply(503))  # it waits in the outbox when the server is killed
    with program(acme.server, acme.agent_token) as agent:
        view = ask(agent, "/usr/bin/rm", "-r", "secret-folder")
    until(lambda: len(acme.receiver.posted) == 1, "nothing was posted")
    deliveries = f"{WHERE}/webhooks/{made['id']}/deliveries"
    until(lambda: acme.api.get(deliveries).json()["items"][0]["attempts"] == 1, "the failure was not kept")
    acme.restart()
    until(lambda: len(acme.receiver.posted) == 2, "it was not sent again after the kill")
    first, second = acme.receiver.posted
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    payload = Verifier(made["secret"]).verify(second.body, dict(second.headers))
    assert payload["type"] == "command.pending"
    assert payload["data"]["command"]["id"] == view["id"]
    assert "secret-folder" not in second.body.decode()

    rotated = acme.api.post(f"{WHERE}/webhooks/{made['id']}/secret").json()
    assert vote(acme.ann, ask_again(acme)).status_code == 200
    until(lambda: len(acme.receiver.posted) == 4, "the decision was not told")
    for posted in acme.receiver.posted[2:]:
        for secret in (made["secret"], rotated["secret"]):
            Verifier(secret).verify(posted.body, dict(posted.headers))
    assert json.loads(acme.receiver.posted[3].body)["data"]["command"]["decision"] == "approved"

    tried = acme.api.post(f"{WHERE}/webhooks/{made['id']}/test")
    assert tried.status_code == 202
    until(lambda: len(acme.receiver.posted) == 5, "the test was not sent")
    until(lambda: acme.api.get(deliveries).json()["items"][0]["state"] == "delivered", "the log does not say so")
    again = acme.api.post(f"{deliveries}/{tried.json()['id']}/resend")
    assert again.status_code == 202
    until(lambda: len(acme.receiver.posted) == 6, "it was not sent again")
    assert acme.receiver.posted[5].headers["webhook-id"] == f"msg_{tried.json()['id']}"

    assert acme.api.delete(f"{WHERE}/webhooks/{made['id']}").status_code == 204
    assert acme.api.get(deliveries).status_code == 404


def ask_again(acme: Acme) -> dict[str, Any]:
    with program(acme.server, acme.agent_token) as agent:
        return ask(agent)


def test_a_report_is_told_of_by_project_and_exit_code_and_by_title_where_that_is_let_out(acme: Acme) -> None:
    plain = acme.hook(events=["report.uploaded"])
    full = acme.hook(events=["report.uploaded"], details=True)
    before = len(acme.receiver.posted)
    content = b"1 failed in 0.1s\n"
    document = manifest(content)
    artifact = document["artifacts"][0]["sha256"]  # type: ignore[index]  # as `manifest` writes it
    with program(acme.server, acme.agent_token) as agent:
        begun = agent.post(f"{WHERE}/reports", json=consented(document))
        assert begun.status_code == 201, begun.text
        where = f"{WHERE}/reports/{begun.json()['id']}"
        assert agent.put(f"{where}/artifacts/{artifact}", content=content).status_code == 200
        assert len(acme.receiver.posted) == before, "it is told when it is complete"
        assert agent.post(f"{where}/seal").status_code == 200
    until(lambda: len(acme.receiver.posted) == before + 2, "the report was not told")
    told = {}
    for posted in acme.receiver.posted[before:]:
        for made in (plain, full):
            with suppress(WebhookVerificationError):
                told[made["id"]] = Verifier(made["secret"]).verify(posted.body, dict(posted.headers))
    assert told[plain["id"]]["type"] == "report.uploaded"
    assert told[plain["id"]]["data"]["report"]["id"] == begun.json()["id"]
    assert told[plain["id"]]["data"]["url"] == f"{acme.server.url}/w/acme/reports/{begun.json()['id']}"
    assert "title" not in told[plain["id"]]["data"]["report"]
    assert told[full["id"]]["data"]["report"]["title"]
    for made in (plain, full):
        assert acme.api.delete(f"{WHERE}/webhooks/{made['id']}").status_code == 204


def test_a_repeated_request_has_one_effect(acme: Acme) -> None:
    key = {"idempotency-key": "once"}
    first = acme.api.post(f"{WHERE}/webhooks", json={"url": acme.receiver.url}, headers=key).json()
    again = acme.api.post(f"{WHERE}/webhooks", json={"url": acme.receiver.url}, headers=key).json()
    assert again == {"id": first["id"], "secret": None, "previous_secret_until": None}, "a secret is shown once"
    before = len(acme.receiver.posted)
    where = f"{WHERE}/webhooks/{first['id']}"
    tried = [acme.api.post(f"{where}/test", headers=key).json() for _ in range(3)]
    assert len({each["id"] for each in tried}) == 1
    until(lambda: acme.api.get(f"{where}/deliveries").json()["items"][0]["state"] == "delivered", "not delivered")
    assert len(acme.receiver.posted) == before + 1
    changed = acme.api.post(where, json={"name": "Books", "enabled": False}).json()
    assert (changed["name"], changed["enabled"], changed["delivered"]) == ("Books", False, 1)
    assert acme.api.delete(where).status_code == 204


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"url": "http://169.254.169.254/latest/meta-data"}, 422),
        ({"url": "https://10.0.0.8/hook"}, 422),
        ({"url": "https://user:word@example.com/"}, 422),
        ({"url": "javascript:alert(1)"}, 422),
        ({"url": ""}, 400),
        ({"events": ["command.pending", "no.such"]}, 400),
        ({"events": []}, 400),
        ({"notifier": "mail"}, 400),
        ({"notifier": "pager"}, 400),
        ({"name": "a\u202eb"}, 400),
        ({"name": "x" * 101}, 400),
        ({"details": "yes"}, 400),
        ({"secret": "whsec_mine"}, 400),
    ],
)
def test_what_is_no_destination_is_refused_by_name(acme: Acme, body: dict[str, Any], status: int) -> None:
    answer = acme.api.post(f"{WHERE}/webhooks", json={"url": acme.receiver.url, **body})
    assert answer.status_code == status, answer.text


def test_who_may_not_see_where_things_are_told_does_not(acme: Acme) -> None:
    made = acme.hook()
    assert acme.ann.get(f"{WHERE}/webhooks").status_code == 403
    assert acme.ann.post(f"{WHERE}/webhooks", json={"url": acme.receiver.url}).status_code == 403
    assert acme.ann.get(f"/w/acme/settings/notifications/{made['id']}").status_code == 403
    assert acme.api.delete(f"{WHERE}/webhooks/{made['id']}").status_code == 204


def test_the_requester_and_the_reviewer_are_told_by_mail_what_they_chose(acme: Acme) -> None:
    answer = form(acme.ann, "/account/notifications", workspace="acme", **{"event command.pending": "1"})
    assert answer.status_code == 200, answer.text
    assert "Saved for" in answer.text
    view = ask_again(acme)
    until(lambda: len(acme.mailbox.letters) == 1, "no letter came")
    assert acme.mailbox.letters[0]["to"] == acme.reviewer.email
    assert acme.mailbox.letters[0]["subject"] == "[acme] A command waits: rm on builder"
    assert f"/w/acme/queue?c={view['id']}" in acme.mailbox.letters[0].get_content()
    form(acme.ann, "/account/notifications", workspace="acme")
    form(acme.dev, "/account/notifications", workspace="acme", **{"event command.decided": "1"})
    own = ask(acme.dev, "/usr/bin/make")
    assert vote(acme.ann, own, "deny").status_code == 200
    until(lambda: len(acme.mailbox.letters) == 2, "the requester heard nothing")
    assert acme.mailbox.letters[1]["subject"] == "[acme] Denied: make on builder"
    assert acme.mailbox.letters[1]["to"] == acme.developer.email
    assert form(acme.dev, "/account/notifications", workspace="nowhere").status_code == 404


def test_nothing_that_goes_out_holds_a_secret_and_a_chat_gets_an_alert_and_a_link(acme: Acme) -> None:
    """The most that a workspace may let out, by every way at once: webhook, Slack, Teams, mail, the browser's line."""
    told = ["command.pending", "command.decided"]
    made = [acme.hook(notifier=name, events=told, details=True) for name in ("webhook", "slack", "teams")]
    form(acme.ann, "/account/notifications", workspace="acme", **{f"event {name}": "1" for name in told})
    posted, letters = len(acme.receiver.posted), len(acme.mailbox.letters)
    body = command(
        "/usr/bin/deploy", "--password", "hunter2-and-more", f"--header=Authorization: Bearer {TOKEN}", "plain-argument",
        host=f"h-{TOKEN}", env={"API_KEY": TOKEN},
    )  # fmt: skip
    with program(acme.server, acme.agent_token) as agent:
        answer = agent.post(f"{WHERE}/commands", json={"command": body, "digest": digest_of(body), "reason": TOKEN})
        assert answer.status_code == 201, answer.text
    view = answer.json()
    notice = acme.ann.get(f"{WHERE}/commands/{view['id']}/notice")
    assert notice.json()["state"] == "pending"
    assert notice.json()["title"].startswith("A command waits: deploy on h-")
    assert vote(acme.ann, view, "deny", note=f"never with {TOKEN}").status_code == 200
    until(lambda: len(acme.receiver.posted) == posted + 6, "not all were told")
    until(lambda: len(acme.mailbox.letters) == letters + 1, "no letter came")
    bodies = [each.body.decode() for each in acme.receiver.posted[posted:]]
    logs = [acme.api.get(f"{WHERE}/webhooks/{each['id']}/deliveries").text for each in made]
    letter = str(acme.mailbox.letters[-1])
    for text in (*bodies, *logs, letter, notice.text, "".join(acme.server.logs)):
        assert TOKEN not in text
        assert "hunter2" not in text
    assert sum("plain-argument" in text for text in bodies) == 6, "what is no secret was let out"
    assert "plain-argument" not in letter
    slack = next(message for text in bodies if "blocks" in (message := json.loads(text)))
    teams = next(message for text in bodies if "attachments" in (message := json.loads(text)))
    link = f"{acme.server.url}/w/acme/queue?c={view['id']}"
    assert [each["url"] for each in slack["blocks"][-1]["elements"]] == [link]
    assert [(each["type"], each["url"]) for each in teams["attachments"][0]["content"]["actions"]] == [
        ("Action.OpenUrl", link)
    ]
    form(acme.ann, "/account/notifications", workspace="acme")
    for each in made:
        assert acme.api.delete(f"{WHERE}/webhooks/{each['id']}").status_code == 204


def _spy(page, *, is_elsewhere: bool = False) -> None:
    """Keep what the page gives to the browser's own notifications; the browser shows it all the same."""
    if is_elsewhere:  # to a page without a screen every page is in front
        page.add_init_script("Object.defineProperty(document, 'visibilityState', { get: () => 'hidden' });")
    page.add_init_script("""
      const Real = window.Notification;
      window.told = [];
      window.Notification = class extends Real {
        constructor(title, options) { super(title, options); window.told.push([title, options.body, options.tag]); }
      };
    """)


def test_the_pages_of_destinations_and_the_notifications_of_the_browser(acme: Acme, tmp_path: Path) -> None:
    with browser(is_whole=True) as chromium:
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        enter(page, acme.server, acme.browsing)
        page.goto(f"{acme.server.url}/w/acme/settings")
        page.get_by_role("link", name="Notifications", exact=True).click()
        page.get_by_role("link", name="New destination").click()
        page.get_by_label("Address").fill(acme.receiver.url)
        page.get_by_label("Name (optional)").fill("On call")
        shown(page, "new")
        page.get_by_role("button", name="Make it").click()
        assert page.locator("[data-shown-secret]").inner_text().startswith("whsec_")
        page.get_by_role("link", name="I have kept it").click()
        before = len(acme.receiver.posted)
        with page.expect_navigation():  # a page that is still on its way cannot be asked for again
            page.get_by_role("button", name="Send a test").click()
        until(lambda: len(acme.receiver.posted) > before, "the test was not sent")
        until(lambda: page.reload() and page.locator("[data-state=delivered]").count() == 1, "the page does not say so")
        shown(page, "destination")
        page.goto(f"{acme.server.url}/w/acme/settings/notifications")
        shown(page, "destinations")

        page.goto(f"{acme.server.url}/w/acme/queue")
        page.get_by_role("button", name="Notify me in this browser").wait_for()
        shown(page, "queue")
        page.goto(f"{acme.server.url}/account/notifications")
        shown(page, "preferences")
        # Permission is asked by the click: headless, the context answers in the person's place.
        context.grant_permissions(["notifications"], origin=acme.server.url)
        page.get_by_role("button", name="Notify me in this browser").click()
        page.get_by_role("button", name="Stop notifying me here").wait_for()

        other = context.new_page()
        _spy(other)
        other.goto(f"{acme.server.url}/w/acme/members")
        page.bring_to_front()
        view = ask_again(acme)
        until(lambda: other.evaluate("window.told.length") >= 1, "the browser was told nothing")
        title, body, tag = other.evaluate("window.told[0]")
        assert (title, body, tag) == ("A command waits: rm on builder", "ci", f"failgate-{view['id']}")
        # Who asked waits at the page of the command, and looks elsewhere meanwhile.
        asking = context.new_page()
        _spy(asking, is_elsewhere=True)
        asking.goto(f"{acme.server.url}/w/acme/commands/{view['id']}")
        asking.locator("[data-live][data-state=live]").wait_for(state="attached")
        assert vote(acme.ann, view, "deny").status_code == 200
        until(lambda: asking.evaluate("window.told.length") == 1, "the requester was told nothing")
        assert asking.evaluate("window.told[0]") == ["Denied: rm on builder", "ci", f"failgate-{view['id']}"]
        asking.close()
        # Off again: the switch on one page counts on every other.
        page.get_by_role("button", name="Stop notifying me here").click()
        page.get_by_role("button", name="Notify me in this browser").wait_for()
        ask_again(acme)
        other.wait_for_timeout(300)
        assert other.evaluate("window.told.length") == 1
        context.close()


def shown(page, name: str) -> None:
    """Look at the page at both widths; axe finds nothing on it."""
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{name} is wider than {width}"
        if folder := os.environ.get("FAILGATE_LOOK"):
            page.screenshot(path=f"{folder}/{name}-{width}.png", full_page=True)
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    page.set_viewport_size({"width": 1280, "height": 900})
