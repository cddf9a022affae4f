"""What became of an upload is told as it is. # F2 F18"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.client.seat import Seat
from tests.client.wire_server import ID, Wire, WireServer


def captured(failgate: Any) -> None:
    assert failgate("capture", "--", "sh", "-c", "echo broken; exit 3").returncode == 3


@pytest.mark.parametrize("step", ["begin", "put", "seal"])
def test_a_quarantined_report_is_no_success_and_says_why_and_what_next(failgate: Any, wire: Wire, step: str) -> None:
    captured(failgate)
    wire.report_state, wire.report_state_at = "quarantined", step
    done = failgate("report", "upload", "--yes")
    assert done.returncode == 1
    assert "the report is quarantined: the server still found what looks like a secret" in done.stderr
    assert f"/w/demo/reports/{ID}" in done.stderr
    assert "failgate report review" in done.stderr
    assert done.stdout == ""
    assert wire.sealed == (step == "seal")
    assert "quarantined" in failgate("report", "show").stdout


def test_json_names_the_state(failgate: Any, wire: Wire) -> None:
    captured(failgate)
    assert json.loads(failgate("report", "upload", "--yes", "--json").stdout)["state"] == "sealed"
    wire.report_state = "quarantined"
    assert json.loads(failgate("report", "upload", "--yes", "--json").stdout)["state"] == "quarantined"


def test_after_a_run_the_quarantine_is_told_and_the_exit_code_stays(
    failgate: Any, wire: Wire, environment: dict[str, str]
) -> None:
    environment["FAILGATE_UPLOAD"] = "always"
    wire.report_state = "quarantined"
    done = failgate("run", "--", "sh", "-c", "exit 4")
    assert done.returncode == 4
    assert "failgate: the report is quarantined" in done.stderr
    assert "report uploaded" not in done.stderr


def test_a_lost_answer_to_the_beginning_is_asked_again_with_the_same_key(failgate: Any, wire: Wire) -> None:
    captured(failgate)
    wire.begin_lost = 1
    assert failgate("report", "upload", "--yes").returncode == 0
    keys = [key for path, key in wire.keys if path.endswith("/reports")]
    assert len(keys) == 2
    assert keys[0] == keys[1] is not None
    assert wire.sealed


def test_each_upload_has_keys_of_its_own(failgate: Any, wire: Wire, work: Path) -> None:
    """Its consent has another time: under the key of the upload before, it would be another request."""
    captured(failgate)
    for _ in range(2):
        assert failgate("report", "upload", "--yes").returncode == 0
    keys = [key for path, key in wire.keys if path.endswith(("/reports", "/seal"))]
    assert len(set(keys)) == len(keys) == 4


def test_who_is_asked_reads_where_it_goes_and_as_whom_and_no_is_no(
    failgate: Any, environment: dict[str, str], wire: Wire, server: WireServer, work: Path
) -> None:
    """By the key of the review, by the command, and after a run: the same question, answered for this report alone."""
    captured(failgate)
    question = f" to workspace demo at {server.url}, as agent builder? [y/N] ".encode()
    environment |= {"FAILGATE_UPLOAD": "ask", "HOME": str(work)}
    with Seat(environment, work) as seat:
        seat.type("failgate report review latest\n")
        seat.wait_for(b"review> ")
        seat.type("r broken\nu\n")
        asked = seat.wait_for(question)
        assert b" is now " in asked
        seat.type("n\n")
        assert b"not uploaded" in seat.wait_for(b"seat> ")
        for line in ("failgate report upload latest", "failgate run -- sh -c 'exit 4'"):
            seat.type(f"{line}\n")
            seat.wait_for(question)
            seat.type("\n")
            seat.wait_for(b"seat> ")
        assert not wire.begun
        seat.type("failgate report upload latest\n")
        (named, digest) = seat.wait_for(question).decode().rpartition("upload report ")[2].split()[0::2][:2]
        seat.type("y\n")
        seat.wait_for(f"/w/demo/reports/{ID}".encode())
    assert wire.begun["manifest"]["id"] == named
    assert wire.begun["consent"]["manifest_sha256"].startswith(digest.rstrip(")"))
