"""The campaigns at the level of each run: every promise is kept, and every planted fault is caught. P1 P2 B12."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys.harness import clean_environment

CAMPAIGNS = Path(__file__).parents[2] / "contrib" / "campaigns"
TRACED = {"C2", "C3", "C4"}


@pytest.mark.parametrize("name", ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C12", "C13", "C15", "C16", "C17"])
def test_a_campaign_breaks_nothing_and_its_control_is_caught(name: str, tmp_path: Path) -> None:
    if name in TRACED and shutil.which("strace") is None:
        pytest.skip("strace is missing: install the package `strace`")
    done = subprocess.run(
        [sys.executable, str(CAMPAIGNS), name, "--level", "ci", "--json", "--folder", str(tmp_path / "work")],
        env=clean_environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.stdout, done.stderr[-3000:]
    for verdict in json.loads(done.stdout.splitlines()[-1]):
        assert verdict["broken"] == []
        assert verdict["caught"] > 0, f"the planted fault was not caught: {verdict['fault']}"
        assert (verdict["count"] > 0, verdict["passed"]) == (True, True)
    if done.returncode == 3:
        pytest.skip(done.stderr)
    assert done.returncode == 0


def test_a_campaign_that_is_not_there_is_named() -> None:
    done = subprocess.run([sys.executable, str(CAMPAIGNS), "C99"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "there is no C99; there are C1, C2" in done.stderr
