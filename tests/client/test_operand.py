"""The script that a call gives to an interpreter, as the interpreters themselves find it. P4."""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from failgate.client.operand import script_of
from tests.client.test_run import runs
from tests.client.wire_server import Wire

_CASES = [
    ("sh FILE", True), ("sh -eu FILE arg", True), ("bash --rcfile other FILE", True), ("bash -o pipefail FILE", True),
    ("bash +x -- FILE", True), ("bash -c other FILE", False), ("bash -euc other FILE", False), ("sh -s FILE", False),
    ("bash --norc FILE --flag", True), ("dash -x FILE", True), ("/usr/bin/bash FILE", True),
    ("python3 FILE", True), ("python3 -I -W ignore FILE -c x", True), ("python3 -Xutf8 -bb FILE", True),
    ("python3 -c other FILE", False), ("python3 -Im other FILE", False), ("python3 - FILE", False),
    ("python3.11 FILE", True),
    ("node FILE", True), ("node --no-warnings -r other FILE", True), ("node -e other FILE", False),
    ("node --title x FILE", True), ("node --eval=other FILE", False), ("node --max-old-space-size=100 FILE", True),
    ("perl FILE", True), ("perl -w -Mstrict FILE", True), ("perl -ne other FILE", False), ("perl -I x FILE", True),
    ("perl -i.e FILE", True), ("ruby -W0 -I x FILE", True), ("ruby -rjson -e other FILE", False),
    ("php FILE", True), ("php -d a=b FILE", True), ("php -f FILE arg", True), ("php -r other FILE", False),
    ("php8.2 FILE", True), ("lua -l x FILE", True), ("Rscript FILE", True), ("cat FILE", False), ("sh", False),
]  # fmt: skip


@pytest.mark.parametrize(("line", "is_found"), _CASES)
def test_the_script_is_the_file_that_the_interpreter_reads(tmp_path: Path, line: str, is_found: bool) -> None:
    script = tmp_path / "FILE"
    script.write_text("text")
    told = {"path": os.path.realpath(script), "sha256": hashlib.sha256(b"text").hexdigest()}
    assert script_of(line.split(), str(tmp_path), "") == (told if is_found else None)


@pytest.mark.parametrize(
    ("line", "is_read"),
    [
        *[(line, found) for line, found in _CASES if line.split()[0] in {"sh", "bash", "dash", "perl", "php"}],
        *[(f"{sys.executable} {line.partition(' ')[2]}", found) for line, found in _CASES if line[:7] == "python3"],
    ],
)
def test_what_is_called_the_script_is_what_a_real_interpreter_reads(tmp_path: Path, line: str, is_read: bool) -> None:
    argv = line.split()
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is missing: it is one of Debian's base, or php-cli, which .ci/run installs")
    languages = {"perl": 'print "was read";', "php": "<?php print 'was read';"}
    name = argv[0].rpartition("/")[2]
    text = languages.get(name, "print('was read')" if "python" in name else "echo was read")
    (tmp_path / "FILE").write_text(text + "\n")
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert ("was read" in done.stdout and "print" not in done.stdout) == is_read, done


def test_a_shell_looks_for_a_script_along_the_path(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("text")
    assert script_of(["bash", "tool"], "/", str(tmp_path)) is not None
    assert script_of(["python3", "tool"], "/", str(tmp_path)) is None


def test_a_pipe_is_no_script(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert script_of(["sh", "pipe"], str(tmp_path), "") is None


@pytest.mark.parametrize("how", ["in place", "renamed over", "link", "folder", "gone", "none"])
def test_a_script_that_changed_after_the_question_is_not_read(
    failgate: Any, wire: Wire, work: Path, how: str
) -> None:  # P4
    folder = work / "scripts"
    folder.mkdir()
    (folder / "first").write_text("echo approved > made\n")
    (folder / "d.sh").symlink_to("first")

    def swap() -> None:
        other = folder / "other"
        other.write_text("echo other > made\n")
        if how == "in place":
            (folder / "first").write_text("echo other > made\n")
        elif how == "renamed over":
            other.rename(folder / "d.sh")
        elif how == "link":
            (folder / "d.sh").unlink()
            (folder / "d.sh").symlink_to("other")
        elif how == "folder":
            folder.rename(work / "before")
            folder.mkdir()
            (folder / "d.sh").write_text("echo other > made\n")
        elif how == "gone":
            (folder / "d.sh").unlink()

    wire.approve_after(swap)
    done = failgate(*runs("sh", "scripts/d.sh", "argument"))
    told = wire.of("/commands")[0]["command"]["script"]
    assert told == {
        "path": str(folder / "first"),
        "sha256": hashlib.sha256(b"echo approved > made\n").hexdigest(),
    }
    if how == "none":
        assert (done.returncode, (work / "made").read_text()) == (0, "approved\n")
        return
    assert done.returncode == 76, done.stderr
    assert not (work / "made").exists()
    assert [told["digest"] for told in wire.of("/consume")] == ["another-call"]  # for the log


_WRAPPED = [
    "env python3 FILE", "nice -n 5 sh FILE x", "timeout 60 sh FILE", "nohup python3 -I FILE", "setsid -w sh FILE",
    "stdbuf -oL perl FILE", "sh -c 'sh FILE x'", "bash -ec 'env A=1 sh FILE'", "env nice sh -c 'python3 \"FILE\"'",
    "env ./FILE", "timeout 60 ./FILE x", "sh -c './FILE'", "sh -c ./FILE",
]  # fmt: skip


@pytest.mark.parametrize("line", _WRAPPED)
def test_the_script_is_found_behind_programs_that_start_another_one(tmp_path: Path, line: str) -> None:
    script = tmp_path / "FILE"
    script.write_text("#!/bin/sh\ntext")
    script.chmod(0o755)
    told = {"path": os.path.realpath(script), "sha256": hashlib.sha256(b"#!/bin/sh\ntext").hexdigest()}
    assert script_of(shlex.split(line), str(tmp_path), "/usr/bin:/bin") == told


@pytest.mark.parametrize(
    "line",
    [
        "sudo sh FILE", "env -S 'sh FILE'", "env -C / sh FILE", "sh -c 'sh FILE; true'", "sh -c 'sh $X FILE'",
        "sh -c 'sh FILE' x", "env PATH=/tmp sh FILE", "env cat FILE", "sh -c 'exec sh FILE'", "sh -c '. ./FILE'",
    ],
)  # fmt: skip
def test_what_nobody_can_say_is_no_script(tmp_path: Path, line: str) -> None:
    (tmp_path / "FILE").write_text("#!/bin/sh\ntext")
    assert script_of(shlex.split(line), str(tmp_path), "/usr/bin:/bin") is None


@pytest.mark.parametrize("how", ["in place", "renamed over", "gone", "none"])
@pytest.mark.parametrize(
    "line", ["env sh d.sh", "sh -c 'sh d.sh x'", "timeout 60 ./d.sh", "nice -n 1 env A=1 sh -c './d.sh'", "env ./d.bin"]
)
def test_what_is_started_in_the_end_and_changed_after_the_question_is_not_run(
    failgate: Any, wire: Wire, work: Path, line: str, how: str
) -> None:  # P4
    program = work / line.rpartition("/")[2].split()[0].strip("'") if "./" in line else work / "d.sh"
    first, second = (f"#!/bin/sh\necho {text} > made\n".encode() for text in ("approved", "other"))
    if program.name == "d.bin":  # what nobody approved leaves a file
        first, second = (Path(os.path.realpath(f"/usr/bin/{name}")).read_bytes() for name in ("true", "touch"))
        line += " made"
    program.write_bytes(first)
    program.chmod(0o755)

    def swap() -> None:
        if how == "in place":
            program.write_bytes(second)
        elif how == "renamed over":
            other = work / "other"
            other.write_bytes(second)
            other.chmod(0o755)
            other.rename(program)
        elif how == "gone":
            program.unlink()

    wire.approve_after(swap)
    done = failgate(*runs(*shlex.split(line)))
    told = wire.of("/commands")[0]["command"]
    said = told["programs"]["./d.bin"] if program.name == "d.bin" else told["script"]
    assert (said["path"], said["sha256"]) == (str(program), hashlib.sha256(first).hexdigest())
    if how == "none":
        assert done.returncode == 0, done.stderr
        assert (work / "made").exists() == (program.name != "d.bin")
        return
    assert done.returncode == 76, done.stderr
    assert not (work / "made").exists()
    assert [told["digest"] for told in wire.of("/consume")] == ["another-call"]
