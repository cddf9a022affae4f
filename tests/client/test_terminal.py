"""A command with a terminal of its own: keys, signals, sizes, and the user's terminal as it was. F1."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.seat import Seat


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    root = Path(__file__).resolve().parents[2]
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return kept | {"PYTHONPATH": str(root), "FAILGATE_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}


@pytest.fixture
def seat(environment: dict[str, str], work: Path) -> Iterator[Seat]:
    with Seat(environment, work) as seat:
        yield seat


def recording(work: Path) -> tuple[dict, list[list]]:
    (folder,) = (work / ".failgate" / "reports").iterdir()
    manifest = json.loads((folder / "manifest.json").read_bytes())
    (artifact,) = [one for one in manifest["artifacts"] if one["kind"] == "recording"]
    header, *events = (folder / artifact["sha256"]).read_text().splitlines()
    return json.loads(header), [json.loads(event) for event in events]


def code(shown: bytes) -> int:
    return int(shown.split(b"code=")[1].split()[0])


def test_a_command_has_a_terminal_with_our_size_and_keys_reach_it(seat: Seat, work: Path) -> None:
    script = "test -t 0 && test -t 1 && test -t 2 && stty size; read line; echo got-$line; exit 4"
    seat.type(f"failgate capture -- sh -c '{script}'; echo code=$?\n")
    seat.wait_for(b"30 100\r\n")
    assert not seat.is_cooked
    seat.type("hello\n")
    seat.wait_for(b"got-hello\r\n")
    assert code(seat.wait_for(b"seat> ")) == 4
    assert seat.run("stty -a | grep -cw -- echo; stty -a | grep -cw -- isig").startswith(b"1\r\n1\r\n")
    header, events = recording(work)
    assert (header["version"], header["width"], header["height"]) == (2, 100, 30)
    assert "".join(text for _, kind, text in events if kind == "o") == "30 100\r\nhello\r\ngot-hello\r\n"


def test_another_size_reaches_the_command_and_the_recording(seat: Seat, work: Path) -> None:
    script = 'trap "stty size; exit 3" WINCH; echo up; while :; do sleep 0.05; done'
    seat.type(f"failgate capture -- sh -c '{script}'; echo code=$?\n")
    seat.wait_for(b"up\r\n")
    seat.resize(61, 17)
    seat.wait_for(b"17 61\r\n")
    assert code(seat.wait_for(b"seat> ")) == 3
    assert "61x17" in [text for _, kind, text in recording(work)[1] if kind == "r"]


def test_ctrl_c_ends_the_command_and_not_us(seat: Seat, work: Path) -> None:
    seat.type("failgate capture -- sh -c 'echo up; read line'; echo code=$?\n")
    seat.wait_for(b"up\r\n")
    seat.type("\x03")
    assert code(seat.wait_for(b"seat> ")) == 130
    assert "^C" in "".join(text for _, _, text in recording(work)[1])
    assert seat.is_cooked


def test_a_command_that_handles_ctrl_c_goes_on(seat: Seat) -> None:
    script = 'trap "echo caught" INT; echo up; read a; read b; exit 6'
    seat.type(f"failgate capture -- sh -c '{script}'; echo code=$?\n")
    seat.wait_for(b"up\r\n")
    seat.type("\x03")
    seat.wait_for(b"caught\r\n")
    seat.type("a\nb\n")
    assert code(seat.wait_for(b"seat> ")) == 6


def test_ctrl_z_gives_the_shell_back_and_fg_goes_on(seat: Seat, work: Path) -> None:
    seat.type("failgate capture -- sh -c 'echo up; read line; echo got-$line; exit 4'\n")
    seat.wait_for(b"up\r\n")
    seat.type("\x1a")
    seat.wait_for(b"Stopped")
    seat.wait_for(b"seat> ")
    assert b"shell-works\r\n" in seat.run("echo shell-works")
    seat.type("fg\n")
    seat.wait_for(b"failgate")
    deadline = time.monotonic() + 60
    while seat.is_cooked and time.monotonic() < deadline:
        time.sleep(0.02)
    seat.type("again\n")
    seat.wait_for(b"got-again\r\n")
    seat.wait_for(b"seat> ")
    assert seat.run("echo code=$?").startswith(b"code=4")
    recording(work)


def test_a_program_that_prints_all_the_time_is_stopped_and_gone_on_with(seat: Seat) -> None:
    """The thread that copies once took the terminal again while the other one gave it to the shell."""
    seat.type("failgate capture -- sh -c 'while :; do echo tick; done'\n")
    for _ in range(8):
        seat.wait_for(b"tick\r\n")
        seat.type("\x1a")
        seat.wait_for(b"Stopped")
        seat.wait_for(b"seat> ")
        seat.type("fg\n")
        deadline = time.monotonic() + 60
        while seat.is_cooked and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not seat.is_cooked
    seat.type("\x03")
    seat.wait_for(b"seat> ")


def test_in_the_background_it_leaves_the_terminal_alone(seat: Seat) -> None:
    seat.type("failgate capture -- sh -c 'sleep 0.2; echo from-behind; exit 2' & wait $!; echo code=$?\n")
    seat.wait_for(b"\r\nfrom-behind")
    assert code(seat.wait_for(b"seat> ")) == 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_to_us_leaves_the_terminal_as_it_was(seat: Seat, work: Path, number: int) -> None:
    seat.type("failgate capture -- sh -c 'echo up-$PPID; exec sleep 30'; echo code=$?\n")
    leader = int(seat.wait_for(b"\r\nup-") and seat.wait_for(b"\r\n"))
    ours = int(Path(f"/proc/{leader}/stat").read_text().rpartition(")")[2].split()[1])
    assert not seat.is_cooked
    os.kill(ours, number)
    assert code(seat.wait_for(b"seat> ")) == 128 + number
    deadline = time.monotonic() + 60
    while Path(f"/proc/{leader}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{leader}").exists()
    assert seat.run("stty -a | grep -c -- ' icanon '").startswith(b"1\r\n")
    if number == signal.SIGKILL:
        assert not (work / ".failgate").exists(), "nothing half written is left"


def test_stdin_from_a_pipe_stays_that_pipe(seat: Seat, work: Path) -> None:
    shown = seat.run(
        "echo piped | failgate capture -- sh -c 'read a; echo $a; test -t 0 || echo no-keys; exit 5'; echo code=$?"
    )
    assert b"piped\r\nno-keys\r\n" in shown
    assert code(shown) == 5
    assert "piped\r\nno-keys\r\n" in "".join(text for _, _, text in recording(work)[1])


def test_pipes_on_request(seat: Seat) -> None:
    shown = seat.run("failgate capture --pipes -- sh -c 'test -t 1 || echo a-pipe; exit 5'; echo code=$?")
    assert b"a-pipe\r\n" in shown
    assert code(shown) == 5
