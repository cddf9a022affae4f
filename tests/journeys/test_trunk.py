"""The main job, on real parts: a command from its agent to its reviewer and back, the report of its failure, the proof."""

import json
import os
import re
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pyotp
import pytest

from tests.journeys.harness import Server, clean_environment, failgate
from tests.journeys.team import admin as verb
from tests.pace import busy

OWNER, OWNER_PASSWORD = "owner@acme.example", "a long and plain passphrase"
REVIEWER, REVIEWER_PASSWORD = "lead@acme.example", "quite another long passphrase"

TEST_FILE = """
from pathlib import Path


def test_prices_add_up():
    print(Path("local.env").read_text())
    assert sum([1, 2]) == 4
"""


def make_project(folder: Path) -> tuple[Path, str]:
    """A small real project whose test fails and prints a planted secret; return it and the secret."""
    folder.mkdir()
    secret = secrets.token_urlsafe(30)
    (folder / "test_prices.py").write_text(TEST_FILE)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "local.env").write_text(f"SHOP_API_TOKEN={secret}\n")
    (folder / ".gitignore").write_text("local.env\n.failgate/\n__pycache__/\n")
    for step in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["-c", "user.name=T", "-c", "user.email=t@t.example", "commit", "-qm", "prices"],
    ):
        subprocess.run(["git", *step], cwd=folder, check=True)
    return folder, secret


def ask(server: Server, token: str, project: Path, *argv: str, reason: str = "run the tests", ttl: str = "60s"):
    """Start `failgate run` as an agent does."""
    env = clean_environment(
        FAILGATE_URL=server.url,
        FAILGATE_TOKEN=token,
        FAILGATE_WORKSPACE="acme",
        FAILGATE_HOME=str(project.parent / "home"),
        FAILGATE_UPLOAD="always",
    )
    return subprocess.Popen(
        [sys.executable, "-m", "failgate", "run", "--reason", reason, "--ttl", ttl, "--", *argv],
        cwd=project,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(running) -> tuple[int, str, str]:
    out, err = running.communicate(timeout=60)
    return running.returncode, out, err


def set_up_through_the_link(server: Server, page) -> None:
    """The first start's link makes the first account and workspace, then asks for a second factor."""
    link = server.line(r"first start: open (\S+)")[1]
    page.goto(link)
    page.fill("[name=email]", OWNER)
    page.fill("[name=password]", OWNER_PASSWORD)
    page.fill("[name=workspace_name]", "Acme")
    page.fill("[name=workspace]", "acme")
    page.click("main button[type=submit]")
    page.wait_for_url(lambda url: "/setup" not in url)
    assert link.rpartition(".")[2] not in page.url
    page.goto(link)
    page.wait_for_url("**/setup")
    assert "setup" in page.inner_text("main").lower() or "account" in page.inner_text("main").lower()
    assert page.locator("[name=workspace_name]").count() == 0, "a setup link works once"


def sign_in(page, server: Server, email: str, password: str, totp_secret: str) -> None:
    page.goto(f"{server.url}/signin?next=/w/acme/queue")
    page.fill("[name=email]", email)
    page.fill("[name=password]", password)
    page.click("main button[type=submit]")
    page.wait_for_selector("[name=code]")
    page.fill("[name=code]", pyotp.TOTP(totp_secret).now())
    page.click("main button[type=submit]")
    page.wait_for_url("**/w/acme/queue*")
    page.wait_for_selector("[data-live][data-state=live]")


def select_waiting(page, text: str, timeout: float = 20000) -> None:
    """Choose the waiting request whose command holds `text`, as a reviewer does, and wait until it is shown."""
    page.locator("[data-list] [data-id]", has_text=text).first.click(timeout=timeout)
    page.locator("[data-detail] [data-argv]", has_text=text).wait_for(timeout=timeout)
    page.locator("[data-detail] [data-approve]").wait_for(timeout=timeout)


def shown_argv(page) -> list[str]:
    return page.locator("[data-detail] [data-argv] > *").all_inner_texts()


@pytest.fixture
def team(server: Server):
    """A running server with a workspace whose owner answers for the agent, and a reviewer with a second factor."""
    server.start()
    made = verb(server, "bootstrap", email=OWNER, workspace="acme", password=OWNER_PASSWORD)
    reviewer = verb(server, "user.create", email=REVIEWER, password=REVIEWER_PASSWORD, with_totp=True)
    verb(server, "workspace.add_member", workspace="acme", email=REVIEWER, role="reviewer")
    agent = verb(server, "agent.create", workspace="acme", name="ci")
    return {"totp": reviewer["totp_secret"], "token": agent["token"], "api_key": made["api_key"]}


def test_an_operator_makes_the_same_team_by_commands(server: Server) -> None:
    server.start()
    made = server.admin("bootstrap", "--email", OWNER, "--workspace", "acme", "--password-stdin", stdin=OWNER_PASSWORD)
    assert set(made) == {"user", "workspace", "api_key"}
    reviewer = server.admin(
        "user", "create", "--email", REVIEWER, "--password-stdin", "--with-totp", stdin=REVIEWER_PASSWORD
    )
    assert "totp_secret" in reviewer
    server.admin("workspace", "add-member", "--workspace", "acme", "--email", REVIEWER, "--role", "reviewer")
    agent = server.admin("agent", "create", "--workspace", "acme", "--name", "ci")
    assert set(agent) == {"agent", "token"}


def test_a_command_goes_to_its_reviewer_and_back_and_its_failure_becomes_a_report(
    server: Server, team, chromium, tmp_path: Path
) -> None:
    """E1 E3 E5 E7 E8 E12 F1 F2 F3 F16 F17 F19 P1 P2 P4: the whole story."""
    project, secret = make_project(tmp_path / "shop")
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    violations: list[str] = []
    page.on(
        "console",
        lambda message: violations.append(message.text) if "Content Security Policy" in message.text else None,
    )
    sign_in(page, server, REVIEWER, REVIEWER_PASSWORD, team["totp"])
    assert "Nothing waits" in page.inner_text("main")

    # The request arrives without a reload, shown token by token, and is approved with the keyboard.
    running = ask(server, team["token"], project, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    page.wait_for_selector("[data-detail] [data-approve]")
    assert shown_argv(page) == [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    page.keyboard.press("a")
    out, err = running.communicate(timeout=60)
    assert running.returncode == 1, err
    assert secret in out, "the agent's own output is not changed"
    assert "1 failed" in out
    assert "waiting" in err.lower()

    # Another is denied with a reason, and nothing runs.
    (project / "build").mkdir()
    denied = ask(server, team["token"], project, "rm", "-r", "build", reason="tidy up")
    select_waiting(page, "build")
    page.fill("[data-detail] input[name=note], [data-detail] [data-note]", "not before the release")
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    out, err = denied.communicate(timeout=30)
    assert denied.returncode == 77
    assert "not before the release" in err
    assert (project / "build").is_dir()

    # A known-good command passes at once.
    server.admin("allow", "add", "--workspace", "acme", "--exact", "--", "git", "rev-parse", "--abbrev-ref", "HEAD")
    passed = ask(server, team["token"], project, "git", "rev-parse", "--abbrev-ref", "HEAD")
    out, _ = passed.communicate(timeout=30)
    assert (passed.returncode, out.strip()) == (0, "main")

    # The report is there, linked to its approval, without the secret.
    page.goto(f"{server.url}/w/acme/reports")
    page.locator("main a[href*='/reports/']").first.click()
    page.wait_for_load_state()
    text = page.inner_text("main")
    assert "1 failed" in text
    assert secret not in page.content()
    assert "[redacted:" in text
    assert "not a guarantee" in text
    for said in ("Branch\nmain", "Commit", "environment\n", "Platform", "Rules "):
        assert said.lower() in text.lower(), said
    with page.expect_download() as download:
        page.locator("main a[href*='/artifacts/']").first.click()
    assert secret not in Path(download.value.path()).read_text(errors="replace")
    page.goto(f"{server.url}/w/acme/reports")
    page.locator("main a[href*='/reports/']").first.click()
    page.locator("main a[href*='/commands/']").first.click()
    page.wait_for_load_state()
    assert "pytest" in page.inner_text("main")
    assert REVIEWER in page.inner_text("main")
    assert violations == []
    context.close()

    # An auditor's proof, while the server runs and after it stopped.
    verified = server.verify("--gate")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    started = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started < busy(1)
    assert server.verify("--gate").returncode == 0
    for place in [server.data, project / ".failgate"]:
        for path in place.rglob("*"):
            if path.is_file():
                assert secret.encode() not in path.read_bytes(), path
    assert secret not in "".join(server.logs)


def test_one_changed_byte_is_named(server: Server, team, tmp_path: Path) -> None:
    """P2 E20: an edit, a deletion and a changed decision are found at the right record."""
    project, _ = make_project(tmp_path / "shop")
    server.admin("allow", "add", "--workspace", "acme", "--exact", "--", "true")
    for _ in range(3):
        assert finished(ask(server, team["token"], project, "true"))[0] == 0
    server.stop()
    if server.verify().returncode != 0:
        raise AssertionError(server.verify().stdout)
    if "postgresql" in server.config.read_text():
        import asyncio

        import asyncpg

        url = re.search(r'url = "(.*)"', server.config.read_text())[1]

        async def change() -> None:
            connection = await asyncpg.connect(url)
            await connection.execute("ALTER TABLE audit_record DISABLE TRIGGER ALL")
            row = await connection.fetchrow(
                "SELECT position, leaf FROM audit_record WHERE convert_from(leaf, 'UTF8') LIKE '%command.consumed%' ORDER BY position LIMIT 1"
            )
            await connection.execute(
                "UPDATE audit_record SET leaf = $1 WHERE position = $2", changed(row["leaf"]), row["position"]
            )
            await connection.close()

        leaf = asyncio.run(_first_consumed(url))
        asyncio.run(change())
    else:
        connection = sqlite3.connect(server.data / "failgate.sqlite")
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        position, leaf = next(
            row
            for row in connection.execute("SELECT position, leaf FROM audit_record ORDER BY position")
            if b"command.consumed" in row[1]
        )
        connection.execute("UPDATE audit_record SET leaf = ? WHERE position = ?", (changed(leaf), position))
        connection.commit()
        connection.close()
    seq = json.loads(leaf)["seq"]
    found = server.verify()
    assert found.returncode == 1
    assert f"first bad record {seq}" in found.stdout


def changed(leaf: bytes) -> bytes:
    return leaf.replace(b"command.consumed", b"command.consumeD")


async def _first_consumed(url: str) -> bytes:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(
            "SELECT leaf FROM audit_record WHERE convert_from(leaf, 'UTF8') LIKE '%command.consumed%' ORDER BY position LIMIT 1"
        )
    finally:
        await connection.close()


def test_a_kill_between_ask_and_answer_loses_nothing(server: Server, team, chromium, tmp_path: Path) -> None:
    """E1 P1: the queue is rebuilt from storage, the agent reconnects, the approval still counts, and runs once."""
    project, _ = make_project(tmp_path / "shop")
    running = ask(server, team["token"], project, "touch", "done")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and "pending" not in commands_of(server, team["api_key"]):
        time.sleep(0.05)
    server.kill()
    port = server.url.rsplit(":", 1)[1]
    server.arguments = ("--listen", f"127.0.0.1:{port}")
    server.start()
    context = chromium.new_context()
    page = context.new_page()
    sign_in(page, server, REVIEWER, REVIEWER_PASSWORD, team["totp"])
    page.wait_for_selector("[data-detail] [data-approve]")
    page.click("[data-detail] [data-approve]")
    code, _, err = finished(running)
    assert code == 0, err
    assert (project / "done").exists()
    context.close()
    assert commands_of(server, team["api_key"]) == ["executed"]
    assert server.verify("--gate").returncode == 0


def test_a_kill_between_vote_and_answer_loses_no_decision(server: Server, team, chromium, tmp_path: Path) -> None:
    """E8 P1: the agent has not heard of the approval when the server dies; afterwards it does, and runs once."""
    project, _ = make_project(tmp_path / "shop")
    running = ask(server, team["token"], project, "sh", "-c", "echo once >> done")
    context = chromium.new_context()
    page = context.new_page()
    sign_in(page, server, REVIEWER, REVIEWER_PASSWORD, team["totp"])
    page.wait_for_selector("[data-detail] [data-approve]")
    os.kill(running.pid, signal.SIGSTOP)  # it hears nothing
    try:
        page.click("[data-detail] [data-approve]")
        page.wait_for_selector("[data-verdict=approved]")
        server.kill()
        server.arguments = ("--listen", f"127.0.0.1:{server.url.rsplit(':', 1)[1]}")
        server.start()
        assert commands_of(server, team["api_key"]) == ["approved"]
    finally:
        os.kill(running.pid, signal.SIGCONT)
    code, _, err = finished(running)
    context.close()
    assert code == 0, err
    assert (project / "done").read_text() == "once\n"
    assert commands_of(server, team["api_key"]) == ["executed"]
    assert server.verify("--gate").returncode == 0


def commands_of(server: Server, key: str) -> list[str]:
    request = urllib.request.Request(
        f"{server.url}/api/v1/workspaces/acme/commands", headers={"Authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return [item["state"] for item in json.load(answer)["items"]]


def test_the_first_start_is_a_link_a_form_and_a_second_factor(server: Server, chromium) -> None:
    """F6 E21 F7 E4: from the printed link to a queue that may be decided, by hand, in a browser."""
    server.start()
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url + request.headers.get("referer", "")))
    set_up_through_the_link(server, page)
    token = server.line(r"first start: open \S+#setup\.(\S+)")[1]
    assert len(asked) > 3
    assert not any(token in address for address in asked), "a link's token stands in no address that is sent"
    page.goto(f"{server.url}/account/second-factor")
    page.click("main form[action='/account/second-factor/begin'] button")
    page.wait_for_selector("[name=code]")
    uri_secret = re.sub(r"[^A-Z2-7]", "", page.locator("[data-secret]").inner_text())
    assert len(uri_secret) >= 32
    assert page.locator("main img[src^='data:image/svg']").count() == 1
    page.fill("[name=code]", pyotp.TOTP(uri_secret).now())
    page.click("main form[action='/account/second-factor'] button[type=submit]")
    page.wait_for_selector("text=I have kept them")
    page.goto(f"{server.url}/account")
    assert page.locator("[data-account-id]").get_attribute("data-account-email") == OWNER
    page.goto(f"{server.url}/w/acme/audit")
    assert "workspace.created" in page.inner_text("main")
    context.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_stops_gracefully_with_open_streams(server: Server, team, tmp_path: Path, number: int) -> None:
    project, _ = make_project(tmp_path / "shop")
    running = ask(server, team["token"], project, "true", ttl="20s")
    time.sleep(1)
    started = time.monotonic()
    assert server.stop(number) == 0
    assert time.monotonic() - started < busy(1)
    running.kill()
    running.communicate()


def test_a_second_server_on_the_same_data_is_refused(server: Server) -> None:
    server.start()
    second = failgate("serve", "--data", str(server.data), "--listen", "127.0.0.1:0")
    assert second.returncode == 78
    assert "Another Failgate server uses the data folder" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_second_server_on_the_same_database_is_refused(database_url: str, tmp_path: Path) -> None:
    """In another data folder: a file is locked, and PostgreSQL holds a lock of the session."""
    shared = f'[database]\nurl = "{database_url}"\n'
    first = Server(tmp_path / "one", config=shared).start()
    try:
        other = tmp_path / "other.toml"
        other.write_text(shared)
        second = failgate("serve", "--config", str(other), "--data", str(tmp_path / "two"), "--listen", "127.0.0.1:0")
        assert second.returncode == 78
        which = "this PostgreSQL database" if "postgresql" in database_url else "the database"
        assert f"Another Failgate server uses {which}" in second.stderr
    finally:
        assert first.stop() == 0


def test_a_taken_port_is_a_clear_refusal(server: Server, tmp_path: Path) -> None:
    server.start()
    second = failgate("serve", "--data", str(tmp_path / "other"), "--listen", server.url.removeprefix("http://"))
    assert second.returncode == 78
    assert "taken by another program" in second.stderr


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("chattr"), reason="root writes everywhere")
def test_an_unwritable_data_folder_is_a_clear_refusal(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("not a folder")
    result = failgate("serve", "--data", str(place / "data"), "--listen", "127.0.0.1:0")
    assert result.returncode == 78
    assert "cannot be used" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_demo_is_a_working_product(server: Server, chromium) -> None:
    """The README's first command: a printed link leads to a live command, an approval with a second factor, a report."""
    server.arguments = ("--demo",)
    server.is_warm = False
    server.start()
    try:
        link = server.line(r"sign in as \S+: (\S+)")[1]
        context = chromium.new_context()
        page = context.new_page()
        page.goto(link)
        page.click("main button[type=submit]")
        page.wait_for_selector("[name=code]")
        page.fill("[name=code]", re.search(r"\b(\d{6})\b", page.inner_text("main"))[1])
        page.click("main button[type=submit]")
        page.wait_for_load_state()
        page.goto(f"{server.url}/w/demo/queue")
        select_waiting(page, "pytest", timeout=120000)
        page.click("[data-detail] [data-approve]")
        select_waiting(page, "build", timeout=120000)
        page.keyboard.press("d")
        page.locator("[data-rail] [data-id]", has_text="pytest").first.click()
        page.locator("[data-detail] a", has_text="Open report").click(timeout=60000)  # it appears by itself
        page.locator("main", has_text="1 failed, 1 passed").wait_for(timeout=60000)
        page.locator("main", has_text="TILL_API_TOKEN=[redacted:").wait_for(timeout=60000)
        context.close()
    finally:
        code = server.stop()
    assert code == 0
