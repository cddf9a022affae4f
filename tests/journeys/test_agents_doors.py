"""Hooks at a real server, as their programs start them. E12 F21."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.journeys import team
from tests.journeys.agent_machine import House
from tests.journeys.harness import NewDatabase, Server
from tests.journeys.team import WHERE


@pytest.fixture(scope="module")
def house(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("doors")
    with team.served(Server(folder / "data", database_url=new_database())) as server, House(server, folder) as one:
        (folder / "transcript.jsonl").write_text('{"message":{"model":"claude-opus-4-5","role":"assistant"}}\n')
        yield one


def answer_of(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["hookSpecificOutput"]


def test_a_call_goes_from_the_agent_program_to_a_person_and_back(house: House) -> None:
    decision = house.decided("approve", note="go on")
    told = answer_of(house.hook(house.event("PreToolUse", "make test")))
    decision.join()
    assert told["permissionDecision"] == "allow"
    request = re.search(r"request ([0-9a-f-]{36})", told["permissionDecisionReason"])
    assert request is not None
    view = house.view(request[1])
    assert view["state"] == "executed"
    assert view["command"]["argv"][1:] == ["-c", "make test"]
    assert view["reason"] == "because"
    after = house.event("PostToolUseFailure", "make test", error="Exit code 2\nno rule to make target", duration_ms=77)
    assert house.hook(after).returncode == 0
    outcome = house.view(request[1])["outcome"]
    assert (outcome["exit_code"], outcome["duration_ms"]) == (2, 77)


def test_a_denial_blocks_with_the_reviewers_words(house: House) -> None:
    for name in ("claude-code", "codex"):
        decision = house.decided("deny", note="use the staging host")
        told = answer_of(house.hook(house.event("PreToolUse", f"scp x prod: # {name}"), name))
        decision.join()
        assert told["permissionDecision"] == "deny"
        assert "use the staging host" in told["permissionDecisionReason"]


def test_an_allowed_line_passes_at_once_and_its_session_is_a_run_with_a_page(house: House) -> None:
    shell = "/bin/bash"
    house.environment["SHELL"] = shell
    house.allow(shell, "-c", "git status")
    assert answer_of(house.hook(house.event("PreToolUse", "git status")))["permissionDecision"] == "allow"
    house.hook(house.event("PostToolUse", "git status", tool_response={"stdout": ""}))
    [run] = house.lead.get(f"{WHERE}/agents/{house.agent_id}/runs").json()["items"][:1]
    assert (run["program"], run["session"], run["model"]) == ("claude-code", "8f14e45f", "claude-opus-4-5")
    assert run["commands"] >= 1
    page = house.lead.get(f"/w/acme/agents/{house.agent_id}")
    assert f"/runs/{run['id']}" in page.text
    page = house.lead.get(f"/w/acme/agents/{house.agent_id}/runs/{run['id']}")
    assert page.status_code == 200
    assert "claude-opus-4-5" in page.text
    assert "git" in page.text
    assert house.lead.get(f"/w/acme/agents/{house.agent_id}/runs/{house.agent_id}").status_code == 404


def test_nobody_decides_in_time(house: House) -> None:
    told = answer_of(house.hook(house.event("PreToolUse", "sleep 1"), wait_seconds=1))
    assert told["permissionDecision"] == "deny"
    assert "nobody decided in time" in told["permissionDecisionReason"]


ORDINARY = "/home/dev/.cargo/bin:/home/dev/.local/bin:/usr/local/bin:/usr/bin:/bin"  # of a developer's machine
LOOKS = ("ls", "ls -la", "git status", "git diff --stat | head -20", "cat notes.txt | wc -l", "pwd && ls")


def test_an_ordinary_look_around_waits_for_nobody(house: House) -> None:
    """The starter rules answer; what is planted before the installed program, or bends the line, waits."""
    team.admin(house.server, "allow.starter", workspace="acme", directories=[str(house.folder)])
    house.environment["PATH"] = ORDINARY
    for line in LOOKS:
        told = answer_of(house.hook(house.event("PreToolUse", line), wait_seconds=1))
        assert told["permissionDecision"] == "allow", (line, told)
    silent = house.hook(house.event("PreToolUse", "git log --oneline -3"), "codex", wait_seconds=1)
    assert (silent.returncode, silent.stdout) == (0, ""), silent.stderr
    planted = house.folder / "planted"
    planted.mkdir()
    (planted / "ls").write_text("#!/bin/sh\n")
    (planted / "ls").chmod(0o755)
    for bent in ({"PATH": f"{planted}:{ORDINARY}"}, {"BASH_ENV": "/src/evil"}):
        kept = dict(house.environment)
        house.environment |= bent
        told = answer_of(house.hook(house.event("PreToolUse", "ls"), wait_seconds=1))
        house.environment = kept
        assert "nobody decided in time" in told["permissionDecisionReason"], bent
    told = answer_of(house.hook(house.event("PreToolUse", "git push"), wait_seconds=1))
    assert told["permissionDecision"] == "deny"
