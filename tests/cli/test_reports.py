"""Reports by the command line. F2 F19 F20."""

import json
from pathlib import Path
from typing import Any

from tests.client.wire_server import ID, Wire

GITHUB = "ghp_" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"


def captured(failgate: Any, work: Path) -> str:
    failgate("capture", "--", "sh", "-c", f"echo {GITHUB}; printf '\\033]0;evil\\007red\\n'; exit 3")
    return json.loads(failgate("report", "list", "--json").stdout)[0]["id"]


def test_review_shows_artifacts_sizes_and_findings_inert(failgate: Any, work: Path) -> None:  # F2 F20
    name = captured(failgate, work)
    shown = failgate("report", "review").stdout
    assert f"report    {name}" in shown
    assert "artifact  output.txt  output" in shown
    assert "x github-token in output.txt" in shown
    assert GITHUB not in shown
    assert "\x1b" not in shown
    assert "\nred\n" in shown, "output.txt is plain text"
    assert "\\u001b]0;evil\\u0007red" in shown, "the recording keeps the sequence, as JSON writes it"


def test_an_upload_needs_a_word_of_consent(failgate: Any, wire: Wire, work: Path) -> None:  # F2 F19
    captured(failgate, work)
    done = failgate("report", "upload")
    assert done.returncode == 2
    assert not wire.begun
    done = failgate("report", "upload", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["id"] == ID
    assert wire.sealed
    assert wire.begun["consent"]["by"] == "person"
    digest = json.loads(failgate("report", "list", "--json").stdout)[0]["manifest_sha256"]
    assert wire.begun["consent"]["manifest_sha256"] == digest
    assert "uploaded  20" in failgate("report", "show").stdout


def test_a_report_that_was_changed_after_its_capture_is_not_uploaded(failgate: Any, wire: Wire, work: Path) -> None:
    name = captured(failgate, work)
    folder = work / ".failgate" / "reports" / name
    artifact = next(one for one in folder.iterdir() if len(one.name) == 64)
    artifact.write_bytes(artifact.read_bytes() + b"more")
    done = failgate("report", "upload", "--yes")
    assert done.returncode == 1
    assert "changed after its capture" in done.stderr
    assert not wire.begun


def test_a_report_is_deleted_with_everything(failgate: Any, work: Path) -> None:
    name = captured(failgate, work)
    assert failgate("report", "delete", name).returncode == 2
    assert failgate("report", "delete", name, "--yes").returncode == 0
    assert list((work / ".failgate" / "reports").iterdir()) == []


def test_a_report_that_is_not_there_is_named(failgate: Any) -> None:
    done = failgate("report", "show", "0189")
    assert done.returncode == 1
    assert "There is no report '0189'" in done.stderr
