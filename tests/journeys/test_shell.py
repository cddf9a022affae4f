"""`failgate shell` at a real server: each execution is asked for, tricks are refused, all of it is recorded. E12 E17"""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from failgate.base.errors import FailgateError
from failgate.client.trapping import check_supported
from failgate.serving import LISTEN_SECONDS
from failgate.wire.recordings import SILENT_SECONDS
from tests.client.seat import Seat
from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server
from tests.journeys.team import Visitor, person, program, sign_in
from tests.journeys.test_sessions import played

WHERE = "/api/v1/workspaces/acme"
PROMPT = b"(failgate) "
SECRET = "ghp_" + "R4nD0mR4nD0mR4nD0mR4nD0mR4nD0mR4nD0m"
ALLOWED = (["ls"], ["sleep", "0.2"], ["sleep", "60"], ["cat"], ["id", "-u"])


@dataclass
class House:
    key: Visitor
    environment: dict[str, str]
    decide: Callable[[str, str], None]

    def newest(self) -> dict[str, Any]:
        listed = self.key.get(f"{WHERE}/recordings").json()["items"]
        return self.key.get(f"{WHERE}/recordings/{listed[0]['id']}").json()

    def cast(self, recording_id: str) -> list[Any]:
        text = self.key.get(f"{WHERE}/recordings/{recording_id}/cast").text
        return [json.loads(line) for line in text.rstrip("\n").split("\n")]


@pytest.fixture(scope="module")
def house(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    try:
        check_supported()
    except FailgateError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("shell")
    with team.served(Server(folder / "data", database_url=new_database())) as server:
        key = program(server, team.found_acme(server)["api_key"])
        keeper, reviewer = person(server, "keeper", "developer", with_totp=False), person(server, "rev", "reviewer")
        made = team.admin(server, "agent.create", workspace="acme", name="ci", owner=keeper.email)
        with key, sign_in(server, reviewer) as browser:
            for argv in ALLOWED:
                rule = {"kind": "exact", "effect": "allow", "argv": argv}
                assert key.post(f"{WHERE}/rules", json=rule).status_code == 201

            def decide(word: str, decision: str) -> None:
                """Decide on the pending command that holds `word`, as soon as there is one."""
                until = time.monotonic() + 30
                while time.monotonic() < until:
                    for one in browser.get(f"{WHERE}/commands?state=pending").json()["items"]:
                        if any(word in token for token in one["rendering"]):
                            body = {"decision": decision, "digest": one["digest"], "note": "as was said"}
                            assert browser.post(f"{WHERE}/commands/{one['id']}/votes", json=body).status_code == 200
                            return
                    time.sleep(0.05)
                raise AssertionError(f"{word} was never asked for")

            environment = {
                "PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8",
                "PYTHONPATH": os.environ.get("PYTHONPATH", str(Path.cwd())),
                "FAILGATE_URL": server.url, "FAILGATE_TOKEN": made["token"], "FAILGATE_WORKSPACE": "acme",
                "FAILGATE_HOME": str(folder / "home"),
            }  # fmt: skip
            yield House(key, environment, decide)


class Desk:
    """Somebody in a recorded shell."""

    def __init__(self, seat: Seat, folder: Path) -> None:
        self.seat, self.folder = seat, folder
        seat.type("failgate shell --title trial\n")
        seat.wait_for(PROMPT)

    def does(self, line: str) -> str:
        """Type a line; return what showed until the shell is ready again."""
        self.seat.type(f"{line}; echo 'is''done'\n")
        shown = self.seat.wait_for(b"isdone\r\n")
        self.seat.wait_for(PROMPT)
        return shown.decode(errors="replace")

    def leave(self, code: int = 0) -> None:
        self.seat.type(f"exit {code}\n")
        self.seat.wait_for(b"the recording has ended")


@pytest.fixture
def desk(house: House, tmp_path: Path) -> Iterator[Desk]:
    at_home = house.environment | {"HOME": str(tmp_path)}  # so that the prompt is short, and no line is folded
    with Seat(at_home, tmp_path) as seat:
        yield Desk(seat, tmp_path)


def test_commands_are_asked_for_and_the_recording_tells_what_became_of_them(
    house: House, desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "here.txt").touch()
    assert "here.txt" in desk.does("ls")
    judge = threading.Thread(target=house.decide, args=("touch", "approve"))
    judge.start()
    desk.does("touch made.txt")
    judge.join()
    assert (tmp_path / "made.txt").exists()
    judge = threading.Thread(target=house.decide, args=("never.txt", "deny"))
    judge.start()
    shown = desk.does("touch never.txt; echo code=$?")
    judge.join()
    assert ("denied by rev@acme.example: as was said" in shown, "code=126" in shown) == (True, True)
    assert not (tmp_path / "never.txt").exists()
    assert "command not found" in desk.does("nosuchprogram")
    assert "Running" in desk.does("sleep 0.2 & jobs; wait")
    desk.does(f"echo {SECRET[:12]}''{SECRET[12:]}")
    desk.leave(3)
    view = house.newest()
    assert (view["state"], view["exit_code"], view["title"]) == ("ended", 3, "trial")
    assert [(one["rendering"][0], one["state"], one["exit_code"]) for one in view["commands"]] == [
        ("ls", "executed", 0), ("touch", "executed", 0), ("touch", "denied", None),
        ("sleep", "executed", 0),
    ]  # fmt: skip
    assert house.key.get(f"{WHERE}/recordings/{view['id']}/proof").json()["verdict"] == "intact"
    shown = "".join(text for _, kind, text in house.cast(view["id"])[1:] if kind == "o")
    assert ("here.txt" in shown, SECRET in shown, "denied by" in shown) == (True, False, True)
    played(tmp_path, house.key.get(f"{WHERE}/recordings/{view['id']}/cast").content, "here.txt")


def test_a_program_that_changed_while_it_waited_is_not_executed_and_stands_in_the_log(
    house: House, desk: Desk, tmp_path: Path
) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho as it was shown\n")
    tool.chmod(0o755)
    desk.seat.type("./tool\n")
    desk.seat.wait_for(b"waiting for")
    tool.write_text("#!/bin/sh\necho something else\n")
    house.decide("tool", "approve")
    shown = desk.seat.wait_for(PROMPT).decode()
    assert ("changed since it was approved" in shown, "something else" in shown) == (True, False)
    desk.leave(126)
    [command] = house.newest()["commands"]
    assert command["state"] == "approved"
    records = [one["record"] for one in house.key.get(f"{WHERE}/audit/records?limit=1000").json()["records"]]
    acts = [one["act"] for one in records if one["obj"]["id"] == command["command_id"]]
    assert acts[-2:] == ["command.approved", "command.mismatched"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("echo x > out.txt", "the shell itself writes no file"),
        ("echo x >> out.txt", "the shell itself writes no file"),
        ("(echo x > out.txt) &  wait", "the shell itself writes no file"),
        ("echo x > /dev/pts/../../tmp/out.txt", "the shell itself writes no file"),
        ("exec 3< here.txt; echo x > /dev/fd/3", "the shell itself writes no file"),
        ("exec 0< here.txt; echo x > /dev/stdin", "the shell itself writes no file"),
        ("exec 3< here.txt; echo x > /proc/self/fd/3", "the shell itself writes no file"),
        ("exec 3< here.txt; echo x > /proc/$BASHPID/fd/3", "the shell itself writes no file"),
        ("exec 3<> here.txt", "the shell itself writes no file"),
        ("echo x > /dev/null; echo to the terminal > /dev/tty", "to the terminal"),
        ("echo to a stream >&2; echo x > /dev/stdout", "to a stream"),
        ("exec -a ls cat", "would be executed"),
        ("(exec -a ls cat < /dev/null)", "would be executed"),
        ("enable -f ./evil.so evil", "command not found"),
        ("builtin enable -f ./evil.so evil", "not a shell builtin"),
        ("LD_PRELOAD=./evil.so ls", "readonly"),
        ("BASH_ENV=./evil ls", "can make a program load other code"),
        ("PYTHONPATH=. ls", "can make a program load other code"),
        ("API_TOKEN=x ls", "looks like a secret"),
        ("exec 3<>/dev/tcp/127.0.0.1/1", "connects to nothing"),
        ("hash -p /usr/bin/id ls; ls", "would be executed"),
    ],
)
def test_tricks_execute_write_and_reach_nothing(desk_of_tricks: Desk, line: str, said: str) -> None:
    shown = desk_of_tricks.does(f"( {line} )")
    assert said in shown
    assert sorted(path.name for path in desk_of_tricks.folder.iterdir()) == ["here.txt"]
    assert (desk_of_tricks.folder / "here.txt").read_text() == "as it was"


@pytest.fixture(scope="module")
def desk_of_tricks(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("tricks")
    (folder / "here.txt").write_text("as it was")
    with Seat(house.environment, folder) as seat:
        desk = Desk(seat, folder)
        yield desk
        desk.leave()


def test_a_command_is_stopped_and_goes_on_as_at_any_terminal(desk: Desk) -> None:
    desk.seat.type("sleep 60\n")
    time.sleep(1)
    desk.seat.type("\x1a")
    desk.seat.wait_for(b"Stopped")
    desk.seat.wait_for(PROMPT)
    desk.seat.type("fg\n")
    time.sleep(0.5)
    desk.seat.type("\x03")
    desk.seat.wait_for(PROMPT)
    assert "code=130" in desk.does("echo code=$?")
    desk.leave()


def test_where_nothing_is_recorded_any_more_the_shell_ends(desk: Desk) -> None:
    found = [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()]
    [client] = [one for one in found if _is_client(one, desk.seat.pid)]
    for recorder in [one for one in found if _is_client(one, client)]:
        os.kill(recorder, signal.SIGKILL)
    desk.seat.type("ls\n")
    desk.seat.wait_for(b"Nothing is recorded any more, so the shell has ended.")


def test_who_waits_may_give_up(house: House, desk: Desk) -> None:
    desk.seat.type("touch later.txt\n")
    desk.seat.wait_for(b"waiting for")
    desk.seat.type("\x03")
    desk.seat.wait_for(PROMPT)
    desk.leave()
    [command] = house.newest()["commands"]
    assert command["state"] in {"cancelled", "pending"}


def test_a_client_that_is_killed_leaves_a_recording_that_broke_off(house: House, desk: Desk) -> None:
    desk.does("echo before the end")
    desk.seat.type("sleep 60\n")
    until = time.monotonic() + 20
    while not [one for one in house.newest()["commands"] if one["started_ms"] is not None]:
        assert time.monotonic() < until
        time.sleep(0.1)
    found = [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()]
    victims = [one for one in found if _is_client(one, desk.seat.pid)]
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    assert victims
    while (view := house.newest())["state"] == "live":
        assert time.monotonic() < until + 20
        time.sleep(0.1)
    assert view["state"] == "broken"
    shown = "".join(text for _, kind, text in house.cast(view["id"])[1:] if kind == "o")
    assert shown.endswith("sleep 60\r\n\x1b[?2004l\r")


def test_a_line_that_moves_is_kept_when_client_and_recorder_are_killed(house: House, desk: Desk) -> None:
    desk.seat.type(f"printf half; while :; do printf .; read -t .3 x; done # {SECRET[:4]}\n")
    desk.seat.wait_for(b"half" + b"." * 12)
    recording_id = house.newest()["id"]
    time.sleep(2)
    found = [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()]
    [client] = [one for one in found if _is_client(one, desk.seat.pid)]
    for victim in [client, *(one for one in found if _is_client(one, client))]:
        os.kill(victim, signal.SIGKILL)
    killed = time.monotonic()

    def shown() -> str:
        return "".join(text for _, kind, text in house.cast(recording_id)[1:] if kind == "o")

    assert "half........" in shown()  # twelve; the last four might be the beginning of a token
    while house.key.get(f"{WHERE}/recordings/{recording_id}").json()["state"] == "live":
        assert time.monotonic() < killed + SILENT_SECONDS + 2 * LISTEN_SECONDS + 5  # the rest is for a busy machine
        time.sleep(0.2)
    assert time.monotonic() > killed + SILENT_SECONDS - 12  # it may have been heard a beat before


def _is_client(pid: int, parent: int) -> bool:
    """Tell whether `pid` is the `failgate shell` that the seat started, and not what that started itself."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return int(fields[1]) == parent and b"shell" in words
