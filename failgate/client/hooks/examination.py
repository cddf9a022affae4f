"""Prove that the hooks of this machine block when they are broken: their own command line, driven as a program does.

Nothing is asked at the server: each event given is one that must be refused before, or is about a tool that passes.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from failgate.base.errors import FailgateError
from failgate.client.hooks.configuration import (
    DECIDING,
    Entry,
    Program,
    Scope,
    elsewhere,
    entries_of,
    settings_path,
    wait_of,
)
from failgate.client.hooks.hook import MARGIN_SECONDS
from failgate.client.hooks.settings_file import read_settings
from failgate.client.settings import DEFAULT_URL

_PROGRAMS: Final[tuple[Program, ...]] = ("claude-code", "codex")
_SCOPES: Final[tuple[Scope, ...]] = ("user", "project", "local")
_SECONDS = 30.0
_PS: Final = "/bin/ps"
_NOWHERE = "http://127.0.0.1:9"  # the port of "discard": nobody listens there


class Proof(NamedTuple):
    """One thing that was looked at, what was found, and the mend."""

    name: str
    verdict: Literal["ok", "warn", "fail"]
    sentence: str
    mend: str = ""


def examine(folder: Path) -> list[Proof]:
    """Return what is to be said of every hook of ours that programs started in `folder` would use."""
    found: list[Proof] = []
    seen: set[Path] = set()
    for program in _PROGRAMS:
        for scope in _SCOPES:
            try:
                path = settings_path(program, scope, folder)
                content = read_settings(path)
                entries = entries_of(content)
            except FailgateError as error:
                if scope != "local" or program != "codex":
                    found.append(Proof(f"hook {program}", "fail", error.sentence, error.hint or ""))
                continue
            if entries and path.resolve() not in seen:  # the user's folder may be the project
                seen.add(path.resolve())
                found += _of_file(program, scope, path, content, entries)
    return found


def _of_file(program: Program, scope: Scope, path: Path, content: dict[str, Any], entries: list[Entry]) -> list[Proof]:
    name, mend = f"hook {program}", f"failgate init {program} --scope {scope}"
    faults = _faults(program, content, entries)
    if faults:
        return [Proof(name, "fail", f"{path}: {fault}.", mend) for fault in faults]
    failures = [
        failure
        for command in dict.fromkeys(str(entry.handler["command"]) for entry in entries if entry.event in DECIDING)
        for failure in _driven(command)
    ]
    if failures:
        return [Proof(name, "fail", f"{path}: {failure}.", mend) for failure in failures]
    sentence = f"{path}: lets through what passes; blocks without a server, token or event, and when it is killed."
    return [Proof(name, "ok", sentence)]


def _faults(program: Program, content: dict[str, Any], entries: list[Entry]) -> list[str]:
    """Return what is wrong with the entries as they stand."""
    faults: list[str] = []
    if content.get("disableAllHooks") is True:
        faults.append("disableAllHooks is true, so no hook is asked")
    deciding = [entry for entry in entries if entry.event == "PreToolUse"]
    if not deciding:
        faults.append("there is no entry for PreToolUse, so no call is asked for")
    if not any(entry.matcher in (None, "", "*", ".*") for entry in deciding):
        faults.append("the matcher leaves tools out")
    for entry in entries:
        if entry.event not in DECIDING:
            continue
        timeout, wait = entry.handler.get("timeout"), wait_of(entry.handler)
        if not isinstance(timeout, int) or wait is None or timeout < wait + MARGIN_SECONDS:
            faults.append(f"{entry.event}: the timeout is not {MARGIN_SECONDS} s above what the hook waits")
        if program == "claude-code" and entry.handler.get("onFailure") != "block":
            faults.append(f"{entry.event}: onFailure is not block, so a timeout lets the call through")
        if entry.handler.get("async"):
            faults.append(f"{entry.event}: async lets the call go on before the answer")
    return faults


def _driven(command: str) -> list[str]:
    """Return what went wrong when `command` was run as the program runs it."""
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="failgate-doctor-") as home:
        shell, passing = _event(home, "Bash", {"command": "true"}), _event(home, "Read", {"file_path": "x"})
        whole = dict(os.environ)
        nowhere = {**whole, "FAILGATE_URL": _NOWHERE, "FAILGATE_TOKEN": "fg_agt_none", "FAILGATE_HOME": home}
        code, said, heard = _run(command, passing, whole)
        if (code, said) != (0, ""):
            failures.append(f"a tool that passes ended with {code}: {heard.strip()[:200] or said[:200]}")
        for what, driven, event, environment in (
            ("without a server", elsewhere(command, _NOWHERE, home), shell, nowhere),
            ("with another server in the environment", command, shell, nowhere),
            (
                "without a token",
                elsewhere(command, DEFAULT_URL, home),
                shell,
                {**_without_token(), "FAILGATE_HOME": home},
            ),
            ("with an unreadable event", command, "{", whole),
            ("with an unknown event", command, passing.replace("PreToolUse", "Unheard"), whole),
            ("with nothing on standard input", command, "", whole),
        ):
            code, said, heard = _run(driven, event, environment)
            if code != 2 or said or not heard.strip():
                failures.append(f"{what} it ended with {code} in place of 2 and a reason")
    code, heard = _killed(command)
    if code is None:
        failures.append("its interpreter was not found among the processes (is there a ps?), so it was not killed")
    elif code != 2 or not heard.strip():
        failures.append(f"killed, it ended with {code} in place of 2 and a reason")
    return failures


def _without_token() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("FAILGATE_")}


def _event(cwd: str, tool: str, members: dict[str, str]) -> str:
    return json.dumps(
        {
            "session_id": "failgate-doctor",
            "cwd": cwd,
            "hook_event_name": "PreToolUse",
            "tool_name": tool,
            "tool_input": members,
            "tool_use_id": "failgate-doctor",
        }
    )


def _run(command: str, event: str, environment: Mapping[str, str]) -> tuple[int | None, str, str]:
    try:
        done = subprocess.run(  # noqa: S603 - what the agent program runs is what is to be proven
            ["/bin/sh", "-c", command], input=event, env=dict(environment), capture_output=True, text=True,
            errors="replace", timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None, "", ""
    return done.returncode, done.stdout, done.stderr


def _killed(command: str) -> tuple[int | None, str]:
    """Return how the command ends whose interpreter is killed while it reads; None when there is none to be found."""
    process = subprocess.Popen(  # noqa: S603 - what the agent program runs is what is to be proven
        ["/bin/sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        victim = _innermost(process.pid)
        if victim is None:
            return None, ""
        os.kill(victim, signal.SIGKILL)
        _, heard = process.communicate(timeout=_SECONDS)
    except (subprocess.TimeoutExpired, ProcessLookupError):
        heard = ""
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return process.returncode, heard


def _innermost(pid: int) -> int | None:
    """Return the process of the interpreter below `pid`, once it is there."""
    until = time.monotonic() + _SECONDS
    while shutil.which(_PS) and time.monotonic() < until:
        listed = _listed()
        found, place = None, pid
        while (below := next((one for one, (parent, _) in listed.items() if parent == place), None)) is not None:
            found = place = below
        if found is not None and "launch.py" in (words := listed[found][1]) and not words.startswith("/bin/sh"):
            return found
        time.sleep(0.01)
    return None


def _listed() -> dict[int, tuple[int, str]]:
    """Return the parent and the words of every process; without `-ww` ps cuts at an exported COLUMNS."""
    ps = [_PS, "-A", "-ww", "-o", "pid=", "-o", "ppid=", "-o", "args="]
    done = subprocess.run(ps, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603 - fixed words
    lines = [line.split(None, 2) for line in done.stdout.splitlines()]
    return {int(line[0]): (int(line[1]), line[2]) for line in lines if len(line) == 3}
