"""A report appears whole or not at all, and what a killed writer left is swept."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from failgate.base.errors import Unprocessable
from failgate.base.ids import new_id
from failgate.client.report_folder import REPORTS, ReportWriter, open_report, sweep


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


@pytest.mark.parametrize("is_there", [False, True], ids=["dangling", "of a file"])
def test_a_link_planted_as_gitignore_is_not_followed(failgate: Any, work: Path, tmp_path: Path, is_there: bool) -> None:
    outside = tmp_path / "outside"
    if is_there:
        outside.write_text("as it was")
    (work / ".failgate").mkdir()
    ignore = work / ".failgate" / ".gitignore"
    ignore.symlink_to(outside)
    done = failgate("capture", "--", "false")
    assert (done.returncode, outside.exists()) == (1, is_there)
    assert "report kept at" in done.stderr
    assert (ignore.is_symlink(), ignore.read_text()) == (False, "*\n")  # git follows no such link
    assert not is_there or outside.read_text() == "as it was"


def test_a_gitignore_of_ones_own_stays(tmp_path: Path) -> None:
    (tmp_path / ".failgate").mkdir()
    (tmp_path / ".failgate" / ".gitignore").write_text("reports\n")
    with ReportWriter(tmp_path, new_id()):
        assert (tmp_path / ".failgate" / ".gitignore").read_text() == "reports\n"


@pytest.mark.parametrize("is_there", [False, True], ids=["dangling", "of a folder"])
@pytest.mark.parametrize("name", [".failgate", ".failgate/reports"])
def test_a_link_planted_as_a_folder_of_reports_is_refused(
    failgate: Any, work: Path, tmp_path: Path, name: str, is_there: bool
) -> None:
    outside = tmp_path / "outside"
    if is_there:
        outside.mkdir()
    (work / name).parent.mkdir(exist_ok=True)
    (work / name).symlink_to(outside)
    done = failgate("capture", "--", "sh", "-c", "exit 7")
    assert done.returncode == 7
    assert f"{Path(name).name} is a link, which is not followed" in done.stderr
    assert "remove the link" in done.stderr
    assert outside.exists() == is_there
    assert not is_there or list(outside.iterdir()) == []


def test_a_report_that_is_a_link_is_neither_read_nor_written_to(failgate: Any, work: Path, tmp_path: Path) -> None:
    assert failgate("capture", "--", "false").returncode == 1
    (folder,) = (one for one in (work / REPORTS).iterdir() if not one.name.startswith("."))
    assert open_report(work, folder.name).folder == folder
    folder.symlink_to(folder.rename(tmp_path / "outside"))
    with pytest.raises(Unprocessable, match="is a link"):
        open_report(work, folder.name)
