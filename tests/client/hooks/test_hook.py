"""Hooks as processes against a server of the wire: what each program takes for an answer. E12."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.client.hooks.conftest import LAUNCH, Hook, event
from tests.client.wire_server import ID, Wire, at, digest_of


def answer(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["hookSpecificOutput"]


def test_an_approved_line_is_used_up_before_the_program_is_told(hook: Hook, wire: Wire, work: Path) -> None:
    told = answer(hook())
    assert told["hookEventName"] == "PreToolUse"
    assert told["permissionDecision"] == "allow"
    assert ID in told["permissionDecisionReason"]
    assert len(wire.of("/consume")) == 1
    asked = wire.of("/commands")[0]
    command = asked["command"]
    assert asked["digest"] == digest_of(command)
    assert command["argv"][1:] == ["-c", "ls -l | wc -l"]
    assert Path(command["argv"][0]).name in {"bash", "sh", "zsh"}
    assert command["exe"]["path"] == os.path.realpath(command["argv"][0])
    assert command["cwd"] == str(work)
    assert asked["reason"] == "count the files"
    assert asked["ttl_seconds"] == 570


def test_codex_is_answered_with_silence(hook: Hook, wire: Wire) -> None:
    """Its parser takes "allow" without a changed input for a fault."""
    done = hook(program="codex")
    assert (done.returncode, done.stdout) == (0, "")
    assert len(wire.of("/consume")) == 1


@pytest.mark.parametrize("program", ["claude-code", "codex"])
def test_a_denial_reaches_the_agent_with_its_reason(hook: Hook, wire: Wire, program: str) -> None:
    wire.state, wire.note = "denied", "not on \x1b[31mFriday"
    told = answer(hook(program=program))
    assert told["permissionDecision"] == "deny"
    assert "rita@example.org: not on <U+001B>[31mFriday" in told["permissionDecisionReason"]
    assert not wire.of("/consume")


@pytest.mark.parametrize("state", ["expired", "cancelled", "quarantined", "executed"])
def test_every_other_end_denies(hook: Hook, wire: Wire, state: str) -> None:
    wire.state = state
    assert answer(hook())["permissionDecision"] == "deny"
    assert not wire.of("/consume")


def _blocked(done: "subprocess.CompletedProcess[str]", *words: str) -> None:
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("failgate: ")
    for word in words:
        assert word in done.stderr


def test_a_server_that_is_down_blocks(hook: Hook, environment: dict[str, str]) -> None:
    environment["FAILGATE_URL"] = "http://127.0.0.1:1"
    _blocked(hook(), "did not answer")


@pytest.mark.parametrize("token", ["", "fg_agt_another_0123456789abcdefghijklmnopqrstuv_c0ffee", "two words"])
def test_a_bad_token_blocks(hook: Hook, environment: dict[str, str], token: str) -> None:
    environment["FAILGATE_TOKEN"] = token
    _blocked(hook(), "token")


SPOILED: dict[str, Any] = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[]",
    "deep": "[" * 100_000,
    "no event": {"hook_event_name": None},
    "an unknown event": {"hook_event_name": "PreToolUsed"},
    "another known event": {"hook_event_name": "SessionStart"},
    "no tool": {"tool_name": 7},
    "no input": {"tool_input": "ls"},
    "no line": {"tool_input": {}},
    "a line that is none": {"tool_input": {"command": ["ls"]}},
    "no folder": {"cwd": ""},
    "a folder that is gone": {"cwd": "/nonexistent/folder"},
    "a folder with NUL": {"cwd": "/tmp/\0"},
    "a line with NUL": {"tool_input": {"command": "ls \0"}},
    "a lone surrogate": {"tool_input": {"command": "ls \ud800"}},
}


@pytest.mark.parametrize("case", SPOILED)
def test_an_event_that_cannot_be_judged_blocks(hook: Hook, wire: Wire, work: Path, case: str) -> None:
    spoiled = SPOILED[case]
    if case == "a line with NUL":
        wire.submit_problem = (422, {"detail": "argv[2] holds NUL"})
    _blocked(hook(spoiled if isinstance(spoiled, str) else event(work, **spoiled)))
    assert not wire.of("/consume")


@pytest.mark.parametrize("arguments", [("--wait", "soon"), ("--wait",), ("--force",), ("-h",)])
def test_a_mistake_in_the_configured_command_blocks(hook: Hook, arguments: tuple[str, ...]) -> None:
    assert hook(arguments=arguments).returncode == 2


def test_an_unknown_program_blocks(hook: Hook) -> None:
    _blocked(hook(program="gemini"), "claude-code and codex")


TAMPERED: dict[str, Any] = {
    "another digest": lambda view: dict(view, digest="A" * 43),
    "a verdict on another digest": lambda view: dict(view, verdict=dict(view["verdict"], digest="A" * 43)),
    "a verdict past its time": lambda view: dict(view, verdict=dict(view["verdict"], use_by=at(-31))),
    "no verdict": lambda view: dict(view, verdict=None),
    "a verdict that denies": lambda view: dict(view, verdict=dict(view["verdict"], decision="deny")),
    "a list": lambda view: [view],
}


@pytest.mark.parametrize("case", TAMPERED)
def test_a_verdict_that_does_not_fit_blocks(hook: Hook, wire: Wire, case: str) -> None:  # P4
    wire.tamper = TAMPERED[case]
    _blocked(hook())
    assert not wire.of("/consume")


def test_an_approval_that_was_used_blocks(hook: Hook, wire: Wire) -> None:
    wire.consume_problem = (409, {"detail": "It was used.", "state": "executed"})
    _blocked(hook(), "cannot be used")


def _launched(environment: dict[str, str], work: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-I", "-S", LAUNCH, "claude-code", *arguments],
        env=environment, cwd=work, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGALRM])
def test_a_hook_that_is_stopped_withdraws_and_blocks(
    environment: dict[str, str], wire: Wire, work: Path, number: signal.Signals
) -> None:
    wire.state = "pending"
    process = _launched(environment, work)
    assert process.stdin is not None
    process.stdin.write(json.dumps(event(work)))
    process.stdin.close()
    process.stdin = None
    assert wire.wire_has_request.wait(20)
    process.send_signal(number)
    said, heard = process.communicate(timeout=20)
    assert (process.returncode, said) == (2, "")
    assert "blocked" in heard
    assert wire.of("/cancel")


def test_standard_input_that_does_not_end_blocks_when_it_is_stopped(environment: dict[str, str], work: Path) -> None:
    process = _launched(environment, work)
    assert process.stdin is not None
    process.stdin.write('{"hook_event_name"')
    process.stdin.flush()
    while process.poll() is None and "SigCgt" not in Path(f"/proc/{process.pid}/status").read_text():
        time.sleep(0.01)
    until = time.monotonic() + 20
    while time.monotonic() < until:  # the handlers are set: SIGALRM is number 14, bit 13
        caught = Path(f"/proc/{process.pid}/status").read_text().partition("SigCgt:")[2].split()[0]
        if int(caught, 16) >> 13 & 1:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGALRM)
    _, heard = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "no decision in time" in heard


def test_a_hook_that_cannot_import_blocks(environment: dict[str, str], work: Path, tmp_path: Path) -> None:
    """The launcher alone, as after half an upgrade: there is no package around it."""
    alone = tmp_path / "a" / "b" / "c" / "launch.py"
    alone.parent.mkdir(parents=True)
    alone.write_text(LAUNCH.read_text())
    done = subprocess.run(
        [sys.executable, "-I", "-S", alone, "claude-code"],
        env=environment, input=json.dumps(event(work)), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "ModuleNotFoundError" in done.stderr


def test_an_answer_that_nobody_reads_blocks(environment: dict[str, str], work: Path) -> None:
    process = _launched(environment, work)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, heard = process.communicate(json.dumps(event(work)), timeout=30)
    assert process.returncode == 2
    assert "blocked" in heard


def test_the_command_of_the_contract_is_the_same_program(failgate: Any, wire: Wire, work: Path) -> None:
    done = failgate("hook", "claude-code", stdin=None, input=json.dumps(event(work)))
    assert answer(done)["permissionDecision"] == "allow"
    wire.state = "denied"
    assert failgate("hook", "claude-code", stdin=None, input="{").returncode == 2


def test_a_tool_that_only_reads_passes_without_the_server(
    hook: Hook, wire: Wire, work: Path, environment: dict[str, str]
) -> None:
    environment["FAILGATE_URL"] = "http://127.0.0.1:1"
    done = hook(event(work, tool="Read", tool_input={"file_path": "/etc/hosts"}))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not wire.seen


def test_another_tool_is_shown_by_its_members(hook: Hook, wire: Wire, work: Path) -> None:
    given = {"to": "a@b.example", "count": 3, "ratio": 0.5, "tags": ["x"], "odd=name": "v"}
    answer(hook(event(work, tool="mcp__mail__send", tool_input=given)))
    command = wire.of("/commands")[0]["command"]
    assert command["argv"] == [
        "/dev/null/claude-code/mcp__mail__send", "to=a@b.example", "count:=3", "ratio:=0.5", 'tags:=["x"]',
        ':={"odd=name":"v"}',
    ]  # fmt: skip
    assert "exe" not in command


@pytest.mark.parametrize(
    ("variables", "program", "shell"),
    [
        ({"SHELL": "/bin/sh"}, "claude-code", "/bin/bash"),
        ({"SHELL": "/usr/bin/bash"}, "claude-code", "/usr/bin/bash"),
        ({"SHELL": "/bin/bash", "CLAUDE_CODE_SHELL": "/usr/bin/bash"}, "claude-code", "/usr/bin/bash"),
        ({"SHELL": "/bin/bash", "CLAUDE_CODE_SHELL": "/usr/bin/bash"}, "codex", "/bin/bash"),
        ({"SHELL": "/bin/bash", "CLAUDE_CODE_SHELL": "/bin/sh"}, "claude-code", "/bin/bash"),
        ({"SHELL": "/nowhere/zsh"}, "claude-code", "/bin/bash"),
    ],
)
def test_the_shell_is_the_one_that_the_program_takes(
    hook: Hook, wire: Wire, environment: dict[str, str], variables: dict[str, str], program: str, shell: str
) -> None:
    environment.update(variables)
    assert hook(program=program).returncode == 0
    assert wire.of("/commands")[0]["command"]["argv"][0] == shell


def test_what_bends_any_line_is_shown_behind_it(hook: Hook, wire: Wire, environment: dict[str, str]) -> None:
    """No rule for the line alone fits then. SECURITY.md 4: environment injection."""
    bending = {
        "BASH_ENV": "/src/evil", "BASH_FUNC_git%%": "() { evil; }", "CLAUDE_CODE_SHELL_PREFIX": "/src/wrap",
        "ZDOTDIR": "/src", "LD_LIBRARY_PATH": "/src/lib", "GIT_EXTERNAL_DIFF": "/src/evil", "GIT_EXEC_PATH": "/src",
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "diff.external", "GIT_CONFIG_VALUE_0": "/src/evil",
        "GIT_CONFIG_GLOBAL": "/src/evil", "GIT_DIR": "/src/evil", "GIT_TRACE2": "/src/file",
    }  # fmt: skip
    environment.update(bending | {"EDITOR": "vi", "GIT_PAGER": "less", "GIT_EDITOR": "true", "SHELLOPTS": ""})
    assert hook().returncode == 0
    argv = wire.of("/commands")[0]["command"]["argv"]
    assert argv[3:] == [f"{name}={bending[name]}" for name in sorted(bending)]


def test_the_outcome_is_told_once_by_the_event_after_the_call(hook: Hook, wire: Wire, work: Path) -> None:
    answer(hook())
    after = event(
        work, "PostToolUse", tool_response={"stdout": "3\n", "stderr": "", "interrupted": False}, duration_ms=41
    )
    done = hook(after)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    [told] = wire.of("/outcome")
    asked = wire.of("/commands")[0]
    assert told == {"digest": asked["digest"], "exit_code": 0, "duration_ms": 41, "signal": None}
    hook(after)
    assert len(wire.of("/outcome")) == 1


def test_a_failed_call_is_told_with_its_code(hook: Hook, wire: Wire, work: Path) -> None:
    answer(hook())
    hook(event(work, "PostToolUseFailure", error="Command exited with non-zero status code 3", is_interrupt=False))
    assert wire.of("/outcome")[0]["exit_code"] == 3


def test_an_outcome_that_cannot_be_told_blocks_nothing(
    hook: Hook, wire: Wire, work: Path, environment: dict[str, str]
) -> None:
    answer(hook())
    environment["FAILGATE_URL"] = "http://127.0.0.1:1"
    done = hook(event(work, "PostToolUse", tool_response={}))
    assert done.returncode == 0
    assert "could not be told" in done.stderr


def test_a_prompt_of_the_approved_call_is_answered_once(hook: Hook, wire: Wire, work: Path) -> None:
    """Codex asks its person where its sandbox would be left; the gate has answered for this very call already."""
    hook(program="codex")
    prompt = event(work, "PermissionRequest")
    del prompt["tool_use_id"]
    told = answer(hook(prompt, program="codex"))
    assert told == {"hookEventName": "PermissionRequest", "decision": {"behavior": "allow"}}
    assert len(wire.of("/commands")) == 1
    wire.state, wire.note = "denied", "once is enough"
    told = answer(hook(prompt, program="codex"))
    assert told["decision"]["behavior"] == "deny"
    assert "once is enough" in told["decision"]["message"]
    assert set(told["decision"]) == {"behavior", "message"}


def test_a_prompt_of_another_line_is_asked(hook: Hook, wire: Wire, work: Path) -> None:
    hook(program="codex")
    prompt = event(work, "PermissionRequest", tool_input={"command": "rm -r /srv"}, tool_use_id="")
    wire.state = "denied"
    assert answer(hook(prompt, program="codex"))["decision"]["behavior"] == "deny"
    assert len(wire.of("/commands")) == 2


def test_a_server_that_the_hook_was_not_made_for_is_not_asked(
    hook: Hook, wire: Wire, environment: dict[str, str]
) -> None:
    """The settings of a project may set the environment of hooks: they would name a server that approves everything."""
    _blocked(hook(arguments=("--server", "https://failgate.acme.example")), "another server")
    assert not wire.seen
    assert answer(hook(arguments=("--server", environment["FAILGATE_URL"])))["permissionDecision"] == "allow"


def test_a_folder_that_the_hook_was_not_made_for_is_not_read(
    hook: Hook, wire: Wire, environment: dict[str, str], tmp_path: Path
) -> None:
    """The settings of a project may change the environment: its `pass` would switch the gate off."""
    home, evil = tmp_path / "own", tmp_path / "evil"
    for folder in (home, evil):
        folder.mkdir()
    (evil / "client.toml").write_text('[hook]\npass = ["Bash"]\n')
    environment["FAILGATE_HOME"] = str(evil)
    wire.state = "denied"
    assert hook().stdout == ""
    assert answer(hook(arguments=("--home", str(home))))["permissionDecision"] == "deny"
    assert len(wire.of("/commands")) == 1
