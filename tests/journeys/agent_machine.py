"""An agent's machine beside a real server: its environment, its hooks, the reviewer who decides."""

import json
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from failgate.client.hooks.configuration import command_of
from tests.journeys import team
from tests.journeys.harness import Server, clean_environment
from tests.journeys.team import WHERE, person, program, sign_in, vote


class House(ExitStack):
    """A workspace with an agent, its reviewer's open browser, and the environment of the agent's machine."""

    def __init__(self, server: Server, folder: Path) -> None:
        super().__init__()
        self.server, self.folder = server, folder
        key = team.found_acme(server)["api_key"]
        self.owner = self.enter_context(program(server, key))
        made = team.admin(server, "agent.create", workspace="acme", name="builder", owner="owner@acme.example")
        self.agent_id = made["agent"]
        self.lead = self.enter_context(sign_in(server, person(server, "lead", "reviewer")))
        self.environment = clean_environment(
            FAILGATE_HOME=str(folder / "home"), FAILGATE_TOKEN=made["token"], FAILGATE_WORKSPACE="acme",
            FAILGATE_URL=server.url, FAILGATE_UPLOAD="never",
        )  # fmt: skip

    def allow(self, *argv: str) -> None:
        boss = sign_in(self.server, person(self.server, f"boss-{time.monotonic_ns()}", "owner"))
        with boss:
            made = boss.post(f"{WHERE}/rules", json={"kind": "exact", "effect": "allow", "argv": list(argv)})
        assert made.status_code == 201, made.text

    def decided(self, decision: str, **more: str) -> threading.Thread:
        """Have the reviewer decide on the next request that waits."""
        before = {one["id"] for one in self.pending()}

        def decide() -> None:
            until = time.monotonic() + 30
            while time.monotonic() < until:
                fresh = [one for one in self.pending() if one["id"] not in before]
                if fresh:
                    assert vote(self.lead, fresh[0], decision, **more).status_code == 200
                    return
                time.sleep(0.05)

        thread = threading.Thread(target=decide, daemon=True)
        thread.start()
        return thread

    def pending(self) -> list[dict[str, Any]]:
        return self.lead.get(f"{WHERE}/commands?state=pending").json()["items"]

    def view(self, request: str) -> dict[str, Any]:
        return self.lead.get(f"{WHERE}/commands/{request}").json()

    def hook(
        self, told: dict[str, Any], name: str = "claude-code", wait_seconds: int = 60
    ) -> "subprocess.CompletedProcess[str]":
        """Run the configured command line as the agent program does."""
        return subprocess.run(
            ["/bin/sh", "-c", command_of(name, wait_seconds)], input=json.dumps(told), env=self.environment,
            cwd=self.folder, capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip

    def event(self, name: str, line: str, **more: Any) -> dict[str, Any]:
        return {
            "session_id": "8f14e45f", "transcript_path": str(self.folder / "transcript.jsonl"), "cwd": str(self.folder),
            "permission_mode": "default", "hook_event_name": name, "tool_name": "Bash",
            "tool_input": {"command": line, "description": "because"}, "tool_use_id": f"toolu_{line}",
        } | more  # fmt: skip


def waited_for(look: Callable[[], Any], seconds: float = 30) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("it never came")
