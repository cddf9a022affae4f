"""Programs that ask at a real server: the Python client, MCP by its SDK and its inspector. E12."""

import asyncio
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.journeys import team
from tests.journeys.agent_machine import House, waited_for
from tests.journeys.harness import NewDatabase, Server, failgate, on_postgres, on_sqlite
from tests.journeys.team import WHERE, vote
from tests.peers.mcp_inspector.peer import inspected

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def house(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("programs")
    with team.served(Server(folder / "data", database_url=new_database())) as server, House(server, folder) as one:
        yield one


# The Python client


def in_python(house: House, code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        env=house.environment,
        cwd=house.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_python_program_runs_what_was_approved_and_hears_of_a_denial(house: House) -> None:
    decision = house.decided("approve")
    done = in_python(
        house,
        "from failgate.client import Gate\n"
        "done = Gate().run(['sh', '-c', 'echo out; echo err >&2; exit 3'], reason='try')\n"
        "print(done.state, done.exit_code, done.output, done.errors, sep='|')",
    )
    decision.join()
    assert done.stdout == "executed|3|out\n|err\n\n", done.stderr
    decision = house.decided("deny", note="no")
    done = in_python(
        house,
        "from failgate.client import Denied, Gate\n"
        "try:\n    Gate().run(['touch', 'made'])\nexcept Denied as error:\n    print(error.state, error.exit_code, error)",
    )
    decision.join()
    assert done.stdout.startswith("denied 77 Denied by lead@acme.example: no"), done.stderr
    assert not (house.folder / "made").exists()


def test_a_run_leads_to_its_reports(house: House) -> None:
    """F21: who asked, what for, how it ended, the report of the failure."""
    decision = house.decided("approve")
    done = subprocess.run(
        [sys.executable, "-m", "failgate", "run", "--", "sh", "-c", "echo broken >&2; exit 9"],
        env=house.environment | {"FAILGATE_UPLOAD": "always", "FAILGATE_RUN": "nightly 7", "FAILGATE_MODEL": "opus"},
        cwd=house.folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    decision.join()
    assert done.returncode == 9, done.stderr
    runs = house.lead.get(f"{WHERE}/agents/{house.agent_id}/runs").json()["items"]
    [run] = [one for one in runs if one["run"] == "nightly 7"]
    assert (run["program"], run["model"], run["executed"], run["failed"]) == ("failgate run", "opus", 1, 1)
    [report] = house.lead.get(f"{WHERE}/reports").json()["items"][:1]
    page = house.lead.get(f"/w/acme/agents/{house.agent_id}/runs/{run['id']}")
    assert f"/w/acme/reports/{report['id']}" in page.text


@on_postgres
def test_a_python_program_that_executes_by_itself_uses_an_approval_once(house: House) -> None:
    decision = house.decided("approve")
    done = in_python(
        house,
        "from failgate.client import ClientError, Gate\n"
        "one = Gate().ask(['true'], origin={'program': 'tool', 'run': 'nightly'})\n"
        "print(one.wait(20)); one.use(); print(one.finish(0))\n"
        "try:\n    one.use()\nexcept ClientError:\n    print('once')\nprint(one.request)",
    )
    decision.join()
    *said, request = done.stdout.split()
    assert said == ["approved", "True", "once"], done.stderr
    assert house.view(request)["outcome"]["exit_code"] == 0


@on_sqlite
def test_a_request_is_withdrawn_when_its_program_is_gone(house: House) -> None:
    code = "from failgate.client import Gate\nimport time\none = Gate().start(['touch', 'made'])\ntime.sleep(60)"
    before = {one["id"] for one in house.pending()}
    process = subprocess.Popen([sys.executable, "-c", code], env=house.environment, cwd=house.folder)
    try:
        asked = waited_for(lambda: next((one for one in house.pending() if one["id"] not in before), None))
    finally:
        process.kill()
        process.wait()
    waited_for(lambda: house.view(asked["id"])["state"] == "cancelled")
    assert not (house.folder / "made").exists()


def test_an_agent_that_is_killed_while_it_waits_runs_nothing_though_it_is_approved(house: House) -> None:
    """SIGKILL leaves it no word: the request waits, an approval is used by nobody, and is nobody else's."""
    before = {one["id"] for one in house.pending()}
    process = subprocess.Popen(
        [sys.executable, "-m", "failgate", "run", "--no-capture", "--", "touch", "made"],
        env=house.environment, cwd=house.folder, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        asked = waited_for(lambda: next((one for one in house.pending() if one["id"] not in before), None))
    finally:
        process.kill()
        process.wait()
    assert vote(house.lead, asked).json()["state"] == "approved"
    used = house.lead.post(f"{WHERE}/commands/{asked['id']}/consume", json={"digest": asked["digest"]})
    assert used.status_code in (403, 404)
    assert house.view(asked["id"])["state"] == "approved"
    assert not (house.folder / "made").exists()


# MCP

TOOLS = {"run_gated", "request_approval", "await_decision", "policy_check", "report_context"}


def text_of(result: Any) -> str:
    return result.content[0].text


async def conversation(client: Any, house: House) -> None:
    """Talk to the tools, whatever carries it."""
    listed = await client.list_tools()
    assert {tool.name for tool in listed.tools} == TOOLS
    checked = text_of(await client.call_tool("policy_check", {"argv": ["make"]}))
    assert checked.startswith("ask")
    decision = house.decided("approve")
    done = text_of(await client.call_tool("run_gated", {"argv": ["sh", "-c", "echo hi; exit 4"], "reason": "why"}))
    decision.join()
    assert done == "exit code 4\nstdout:\nhi\n"
    decision = house.decided("deny", note="never")
    done = text_of(await client.call_tool("run_gated", {"argv": ["touch", "made"]}))
    decision.join()
    assert done.startswith("denied: denied by lead@acme.example: never")
    before = {one["id"] for one in house.pending()}
    waiting = text_of(await client.call_tool("request_approval", {"argv": ["true"]}))
    assert waiting.startswith("pending ")
    request = waiting.split()[1]
    [view] = [one for one in house.pending() if one["id"] not in before]
    assert view["id"] == request
    assert vote(house.lead, view).status_code == 200
    assert text_of(await client.call_tool("await_decision", {"request": request})).startswith("approved by lead@")
    assert house.view(request)["state"] == "executed"
    for tool, arguments in (
        ("await_decision", {"request": request}), ("run_gated", {"argv": []}), ("report_context", {"report": "../x"}),
        ("run_gated", {"argv": ["true"], "cwd": "relative"}), ("policy_check", {"argv": ["no-such-program-here"]}),
    ):  # fmt: skip
        refused = await client.call_tool(tool, arguments)
        assert refused.is_error, tool


@on_sqlite
def test_tools_over_standard_input_and_output(house: House) -> None:
    pytest.importorskip("mcp")
    from mcp import Client, StdioServerParameters, stdio_client

    async def talk() -> None:
        told = StdioServerParameters(
            command=sys.executable, args=["-m", "failgate", "mcp"], env=house.environment, cwd=str(house.folder)
        )
        async with Client(stdio_client(told)) as client:
            await conversation(client, house)

    asyncio.run(talk())


@on_postgres
def test_the_inspector_lists_and_calls_the_tools(house: House) -> None:
    server = (str(Path(sys.executable).with_name("failgate")), "mcp")
    listed = inspected(server, house.environment, "tools/list", cwd=house.folder)
    assert {tool["name"] for tool in listed["tools"]} == TOOLS
    assert not [tool for tool in listed["tools"] if re.search("approve|vote|allow", tool["name"])]
    decision = house.decided("deny", note="not here")
    options = ("--tool-name", "run_gated", "--tool-arg", 'argv=["touch","made"]')
    called = inspected(server, house.environment, "tools/call", *options, cwd=house.folder)
    decision.join()
    assert called["content"][0]["text"].startswith("denied: denied by lead@acme.example: not here")


@on_postgres
def test_tools_over_streamable_http_for_who_knows_the_token(house: House) -> None:
    pytest.importorskip("mcp")
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    process = subprocess.Popen(
        [sys.executable, "-m", "failgate", "mcp", "--http", "127.0.0.1:0"],
        env=house.environment | {"FAILGATE_MCP_TOKEN": "a-token-of-the-test"}, cwd=house.folder,
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        url = re.search(r"http://\S+/mcp", process.stderr.readline())
        assert url is not None
        waited_for(lambda: answers(url[0]))
        assert httpx.post(url[0], json={}, trust_env=False).status_code == 401
        right = {"authorization": "Bearer a-token-of-the-test"}
        rebound = httpx.post(url[0], json={}, headers=right | {"host": "evil.example"}, trust_env=False)
        assert rebound.status_code in (403, 421)

        async def talk() -> None:
            async with httpx.AsyncClient(headers=right, timeout=60, trust_env=False) as carrier:
                async with Client(streamable_http_client(url[0], http_client=carrier)) as client:
                    await conversation(client, house)

        asyncio.run(talk())
    finally:
        process.terminate()
        process.communicate(timeout=20)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 401
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("place", ["0.0.0.0:0", "example.org:80", "127.0.0.1", "127.0.0.1:x"])
def test_tools_are_served_to_this_machine_alone(tmp_path: Path, place: str) -> None:
    done = failgate(
        "mcp", "--http", place, env={"FAILGATE_HOME": str(tmp_path), "FAILGATE_MCP_TOKEN": "a-token-of-the-test"}
    )
    assert done.returncode == 2
    assert "loopback" in done.stderr


# The GitHub Action

ACTION = ROOT / "contrib" / "github-action"


def step(house: House, **inputs: str) -> tuple[int, dict[str, str], str, str]:
    """Run the step as GitHub does: inputs in the environment, files for outputs and the summary."""
    files = {name: house.folder / f"{name}-{time.monotonic_ns()}" for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    environment = house.environment | {"GATE_WAIT": "1m"} | inputs | {name: str(path) for name, path in files.items()}
    done = subprocess.run(
        [sys.executable, str(ACTION / "gate.py")], env=environment, cwd=house.folder, capture_output=True, text=True,
        timeout=90, check=False,
    )  # fmt: skip
    told = re.findall(r"^([\w-]+)<<(\w+)\n(.*?)\n\2$", files["GITHUB_OUTPUT"].read_text(), re.MULTILINE | re.DOTALL)
    return (
        done.returncode, {name: value for name, _, value in told}, files["GITHUB_STEP_SUMMARY"].read_text(),
        done.stdout + done.stderr,
    )  # fmt: skip


def test_a_step_of_a_job_runs_behind_the_gate_and_says_so(house: House) -> None:
    decision = house.decided("approve")
    run = "acme/shop release 77/1"
    code, told, summary, said = step(
        house, GATE_COMMAND="echo 'made ```it```'; exit 3", GATE_REASON="release", FAILGATE_RUN=run
    )
    decision.join()
    assert (code, told["exit-code"]) == (3, "3"), said
    assert "made ```it```" in said
    assert "ended with 3" in summary
    assert f"/w/acme/commands/{told['request']}" in summary
    assert "\n````sh\n" in summary
    runs = house.lead.get(f"{WHERE}/agents/{house.agent_id}/runs").json()["items"]
    assert run in [one["run"] for one in runs]


@on_sqlite
def test_a_step_that_was_denied_fails_with_the_reason(house: House) -> None:
    decision = house.decided("deny", note="not on Friday")
    code, told, summary, _ = step(house, GATE_COMMAND="touch made")
    decision.join()
    assert (code, told["exit-code"]) == (77, "77")
    assert "**denied**" in summary
    assert "not on Friday" in summary
    assert not (house.folder / "made").exists()


@on_postgres
@pytest.mark.parametrize("is_accepted", [True, False])
def test_a_step_runs_what_a_reviewer_made_of_its_line_when_it_accepts_edits(house: House, is_accepted: bool) -> None:
    def edit() -> None:
        (one,) = waited_for(house.pending)
        route = f"{WHERE}/commands/{one['id']}/edits"
        wish = {"digest": one["digest"], "argv": ["bash", "-e", "-o", "pipefail", "-c", "echo edi''ted"]}
        trial = house.lead.post(f"{route}/trial", json=wish).json()
        made = house.lead.post(route, json=wish | {"edited_digest": trial["digest"]})
        assert made.status_code == 201, made.text

    editing = threading.Thread(target=edit)
    editing.start()
    code, told, summary, said = step(house, GATE_COMMAND="echo as asked", GATE_EDITS="true" if is_accepted else "")
    editing.join()
    assert (code, told["exit-code"]) == ((0, "0") if is_accepted else (77, "77")), said
    assert ("edited\n" in said, "as asked\n" in said) == (is_accepted, False)
    assert is_accepted or "--edited" in summary


def test_no_input_of_the_action_is_part_of_a_script() -> None:
    """An input in a script would run whatever stands in it."""
    text = (ACTION / "action.yml").read_text()
    scripts = re.findall(r"^\s+run: (?!\{)(.*)$", text, re.MULTILINE)
    assert len(scripts) == 2
    assert not [script for script in scripts if "${{" in script]


# sudo: its names as sudo_plugin_python(5) has them; contrib/sudo/README.md says with which sudo the plugin was driven

SUDO = """
import sys, types
sudo = types.ModuleType("sudo")
sudo.Plugin = object
sudo.RC = types.SimpleNamespace(ACCEPT=1, REJECT=0)
sudo.PluginReject = type("PluginReject", (Exception,), {})
sudo.options_as_dict = lambda options: dict(option.partition("=")[::2] for option in options)
sudo.log_error = print
sudo.EXIT_REASON = types.SimpleNamespace(NO_STATUS=0, WAIT_STATUS=1, EXEC_ERROR=2, SUDO_ERROR=3)
sys.modules["sudo"] = sudo
sys.path.insert(0, sys.argv[1])
from failgate_sudo import FailgateApproval, FailgateOutcome
options = (f"Home={sys.argv[2]}", "Wait=20", "Exempt=rescue", f"Outcomes={sys.argv[2]}/run")
plugin = FailgateApproval(user_info=("user=ann", "cwd=/tmp"), plugin_options=options)
try:
    command = ("command=/usr/bin/id", "runas_user=nobody", "runas_uid=65534")
    code = plugin.check(command, ("id", "-un"), ("PATH=/bin", "LD_PRELOAD=/x"))
    print("accepted", code)
except sudo.PluginReject as reject:
    print("rejected", reject)
FailgateOutcome(plugin_options=options, user_info=()).close(int(sys.argv[3]), int(sys.argv[4]))
"""


def test_sudo_runs_what_was_approved_and_nothing_else(house: House) -> None:
    home = house.folder / "etc"
    home.mkdir(mode=0o700)
    environment = {name: value for name, value in house.environment.items() if not name.startswith("FAILGATE_")}
    token = house.environment["FAILGATE_TOKEN"]
    signed_in = failgate(
        "login", house.server.url, "--workspace", "acme", "--token-stdin", env={"FAILGATE_HOME": str(home)}, stdin=token
    )
    assert signed_in.returncode == 0, signed_in.stderr

    def check(place: Path, kind: int = 1, status: int = 0, **more: str) -> str:
        ending = (str(kind), str(status))
        done = subprocess.run(
            [sys.executable, "-c", SUDO, str(ROOT / "contrib" / "sudo"), str(place), *ending], env=environment | more,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.stdout.splitlines()[-1] if done.stdout else done.stderr

    decision = house.decided("approve")
    # the user's environment names no server
    assert check(home, status=15, FAILGATE_URL="http://127.0.0.1:1") == "accepted 1"
    decision.join()
    [view] = [
        house.view(one["id"])
        for one in house.lead.get(f"{WHERE}/commands?state=executed").json()["items"]
        if (one.get("reason") or "").startswith("sudo by ann")
    ]
    assert (view["command"]["argv"], view["command"]["uid"]) == (["id", "-un"], 65534)
    assert "LD_PRELOAD" not in view["command"]["env"]
    assert (view["outcome"]["exit_code"], view["outcome"]["signal"]) == (143, 15)
    assert list((home / "run").iterdir()) == []
    decision = house.decided("deny", note="not you")
    assert check(home) == "rejected Failgate: denied by lead@acme.example: not you; nothing is run"
    decision.join()
    assert check(house.folder / "nowhere").startswith("rejected Failgate: ")
