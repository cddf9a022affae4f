"""The demo's project is real: its failing test fails by both runners, shortly and without a word of other software."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from failgate.cli.demo import demo_commands, make_project


@pytest.mark.parametrize(("runner", "ending"), [("pytest", "1 failed, 1 passed"), ("unittest", "FAILED (failures=1)")])
def test_the_test_run_fails_and_shows_nothing_but_itself(tmp_path: Path, runner: str, ending: str) -> None:
    project = make_project(tmp_path)
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", runner, "-q"], cwd=project, env=clean, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert ending in said
    assert "TILL_API_TOKEN=" in said
    assert "warn" not in said.lower()
    assert sorted(path.name for path in project.iterdir() if path.name != "__pycache__") == [
        ".git", ".gitignore", "README.md", "local.env", "pytest.ini", "test_till.py", "till.py",
    ]  # fmt: skip


def test_the_shown_command_is_short() -> None:
    assert [sys.executable, "-m", "pytest", "-q"] in [argv for _, argv in demo_commands()]
