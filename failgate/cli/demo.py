"""`failgate serve --demo`: throw-away data, a small team, and an agent that really works.

The agent is `failgate run` as any agent uses it, in a process of its own: harmless commands and a real failing test run
of a small real project. Nothing here reaches outside the data folder.
"""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from failgate.administration.administration import Administration
from failgate.roster import Services

WORKSPACE = "demo"
OWNER = "owner@demo.example"
REVIEWERS = ("lead@demo.example", "second@demo.example")
PAUSE_SECONDS = 4.0
TTL = "10m"

_PROJECT = {
    "README.md": "# Till\n\nA small shop's till. Run its tests with `python -m unittest`.\n",
    "till.py": '''"""Prices of a small shop, in cents."""


def total(prices: list[int], voucher: int = 0) -> int:
    """Return what the customer pays: the sum of `prices` less the voucher, never below zero."""
    return sum(prices) - voucher
''',
    "test_till.py": '''"""Tests of the till; one of them fails."""

import unittest
from pathlib import Path

from till import total


class Till(unittest.TestCase):
    def test_a_basket_costs_the_sum_of_its_prices(self) -> None:
        self.assertEqual(total([250, 199]), 449)

    def test_a_voucher_never_pays_money_back(self) -> None:
        print(Path("local.env").read_text())
        self.assertEqual(total([250], voucher=500), 0)
''',
    # Plugins of pytest that happen to be installed neither speak in the output nor leave folders.
    "pytest.ini": "[pytest]\naddopts = -p no:asyncio -p no:cacheprovider\n",
    ".gitignore": ".failgate/\n__pycache__/\nlocal.env\n",
}


@dataclass(frozen=True, slots=True)
class DemoTeam:
    """What the demo seeded: sign-in links by address, and the agent's token."""

    links: dict[str, str]
    token: str


async def seed_demo(services: Services, administration: Administration, base_url: str) -> DemoTeam:
    """Make the workspace with an owner, two reviewers with a second factor, an agent, and one allowlist rule."""
    await administration.run("bootstrap", {"email": OWNER, "workspace": WORKSPACE, "password": _password()})
    for email in REVIEWERS:
        await administration.run("user.create", {"email": email, "password": _password(), "with_totp": True})
        await administration.run("workspace.add_member", {"workspace": WORKSPACE, "email": email, "role": "reviewer"})
    agent = await administration.run("agent.create", {"workspace": WORKSPACE, "name": "till-agent"})
    await administration.run("allow.add", {"workspace": WORKSPACE, "argv": ["git", "status", "--short"]})
    links: dict[str, str] = {}
    for email in REVIEWERS:
        account = await services.accounts.by_email(email)
        assert account is not None
        links[email] = f"{base_url}/link#signin.{services.sign_in_links.mint(account.id)}"
    return DemoTeam(links, agent["token"])


def _password() -> str:
    return secrets.token_urlsafe(24)


def make_project(folder: Path) -> Path:
    """Write the small project into `folder` and make it a git repository; return its path."""
    place = folder / "till"
    place.mkdir(parents=True)
    for name, text in _PROJECT.items():
        (place / name).write_text(text, encoding="utf-8")
    # A planted secret of no worth, which a failing test prints: the report must arrive without it.
    (place / "local.env").write_text(f"TILL_API_TOKEN={secrets.token_urlsafe(30)}\n", encoding="utf-8")
    identity = ["-c", "user.name=Demo", "-c", "user.email=demo@demo.example", "-c", "commit.gpgsign=false"]
    for step in (["init", "--quiet", "--initial-branch=main"], ["add", "."], ["commit", "--quiet", "-m", "A till"]):
        try:
            subprocess.run(["git", *identity, *step], cwd=place, check=True, capture_output=True)  # noqa: S603, S607  # git of this machine, fixed words
        except (OSError, subprocess.CalledProcessError):
            break  # without git the project is a plain folder, and the report says so
    with (place / "till.py").open("a", encoding="utf-8") as source:
        source.write("\n\nVAT_PERCENT = 19\n")
    return place


def demo_commands() -> list[tuple[str, list[str]]]:
    """Return what the agent asks for, in turn: its reason and its argv."""
    return [
        ("See what changed", ["git", "status", "--short"]),
        ("Run the test suite", [sys.executable, "-m", _test_runner(), "-q"]),
        ("Remove the build folder", ["rm", "-r", "build"]),
        ("Read the project's notes", ["cat", "README.md"]),
        ("List the files", ["ls", "-l", "--", "till\u200b.py", "till.py"]),
        ("Show the last commit", ["git", "log", "--oneline", "-1"]),
    ]


def _test_runner() -> str:
    from importlib.util import find_spec

    return "pytest" if find_spec("pytest") else "unittest"


class DemoAgent:
    """Asks for the demo's commands one after another, for as long as the server runs."""

    def __init__(self, folder: Path, base_url: str, token: str) -> None:
        self._folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FAILGATE_")},
            "FAILGATE_URL": base_url,
            "FAILGATE_TOKEN": token,
            "FAILGATE_WORKSPACE": WORKSPACE,
            "FAILGATE_HOME": str(folder / "home"),
            "FAILGATE_UPLOAD": "always",
        }
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Ask for each command in turn, again and again. Ends when cancelled."""
        project = await asyncio.to_thread(make_project, self._folder)
        while True:
            for reason, argv in demo_commands():
                (project / "build").mkdir(exist_ok=True)
                await self._ask(project, reason, argv)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _ask(self, project: Path, reason: str, argv: list[str]) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "failgate", "run", "--reason", reason, "--ttl", TTL, "--", *argv),
            cwd=project,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            await self._process.wait()
        finally:
            self.stop()

    def stop(self) -> None:
        """End the command that is running, with everything that it started."""
        if self._process is not None and self._process.returncode is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return
