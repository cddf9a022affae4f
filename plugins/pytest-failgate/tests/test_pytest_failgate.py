"""Real sessions of pytest in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

GITHUB = "ghp_" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"
FAILING = f"""
import pytest
def test_total():
    print("asked with token={GITHUB}")
    assert 3 == 4, "totals differ"
@pytest.fixture
def broken(): raise RuntimeError("no database")
def test_error(broken): pass
def test_passes(): pass
"""


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "FAILGATE_HOME": str(folder / "home"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": ""}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def manifests(folder: Path) -> list[tuple[dict, str]]:
    found = []
    for file in sorted((folder / ".failgate" / "reports").glob("*/manifest.json")):
        manifest = json.loads(file.read_text())
        found.append((manifest, (file.parent / manifest["artifacts"][0]["sha256"]).read_text()))
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_cart.py").write_text(FAILING)
    return tmp_path


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_failing_session_keeps_one_report_without_its_secret(project, workers):
    done = run(project, "--failgate", *workers)
    assert done.returncode == 1, done.stdout + done.stderr
    ((manifest, text),) = manifests(project)
    assert "failgate: report kept at .failgate/reports/" in done.stdout
    assert (manifest["source"], manifest["exit_code"], manifest["argv"][0]) == ("pytest", 1, "pytest")
    assert "(and 1 more)" in manifest["title"]
    for part in (
        "test_cart.py::test_total  call",
        "totals differ",
        "test_cart.py::test_error  setup",
        "no database",
        "asked with",
    ):
        assert part in text
    assert GITHUB not in text + json.dumps(manifest)


def test_it_is_off_unless_it_is_asked_for(project):
    assert run(project).returncode == 1
    assert manifests(project) == []
    (project / "pytest.ini").write_text("[pytest]\nfailgate = true\n")
    assert run(project).returncode == 1
    assert len(manifests(project)) == 1


def test_a_session_in_which_nothing_failed_keeps_nothing_and_loads_nothing(project):
    (project / "test_cart.py").write_text(
        "import sys\ndef test_it(): assert not [name for name in sys.modules if name.split('.')[0] == 'failgate']\n"
    )
    assert run(project, "--failgate").returncode == 0
    assert manifests(project) == []


def test_a_module_that_cannot_be_collected_is_a_failure_too(project):
    (project / "test_cart.py").write_text("import nowhere_to_be_found\n")
    assert run(project, "--failgate").returncode == 2
    ((manifest, text),) = manifests(project)
    assert "nowhere_to_be_found" in text
    assert manifest["exit_code"] == 2


def test_a_report_that_cannot_be_kept_changes_no_exit_code(project):
    (project / ".failgate").write_text("in the way")
    done = run(project, "--failgate")
    assert done.returncode == 1
    assert "the report could not be kept" in done.stdout
