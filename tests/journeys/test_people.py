"""Invite, join, change a role, remove; a forgotten password by link and by letter: in a browser, at a real server. # B4 F6 E19"""

import asyncio
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy

import httpx
import pyotp
import pytest
from aiosmtpd.smtp import SMTP
from playwright.sync_api import Page, expect

from tests.journeys.harness import Server, old_path
from tests.journeys.team import PASSWORD, admin, found_acme, person, sign_in, stranger

NEW = "quite another passphrase"


@pytest.fixture
def acme(server: Server) -> Server:
    server.start()
    found_acme(server)
    return server


def enter(page: Page, server: Server, who) -> None:
    """Sign `who` in through the pages."""
    page.goto(f"{server.url}/signin")
    page.get_by_label("E-mail").fill(who.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.locator("#code").fill(pyotp.TOTP(who.totp).now())
    page.get_by_role("button", name=re.compile("Continue|Sign in|Confirm")).first.click()
    page.wait_for_url(f"{server.url}/")


def shown_link(page: Page, server: Server) -> str:
    """Return the path of the link that is shown this once."""
    text = page.locator("[data-shown-secret]").inner_text()
    return server.url + "/" + text.split("/", 3)[3]


def test_a_person_is_invited_joins_gets_another_role_and_is_removed(acme: Server, chromium) -> None:
    boss = person(acme, "boss", "owner")
    owners, guests = chromium.new_context(), chromium.new_context(viewport={"width": 390, "height": 844})
    page, guest = owners.new_page(), guests.new_page()
    enter(page, acme, boss)
    page.goto(f"{acme.url}/w/acme/members")
    page.get_by_role("link", name="Invite").click()
    page.get_by_label("E-mail (optional)").fill("guest@acme.example")
    page.get_by_label("reviewer").check()
    page.get_by_role("button", name="Make the invitation").click()
    link = shown_link(page, acme)
    guest.goto(link)
    expect(guest.get_by_role("heading", name="Join acme")).to_be_visible()
    expect(guest.get_by_label("Your e-mail")).to_have_value("guest@acme.example")
    guest.get_by_label("Password").fill(PASSWORD)
    guest.get_by_role("button", name="Make the account and join").click()
    expect(guest).to_have_url(re.compile("/account/second-factor"))
    guest.goto(link)
    expect(guest.get_by_text("does not work any more").first).to_be_visible()
    guest.goto(f"{acme.url}/w/acme/queue")
    expect(guest.locator("[data-state=live]").first).to_be_visible()
    page.goto(f"{acme.url}/w/acme/members")
    page.get_by_role("link", name="guest@acme.example").click()
    page.get_by_label("developer").check()
    page.get_by_role("button", name="Change the role").click()
    expect(page.get_by_role("row", name="guest@acme.example")).to_contain_text("developer")
    page.get_by_role("link", name="guest@acme.example").click()
    page.get_by_label("Remove guest@acme.example").check()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_role("link", name="guest@acme.example")).to_have_count(0)
    # In a page of its own: the one that is open clears itself at this moment, and may go elsewhere.
    assert guests.new_page().goto(f"{acme.url}/w/acme/queue").status == 404
    owners.close()
    guests.close()


def test_a_key_is_made_shown_once_used_and_revoked(acme: Server, chromium) -> None:
    dev = person(acme, "dev", "developer")
    context = chromium.new_context()
    page = context.new_page()
    enter(page, acme, dev)
    page.goto(f"{acme.url}/account/api-keys")
    page.get_by_role("link", name="New API key").click()
    page.get_by_label("Name").fill("nightly export")
    page.get_by_label("Only what is ticked here").check()
    page.get_by_label("read commands").check()
    page.get_by_role("button", name="Make the key").click()
    key = page.locator("[data-shown-secret]").inner_text()
    with stranger(acme, authorization=f"Bearer {key}") as script:
        assert script.get("/api/v1/workspaces/acme/commands").status_code == 200
        assert script.get("/api/v1/workspaces/acme/members").status_code == 403
        page.goto(f"{acme.url}/account/api-keys")
        expect(page.get_by_text("from 127.0.0.1")).to_be_visible()
        assert key not in page.content()
        page.get_by_role("button", name="Revoke nightly export").click()
        expect(page.get_by_text("No API key yet")).to_be_visible()
        assert script.get("/api/v1/workspaces/acme/commands").status_code == 401
    context.close()
    assert key not in "".join(acme.lines + acme.logs)


def test_an_operators_link_changes_a_password_and_the_second_factor_is_still_asked_for(acme: Server, chromium) -> None:
    who = person(acme, "forgetful", "developer")
    with sign_in(acme, who) as before:
        made = admin(acme, "user.reset_link", email=who.email)
        link = acme.url + "/" + made["link"].split("/", 3)[3]
        context = chromium.new_context()
        page = context.new_page()
        page.goto(f"{acme.url}/signin")
        page.get_by_role("link", name="Forgotten password?").click()
        expect(page.get_by_text("This server sends no e-mail")).to_be_visible()
        page.goto(link)
        page.get_by_label("New password").fill(NEW)
        page.get_by_role("button", name="Change the password").click()
        expect(page.get_by_role("heading", name="Your password is changed")).to_be_visible()
        assert before.get("/api/v1/whoami").status_code == 401
        page.get_by_role("link", name="Sign in").click()
        page.get_by_label("E-mail").fill(who.email)
        page.get_by_label("Password", exact=True).fill(NEW)
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.locator("#code")).to_be_visible()
        page.goto(link)
        expect(page.get_by_text("does not work any more").first).to_be_visible()
        context.close()


class _Inbox:
    def __init__(self) -> None:
        self.letters: list[str] = []

    async def handle_DATA(self, server, session, envelope):
        self.letters.append(message_from_bytes(envelope.content, policy=policy.default).get_content())
        return "250 OK"


@contextmanager
def mailbox() -> Iterator[tuple[_Inbox, int]]:
    """A real SMTP server in a thread of its own; its port is one that the system chose."""
    inbox, ready, stopping = _Inbox(), threading.Event(), asyncio.Event()
    found: list = []

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(lambda: SMTP(inbox, hostname="localhost", loop=loop), "127.0.0.1", 0)
        found.extend((loop, listening.sockets[0].getsockname()[1]))
        ready.set()
        await stopping.wait()
        listening.close()
        await listening.wait_closed()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield inbox, found[1]
    finally:
        found[0].call_soon_threadsafe(stopping.set)
        thread.join(10)


def test_a_letter_brings_the_link_from_the_configured_address_whatever_a_request_says(
    database_url: str, tmp_path
) -> None:
    """ASVS 6.4.3: neither Host nor a forwarding header gets into a link; an unknown address is answered alike."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        own = f"http://127.0.0.1:{free.getsockname()[1]}"
    with mailbox() as (inbox, port):
        config = (
            f'[server]\npublic_url = "{own}"\n'
            f'[notify.smtp]\nhost = "127.0.0.1"\nport = {port}\nsender = "f@acme.example"\ntls = "none"\n'
        )
        arguments = ("--listen", own.removeprefix("http://"))
        server = Server(tmp_path / "data", database_url=database_url, config=config, arguments=arguments)
        try:
            server.start()
            found_acme(server)
            with stranger(server, origin=own) as client:
                poison = {
                    "x-forwarded-host": "evil.example",
                    "forwarded": "host=evil.example",
                    "x-host": "evil.example",
                }
                client.headers.update(poison)
                answers = {}
                for email in ("owner@acme.example", "nobody@acme.example"):
                    answers[email] = _ask(client, email)
                known, unknown = (re.sub(r"nonce-[^']+|nonce=\"[^\"]+", "", answers[one].text) for one in answers)
                assert known.replace("owner@", "nobody@") == unknown
                assert client.get("/reset", headers={"host": "evil.example"}).status_code == 400
                deadline = time.monotonic() + 20
                while not inbox.letters and time.monotonic() < deadline:
                    time.sleep(0.05)
                [letter] = inbox.letters
                assert "evil" not in letter
                link = re.search(re.escape(own) + r"(/link#fg_rst_\w+)", letter)
                assert link is not None, letter
                shown = client.get(old_path(link[1]))
                assert "owner@acme.example" in shown.text
            assert "fg_rst_" not in "".join(server.lines + server.logs)
            assert server.stop() == 0
        finally:
            server.kill()


def _ask(client: httpx.Client, email: str) -> httpx.Response:
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/reset").text)
    assert token is not None
    answer = client.post("/reset", data={"email": email, "csrf_token": token[1]})
    assert answer.status_code == 200, answer.text
    return answer


def test_a_signed_in_person_accepts_and_another_account_cannot(acme: Server) -> None:
    guest, other = person(acme, "guest"), person(acme, "other")
    made = admin(acme, "invitation.create", workspace="acme", role="auditor", email=guest.email)
    path = old_path(made["link"])
    with sign_in(acme, other) as client:
        page = client.get(path)
        assert "you are signed in as other@acme.example" in page.text
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
        fields = {"token": path.partition("token=")[2], "csrf_token": token}
        assert client.post("/invite/accept", data=fields).status_code == 403
    with sign_in(acme, guest) as client:
        page = client.get(path)
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
        answer = client.post("/invite/accept", data=fields | {"csrf_token": token})
        assert (answer.status_code, answer.headers["location"]) == (303, "/w/acme/members")
        assert client.get("/w/acme/members").status_code == 200


def test_the_operator_ends_one_token_one_agent_one_membership(acme: Server) -> None:
    key = admin(acme, "api_key.create", email="owner@acme.example", workspace="acme", label="k")["api_key"]
    agent = admin(acme, "agent.create", workspace="acme", name="ci", owner=None)
    listed = admin(acme, "api_key.list", workspace="acme")["api_keys"]
    assert [one["label"] for one in listed] == ["k", "bootstrap"]
    with stranger(acme, authorization=f"Bearer {key}") as script:
        assert script.get("/api/v1/whoami").status_code == 200
        admin(acme, "token.revoke", token=key)
        assert script.get("/api/v1/whoami").status_code == 401
    with stranger(acme, authorization=f"Bearer {agent['token']}") as bot:
        assert bot.get("/api/v1/whoami").status_code == 200
        admin(acme, "agent.disable", workspace="acme", name="ci")
        assert bot.get("/api/v1/whoami").status_code == 401
    assert [one["is_enabled"] for one in admin(acme, "agent.list", workspace="acme")["agents"]] == [False]
    leaver = person(acme, "leaver", "developer")
    with sign_in(acme, leaver) as client:
        assert client.get("/w/acme/members").status_code == 200
        admin(acme, "workspace.remove_member", workspace="acme", email=leaver.email)
        assert client.get("/w/acme/members").status_code == 404
    admin(acme, "user.reset_factor", email=leaver.email, evidence="vouched")
