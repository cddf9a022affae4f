"""`failgate run` as a process against a server of the wire. E8 E12 P4."""

import contextlib
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.client.wire_server import ID, Wire, WireServer, at, digest_of


def runs(*argv: str) -> list[str]:
    return ["run", "--", *argv]


def test_an_approved_command_runs_once_with_its_own_output_and_exit_code(failgate: Any, wire: Wire) -> None:  # E12
    done = failgate(*runs("sh", "-c", "echo out; echo err >&2; exit 7"))
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert "err\n" in done.stderr
    assert len(wire.of("/consume")) == len(wire.of("/outcome")) == 1


def test_the_submission_names_the_exact_call(failgate: Any, wire: Wire, work: Path) -> None:  # E8 P4
    failgate("run", "--reason", "because", "--ttl", "5m", "--", "sh", "-c", "true")
    body = wire.of("/commands")[0]
    command = body["command"]
    assert body["digest"] == digest_of(command)
    assert (body["reason"], body["ttl_seconds"]) == ("because", 300)
    assert command["argv"] == ["sh", "-c", "true"]
    assert command["cwd"] == os.path.realpath(work)
    facts = work.stat()
    assert command["cwd_dev_ino"] == f"{facts.st_dev}:{facts.st_ino}"
    assert command["exe"]["path"].startswith("/")
    assert command["v"] == 1
    assert (command["uid"], command["gid"]) == (os.getuid(), os.getgid())
    umask = os.umask(0)
    os.umask(umask)
    assert command["umask"] == f"{umask:04o}"
    assert len(command["nonce"]) == 43


def test_the_command_gets_the_environment_that_was_shown_and_no_other(
    failgate: Any, wire: Wire, environment: dict[str, str]
) -> None:  # P4
    environment |= {
        "LD_PRELOAD": "",
        "BASH_ENV": "/tmp/x",
        "AWS_SECRET_ACCESS_KEY": "s" * 20,
        "LC_TIME": "C",
        "SHOWN": "yes",
        "GIT_EXTERNAL_DIFF": "x",
    }
    done = failgate("run", "--env", "SHOWN", "--", "env", "-0")
    received = dict(entry.split("=", 1) for entry in done.stdout.split("\0") if entry)
    shown = wire.of("/commands")[0]["command"]["env"]
    assert received == shown
    assert {"SHOWN", "LC_TIME", "PATH", "PWD"} <= shown.keys()
    assert (
        not {"LD_PRELOAD", "BASH_ENV", "AWS_SECRET_ACCESS_KEY", "GIT_EXTERNAL_DIFF", "FAILGATE_TOKEN", "PYTHONPATH"}
        & shown.keys()
    )


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PYTHONPATH", "GIT_SSH_COMMAND", "API_TOKEN", "NOT_SET_AT_ALL"])
def test_a_variable_that_injects_code_holds_a_secret_or_is_missing_is_refused(
    failgate: Any, wire: Wire, environment: dict[str, str], name: str
) -> None:
    if name != "NOT_SET_AT_ALL":
        environment[name] = environment.get(name, "value-of-it")
    done = failgate("run", "--env", name, "--", "true")
    assert done.returncode == 78
    assert name in done.stderr
    assert not wire.seen


def test_a_denial_executes_nothing_and_shows_the_note_inert(failgate: Any, wire: Wire, work: Path) -> None:
    wire.state, wire.note = "denied", "not on \x1b[31mFriday"
    done = failgate(*runs("touch", "made"))
    assert done.returncode == 77
    assert "failgate: denied by rita@example.org: not on <U+001B>[31mFriday" in done.stderr
    assert not (work / "made").exists()


def test_a_request_for_changes_says_so(failgate: Any, wire: Wire) -> None:
    wire.state, wire.note, wire.tamper = "denied", "without -f", _verdict(wants_changes=True)
    done = failgate(*runs("touch", "made"))
    assert done.returncode == 77
    assert "failgate: denied by rita@example.org, who wants changes: without -f" in done.stderr


@pytest.mark.parametrize(
    ("state", "code"), [("expired", 75), ("cancelled", 77), ("quarantined", 76), ("executed", 76), ("brand-new", 76)]
)
def test_every_other_state_executes_nothing(failgate: Any, wire: Wire, work: Path, state: str, code: int) -> None:
    wire.state = state
    done = failgate(*runs("touch", "made"))
    assert done.returncode == code
    assert done.stderr.startswith("failgate: ")
    assert not (work / "made").exists()


def _verdict(**changes: Any) -> Any:
    def tamper(view: dict[str, Any]) -> dict[str, Any]:
        return dict(view, verdict=dict(view["verdict"], **changes)) if view.get("verdict") else view

    return tamper


TAMPERED: dict[str, Any] = {
    "another digest": lambda view: dict(view, digest="A" * 43),
    "no digest": lambda view: {name: value for name, value in view.items() if name != "digest"},
    "no verdict": lambda view: dict(view, verdict=None),
    "a verdict that is a list": lambda view: dict(view, verdict=[]),
    "a verdict on another digest": _verdict(digest="A" * 43),
    "a verdict with another id": _verdict(id="01890000-0000-7000-8000-000000000002"),
    "a verdict that denies": _verdict(decision="deny"),
    "a verdict with an unknown decision": _verdict(decision="APPROVE"),
    "a verdict without time of use": _verdict(use_by=None),
    "a verdict past its time of use": _verdict(use_by=at(-31)),
    "a verdict dated ahead": _verdict(decided_at=at(3600)),
    "a time without zone": _verdict(use_by="2099-01-01T00:00:00"),
    "an id that is a path": lambda view: dict(view, id="../../x"),
    "a list": lambda view: [view],
}


@pytest.mark.parametrize("case", TAMPERED)
def test_a_verdict_that_does_not_fit_executes_nothing(
    failgate: Any, wire: Wire, work: Path, case: str
) -> None:  # E8 P4
    wire.tamper = TAMPERED[case]
    done = failgate(*runs("touch", "made"))
    assert done.returncode in ((69,) if case == "a list" else (76,))
    assert not (work / "made").exists()
    assert not wire.of("/consume")


def test_a_clock_that_differs_by_less_than_thirty_seconds_is_accepted(failgate: Any, wire: Wire, work: Path) -> None:
    wire.tamper = _verdict(use_by=at(-10), decided_at=at(20))
    assert failgate(*runs("touch", "made")).returncode == 0
    assert (work / "made").exists()


def test_another_digest_on_a_later_answer_executes_nothing(started: Any, wire: Wire, work: Path) -> None:
    wire.state = "pending"
    process = started(*runs("touch", "made"))
    assert wire.wire_has_request.wait(15)
    wire.tamper = lambda view: dict(view, id="01890000-0000-7000-8000-000000000009")
    wire.become("approved")
    process.communicate(timeout=20)
    assert process.returncode == 76
    assert not (work / "made").exists()


def _program(work: Path, text: str = "#!/bin/sh\necho ran > made\n") -> Path:
    path = work / "tool"
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("change", ["bytes", "file", "link", "mode", "gone"])
def test_a_program_that_changed_after_the_question_is_not_executed(
    failgate: Any, wire: Wire, work: Path, change: str
) -> None:  # P4
    tool = _program(work)
    if change == "link":
        tool.rename(work / "first")
        tool.symlink_to("first")
        (work / "second").write_text("#!/bin/sh\necho evil > made\n")
        (work / "second").chmod(0o755)

    def swap() -> None:
        if change == "bytes":
            tool.write_text("#!/bin/sh\necho evil > made\n")
        elif change == "file":
            other = work / "other"
            other.write_bytes(tool.read_bytes())
            other.chmod(0o755)
            other.replace(tool)
        elif change == "link":
            tool.unlink()
            tool.symlink_to("second")
        elif change == "mode":
            tool.chmod(0o644)
        else:
            tool.unlink()

    wire.approve_after(swap)
    done = failgate(*runs("./tool"))
    assert done.returncode == 76, done.stderr
    assert not (work / "made").exists()
    assert [told["digest"] for told in wire.of("/consume")] == ["another-call"]  # for the log


@pytest.mark.parametrize("line", [(), ("sh", "-c")])
def test_what_reads_the_script_and_changed_after_the_question_executes_nothing(
    failgate: Any, wire: Wire, work: Path, line: tuple[str, ...]
) -> None:  # P4
    reader = work / "reader"
    shutil.copy(shutil.which("sh") or "/bin/sh", reader)
    _program(work, f"#!{reader}\necho ran > made\n")
    digest = hashlib.sha256(reader.read_bytes()).hexdigest()

    def swap() -> None:
        reader.unlink()
        reader.write_bytes(Path(shutil.which("touch") or "/bin/touch").read_bytes())
        reader.chmod(0o755)

    wire.approve_after(swap)
    done = failgate(*runs(*line, "./tool"))
    assert done.returncode == 76, done.stderr
    assert not (work / "made").exists()
    command = wire.of("/commands")[0]["command"]
    told = command["programs"]["./tool"] if line else command["exe"]
    assert (told["interpreter"], told["interpreter_sha256"]) == (str(reader), digest)


@pytest.mark.parametrize("how", ["folder", "link", "link to itself"])
def test_a_folder_that_was_swapped_after_the_question_stops_the_execution(
    failgate: Any, wire: Wire, work: Path, tmp_path: Path, how: str
) -> None:  # P4
    def swap() -> None:
        work.rename(tmp_path / "elsewhere")
        if how == "folder":
            work.mkdir()
        else:
            (tmp_path / "other").mkdir()
            work.symlink_to(tmp_path / ("other" if how == "link" else "elsewhere"))

    wire.approve_after(swap)
    done = failgate(*runs("touch", "made"))
    assert done.returncode == 76
    assert list(tmp_path.rglob("made")) == []


def test_no_server_is_69_and_nothing_runs(failgate: Any, environment: dict[str, str], work: Path) -> None:
    environment["FAILGATE_URL"] = "http://127.0.0.1:9"
    done = failgate(*runs("touch", "made"))
    assert done.returncode == 69
    assert "did not answer" in done.stderr
    assert not (work / "made").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"FAILGATE_TOKEN": ""}, "no token"),
        ({"FAILGATE_TOKEN": "wrong"}, "does not accept this token"),
        ({"FAILGATE_TOKEN": "with\nbreak"}, "no usable token"),
        ({"FAILGATE_URL": "ftp://x"}, "http or https"),
        ({"FAILGATE_URL": "http://u:p@127.0.0.1"}, "credentials"),
        ({"FAILGATE_URL": "http://failgate.example"}, "plain HTTP"),
        ({"FAILGATE_WORKSPACE": "../x"}, "FAILGATE_WORKSPACE"),
        ({"FAILGATE_UPLOAD": "perhaps"}, "FAILGATE_UPLOAD"),
    ],
)
def test_a_mistake_in_the_configuration_is_78_and_names_it(
    failgate: Any, environment: dict[str, str], work: Path, changes: dict[str, str], words: str
) -> None:
    environment.update(changes)
    done = failgate(*runs("touch", "made"))
    assert done.returncode == 78, done.stderr
    assert words in done.stderr
    assert not (work / "made").exists()


def test_the_only_workspace_of_a_token_need_not_be_named(
    failgate: Any, environment: dict[str, str], wire: Wire
) -> None:
    del environment["FAILGATE_WORKSPACE"]
    assert failgate(*runs("true")).returncode == 0
    assert wire.seen[0][1] == "/api/v1/whoami"


def test_redirects_and_other_pages_are_refused(failgate: Any, wire: Wire, work: Path) -> None:
    wire.redirect = True
    assert "redirects" in failgate(*runs("touch", "made")).stderr
    wire.redirect, wire.html = False, True
    done = failgate(*runs("touch", "made"))
    assert (done.returncode, (work / "made").exists()) == (69, False)


def test_an_approval_that_was_used_or_expired_executes_nothing(failgate: Any, wire: Wire, work: Path) -> None:  # E8
    wire.consume_problem = (409, {"detail": "It was used.", "state": "executed"})
    assert failgate(*runs("touch", "made")).returncode == 76
    wire.consume_problem, wire.state = (409, {"detail": "Too late.", "state": "expired"}), "approved"
    assert failgate(*runs("touch", "made")).returncode == 75
    assert not (work / "made").exists()


def test_a_use_that_the_server_did_not_note_executes_nothing(failgate: Any, wire: Wire, work: Path) -> None:  # E8
    wire.tamper = lambda view: view | {"state": "approved"} if view["state"] == "executed" else view
    result = failgate(*runs("touch", "ran"))
    assert result.returncode == 76
    assert "cannot be used" in result.stderr
    assert not (work / "ran").exists()


def test_a_lost_answer_to_consume_is_asked_again_with_the_same_key(failgate: Any, wire: Wire, work: Path) -> None:
    wire.consume_lost = 1
    assert failgate(*runs("touch", "made")).returncode == 0
    keys = [key for path, key in wire.keys if path.endswith("/consume")]
    assert len(keys) == 2
    assert keys[0] == keys[1] is not None


def test_a_lost_connection_while_waiting_is_opened_again(started: Any, wire: Wire) -> None:
    wire.state, wire.polls_lost = "pending", 2
    process = started(*runs("echo", "done"))
    assert wire.wire_has_request.wait(15)
    wire.become("approved")
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "done\n")
    assert "waiting for 1 of <U+202E>reviewers" in err
    assert len(wire.of("/commands")) == 1


def test_a_server_that_restarts_while_we_wait_is_survived(started: Any, wire: Wire, server: WireServer) -> None:
    wire.state = "pending"
    process = started(*runs("echo", "done"))
    assert wire.wire_has_request.wait(15)
    server.__exit__()
    wire.become("approved")
    with WireServer(wire, server.port):
        out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "done\n")


@pytest.fixture
def server(wire: Wire) -> Any:
    running = WireServer(wire)
    running.__enter__()
    yield running
    with contextlib.suppress(OSError, ValueError):
        running.__exit__()  # a second time in the test that restarts it


def test_a_server_error_at_the_submission_is_69(failgate: Any, wire: Wire, work: Path) -> None:  # fail closed
    wire.submit_problem = (503, {"detail": "The storage is not available."})
    done = failgate(*runs("touch", "made"))
    assert done.returncode == 69
    assert not (work / "made").exists()


def test_a_submission_that_the_server_refuses_is_explained(failgate: Any, wire: Wire) -> None:
    wire.submit_problem = (422, {"detail": "ttl_seconds is too long.", "hint": "Ask for less."})
    done = failgate(*runs("true"))
    assert done.returncode == 78
    assert "failgate: ttl_seconds is too long. Ask for less." in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_while_waiting_withdraws_the_request(started: Any, wire: Wire, number: int, code: int) -> None:
    wire.state = "pending"
    process = started(*runs("touch", "made"))
    assert wire.wire_has_request.wait(15)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert wire.of("/cancel") == [{}]
    assert "withdrawn" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_command_and_its_end_is_128_plus_n(
    started: Any, wire: Wire, work: Path, number: int
) -> None:
    script = "import signal,sys,time; print('up', flush=True); time.sleep(60)"
    process = started(
        "run",
        "--no-capture",
        "--",
        sys.executable,
        "-c",
        f"import signal; signal.signal({int(number)}, signal.SIG_DFL); {script}",
    )
    assert process.stdout.readline() == "up\n"
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 128 + number
    outcome = wire.of("/outcome")[0]
    assert (outcome["exit_code"], outcome["signal"]) == (128 + number, number)


def test_there_is_no_shell_between(failgate: Any) -> None:
    assert failgate(*runs("echo", "$HOME; *")).stdout == "$HOME; *\n"


def test_a_missing_program_is_127_and_one_without_permission_126(failgate: Any, wire: Wire, work: Path) -> None:
    assert failgate(*runs("no-such-program")).returncode == 127
    (work / "plain").write_text("x")
    assert failgate(*runs("./plain")).returncode == 126
    assert not wire.seen


def test_standard_input_is_the_commands_own(failgate: Any) -> None:
    assert failgate(*runs("cat"), stdin=None, input="from outside").stdout == "from outside"


def test_a_failure_is_captured_uploaded_with_standing_consent_and_linked(
    failgate: Any, wire: Wire, environment: dict[str, str], work: Path
) -> None:  # F2 F19
    environment["FAILGATE_UPLOAD"] = "always"
    environment["DEPLOY_TOKEN"] = "correct-horse-battery-staple"
    done = failgate(*runs("sh", "-c", "echo using correct-horse-battery-staple; exit 4"))
    assert done.returncode == 4
    assert wire.sealed
    assert wire.begun["command_id"] == ID
    assert wire.begun["consent"]["by"] == "standing"
    text = digest_hex = None
    import hashlib
    import json

    text = json.dumps(wire.begun["manifest"], sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    digest_hex = hashlib.sha256(text).hexdigest()
    assert wire.begun["consent"]["manifest_sha256"] == digest_hex
    everything = text + b"".join(wire.artifacts.values())
    assert b"correct-horse" not in everything
    assert b"[redacted:environment:" in everything
    assert "report uploaded" in done.stderr


def test_without_consent_nothing_is_uploaded(
    failgate: Any, wire: Wire, environment: dict[str, str], work: Path
) -> None:  # F2
    del environment["FAILGATE_UPLOAD"]
    done = failgate(*runs("false"))
    assert done.returncode == 1
    assert not wire.begun
    assert "failgate report upload" in done.stderr
    assert len(list((work / ".failgate" / "reports").iterdir())) == 1


def test_no_capture_leaves_no_report(failgate: Any, work: Path) -> None:
    assert failgate("run", "--no-capture", "--", "false").returncode == 1
    assert not (work / ".failgate").exists()


def test_json_messages_are_one_object_a_line(failgate: Any) -> None:
    import json

    done = failgate("run", "--json", "--", "true")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert events[-1]["event"] == "ended"
    assert (events[-1]["exit_code"], events[-1]["id"]) == (0, ID)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "--"],
        ["run", "--tll", "5s", "--", "x"],
        ["run", "--ttl", "soon", "--", "x"],
        ["run", "--ttl", "25h", "--", "x"],
        ["run", "--ttl"],
    ],
)
def test_a_mistake_on_the_command_line_is_2(failgate: Any, wire: Wire, arguments: list[str]) -> None:
    done = failgate(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("failgate: ")
    assert not wire.seen


def test_a_token_file_that_others_can_read_is_refused(
    failgate: Any, environment: dict[str, str], tmp_path: Path
) -> None:
    token = environment.pop("FAILGATE_TOKEN")
    home = tmp_path / "home"
    home.mkdir()
    file = home / "token"
    file.write_text(token)
    file.chmod(0o640)
    done = failgate(*runs("true"))
    assert done.returncode == 78
    assert "0640" in done.stderr
    assert token not in done.stderr
    file.chmod(0o600)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert failgate(*runs("true")).returncode == 0


def test_the_fast_path_imports_neither_click_nor_msgspec_nor_asyncio(
    environment: dict[str, str], work: Path
) -> None:  # BENCH row 9
    code = "import sys; from failgate.cli.main import main; main(['run', '--', 'true']); print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=work, capture_output=True, text=True, check=True, timeout=30
    )
    loaded = set(done.stdout.split())
    assert (
        not {
            "click",
            "msgspec",
            "asyncio",
            "ssl",
            "http.client",
            "email",
            "subprocess",
            "uuid",
            "dataclasses",
            "inspect",
        }
        & loaded
    )


def test_the_key_of_a_use_is_of_this_process_alone(failgate: Any, wire: Wire) -> None:
    """P4: nobody who knows the request can be told 200 in its place."""
    for _ in range(2):
        wire.state = "approved"
        assert failgate(*runs("true")).returncode == 0
    keys = [key for path, key in wire.keys if path.endswith(("/consume", "/outcome"))]
    assert len(set(keys)) == len(keys) == 4
    assert not any(ID in str(key) for key in keys)


def test_a_report_describes_the_environment_that_the_command_got(
    failgate: Any, wire: Wire, environment: dict[str, str], work: Path
) -> None:
    environment["UNSEEN"] = "of the process that asked"
    assert failgate(*runs("false")).returncode == 1
    [folder] = [path for path in (work / ".failgate" / "reports").iterdir() if path.is_dir()]
    import json

    named = json.loads((folder / "manifest.json").read_text())["environment"]["names"]
    assert named == sorted(wire.of("/commands")[0]["command"]["env"])
    assert "UNSEEN" not in named
    assert not any(name.startswith("FAILGATE_") for name in named)
