"""The pages of agents' doors, followed literally at a real server: every block, in order. E12."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys import team
from tests.journeys.agent_machine import House
from tests.journeys.harness import NewDatabase, Server, on_postgres, on_sqlite
from tests.test_docs import BLOCKS


@pytest.fixture(scope="module")
def house(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("pages")
    with team.served(Server(folder / "data", database_url=new_database())) as server, House(server, folder) as one:
        yield one


@pytest.mark.parametrize("page", ["claude-code.md", "http.md", "client.md"])
def test_a_page_is_followed_literally(house: House, tmp_path: Path, page: str) -> None:
    blocks = [block for block in BLOCKS if block.page.name == page and block.mark == "server"]
    assert blocks
    for name in ("curl", "jq", "openssl"):
        if shutil.which(name) is None:
            pytest.skip(f"the page uses {name}: install the package `{name}`")
    environment = house.environment | {
        "HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    if page == "claude-code.md":  # its reader has nothing yet but the token and the address
        environment = {name: value for name, value in environment.items() if not name.startswith("FAILGATE_")}
        environment |= {"TOKEN": house.environment["FAILGATE_TOKEN"], "FAILGATE_URL": house.server.url}
    shells = "\n".join(block.text for block in blocks if block.language == "sh")
    commands = [["bash", "-euo", "pipefail", "-c", shells]] if shells else []
    commands += [[sys.executable, "-c", block.text] for block in blocks if block.language == "python"]
    for command in commands:
        decision = house.decided("approve")
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        decision.join()


@on_postgres
def test_the_tools_say_what_their_transcript_says(house: House, tmp_path: Path) -> None:
    """Each line of the page is sent, each answer is awaited before the next."""
    pytest.importorskip("mcp")
    [block] = [block for block in BLOCKS if block.page.name == "client.md" and block.mark == "transcript"]
    decisions = iter((("approve", ""), ("deny", "use the staging host")))
    process = subprocess.Popen(
        [sys.executable, "-m", "failgate", "mcp"], env=house.environment, cwd=tmp_path,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        answers = 0
        for line in block.text.splitlines():
            if line.startswith("> "):
                if "run_gated" in line:
                    decision, note = next(decisions)
                    house.decided(decision, **({"note": note} if note else {}))
                process.stdin.write(line[2:] + "\n")
                process.stdin.flush()
            else:
                assert part_of(json.loads(line[2:]), json.loads(process.stdout.readline()))
                answers += 1
        assert answers == 3
    finally:
        process.kill()
        process.communicate()
    assert not (tmp_path / "made").exists()


@on_sqlite
def test_the_hook_says_what_its_transcript_says(house: House) -> None:
    """Each event of the page is told to the hook, each answer is the one that stands there, but for names and ids."""
    shown = [
        json.loads(block.text) for block in BLOCKS if block.page.name == "claude-code.md" and block.language == "json"
    ]
    (before, approved, denied, after), told = shown, house.event("PreToolUse", "make deploy")
    assert set(before) == set(told)
    for answer, decision, note in ((approved, "approve", "go on"), (denied, "deny", "use the staging host")):
        deciding = house.decided(decision, note=note)
        done = house.hook(before | {"cwd": str(house.folder)})
        deciding.join()
        assert done.returncode == 0, done.stderr
        assert plain(json.loads(done.stdout)) == plain(answer)
    told_after = house.hook(after | {"cwd": str(house.folder)})
    assert (told_after.returncode, told_after.stdout) == (0, "")
    [down] = [block.text for block in BLOCKS if block.page.name == "claude-code.md" and "did not answer" in block.text]
    kept = dict(house.environment)
    try:
        house.environment["FAILGATE_URL"] = "http://127.0.0.1:9"
        done = house.hook(before | {"cwd": str(house.folder)})
    finally:
        house.environment = kept
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == down.replace("https://failgate.acme.example", "http://127.0.0.1:9")


def plain(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without what is of one session: who decided, the id of the request."""
    text = re.sub(r"[\w.]+@[\w.]+", "SOMEBODY", json.dumps(answer))
    return dict(json.loads(re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)))


def part_of(shown: Any, whole: Any) -> bool:
    """Tell whether each member that is shown is one of the whole."""
    if isinstance(shown, dict):
        return isinstance(whole, dict) and all(
            name in whole and part_of(one, whole[name]) for name, one in shown.items()
        )
    if isinstance(shown, list):
        return isinstance(whole, list) and len(shown) == len(whole) and all(map(part_of, shown, whole))
    return bool(shown == whole)
