"""`failgate capture` with real repositories and no server. F1 F2 F17 F20."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from failgate.base.canonical import canonical

GITHUB = "ghp_" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"


@pytest.fixture
def environment(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in environment.items() if not name.startswith("FAILGATE_")}
    return kept | {"FAILGATE_HOME": str(tmp_path / "home"), "FAILGATE_URL": "http://127.0.0.1:9", "HOME": str(tmp_path)}


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


def only_report(folder: Path) -> Path:
    (found,) = (folder / ".failgate" / "reports").iterdir()
    return found


def manifest_of(folder: Path) -> dict[str, Any]:
    return json.loads((only_report(folder) / "manifest.json").read_bytes())


def content_of(folder: Path, name: str) -> bytes:
    (artifact,) = [one for one in manifest_of(folder)["artifacts"] if one["name"] == name]
    return (only_report(folder) / artifact["sha256"]).read_bytes()


def test_a_success_leaves_nothing_behind(failgate: Any, work: Path) -> None:
    done = failgate("capture", "--", "sh", "-c", "echo fine")
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")
    assert not (work / ".failgate").exists()


def test_a_failure_keeps_exit_code_and_output_and_a_report(failgate: Any, work: Path) -> None:  # F1
    done = failgate("capture", "--", "sh", "-c", "echo out; echo err >&2; exit 9")
    assert (done.returncode, done.stdout) == (9, "out\n")
    assert "err\n" in done.stderr
    report = only_report(work)
    assert f"failgate: report kept at .failgate/reports/{report.name}\n" in done.stderr
    manifest = manifest_of(work)
    assert (manifest["v"], manifest["id"], manifest["exit_code"], manifest["signal"]) == (1, report.name, 9, None)
    assert manifest["argv"] == ["sh", "-c", "echo out; echo err >&2; exit 9"]
    assert sorted(content_of(work, "output.txt").split()) == [b"err", b"out"]


def test_the_report_is_canonical_private_and_named_by_its_bytes(failgate: Any, work: Path) -> None:  # F20
    failgate("capture", "--", "sh", "-c", "echo ünicode; exit 1")
    report = only_report(work)
    text = (report / "manifest.json").read_bytes()
    assert text == canonical(json.loads(text))
    assert stat.S_IMODE(report.stat().st_mode) == 0o700
    for file in report.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.name == "manifest.json" or hashlib.sha256(file.read_bytes()).hexdigest() == file.name
    assert [one for one in report.parent.iterdir() if one.name.startswith(".")] == []


def test_the_order_of_output_is_kept_when_both_go_to_the_same_place(
    environment: dict[str, str], work: Path
) -> None:  # F1
    script = "for i in 1 2 3 4 5 6 7 8 9; do echo out $i; echo err $i >&2; done; exit 1"
    done = subprocess.run(
        [sys.executable, "-m", "failgate", "capture", "--", "sh", "-c", script],
        env=environment,
        cwd=work,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=30,
    )
    expected = [f"{name} {number}" for number in range(1, 10) for name in ("out", "err")]
    assert done.stdout.splitlines()[:18] == expected
    assert content_of(work, "output.txt").decode().splitlines() == expected


def test_the_end_by_a_signal_is_kept(failgate: Any, work: Path) -> None:  # F1
    assert failgate("capture", "--", "sh", "-c", "kill -TERM $$").returncode == 143
    manifest = manifest_of(work)
    assert (manifest["exit_code"], manifest["signal"]) == (143, 15)
    assert manifest["title"].endswith("ended by signal 15")


def test_no_planted_secret_reaches_the_disk(failgate: Any, environment: dict[str, str], work: Path) -> None:  # F17
    git(work, "init", "-q")
    (work / "settings.ini").write_text("a=1\n")
    git(work, "add", ".")
    git(work, "commit", "-qm", "first")
    (work / "settings.ini").write_text(f"a=1\ndb_password = 'tr0ub4dor&3'\ntoken = {GITHUB}\n")
    git(work, "checkout", "-qb", GITHUB)
    environment["SERVICE_PASSWORD"] = "very-private-value-1"
    environment["LC_MESSAGES"] = "very-private-value-1"
    script = "echo $SERVICE_PASSWORD; printf %s $SERVICE_PASSWORD | base64; cat coloured; exit 1"
    (work / "coloured").write_text(f"\x1b[1m{GITHUB[:9]}\x1b[0m{GITHUB[9:]}\n")
    done = failgate(
        "capture", "--", "sh", "-c", script, "--password", "hunter2-hunter2", f"https://u:pa55word9@h/{GITHUB}"
    )
    assert done.returncode == 1
    assert "very-private-value-1" in done.stdout, "the terminal sees what the command wrote"
    everything = b"\n".join(file.read_bytes() for file in only_report(work).iterdir())
    for secret in (
        b"very-private-value-1",
        b"dmVyeS1wcml2YXRlLXZhbHVlLT",
        b"hunter2-hunter2",
        b"pa55word9",
        b"tr0ub4dor",
        GITHUB.encode(),
        GITHUB[9:].encode(),
    ):
        assert secret not in everything
    found = {(one["rule"], one["where"]) for one in manifest_of(work)["redactions"]}
    assert {
        ("environment", "output.txt"),
        ("github-token", "diff.patch"),
        ("github-token", "manifest"),
        ("flag", "manifest"),
    } <= found


def test_the_same_secret_has_one_tag_everywhere(failgate: Any, work: Path) -> None:  # F18
    failgate("capture", "--", "sh", "-c", f"echo {GITHUB}; exit 1")
    tag = content_of(work, "output.txt").strip().decode()
    assert tag.startswith("[redacted:github-token:")
    assert tag in manifest_of(work)["argv"][2]


def test_names_of_variables_are_kept_values_only_of_harmless_ones(
    failgate: Any, environment: dict[str, str], work: Path
) -> None:
    environment |= {"SOMETHING_PRIVATE": "abc", "CI": "true"}
    failgate("capture", "--", "false")
    summary = manifest_of(work)["environment"]
    assert {"SOMETHING_PRIVATE", "CI", "PATH"} <= set(summary["names"])
    assert summary["values"]["CI"] == "true"
    assert "PATH" not in summary["values"]
    assert "SOMETHING_PRIVATE" not in summary["values"]


def test_the_state_of_the_repository_is_kept(failgate: Any, work: Path) -> None:
    git(work, "init", "-q")
    (work / "a.txt").write_text("one\n")
    git(work, "add", ".")
    git(work, "commit", "-qm", "first")
    (work / "a.txt").write_text("two\n")
    (work / "new.txt").write_text("x\n")
    failgate("capture", "--", "false")
    state = manifest_of(work)["git"]
    assert state["head"] == git(work, "rev-parse", "HEAD")
    assert (state["branch"], state["is_dirty"], state["changed_files"]) == ("trunk", True, 2)
    assert b"-one\n+two\n" in content_of(work, "diff.patch")
    assert git(work, "status", "--porcelain").count(".failgate") == 0, "reports are never committed by accident"


def test_a_repository_without_commits_and_a_folder_without_git_work(failgate: Any, work: Path) -> None:
    failgate("capture", "--", "false")
    assert manifest_of(work)["git"] is None
    shutil.rmtree(work / ".failgate")
    git(work, "init", "-q")
    (work / "a.txt").write_text("one\n")
    git(work, "add", ".")
    failgate("capture", "--", "false")
    state = manifest_of(work)["git"]
    assert (state["head"], state["branch"], state["is_dirty"], state["changed_files"]) == (None, "trunk", True, 1)
    assert b"+one" in content_of(work, "diff.patch")


def test_without_git_on_the_machine_a_report_is_kept_all_the_same(
    failgate: Any, environment: dict[str, str], work: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    (bare / "false").symlink_to(shutil.which("false") or "/bin/false")
    environment["PATH"] = str(bare)
    assert failgate("capture", "--", "false").returncode == 1
    assert manifest_of(work)["git"] is None


def test_nothing_that_the_repository_asks_for_is_run(
    failgate: Any, environment: dict[str, str], work: Path, tmp_path: Path
) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    git(work, "init", "-q")
    (work / ".gitattributes").write_text("*.txt diff=trap\n")
    (work / "a.txt").write_text("one\n")
    git(work, "add", ".")
    git(work, "commit", "-qm", "first")
    (work / "a.txt").write_text("two\n")
    for key in ("core.fsmonitor", "core.pager", "diff.external", "diff.trap.command", "diff.trap.textconv"):
        git(work, "config", key, str(trap))
    environment["GIT_EXTERNAL_DIFF"] = str(trap)
    failgate("capture", "--", "false")
    assert not (tmp_path / "sprung").exists()
    assert b"+two" in content_of(work, "diff.patch")


def test_a_flood_of_output_is_bounded_and_counted(failgate: Any, work: Path) -> None:
    script = "import sys\nfor i in range(60000): print(f'line {i:08d} of many, with some words after it to make it longer')\nsys.exit(1)"
    done = failgate("capture", "--", sys.executable, "-c", script)
    assert done.stdout.count("\n") == 60000
    (artifact,) = [one for one in manifest_of(work)["artifacts"] if one["name"] == "output.txt"]
    content = content_of(work, "output.txt")
    assert len(content) < 1_400_000
    assert artifact["truncated_bytes"] > 1_000_000
    assert content.startswith(b"line 00000000")
    assert content.endswith(b"line 00059999 of many, with some words after it to make it longer\n")
    assert f"[failgate: {artifact['truncated_bytes']} bytes left out]".encode() in content
    kept = len(content) - len(f"\n[failgate: {artifact['truncated_bytes']} bytes left out]\n")
    assert kept + artifact["truncated_bytes"] == len(done.stdout)


def test_a_folder_that_cannot_be_written_changes_nothing_of_the_exit_code(failgate: Any, work: Path) -> None:
    (work / ".failgate").write_text("a file in the way")
    done = failgate("capture", "--", "sh", "-c", "exit 5")
    assert done.returncode == 5
    assert "failgate: the report could not be kept" in done.stderr


def test_a_program_that_leaves_a_child_behind_does_not_hold_us(failgate: Any, work: Path) -> None:
    done = failgate(
        "capture",
        "--",
        "sh",
        "-c",
        "sleep 8 & echo started; exit 3",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        capture_output=False,
    )
    assert (done.returncode, done.stdout) == (3, "started\n")


def test_a_reader_that_goes_away_ends_the_command_by_sigpipe(environment: dict[str, str], work: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "failgate", "capture", "--", "sh", "-c", "while echo y; do :; done; exit 8"],
        env=environment,
        cwd=work,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"y\n"
    process.stdout.close()
    assert process.wait(timeout=30) in (8, 141)


def test_a_terminal_stays_a_terminal_and_is_captured(environment: dict[str, str], work: Path) -> None:
    import pty

    environment["TERM"] = "xterm"
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "failgate",
            "capture",
            "--",
            "sh",
            "-c",
            "test -t 1 && echo a terminal; stty size <&1; exit 2",
        ],
        env=environment,
        cwd=work,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    assert process.wait(timeout=30) == 2
    os.close(leader)
    assert b"a terminal\r\n" in shown
    assert content_of(work, "output.txt").startswith(b"a terminal\n")
