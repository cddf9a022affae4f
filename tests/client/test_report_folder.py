"""A report appears whole or not at all, and what a killed writer left is swept."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from failgate.base.ids import new_id
from failgate.client.report_folder import ReportWriter, sweep


def test_what_was_not_finished_vanishes(tmp_path: Path) -> None:
    with ReportWriter(tmp_path, new_id()) as writer, writer.adding("a", "file", "text/plain") as file:
        file.write(b"x")
        (fresh,) = (tmp_path / ".failgate" / "reports").iterdir()
        assert fresh.name.startswith(".")
    assert list((tmp_path / ".failgate" / "reports").iterdir()) == []


def test_the_leftovers_of_a_killed_writer_are_swept_and_those_of_a_living_one_stay(tmp_path: Path) -> None:
    script = (
        "import os, sys, time\nfrom pathlib import Path\nfrom failgate.client.report_folder import ReportWriter\n"
        f"from failgate.base.ids import new_id\nwith ReportWriter(Path({str(tmp_path)!r}), new_id()) as writer:\n"
        "    with writer.adding('a', 'file', 'text/plain') as file:\n        file.write(b'x' * 100000)\n"
        "        print('up', flush=True)\n        time.sleep(60)\n"
    )
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env={"PYTHONPATH": str(root)}, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    reports = tmp_path / ".failgate" / "reports"
    sweep(reports)
    assert len(list(reports.iterdir())) == 1, "its writer lives"
    process.kill()
    process.communicate()
    assert len(list(reports.iterdir())) == 1
    with ReportWriter(tmp_path, new_id()):
        assert len(list(reports.iterdir())) == 1, "the new one alone"
    assert list(reports.iterdir()) == []


def test_a_full_disk_is_said_and_the_exit_code_stays(failgate: Any, work: Path) -> None:
    script = "for i in range(20000): print('a line of words that fill the disk')\nraise SystemExit(7)"
    done = failgate(
        "capture", "--", sys.executable, "-c", script,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, capture_output=False,
    )  # fmt: skip
    assert done.returncode == 7
    assert "failgate: the report could not be kept" in done.stderr
    assert list((work / ".failgate" / "reports").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL])
def test_killed_while_the_command_runs_nothing_is_left(started: Any, work: Path, number: int) -> None:
    process = started("capture", "--", "sh", "-c", "echo up; exec sleep 20")
    assert process.stdout.readline() == "up\n"
    os.kill(process.pid, number)
    assert process.wait(20) == -number
    assert not (work / ".failgate").exists()
