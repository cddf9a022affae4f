"""`failgate report replay` with real repositories; without a server, and through the gate of one that speaks the wire."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from failgate.base.ids import new_id
from failgate.client.report_folder import ReportWriter, open_report
from failgate.client.tree import sweep
from failgate.wire.reports import ArtifactKind, Manifest
from tests.client.conftest import Failgate
from tests.client.wire_server import Wire

PROGRAM = """\
import os, sys
sys.path.insert(0, ".")
from prices import total
print("here", os.environ.get("PYTHONHASHSEED"))
if total([1, 2]) != 4:
    raise ValueError(f"total is {total([1, 2])}")
"""


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=trunk", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull},
    )
    return done.stdout.strip()


@pytest.fixture
def alone(environment: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environment.items() if name not in {"FAILGATE_URL", "FAILGATE_TOKEN"}}
    return kept | {"PYTHONHASHSEED": "7"}


@pytest.fixture
def project(work: Path) -> Path:
    """A repository whose program passes at its commit and fails with the changes that are not committed."""
    git(work, "init", "-q")
    (work / "app").mkdir()
    (work / "app" / "prices.py").write_text("def total(items):\n    return sum(items) + 1\n")
    (work / "app" / "run.py").write_text(PROGRAM)
    git(work, "add", ".")
    git(work, "commit", "-qm", "prices")
    (work / "app" / "prices.py").write_text("def total(items):\n    return sum(items)\n")
    return work


@pytest.fixture
def captured(project: Path, failgate: Failgate, alone: dict[str, str]) -> Path:
    done = failgate("capture", "--", sys.executable, "run.py", cwd=project / "app", env=alone)
    assert done.returncode == 1, done.stderr
    return project / "app"


def verdict(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert done.stdout, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def changed(root: Path, **members: Any) -> None:
    """Write the newest report again with other members of its manifest."""
    report = open_report(root, "latest")
    document = report.document | members
    (report.folder / "manifest.json").write_text(json.dumps(document))


def test_a_failure_is_reproduced_beside_the_checkout(captured: Path, failgate: Failgate, alone: dict[str, str]) -> None:
    (captured / "prices.py").write_text("something else")
    before = git(captured, "status", "--porcelain"), (captured.parent / ".git" / "index").read_bytes()
    done = failgate("report", "replay", "--json", cwd=captured, env=alone)
    answer = verdict(done)
    assert (done.returncode, answer["verdict"], answer["way"]) == (0, "reproduced", "worktree")
    assert answer["seen"]["error"] == "ValueError: total is <n>"
    assert answer["folder"].endswith("/app"), "the command runs in its folder of the repository"
    assert "here 7" in done.stderr, "what was captured of the environment is there"
    assert (git(captured, "status", "--porcelain"), (captured.parent / ".git" / "index").read_bytes()) == before
    assert git(captured, "worktree", "list").count("\n") == 0
    assert not Path(answer["folder"]).exists()
    assert list((Path(alone["FAILGATE_HOME"]) / "replays").iterdir()) == []


def test_what_a_document_says_was_called_is_never_executed(
    captured: Path, failgate: Failgate, alone: dict[str, str]
) -> None:
    changed(captured, source="sarif", argv=["sh", "-c", "echo ran > ran"])
    done = failgate("report", "replay", "--in-place", cwd=captured, env=alone)
    assert done.returncode == 65
    assert "made of a document (sarif)" in done.stderr
    assert not (captured / "ran").exists()


def test_another_error_is_different_and_says_what(captured: Path, failgate: Failgate, alone: dict[str, str]) -> None:
    report = open_report(captured, "latest")
    changed(captured, exit_code=2)
    done = failgate("report", "replay", cwd=captured, env=alone)
    assert done.returncode == 3
    assert "failgate: different\nfailgate:   ended: exit 2 -> exit 1" in done.stderr
    assert report.manifest.exit_code == 1


def test_a_file_that_git_did_not_know_is_named_where_it_is_missing(
    project: Path, failgate: Failgate, alone: dict[str, str]
) -> None:
    (project / "check.sh").write_text("echo error: no price >&2; exit 3\n")
    failgate("capture", "--", "sh", "check.sh", cwd=project, env=alone)
    done = failgate("report", "replay", cwd=project, env=alone)
    assert (done.returncode, "git did not know check.sh then" in done.stderr) == (3, True), done.stderr
    failgate("capture", "--snapshot", "--", "sh", "check.sh", cwd=project, env=alone)
    done = failgate("report", "replay", cwd=project, env=alone)
    assert (done.returncode, "did not know" in done.stderr) == (0, False), done.stderr


def test_a_mended_project_passes(captured: Path, failgate: Failgate, alone: dict[str, str]) -> None:
    git(captured, "checkout", "-q", ".")
    done = failgate("report", "replay", "--in-place", "--json", cwd=captured, env=alone)
    assert (done.returncode, verdict(done)["verdict"]) == (4, "passed")


def test_a_tree_is_kept_where_it_was_asked_for(
    captured: Path, failgate: Failgate, alone: dict[str, str], tmp_path: Path
) -> None:
    words = ("report", "replay", "--into", str(tmp_path / "tree"))
    assert failgate(*words, cwd=captured, env=alone).returncode == 0
    done = failgate(*words, cwd=captured, env=alone)
    assert "exists already" in done.stderr
    assert done.returncode == 65
    assert "return sum(items)\n" in (tmp_path / "tree" / "app" / "prices.py").read_text()


def test_a_commit_that_is_missing_names_its_mend(
    captured: Path, failgate: Failgate, alone: dict[str, str], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    done = failgate("report", "replay", "--repository", str(other), cwd=captured, env=alone)
    assert done.returncode == 65
    assert "git fetch" in done.stderr


def test_what_was_redacted_is_named_and_stops_it(captured: Path, failgate: Failgate, alone: dict[str, str]) -> None:
    argv = [sys.executable, "run.py", "--password", "[redacted:password:0123abcd]"]
    changed(captured, argv=argv)
    done = failgate("report", "replay", cwd=captured, env=alone)
    assert done.returncode == 65
    assert "argv[3]" in done.stderr
    done = failgate("report", "replay", "--allow-redacted", cwd=captured, env=alone)
    assert done.returncode == 0, done.stderr


def test_nothing_that_the_repository_names_is_executed(
    captured: Path, failgate: Failgate, alone: dict[str, str], tmp_path: Path
) -> None:
    mark = tmp_path / "executed"
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\necho $0 >> {mark}\ncat\n")
    trap.chmod(0o755)
    top = captured.parent
    for hook in ("post-checkout", "post-index-change", "reference-transaction", "pre-commit"):
        (top / ".git" / "hooks" / hook).write_text(trap.read_text())
        (top / ".git" / "hooks" / hook).chmod(0o755)
    (top / ".git" / "info" / "attributes").write_text("* filter=evil diff=evil merge=evil\n")
    for key in ("filter.evil.smudge", "filter.evil.clean", "filter.evil.process", "diff.evil.textconv",
                "diff.external", "core.fsmonitor", "core.sshCommand", "core.pager", "filter.a=b.smudge"):  # fmt: skip
        git(top, "config", key, str(trap))
    git(top, "config", "filter.evil.required", "true")
    subprocess.run(["git", "checkout-index", "-f", "-a"], cwd=top, check=False, capture_output=True)
    assert mark.exists(), "the trap bites without our care"
    mark.unlink()
    done = failgate("report", "replay", cwd=captured, env=alone)
    assert done.returncode == 0, done.stderr
    assert not mark.exists()


def test_a_killed_replay_leaves_nothing_behind_for_long(
    captured: Path, alone: dict[str, str], failgate: Failgate, tmp_path: Path
) -> None:
    base = Path(alone["FAILGATE_HOME"]) / "replays"
    flag = tmp_path / "runs"
    code = f"import pathlib, time; pathlib.Path({str(flag)!r}).touch(); time.sleep(60)"
    changed(captured, argv=[sys.executable, "-c", code])

    def started() -> "subprocess.Popen[bytes]":
        flag.unlink(missing_ok=True)
        running = subprocess.Popen(
            [sys.executable, "-m", "failgate", "report", "replay"], cwd=captured, env=alone, start_new_session=True
        )
        until(flag.exists)
        return running

    running = started()
    running.terminate()
    assert running.wait(20) == 3
    assert list(base.iterdir()) == []
    running = started()
    os.killpg(running.pid, signal.SIGKILL)
    running.wait(20)
    assert len(list(base.iterdir())) == 2
    sweep(base)
    assert list(base.iterdir()) == []
    assert git(captured, "worktree", "list").count("\n") == 0


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def bare_report(root: Path, argv: list[str], kind: ArtifactKind, content: bytes, head: str | None = None) -> None:
    """Write a report that holds `content` beside its output, as a capture elsewhere makes it."""
    git_state = {"head": head, "branch": None, "is_dirty": False, "changed_files": 0, "folder": "."} if head else None
    with ReportWriter(root, new_id()) as writer:
        with writer.adding("output.txt", "output", "text/plain") as file:
            file.write(b"Error: broken\n")
        with writer.adding(f"source.{kind}", kind, "application/octet-stream") as file:
            file.write(content)
        manifest = {
            "v": 1, "id": writer.report_id, "created_at": "2026-11-21T21:30:19Z", "argv": argv, "cwd": "/elsewhere",
            "host": "h", "exit_code": 7, "duration_ms": 1, "redactions": [], "redaction_rules": "1", "git": git_state,
            "environment": {"names": [], "values": {"LD_PRELOAD": "/evil.so"}, "platform": "Linux"},
            "artifacts": msgspec.to_builtins(writer.artifacts),
        }  # fmt: skip
        writer.finish(msgspec.convert(manifest, Manifest))


def archive(*members: tuple[str, bytes | str]) -> bytes:
    """Make a tar: bytes are a file, a text is a link to it."""
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w") as made:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                made.addfile(info)
            else:
                info.size = len(content)
                made.addfile(info, io.BytesIO(content))
    return kept.getvalue()


def sparse(size: int) -> bytes:
    """Make a tar with one file in the old format of GNU tar: 512 bytes, and a hole up to `size`."""
    info = tarfile.TarInfo("hole")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 512
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[386:410] = b"%011o\0%011o\0" % (size - 512, 512)
    block[483:495] = b"%011o\0" % size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + b"x" * 512 + bytes(1024)


def special(kind: bytes) -> bytes:
    """Make a tar with one member that is no file, no folder and no symbolic link."""
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w") as made:
        info = tarfile.TarInfo("odd")
        info.type, info.linkname, info.devmajor, info.devminor = kind, "run.sh", 1, 3
        made.addfile(info)
    return kept.getvalue()


SCRIPT = b"#!/bin/sh\necho Error: broken $LD_PRELOAD\nexit 7\n"


def test_a_snapshot_is_enough_without_a_repository(work: Path, failgate: Failgate, alone: dict[str, str]) -> None:
    bare_report(work, ["./run.sh"], "snapshot", archive(("run.sh", SCRIPT)))
    done = failgate("report", "replay", "--json", env=alone)
    answer = verdict(done)
    assert (answer["verdict"], answer["way"], answer["differences"]) == ("reproduced", "snapshot", [])


def test_a_bundle_is_cloned_where_the_commit_is_missing(
    work: Path, failgate: Failgate, alone: dict[str, str], tmp_path: Path
) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    git(origin, "init", "-q")
    (origin / "run.sh").write_bytes(SCRIPT)
    (origin / "run.sh").chmod(0o755)
    git(origin, "add", ".")
    git(origin, "commit", "-qm", "one")
    git(origin, "bundle", "create", "-q", str(tmp_path / "b"), "HEAD", "trunk")
    bare_report(work, ["./run.sh"], "bundle", (tmp_path / "b").read_bytes(), git(origin, "rev-parse", "HEAD"))
    answer = verdict(failgate("report", "replay", "--json", env=alone))
    assert (answer["verdict"], answer["way"]) == ("reproduced", "bundle")


@pytest.mark.parametrize(
    "members",
    [
        [("../out.sh", SCRIPT)],
        [("/tmp/failgate-out.sh", SCRIPT)],
        [("link", "/etc"), ("link/x", SCRIPT)],
        [("link", "../../.."), ("link/x", SCRIPT)],
        [(".git/config", b"[core]\n")],
        [("sub/.GIT/hooks/post-checkout", SCRIPT)],
        [("sub/x", SCRIPT), ("link", "sub"), ("link/y", SCRIPT)],
        [("sub/x", SCRIPT), ("sub/link", "../..")],
    ],
)
def test_a_hostile_snapshot_is_refused(
    work: Path, failgate: Failgate, alone: dict[str, str], members: list[tuple[str, bytes | str]]
) -> None:
    bare_report(work, ["./run.sh"], "snapshot", archive(("run.sh", SCRIPT), *members))
    done = failgate("report", "replay", env=alone)
    if members[0][0].startswith("/"):
        assert not Path(members[0][0]).exists()
    else:
        assert done.returncode == 65, done.stderr
        assert list((Path(alone["FAILGATE_HOME"]) / "replays").iterdir()) == []


def climbing(length: int) -> list[tuple[str, bytes | str]]:
    """Return members that lead out over links too long to be followed by their names (CVE-2025-4517).

    `length` is that of the folder: each folder has a short second name; all long ones together just fit into a path of
    the system, one name more does not.
    """
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[: (3990 - length) // 121]
    members: list[tuple[str, bytes | str]] = []
    above = ""
    for letter in letters:
        members += [(f"{above}{'d' * 120}/x", b""), (f"{above}{letter}", "d" * 120)]
        above += f"{'d' * 120}/"
    top = f"{'/'.join(letters)}/{'l' * 254}"
    return [*members, (top, "../" * len(letters)), ("out", f"{top}/../.."), ("out/written", b"")]


def test_a_snapshot_does_not_climb_out_over_names_that_are_too_long(
    work: Path, failgate: Failgate, alone: dict[str, str]
) -> None:
    """What stands two folders above the tree is written by no archive, whatever the tarfile of this Python believes."""
    base = Path(alone["FAILGATE_HOME"]) / "replays"
    bare_report(work, ["./run.sh"], "snapshot", archive(("run.sh", SCRIPT), *climbing(len(str(base)) + 45)))
    done = failgate("report", "replay", env=alone)
    assert not (base.parent / "written").exists()
    assert (done.returncode, "leads out of its folder" in done.stderr) == (65, True), done.stderr
    assert list(base.iterdir()) == []


@pytest.mark.parametrize(("members", "is_taken"), [(10_000, True), (10_001, False)])
def test_a_snapshot_of_more_members_than_a_capture_takes_is_refused_by_their_number(
    work: Path, failgate: Failgate, alone: dict[str, str], members: int, is_taken: bool
) -> None:
    content = archive(("run.sh", SCRIPT), *[("notes", b"")] * (members - 1))
    bare_report(work, ["./run.sh"], "snapshot", content)
    done = failgate("report", "replay", env=alone)
    assert ("The snapshot holds more than 10,000 members." in done.stderr) is not is_taken
    assert (done.returncode == 65) is not is_taken, done.stderr
    assert list((Path(alone["FAILGATE_HOME"]) / "replays").iterdir()) == []


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(sparse(1 << 32), id="a sparse file of 4 GiB"),
        pytest.param(special(tarfile.CHRTYPE), id="a device"),
        pytest.param(special(tarfile.FIFOTYPE), id="a pipe"),
        pytest.param(special(tarfile.LNKTYPE), id="a hard link"),
    ],
)
def test_a_snapshot_with_a_device_or_a_bomb_is_refused_at_once(
    work: Path, failgate: Failgate, alone: dict[str, str], odd: bytes
) -> None:
    with tarfile.open(fileobj=io.BytesIO(odd)) as read:
        assert len(read.getmembers()) == 1, "the archive itself is whole"
    bare_report(work, ["./run.sh"], "snapshot", odd)
    done = failgate("report", "replay", env=alone)
    assert (done.returncode, "what is not unpacked" in done.stderr) == (65, True), done.stderr
    assert list((Path(alone["FAILGATE_HOME"]) / "replays").iterdir()) == []


def test_a_server_decides_about_the_replay(
    captured: Path, failgate: Failgate, environment: dict[str, str], wire: Wire
) -> None:
    done = failgate("report", "replay", "--json", cwd=captured, env=environment | {"PYTHONHASHSEED": "3"})
    assert (done.returncode, verdict(done)["verdict"]) == (0, "reproduced")
    (asked,) = wire.of("/commands")
    assert asked["reason"] == f"replay of report {open_report(captured, 'latest').manifest.id}"
    assert asked["command"]["cwd"].endswith("/app")
    assert "replays" in asked["command"]["cwd"]
    assert asked["command"]["env"]["PYTHONHASHSEED"] == "7", "the captured value, and the reviewer sees it"
    wire.state = "denied"
    done = failgate("report", "replay", "--json", cwd=captured, env=environment)
    assert (done.returncode, verdict(done)["verdict"]) == (77, None)
    assert "here" not in done.stderr, "nothing ran"
