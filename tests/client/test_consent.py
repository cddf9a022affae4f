"""A report leaves this machine when a person at the terminal, or the settings once and for all, agreed. F2 F19"""

from pathlib import Path
from typing import Any

from tests.client.seat import Seat
from tests.client.wire_server import Wire

RUN = "failgate run -- sh -c 'echo broken >&2; exit 4'; echo code=$?\n"
QUESTION = b"as agent builder? [y/N] "


def test_a_person_at_the_terminal_is_shown_what_would_leave_and_asked(
    environment: dict[str, str], wire: Wire, work: Path
) -> None:
    del environment["FAILGATE_UPLOAD"]
    with Seat(environment, work) as seat:
        for answer in ("", "nonsense", "y"):
            wire.state = "approved"
            seat.type(RUN)
            shown = seat.wait_for(QUESTION)
            assert b"output.txt" in shown
            assert b"to workspace demo at " in shown
            assert not wire.begun
            seat.type(f"{answer}\n")
            assert b"code=4\r\n" in seat.wait_for(b"seat> ")
    assert wire.begun["consent"]["by"] == "person"
    assert wire.sealed
    assert len(list((work / ".failgate" / "reports").iterdir())) == 3


def test_the_settings_agree_once_and_for_all_and_the_environment_goes_before_them(
    failgate: Any, environment: dict[str, str], wire: Wire
) -> None:
    home = Path(environment["FAILGATE_HOME"])
    home.mkdir()
    (home / "client.toml").write_text('upload = "always"\n')
    assert failgate("run", "--", "false").returncode == 1  # FAILGATE_UPLOAD says never
    assert not wire.begun
    del environment["FAILGATE_UPLOAD"]
    wire.state = "approved"
    assert failgate("run", "--", "false").returncode == 1
    assert wire.begun["consent"]["by"] == "standing"
