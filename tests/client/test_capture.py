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


def test_a_folder_that_is_gone_is_said_and_nothing_runs(environment: dict[str, str], work: Path) -> None:
    (work / "gone").mkdir()
    line = 'cd gone && rmdir ../gone && exec "$0" -m failgate capture -- touch "$1"'
    done = subprocess.run(
        ["sh", "-c", line, sys.executable, str(work / "ran")], env=environment, cwd=work, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.count("\n"), (work / "ran").exists()) == (126, 1, False), done.stderr
    assert "Change to a folder that exists" in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_what_is_closed_is_nothing_and_the_command_runs(environment: dict[str, str], work: Path, closed: str) -> None:
    line = f'exec "$0" -m failgate capture -- sh -c "echo one; echo two >&2; exit 5" {closed}'
    done = subprocess.run(["sh", "-c", line, sys.executable], env=environment, cwd=work, capture_output=True, text=True)
    assert done.returncode == 5, done.stderr
    assert sorted(content_of(work, "output.txt").split()) == [b"one", b"two"]
    assert "Traceback" not in done.stderr


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


def artifacts(work: Path) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in manifest_of(work)["artifacts"]}


def test_the_recording_has_the_same_text_with_times(failgate: Any, work: Path) -> None:  # F1
    failgate("capture", "--", "sh", "-c", f"echo {GITHUB}; sleep 0.3; echo two; exit 1")
    header, *events = [json.loads(line) for line in content_of(work, "recording.cast").splitlines()]
    assert header["version"] == 2
    assert GITHUB not in str(header) + str(events)
    assert "".join(text for _, _, text in events) == content_of(work, "output.txt").decode().replace("\n", "\r\n")
    assert 0.25 < events[-1][0] - events[0][0] < 10


def test_plain_text_has_no_escape_sequences_and_the_recording_keeps_them(failgate: Any, work: Path) -> None:
    (work / "odd").write_bytes(b"\x1b]0;title\x07\x1b]52;c;QQ==\x1b\\\x1bPq#1\x1b\\\x1b[31mred\x1b[0m \xff\0binary\n")
    failgate("capture", "--", "sh", "-c", "cat odd; exit 1", text=False)
    assert content_of(work, "output.txt").decode() == "red \ufffdbinary\n"
    (event,) = [json.loads(line)[2] for line in content_of(work, "recording.cast").splitlines()[1:]]
    assert event.startswith("\x1b]0;title\x07\x1b]52;c;QQ==\x1b\\\x1bPq#1")


def test_a_secret_that_only_plain_text_shows_is_found(failgate: Any, work: Path) -> None:  # F17
    hidden = f"{GITHUB[:20]}\x1b]0;{'x' * 3000}\x07{GITHUB[20:]}"
    (work / "odd").write_text(hidden)
    failgate("capture", "--", "sh", "-c", "cat odd; exit 1")
    assert GITHUB not in content_of(work, "output.txt").decode()


def test_files_are_kept_by_pattern_with_beginning_and_end(failgate: Any, work: Path, tmp_path: Path) -> None:  # F20
    home = tmp_path / "home"
    home.mkdir()
    (home / "client.toml").write_text(
        '[capture]\nfiles = ["*.conf"]\nfile_head_limit = "1KiB"\nfile_tail_limit = "1KiB"\n'
    )
    (work / "logs").mkdir()
    (work / "logs" / "a.log").write_text(f"token {GITHUB}\n")
    (work / "logs" / "long.log").write_text("".join(f"line {number:06d}\n" for number in range(1000)))
    (work / "logs" / "core").write_bytes(b"\x7fELF\0\0")
    (work / "logs" / "two\r\nlines").write_text("x\n")
    (work / "logs" / "link.log").symlink_to("/etc/passwd")
    (work / "my.conf").write_text("a=1\n")
    failgate("capture", "--file", "logs/*", "--", "false")
    found = artifacts(work)
    assert content_of(work, "my.conf") == b"a=1\n"
    assert GITHUB.encode() not in content_of(work, "logs__a.log")
    assert found["logs__a.log"]["path"] == "logs/a.log"
    long = content_of(work, "logs__long.log")
    assert long.startswith(b"line 000000\n")
    assert long.endswith(b"line 000999\n")
    left_out = found["logs__long.log"]["truncated_bytes"]
    marker = f"\n[failgate: {left_out} bytes left out]\n".encode()
    assert marker in long
    assert len(long) - len(marker) + left_out == 12_000
    assert "logs__two<U+000D><U+000A>lines" in found
    noted = {one["path"]: one for one in manifest_of(work)["noted_files"]}
    assert noted["logs/core"]["sha256"] == hashlib.sha256(b"\x7fELF\0\0").hexdigest()
    assert noted["logs/link.log"]["reason"] == "a symbolic link, not followed"


def test_binary_files_are_kept_when_asked_for(failgate: Any, work: Path) -> None:
    (work / "core").write_bytes(b"\x7fELF\0\0")
    failgate("capture", "--file", "core", "--binary-files", "--", "false")
    assert content_of(work, "core") == b"\x7fELF\0\0"


def test_a_file_that_is_something_else_than_its_name_says_is_named_as_bytes(failgate: Any, work: Path) -> None:
    """ASVS 5.0 5.2.2: a dump called .png is no picture; where it lay is told, so that a replay puts it there."""
    dump, picture = b"\x7fELF\0\0" + bytes(3000), b"\x89PNG\r\n\x1a\n" + bytes(3000)
    for name, content in {"a.png": dump, "b.png": picture, "c.pdf": b"", "d.log": picture, "e": dump}.items():
        (work / name).write_bytes(content)
    (work / "a.png.bin").write_bytes(dump + b"2")
    failgate("capture", *(part for one in ("*.*", "e") for part in ("--file", one)), "--binary-files", "--", "false")
    files = {one["path"]: one for one in manifest_of(work)["artifacts"] if one["kind"] == "file"}
    named = {path: one["name"] for path, one in files.items()}
    assert {named.pop(path) for path in ("a.png", "a.png.bin")} == {"a.png.bin", "a.png.bin.2"}
    assert named | {"b.png": "b.png", "c.pdf": "c.pdf.bin", "d.log": "d.log.bin", "e": "e"} == named
    assert files["a.png"]["media_type"] == files["c.pdf"]["media_type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("arguments", "settings", "sentence"),
    [
        (("--file", "../x"), "", "not a pattern of files below this folder"),
        ((), '[capture]\noutput_limit = "1KiB"\n', "capture.output_limit: no such setting"),
        ((), '[capture]\ndiff_limit = "much"\n', "capture.diff_limit is no size"),
        ((), '[capture]\nfiles = ["/etc/*"]\n', "capture.files"),
        ((), '[capture]\nsnapshot = "yes"\n', "capture.snapshot is not of the right kind"),
    ],
)
def test_a_wrong_wish_is_said_before_anything_runs(
    failgate: Any, work: Path, tmp_path: Path, arguments: tuple[str, ...], settings: str, sentence: str
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "client.toml").write_text(settings)
    done = failgate("capture", *arguments, "--", "touch", "ran")
    assert done.returncode not in (0, 127)
    assert sentence in done.stderr
    assert not (work / "ran").exists()


def test_values_of_variables_are_kept_on_request_without_secrets(
    failgate: Any, environment: dict[str, str], work: Path, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "client.toml").write_text('[capture]\nenvironment = ["RUSTFLAGS", "DEPLOY_PASSWORD"]\n')
    environment |= {"RUSTFLAGS": "-C opt-level=3", "DEPLOY_PASSWORD": "tr0ub4dor&3-x"}
    failgate("capture", "--", "false")
    values = manifest_of(work)["environment"]["values"]
    assert values["RUSTFLAGS"] == "-C opt-level=3"
    assert values["DEPLOY_PASSWORD"].startswith("[redacted:")


def test_tools_of_the_command_are_named_and_none_of_the_project_is_run(
    failgate: Any, environment: dict[str, str], work: Path, tmp_path: Path
) -> None:
    trap = work / "bin" / "make"
    trap.parent.mkdir()
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "cmake").write_text("#!/bin/sh\nsleep 30\n")
    (slow / "cmake").chmod(0o755)
    (slow / "go").write_text(f"#!/bin/sh\npwd > {tmp_path}/asked-from\necho go version go9.9\n")
    (slow / "go").chmod(0o755)
    environment["PATH"] = f"{trap.parent}:{slow}:{environment['PATH']}"
    (work / "go.mod").write_text("module x\n")
    (work / "CMakeLists.txt").write_text("\n")
    (work / "Makefile").write_text("all:\n\tfalse\n")
    failgate("capture", "--", "sh", "-c", "exit 1")
    tools = {tool["name"]: tool["version"] for tool in manifest_of(work)["tools"]}
    assert tools["go"] == "go version go9.9"
    assert "cmake" not in tools
    assert "make" not in tools
    assert not (tmp_path / "sprung").exists()
    assert (tmp_path / "asked-from").read_text() == "/\n"


def test_what_the_command_used_is_told(failgate: Any, work: Path) -> None:
    failgate("capture", "--", sys.executable, "-c", "x = b'x' * 80_000_000\nfor i in range(2_000_000): pass\nexit(1)")
    usage = manifest_of(work)["usage"]
    assert 80_000_000 < usage["max_rss_bytes"] < 400_000_000
    assert usage["user_ms"] > 10


def test_snapshot_and_bundle_without_a_repository_are_noted(failgate: Any, work: Path) -> None:
    failgate("capture", "--snapshot", "--bundle", "--", "false")
    assert {(one["path"], one["reason"]) for one in manifest_of(work)["noted_files"]} == {
        ("snapshot.tar", "there is no git repository here"),
        ("head.bundle", "there is no git repository here"),
    }


def test_a_snapshot_of_nothing_is_noted(failgate: Any, work: Path) -> None:
    git(work, "init", "-q")
    failgate("capture", "--snapshot", "--", "false")
    noted = [(one["path"], one["reason"]) for one in manifest_of(work)["noted_files"]]
    assert noted == [("snapshot.tar", "git names no file here")]


def test_a_command_that_closes_its_output_is_waited_for(failgate: Any, work: Path) -> None:
    done = failgate("capture", "--", "sh", "-c", "echo before; exec >&- 2>&-; sleep 0.3; exit 5")
    assert (done.returncode, done.stdout) == (5, "before\n")
    assert manifest_of(work)["duration_ms"] >= 300


def test_a_terminal_on_request_where_there_is_none(failgate: Any, work: Path) -> None:
    done = failgate("capture", "--pty", "--", "sh", "-c", "test -t 1 && echo a-terminal; exit 5")
    assert (done.returncode, done.stdout) == (5, "a-terminal\n")


def test_hundreds_of_mebibytes_of_output_do_not_grow_us(environment: dict[str, str], work: Path) -> None:
    counting = (
        "import resource, subprocess, sys\n"
        "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode\n"
        "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )

    def peak(mebibytes: int) -> int:
        script = f"head -c {mebibytes}M /dev/zero | tr '\\\\0' 'x'; exit 1"
        done = subprocess.run(
            [sys.executable, "-c", counting, sys.executable, "-m", "failgate", "capture", "--", "sh", "-c", script],
            env=environment, cwd=work, capture_output=True, text=True, check=True, timeout=100,
        )  # fmt: skip
        code, kibibytes = map(int, done.stdout.split())
        assert code == 1
        return kibibytes

    assert peak(400) - peak(4) < 16 * 1024
