"""Which records an exporter gets. B11"""

import pytest

from failgate.audit.exporter import ExportedRecord
from failgate.audit.sieve import Sieve
from tests.audit.conftest import WS

DENIED = ExportedRecord(WS, 0, b'{"act":"command.denied","data":{"act":"session.opened"}}')
OPENED = ExportedRecord("system", 0, b'{"act":"session.opened"}')


@pytest.mark.parametrize(
    ("sieve", "admits"),
    [
        (Sieve(), (True, True)),
        (Sieve(acts=("command.*",)), (True, False)),
        (Sieve(acts=("command.denied",)), (True, False)),
        (Sieve(acts=("command",)), (False, False)),
        (Sieve(acts=()), (False, False)),
        (Sieve(without=("session.*",)), (True, False)),
        (Sieve(acts=("command.*",), without=("command.den*")), (False, False)),
        (Sieve(logs=("system",)), (False, True)),
        (Sieve(logs=("workspaces",)), (True, False)),
        (Sieve(logs=(WS,)), (True, False)),
        (Sieve(logs=(WS, "system")), (True, True)),
    ],
)
def test_acts_and_logs_decide(sieve: Sieve, admits: tuple[bool, bool]) -> None:
    assert (sieve.admits(DENIED), sieve.admits(OPENED)) == admits


@pytest.mark.parametrize("leaf", [b"", b"{", b"[]", b'{"act":1}', b"\xff"])
def test_what_cannot_be_read_is_never_left_out(leaf: bytes) -> None:
    assert Sieve(acts=("command.*",)).admits(ExportedRecord(WS, 0, leaf))


def test_what_names_no_act_is_found() -> None:
    assert Sieve(("command.*", "comand.*"), ("session.open",)).unknown_acts() == ["comand.*", "session.open"]
