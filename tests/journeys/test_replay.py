"""A failing project of git and pytest: captured here, uploaded, looked at, replayed in another folder. F1 F19 B5."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.harness import Server, failgate
from tests.journeys.pictures import picture
from tests.journeys.test_trunk import OWNER, OWNER_PASSWORD, REVIEWER, REVIEWER_PASSWORD, sign_in

PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "--color=yes")
BEFORE = "def total(prices):\n    return sum(prices)\n" + "".join(
    f"\n\ndef tax_{n}(price):\n    return price * {n}\n" for n in range(9)
)
TEST = "from prices import total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n"


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=T", "-c", "user.email=t@t.example", *arguments], cwd=folder, check=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose test passes at its commit and fails with what is not committed."""
    folder = tmp_path / "shop"
    (folder / "tests").mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    (folder / ".gitignore").write_text(".failgate/\n__pycache__/\n")
    (folder / "prices.py").write_text(BEFORE)
    (folder / "tests" / "test_prices.py").write_text(TEST)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "prices")
    (folder / "prices.py").write_text(BEFORE.replace("sum(prices)", "sum(prices) + 1").replace("* 8", "* 80"))
    return folder


def replayed(folder: Path, environment: dict[str, str], report: Path) -> tuple[int, dict[str, Any]]:
    done = failgate("report", "replay", "--root", str(report), "--repository", str(folder), "--json", env=environment)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def captured(project: Path, home: Path) -> dict[str, str]:
    environment = {"FAILGATE_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    done = failgate("capture", "--", *PYTEST, cwd=project, env=environment)
    assert done.returncode == 1, done.stderr
    return environment


def test_a_replay_reproduces_a_real_failing_project_from_its_report_on_another_folder(
    project: Path, tmp_path: Path
) -> None:
    environment = captured(project, tmp_path / "home")
    other = tmp_path / "elsewhere"
    git(tmp_path, "clone", "-q", str(project), str(other))
    code, answer = replayed(other, environment, project)
    assert (code, answer["verdict"], answer["way"]) == (0, "reproduced", "worktree")
    assert answer["seen"]["error"] == "assert <n> == <n>"
    assert answer["seen"]["frame"] == "test_prices.py AssertionError"
    assert (other / "prices.py").read_text() == BEFORE, "the other checkout is as it was"


def test_the_report_is_played_read_and_replayed_through_the_gate(
    server: Server, chromium: Any, project: Path, tmp_path: Path
) -> None:
    environment = captured(project, tmp_path / "home")
    server.start()
    server.admin("bootstrap", "--email", OWNER, "--workspace", "acme", "--password-stdin", stdin=OWNER_PASSWORD)
    person = server.admin(
        "user", "create", "--email", REVIEWER, "--password-stdin", "--with-totp", stdin=REVIEWER_PASSWORD
    )
    server.admin("workspace", "add-member", "--workspace", "acme", "--email", REVIEWER, "--role", "reviewer")
    token = server.admin("agent", "create", "--workspace", "acme", "--name", "ci")["token"]
    server.admin("allow", "add", "--workspace", "acme", "--exact", "--", *PYTEST)
    environment |= {"FAILGATE_URL": server.url, "FAILGATE_TOKEN": token, "FAILGATE_WORKSPACE": "acme"}

    code, answer = replayed(project, environment, project)
    assert (code, answer["verdict"]) == (0, "reproduced"), answer

    sent = failgate("report", "upload", "--root", str(project), "--yes", "--json", env=environment)
    assert sent.returncode == 0, sent.stderr
    page = chromium.new_page(viewport={"width": 1280, "height": 800})
    violations: list[str] = []
    page.on("console", lambda said: violations.append(said.text) if "Content Security Policy" in said.text else None)
    sign_in(page, server, REVIEWER, REVIEWER_PASSWORD, person["totp_secret"])
    page.goto(f"{server.url}/w/acme/reports/{json.loads(sent.stdout)['id']}")
    assert "1 failed" in page.inner_text("[data-screen]"), "the last screen is there before anything is played"
    assert page.locator("[data-screen] .f1").count() > 0
    picture(page, "report")

    # Played from the start, by keys and by the button; the end shows what it showed before.
    last = page.inner_text("[data-screen]")
    page.locator("[data-screen]").focus()
    page.keyboard.press("Home")
    page.wait_for_selector("[data-clock]:text('0.0 of')")
    assert "1 failed" not in page.inner_text("[data-screen]")
    page.select_option("[data-speed]", "5")
    page.click("[data-play]")
    page.wait_for_selector("[data-play]:text('Play')", timeout=20_000)
    assert page.inner_text("[data-screen]") == last
    page.emulate_media(reduced_motion="reduce")
    page.locator("[data-screen]").focus()
    page.keyboard.press("Home")
    page.keyboard.press(".")
    assert page.locator("[data-play]:text('Next step')").count() == 1

    assert page.locator(".change summary").all_inner_texts()[0].startswith("prices.py")
    assert page.locator(".diff li.add").count() == 2
    assert "without a change" in page.inner_text(".diff")
    story = page.locator(".story li").all_inner_texts()
    assert [text.split("\n")[0].split(":")[0] for text in story][:5] == [
        "Captured", "Redacted", "Consented", "Upload begun", "Sealed",
    ]  # fmt: skip
    assert "Last read" in " ".join(story)
    assert violations == []
    page.close()
