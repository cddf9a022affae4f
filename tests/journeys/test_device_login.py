"""Signing a command line in, as a person does: a terminal, a browser, a second factor. Real processes all of it."""

import base64
import json
import os
import re
import signal
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.journeys import team
from tests.journeys.harness import Server, failgate
from tests.journeys.pictures import picture
from tests.journeys.team import PASSWORD, Person, codes, form, person, sign_in
from tests.journeys.terminal import Terminal


@pytest.fixture
def office(server: Server) -> Iterator[Server]:
    """A running server with a workspace; what is left of it at the end is no failure of its own."""
    server.start()
    team.found_acme(server)
    yield server
    server.stop()
    assert team.failures_in(server) == [], "".join(team.failures_in(server))[:3000]


def at(server: Server, home: Path, *arguments: str, **more: Any) -> Any:
    return failgate(*arguments, env={"FAILGATE_HOME": str(home), "FAILGATE_UPLOAD": "never"}, **more)


def decide(server: Server, who: Person, code: str, decision: str = "approve", **fields: str) -> str:
    """Decide as a browser without scripts does; return the page that comes back."""
    with sign_in(server, who) as browser:
        shown = form(browser, "/device", user_code=code)
        assert shown.status_code == 200, shown.text
        token = re.search(r'name="csrf_token" value="([^"]+)"', shown.text)
        assert token is not None
        sent = {"csrf_token": token[1], "user_code": code, "decision": decision, "mine": "yes"} | fields
        return browser.post("/device/decision", data=sent).text


def log_in(server: Server, who: Person, home: Path) -> dict[str, Any]:
    """Sign a command line in; return what it kept."""
    terminal = Terminal(home, server.url)
    assert "signed in" in decide(server, who, terminal.code)
    status, _, said = terminal.finish()
    assert status == 0, said
    return kept_in(home)[server.url]


def kept_in(home: Path) -> dict[str, Any]:
    return json.loads((home / "logins.json").read_text())


def test_a_developer_signs_in_runs_a_command_and_signs_out(office: Server, chromium, tmp_path: Path) -> None:
    """F9 F10: the whole story, with screenshots when FAILGATE_SCREENSHOTS names a folder."""
    home = tmp_path / "home"
    who = person(office, "dev", "developer")
    team.admin(office, "allow.add", workspace="acme", argv=["echo", "it runs"])
    terminal = Terminal(home, office.url)
    assert terminal.address == f"{office.url}/device"
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    violations: list[str] = []
    page.on("console", lambda one: violations.append(one.text) if "Content Security Policy" in one.text else None)
    page.goto(terminal.address)
    page.fill("[name=email]", who.email)
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_selector("[name=code]")
    page.fill("[name=code]", next(codes(who.totp or "")))
    page.click("main button[type=submit]")
    page.wait_for_selector("[name=user_code]")
    picture(page, "device-code")
    page.fill("[name=user_code]", "BCDF-GHJK" if terminal.code != "BCDF-GHJK" else "KJHG-FDCB")
    page.click("main button[type=submit]")
    page.get_by_text("No command line waits under this code").wait_for()
    page.fill("[name=user_code]", terminal.code.lower().replace("-", " "))
    page.click("main button[type=submit]")
    page.wait_for_selector("[data-user-code]")
    assert page.inner_text("[data-user-code]") == terminal.code
    assert "not verified" in page.inner_text("main")
    assert "127.0.0.1" in page.inner_text("[data-address]")
    picture(page, "device-confirm")
    page.click("[data-approve-login]")
    page.get_by_text("Say first that your own terminal shows this code").wait_for()
    page.check("[name=mine]")
    page.click("[data-approve-login]")
    page.get_by_text("The command line is signed in").wait_for()
    picture(page, "device-approved")
    status, out, said = terminal.finish()
    assert status == 0, said
    assert f"dev@acme.example at {office.url}" in out
    assert stat.S_IMODE((home / "logins.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700

    me = json.loads(at(office, home, "whoami", "--json").stdout)
    assert (me["kind"], me["email"]) == ("user", who.email)
    assert me["workspaces"] == [{"workspace": "acme", "role": "developer"}]
    ran = at(office, home, "run", "--", "echo", "it runs", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, "it runs\n"), ran.stderr
    listed = at(office, home, "policy", "explain", "--json", "--", "echo", "it runs")
    assert json.loads(listed.stdout)["decision"] == "allow"

    page.goto(f"{office.url}/account/logins")
    page.wait_for_selector("[data-login]")
    picture(page, "logins")
    tokens = kept_in(home)[office.url]
    gone = at(office, home, "logout")
    assert gone.returncode == 0, gone.stderr
    assert kept_in(home) == {}
    page.reload()
    assert page.locator("[data-login]").count() == 0
    assert violations == []
    context.close()
    refused = at(office, home, "whoami")
    assert refused.returncode == 78
    assert "failgate login" in refused.stderr
    with team.program(office, tokens["access_token"]) as old:
        assert old.get("/api/v1/whoami").status_code == 401
    assert tokens["access_token"] not in "".join(office.logs + office.lines)
    assert tokens["refresh_token"] not in "".join(office.logs + office.lines)
    assert office.verify().returncode == 0


def test_a_denial_a_stop_and_a_dead_server_end_the_wait_with_a_word_and_a_code(office: Server, tmp_path: Path) -> None:
    who = person(office, "dev", "developer")
    home = tmp_path / "home"
    terminal = Terminal(home, office.url)
    assert "was refused" in decide(office, who, terminal.code, "deny")
    status, _, said = terminal.finish()
    assert (status, "denied" in said, (home / "logins.json").exists()) == (77, True, False), said
    terminal = Terminal(home, office.url)
    os.killpg(terminal.process.pid, signal.SIGINT)
    status, _, said = terminal.finish()
    assert (status, "Traceback" in said, (home / "logins.json").exists()) == (130, False, False), said
    nobody = at(office, home, "login", "http://127.0.0.1:9")
    assert nobody.returncode == 69
    assert "did not answer" in nobody.stderr
    plain = at(office, home, "login", "http://failgate.example")
    assert plain.returncode == 78
    kept = log_in(office, who, home)
    office.stop()
    gone = at(office, home, "logout")
    assert gone.returncode == 69
    assert "/account/logins" in gone.stderr
    assert kept_in(home) == {}
    assert kept["refresh_token"] not in gone.stderr


def test_many_processes_renew_once_and_a_stolen_token_ends_the_login(office: Server, tmp_path: Path) -> None:
    """F10 E26: the file lock on the client, the family at the server."""
    who, home = person(office, "dev", "developer"), tmp_path / "home"
    kept = log_in(office, who, home)
    kept["expires_at"] = time.time() + 5
    (home / "logins.json").write_text(json.dumps({office.url: kept}))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: at(office, home, "whoami"), range(4)))
    assert [one.returncode for one in answers] == [0] * 4, [one.stderr for one in answers]
    fresh = kept_in(home)[office.url]
    assert fresh["refresh_token"] != kept["refresh_token"]
    assert "retry_key" not in fresh
    with team.stranger(office) as thief:
        fields = {"client_id": "failgate-cli", "grant_type": "refresh_token"}
        stolen = thief.post("/oauth/token", data=fields | {"refresh_token": kept["refresh_token"]})
    assert stolen.json()["error"] == "invalid_grant"
    ended = at(office, home, "whoami")
    assert ended.returncode == 78
    assert f"The login at {office.url} has ended. Sign in again: failgate login {office.url}" in ended.stderr
    assert kept_in(home) == {}


def test_a_token_that_the_server_does_not_take_any_more_is_renewed_unseen(office: Server, tmp_path: Path) -> None:
    who, home = person(office, "dev", "developer"), tmp_path / "home"
    kept = log_in(office, who, home)
    team.admin(office, "signing_key.rotate", is_compromised=True)
    with team.program(office, kept["access_token"]) as old:
        assert old.get("/api/v1/whoami").status_code == 401
    assert at(office, home, "whoami").returncode == 0
    fresh = kept_in(home)[office.url]
    assert fresh["access_token"] != kept["access_token"]
    header = json.loads(base64.urlsafe_b64decode(fresh["access_token"].partition(".")[0] + "=="))
    with team.stranger(office) as anybody:
        published = anybody.get("/.well-known/jwks.json").json()["keys"]
    assert [key["kid"] for key in published] == [header["kid"]]


@pytest.mark.parametrize("cause", ["disabled", "password", "closed", "revoked"])
def test_what_ends_a_login_closes_its_sockets_within_a_second(office: Server, tmp_path: Path, cause: str) -> None:
    """B1 B3 F10: revocation reaches open sockets, and no request passes after it."""
    who, home = person(office, "dev", "developer"), tmp_path / "home"
    kept = log_in(office, who, home)
    headers = {"authorization": f"Bearer {kept['access_token']}"}
    base = office.url.replace("http", "ws", 1)
    closed: dict[str, float] = {}

    def listen(path: str, ready: threading.Event) -> None:
        with connect(f"{base}{path}?workspace=acme", additional_headers=headers, proxy=None) as socket:
            ready.set()
            try:
                while True:
                    socket.recv(timeout=20)
            except ConnectionClosed:
                closed[path] = time.monotonic()

    threads = []
    for path in ("/api/v1/live", "/api/v1/agent"):
        ready = threading.Event()
        threads.append(threading.Thread(target=listen, args=(path, ready)))
        threads[-1].start()
        assert ready.wait(10)
    with team.program(office, kept["access_token"]) as client:
        assert client.get(f"{team.WHERE}/commands").status_code == 200
        end(office, who, cause, kept)
        ended = time.monotonic()
        assert client.get(f"{team.WHERE}/commands").status_code == 401
    for thread in threads:
        thread.join(10)
    assert set(closed) == {"/api/v1/live", "/api/v1/agent"}
    assert max(closed.values()) - ended < 1.0


def end(server: Server, who: Person, cause: str, kept: dict[str, Any]) -> None:
    if cause == "disabled":
        team.admin(server, "user.disable", email=who.email)
    elif cause == "password":
        team.admin(server, "user.set_password", email=who.email, password="yet another long passphrase")
    elif cause == "revoked":
        with team.stranger(server) as client:
            answer = client.post("/oauth/revoke", data={"client_id": "failgate-cli", "token": kept["refresh_token"]})
            assert answer.status_code == 200
    else:
        with sign_in(server, who) as browser:
            page = browser.get("/account/logins").text
            found = re.search(r'action="(/account/logins/[^"]+/close)"', page)
            token = re.search(r'name="csrf_token" value="([^"]+)"', page)
            assert found is not None
            assert token is not None
            assert browser.post(found[1], data={"csrf_token": token[1]}).status_code == 303
