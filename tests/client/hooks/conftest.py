"""A hook as an agent program starts it: a process of its own, an event on standard input."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client.conftest import ROOT

LAUNCH = ROOT / "failgate" / "client" / "hooks" / "launch.py"
Hook = Callable[..., "subprocess.CompletedProcess[str]"]


def event(folder: Path, name: str = "PreToolUse", tool: str = "Bash", **members: Any) -> dict[str, Any]:
    """An event as both programs send it, with the members that Claude Code has."""
    given = {"command": "ls -l | wc -l", "description": "count the files"} if tool == "Bash" else {}
    return {
        "session_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "transcript_path": str(folder / "transcript.jsonl"),
        "cwd": str(folder),
        "permission_mode": "default",
        "hook_event_name": name,
        "tool_name": tool,
        "tool_input": given,
        "tool_use_id": "toolu_01ABC",
    } | members


@pytest.fixture
def hook(environment: dict[str, str], work: Path) -> Hook:
    def call(
        told: dict[str, Any] | str | None = None, *, program: str = "claude-code", arguments: tuple[str, ...] = ()
    ) -> "subprocess.CompletedProcess[str]":
        text = told if isinstance(told, str) else json.dumps(event(work) if told is None else told)
        return subprocess.run(
            [sys.executable, "-I", "-S", LAUNCH, program, *arguments],
            env=environment, cwd=work, input=text, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return call
