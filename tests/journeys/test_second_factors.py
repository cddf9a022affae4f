"""Second factors through a real server and a real browser: passkeys, trusted devices, step-up, another password."""

import contextlib
import re
import threading
import time
from collections.abc import Iterator

import httpx
import pyotp
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from failgate.web.csrf import form_token
from failgate.web.routes import DOORS
from tests.journeys import team
from tests.journeys.harness import Server, at_port, running
from tests.journeys.team import PASSWORD, Person, Visitor, ask, codes, form, person, program, sign_in, sql, stranger

ANOTHER = "quite another long passphrase"


def add_authenticator(page) -> tuple[object, str]:
    """Give the page's browser an authenticator that verifies its user by itself."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    made = devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    return devtools, made["authenticatorId"]


def make_stale(server: Server, who: Person) -> None:
    """Have every session of `who` prove its factor 301 s ago. The server reads it at its next start."""
    us = int((time.time() - 301) * 1e6)
    sql(server, "UPDATE session SET second_factor_us = $1 WHERE account_id = $2", us, who.id)


def restart(server: Server) -> None:
    """Start again on the same port, with the same sessions."""
    port = server.url.rpartition(":")[2]
    server.stop()
    server.arguments = ("--listen", f"127.0.0.1:{port}")
    server.start()


def test_a_passkey_is_added_signs_in_alone_is_second_factor_and_steps_up(server: Server, chromium) -> None:
    """B2 B3: in Chromium with its virtual authenticator; afterwards the person votes."""
    with running(at_port(server, host="localhost")):  # addresses have no passkeys
        url = f"http://localhost:{server.url.rpartition(':')[2]}"
        team.found_acme(server)
        who = person(server, "lead", "reviewer", with_totp=False)
        agent = team.admin(server, "agent.create", workspace="acme", name="ci")
        context = chromium.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        violations: list[str] = []
        page.on("console", lambda m: violations.append(m.text) if "Content Security" in m.text else None)
        devtools, authenticator = add_authenticator(page)

        # A password alone signs in, for there is no second factor; then a passkey is made.
        page.goto(f"{url}/signin?next=/account/passkeys")
        page.fill("[name=email]", who.email)
        page.fill("[name=password]", PASSWORD)
        page.click("main form[action='/signin'] button")
        page.wait_for_url(f"{url}/account/passkeys")
        page.fill("[name=name]", "Laptop")
        page.click("main form[action='/account/passkeys'] button[type=submit]")
        page.wait_for_selector("[data-backup-codes]")
        backup = page.locator("[data-backup-codes] li").all_inner_texts()
        assert len(backup) == 10
        kept = devtools.send("WebAuthn.getCredentials", {"authenticatorId": authenticator})["credentials"]
        assert [(one["rpId"], one["isResidentCredential"]) for one in kept] == [("localhost", True)]
        page.click("text=I have kept them")
        assert "Laptop" in page.inner_text("main")

        # By the passkey alone, with both factors proven: a vote needs nothing more.
        page.click("nav form[action='/signout'] button")
        page.wait_for_selector("form[action='/signin/passkey'] button")
        page.click("form[action='/signin/passkey'] button")
        page.wait_for_url(f"{url}/")
        with program(server, agent["token"]) as asking:
            view = ask(asking, ttl_seconds=600)
            page.goto(f"{url}/w/acme/queue")
            page.wait_for_selector("[data-detail] [data-approve]")
            page.click("[data-detail] [data-approve]")
            answer = asking.get(f"{team.WHERE}/commands/{view['id']}?wait=20").json()
            assert answer["state"] == "approved"

        # As second factor after the password.
        page.goto(f"{url}/account")
        page.click("nav form[action='/signout'] button")
        page.goto(f"{url}/signin?next=/account/sessions")
        page.fill("[name=email]", who.email)
        page.fill("[name=password]", PASSWORD)
        page.click("main form[action='/signin'] button")
        page.wait_for_url("**/signin/code?next=/account/sessions")
        page.click("form[action='/signin/passkey'] button")
        page.wait_for_url(f"{url}/account/sessions")
        assert "by password, passkey" in page.inner_text("main")

        # Five minutes later a sensitive form leads to the step-up, and back to its page.
        make_stale(server, who)
        restart(server)
        page.goto(f"{url}/account/passkeys")
        page.click("summary:has-text('Remove')")
        page.click("main form[action$='/remove'] button")
        page.wait_for_url(f"{url}/account/step-up?next=/account/passkeys&for=all")
        page.click("form[action='/account/step-up/passkey'] button")
        page.wait_for_url(f"{url}/account/passkeys")
        assert "Laptop" in page.inner_text("main"), "what was asked for is asked again, on its page"
        # The script that asks for options is led there too.
        make_stale(server, who)
        restart(server)
        page.goto(f"{url}/account/passkeys")
        page.click("main form[action='/account/passkeys'] button[type=submit]")
        page.wait_for_url(f"{url}/account/step-up?next=/account/passkeys&for=all")
        page.click("form[action='/account/step-up/passkey'] button")
        page.wait_for_url(f"{url}/account/passkeys")

        # Removing the last factor signs out everywhere.
        page.click("summary:has-text('Remove')")
        assert "last factor" in page.inner_text("details[open]")
        page.click("main form[action$='/remove'] button")
        page.wait_for_url("**/signin")
        page.click("form[action='/signin/passkey'] button")
        page.wait_for_selector("text=This passkey was not accepted")
        assert violations == []
        context.close()


def test_at_an_address_the_page_says_why_there_are_no_passkeys(server: Server) -> None:
    with running(server):
        team.found_acme(server)
        who = person(server, "lead", "reviewer")
        with sign_in(server, who) as browser:
            assert "Passkeys belong to a name" in browser.get("/account/passkeys").text
        with stranger(server) as nobody:
            assert "passkey" not in nobody.get("/signin").text.lower()


def device_of(client: httpx.Client) -> str | None:
    return client.cookies.get("fg_device")


def sign_in_and_trust(server: Server, who: Person) -> Visitor:
    client = stranger(server, origin=server.url)
    assert form(client, "/signin", email=who.email, password=PASSWORD).headers["location"] == "/signin/code"
    for code in codes(who.totp or ""):
        answer = form(client, "/signin/code", code=code, trust="yes")
        if answer.status_code == 303:
            return client
    raise AssertionError(answer.text)


def test_a_trusted_browser_is_asked_for_no_code_and_proves_none(server: Server) -> None:
    """F8: at sign-in only; never for a vote or a sensitive door."""
    with running(server):
        team.found_acme(server)
        who = person(server, "lead", "reviewer")
        agent = team.admin(server, "agent.create", workspace="acme", name="ci")
        with program(server, agent["token"]) as asking, sign_in_and_trust(server, who) as browser:
            first = device_of(browser)
            del browser.cookies["fg_session"]
            again = form(browser, "/signin", email=who.email, password=PASSWORD)
            assert (again.status_code, again.headers["location"]) == (303, "/")
            assert device_of(browser) not in {None, first}
            cookie = next(text for text in again.headers.get_list("set-cookie") if text.startswith("fg_device="))
            assert {"HttpOnly", "SameSite=Lax", "Max-Age=2592000", "Path=/"} <= set(cookie.split("; "))
            assert browser.get("/w/acme/queue").status_code == 200
            refused = team.vote(browser, ask(asking))
            assert (refused.status_code, team.slug(refused)) == (403, "step-up-required")
            page = browser.get("/account/password")
            assert page.headers["location"] == "/account/step-up?next=/account/password"
            assert "trusted device" in browser.get("/account/sessions").text
            listed = browser.get("/account/devices").text
            assert "this one" in listed
            revoke = re.search(r"/account/devices/[0-9a-f-]+/revoke", listed)
            assert revoke is not None
            token = form_token(team.session_of(browser))
            assert browser.post(revoke[0], data={"csrf_token": token}).status_code == 303
            del browser.cookies["fg_session"]
            asked = form(browser, "/signin", email=who.email, password=PASSWORD)
            assert asked.headers["location"] == "/signin/code"


SENSITIVE = [door for door in DOORS if door.is_sensitive]


def knock(client: Visitor, door, identifier: str) -> httpx.Response:
    path = re.sub(r"\{\w+\}", identifier, door.path.replace("{workspace}", "acme"))
    if door.kind == "page" and door.method == "POST":
        return client.post(path, data={"csrf_token": form_token(team.session_of(client))})
    body = {"json": {}} if door.method in {"POST", "PUT"} else {}
    return client.request(door.method, path, **body)


def is_stopped(door, answer: httpx.Response) -> bool:
    if door.kind == "page":
        return answer.status_code == 303 and answer.headers["location"].startswith("/account/step-up")
    return answer.status_code == 403 and team.slug(answer) == "step-up-required"


def test_every_sensitive_door_wants_a_factor_of_the_last_five_minutes(server: Server) -> None:
    """B3: none, 301 s old, by a backup code only, fresh."""
    assert len(SENSITIVE) >= 10
    with running(server):
        team.found_acme(server)
        who, unproven, backup = (person(server, name, "owner") for name in ("fresh", "unproven", "backup"))
        for one in (who, unproven, backup):  # so that the doors of the installation ask for the factor too
            team.admin(server, "platform_role.grant", email=one.email)
        with contextlib.ExitStack() as stack:
            fresh = stack.enter_context(sign_in(server, who))
            none = stack.enter_context(sign_in_and_trust(server, unproven))
            del none.cookies["fg_session"]
            form(none, "/signin", email=unproven.email, password=PASSWORD)
            by_code = stack.enter_context(sign_in(server, backup))
            shown = by_code.post(
                "/account/second-factor/codes", data={"csrf_token": form_token(team.session_of(by_code))}
            )
            code = re.findall(r"<li>([a-z2-7-]{27})</li>", shown.text)[0]
            del by_code.cookies["fg_session"]
            form(by_code, "/signin", email=backup.email, password=PASSWORD)
            assert form(by_code, "/signin/code", code=code).status_code == 303
            absent = "01890000-0000-7000-8000-000000000000"
            wrong = []
            for door in SENSITIVE:
                for name, client in (("none", none), ("backup code", by_code)):
                    if not is_stopped(door, answer := knock(client, door, absent)):
                        wrong.append(f"{door.name} {name}: {answer.status_code} {answer.text[:80]}")
            # Confirm that the backup code opened a whole session, and that it steps nothing up.
            assert by_code.get("/w/acme/queue").status_code == 200
            assert form(by_code, "/account/step-up", code=code).status_code == 401
            for door in SENSITIVE:
                if door.name == "page.second_factor_begin" or is_stopped(door, answer := knock(fresh, door, absent)):
                    wrong += [] if door.name == "page.second_factor_begin" else [f"{door.name} fresh: stopped"]
            make_stale(server, who)
            restart(server)
            for door in SENSITIVE:
                if not is_stopped(door, answer := knock(fresh, door, absent)):
                    wrong.append(f"{door.name} stale: {answer.status_code} {answer.text[:80]}")
            assert wrong == [], "\n".join(wrong)
            # And back again: a code leads to where one came from.
            for one in codes(who.totp or ""):
                stepped = form(fresh, "/account/step-up?next=/account/password", code=one, next="/account/password")
                if stepped.status_code == 303:
                    break
            assert stepped.headers["location"] == "/account/password"
            assert fresh.get("/account/password").status_code == 200


def test_a_form_that_was_stopped_comes_back_to_its_own_page(server: Server) -> None:
    with running(server):
        team.found_acme(server)
        who = person(server, "lead", "owner")
        with sign_in_and_trust(server, who) as browser:
            del browser.cookies["fg_session"]
            form(browser, "/signin", email=who.email, password=PASSWORD)
            token = form_token(team.session_of(browser))
            for path, page in (
                ("/account/second-factor/begin", "/account/second-factor&for=all"),
                ("/account/second-factor/remove", "/account/second-factor&for=all"),
                ("/account/passkeys/01890000-0000-7000-8000-000000000000/remove", "/account/passkeys&for=all"),
                ("/account/password", "/account/password"),
            ):
                answer = browser.post(path, data={"csrf_token": token})
                assert answer.headers["location"] == f"/account/step-up?next={page}"


class Watcher:
    """An open socket of a reviewer; remembers when it was closed and what came in."""

    def __init__(self, server: Server, session: str) -> None:
        self.url = f"{server.url.replace('http', 'ws', 1)}/api/v1/live?workspace=acme"
        self.origin, self.session = server.url, session
        self.opened, self.leaving = threading.Event(), threading.Event()
        self.frames: list[float] = []
        self.closed_at: float | None = None
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        headers = {"cookie": f"fg_session={self.session}"}
        with connect(self.url, additional_headers=headers, origin=self.origin, proxy=None) as socket:
            self.opened.set()
            while not self.leaving.is_set():
                try:
                    socket.recv(timeout=0.5)
                    self.frames.append(time.monotonic())
                except TimeoutError:
                    continue
                except ConnectionClosed:
                    self.closed_at = time.monotonic()
                    return


@contextlib.contextmanager
def watching(server: Server, sessions: list[str]) -> Iterator[list[Watcher]]:
    """Open twenty-five sockets for each session."""
    watchers = [Watcher(server, session) for session in sessions for _ in range(25)]
    try:
        assert all(watcher.opened.wait(20) for watcher in watchers)
        yield watchers
    finally:
        for watcher in watchers:
            watcher.leaving.set()
        for watcher in watchers:
            watcher.thread.join(5)


def check_all_closed(watchers: list[Watcher], since: float) -> None:
    for watcher in watchers:
        watcher.thread.join(5)
    late = [watcher for watcher in watchers if watcher.closed_at is None or watcher.closed_at - since > 1]
    assert late == [], f"{len(late)} of {len(watchers)} were not closed within a second"
    assert not any(at > since for watcher in watchers for at in watcher.frames), "a frame came after the change"


@pytest.mark.parametrize("change", ["password", "disabled"])
def test_a_hundred_sockets_are_closed_within_a_second(server: Server, change: str) -> None:
    """B3 P3: whatever ends a session or a role reaches every open page, and nothing is told it afterwards."""
    with running(server):
        team.found_acme(server)
        agent = team.admin(server, "agent.create", workspace="acme", name="ci")
        who = person(server, "lead", "reviewer", with_totp=False)
        sessions = [signed_in_again(server, who) for _ in range(4)]
        with program(server, agent["token"]) as asking, watching(server, sessions) as watchers:
            assert len(watchers) == 100
            ask(asking, ttl_seconds=600)
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and not all(watcher.frames for watcher in watchers):
                time.sleep(0.01)
            told = sum(bool(watcher.frames) for watcher in watchers)
            assert told == 100, f"{told} of 100 were told while they might know"
            if change == "password":
                team.admin(server, "user.set_password", email=who.email, password=ANOTHER)
            else:
                team.admin(server, "user.disable", email=who.email)
            since = time.monotonic()
            ask(asking, ttl_seconds=600)
            check_all_closed(watchers, since)


def signed_in_again(server: Server, who: Person) -> str:
    """Return the session of one more browser of `who`."""
    with sign_in(server, who) as client:
        return team.session_of(client)


def test_another_password_ends_everything_else_and_keeps_this_session(server: Server) -> None:
    with running(server):
        team.found_acme(server)
        who = person(server, "lead", "reviewer")
        with sign_in_and_trust(server, who) as browser, stranger(server, origin=server.url) as other:
            other.cookies.set("fg_device", device_of(browser) or "")
            form(other, "/signin", email=who.email, password=PASSWORD)
            assert other.get("/api/v1/whoami").status_code == 200
            wrong = form(browser, "/account/password", current="not this one at all", password=ANOTHER)
            assert (wrong.status_code, "present password is not right" in wrong.text) == (401, True)
            assert form(browser, "/account/password", current=PASSWORD, password="short").status_code == 400
            assert other.get("/api/v1/whoami").status_code == 200
            changed = form(browser, "/account/password", current=PASSWORD, password=ANOTHER)
            assert changed.headers["location"] == "/account/password?changed"
            assert "is changed" in browser.get("/account/password?changed").text
            assert other.get("/api/v1/whoami").status_code == 401
            assert "You trust no device" in browser.get("/account/devices").text
            assert form(other, "/signin", email=who.email, password=PASSWORD).status_code == 401
            assert form(other, "/signin", email=who.email, password=ANOTHER).headers["location"] == "/signin/code"


def test_a_sign_in_from_elsewhere_is_told_in_the_pages_of_the_others(server: Server) -> None:
    with running(server):
        team.found_acme(server)
        who = person(server, "lead", "reviewer", with_totp=False)
        with sign_in(server, who) as home, stranger(server, origin=server.url, **{"user-agent": "curl/8"}) as elsewhere:
            assert "New sign-in" not in home.get("/account").text
            form(elsewhere, "/signin", email=who.email, password=PASSWORD)
            for path in ("/account", "/"):
                assert "New sign-in" in home.get(path).text
            assert "New sign-in" not in elsewhere.get("/account").text
            found = re.search(r"/account/sessions/[0-9a-f-]+/known", home.get("/account").text)
            assert found is not None
            token = form_token(team.session_of(home))
            answer = home.post(found[0], data={"csrf_token": token, "next": "/account"})
            assert (answer.status_code, answer.headers["location"]) == (303, "/account")
            assert "New sign-in" not in home.get("/account").text
            closed = home.post("/account/sessions/close", data={"csrf_token": token})
            assert closed.headers["location"] == "/account/sessions"
            assert elsewhere.get("/api/v1/whoami").status_code == 401
            assert home.get("/api/v1/whoami").status_code == 200


def test_the_totp_of_a_person_is_replaced_after_a_proof_and_the_old_one_is_void(server: Server) -> None:
    with running(server):
        team.found_acme(server)
        who = person(server, "lead", "reviewer")
        with sign_in(server, who) as browser:
            begun = browser.post(
                "/account/second-factor/begin", data={"csrf_token": form_token(team.session_of(browser))}
            )
            secret = re.search(r'data-secret="([A-Z2-7]+)"', begun.text)
            assert secret is not None
            token = form_token(team.session_of(browser))
            done = browser.post(
                "/account/second-factor", data={"csrf_token": token, "code": pyotp.TOTP(secret[1]).now()}
            )
            assert "I have kept them" in done.text
            overview = browser.get("/account/second-factor").text
            assert "10 of 10 left" in overview
            assert "last used" in overview


def answer_of(client: httpx.Client, email: str, answer: httpx.Response) -> tuple[int, tuple[str, ...], str]:
    """What a stranger sees of an answer, without what is of this one visit."""
    nonce = re.search(r"'nonce-([^']+)'", answer.headers["content-security-policy"])
    assert nonce is not None
    body = answer.text.replace(nonce[1], "NONCE").replace(email, "EMAIL")
    for key in filter(None, (client.cookies.get("fg_form"), client.cookies.get("fg_session"))):
        body = body.replace(form_token(key), "TOKEN")
    return answer.status_code, tuple(sorted(answer.headers)), re.sub(r"possible in \d+ s", "possible in N s", body)


def test_a_stranger_cannot_tell_a_known_address_from_an_unknown_one(server: Server) -> None:
    """E22, ASVS 6.3.8: status, headers and body are the same, whatever the account is like; also once it is slowed."""
    with running(server):
        team.found_acme(server)
        known, gone = person(server, "lead", "reviewer"), person(server, "gone", "reviewer")
        team.admin(server, "user.disable", email=gone.email)
        wrong = set()  # codes: one that was used, a backup code that is none, what is no code at all
        with sign_in(server, known, with_factor=False) as client:
            used = next(code for code in codes(known.totp or "") if form(client, "/signin/code", code=code).is_redirect)
        with sign_in(server, known, with_factor=False) as client:
            for code in (used, "aaaaaa-aaaaaa-aaaaaa-aaaaaa", "x"):
                wrong.add(answer_of(client, known.email, form(client, "/signin/code", code=code)))
        assert [status for status, _, _ in wrong] == [401]
        seen = []
        for email, password in (
            (known.email, "not the password at all"),
            (gone.email, PASSWORD),
            ("nobody@acme.example", PASSWORD),
            ("no address", PASSWORD),
        ):
            answers = set()
            for _ in range(12):
                with stranger(server) as client:
                    answer = form(client, "/signin", email=email, password=password)
                    answers.add(answer_of(client, email, answer))
                if answer.status_code == 429:
                    break
            seen.append(answers)
        assert sorted(status for status, _, _ in seen[0]) == [401, 429]
        assert all(answers == seen[0] for answers in seen)
