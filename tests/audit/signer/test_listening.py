"""The socket: strict, bounded, for its peers alone. B10"""

import json
import os
import signal
import socket
import stat
import time

import pytest

from failgate.audit.signer import listening as room
from failgate.audit.signer.listening import listening
from failgate.audit.signer.messages import MOST_HEADS, QUESTION_BYTES
from failgate.base.errors import StartRefused
from tests.audit.signer.conftest import WS
from tests.signers import Program


def said(program: Program, octets: bytes, *, is_ended: bool = True) -> dict:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(program.socket))
        try:
            connection.sendall(octets)
            if is_ended:
                connection.shutdown(socket.SHUT_WR)
        except BrokenPipeError:
            pass
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return json.loads(answer)


def ask(program: Program, **members) -> dict:
    return said(program, json.dumps(members).encode() + b"\n")


def head(**members) -> dict:
    return {"log": WS, "size": 1, "root": "A" * 43 + "=", "old": 0, "proof": []} | members


def test_it_says_who_signs_and_signs(program):
    known = ask(program, ask="identity")["known"]
    assert (known["public"], known["origin"]) == (program.public.hex(), program.moved.origin)
    [outcome] = ask(program, ask="sign", heads=[head()])["signed"]["outcomes"]
    assert outcome["note"].startswith(f"{known['origin']}/log/{WS}\n1\n")
    [kept] = ask(program, ask="heads")["page"]["heads"]
    assert (kept["log"], kept["size"]) == (WS, 1)


MALFORMED = [
    b"\n",
    b"\xff\xfe\n",
    b"[]\n",
    b"null\n",
    b'{"ask": "key"}\n',
    b'{"ask": "identity", "more": 1}\n',
    b'{"ask": "heads", "after": 7}\n',
    b'{"ask": "hand_over", "to": "../../audit.key"}\n',
    b"[" * 100_000 + b"\n",
    *(
        json.dumps({"ask": "sign", "heads": heads}).encode() + b"\n"
        for heads in (
            [],
            [head()] * (MOST_HEADS + 1),
            [head(size=-1)],
            [head(size=2**63)],
            [head(size=1.5)],
            [head(size="1")],
            [head(old=-1)],
            [head(root="AA==")],
            [head(proof=["AA=="])],
            [head(proof=["A" * 43 + "="] * 65)],
            [head(log="")],
            [head(log="../system")],
            [head(log="a" * 65)],
            [head(log="system\n5")],
            [head(extra=1)],
            [{"log": WS}],
        )
    ),
]


def test_what_is_malformed_is_told_so_and_nothing_is_signed(program):
    for octets in MALFORMED:
        assert "malformed" in said(program, octets)["refusal"]["sentence"], octets[:200]
    assert ask(program, ask="heads")["page"]["heads"] == []


def test_what_is_too_long_or_too_slow_keeps_nobody_waiting(program):
    for octets in (b"x" * (QUESTION_BYTES + 100_000), b"x" * QUESTION_BYTES + b"y\n", b"{"):
        assert "too long, too slow" in said(program, octets)["refusal"]["sentence"]
    began = time.monotonic()
    slow = socket.socket(socket.AF_UNIX)
    slow.connect(str(program.socket))
    slow.sendall(b'{"ask":')
    assert ask(program, ask="identity")["known"]
    assert time.monotonic() - began < room.PATIENCE_SECONDS + 10
    slow.close()


def test_who_is_no_peer_is_told_so_alone(tmp_path):
    program = Program(tmp_path / "signer").start("--peer", str(os.geteuid() + 4242))
    try:
        assert "may not ask" in ask(program, ask="identity")["refusal"]["sentence"]
        assert list(ask(program, ask="sign", heads=[head()])) == ["refusal"]
        assert stat.S_IMODE(program.socket.stat().st_mode) == 0o666  # for the peer; the kernel says who it is
    finally:
        program.kill()


def test_its_own_account_alone_reaches_it_without_a_peer(program):
    assert stat.S_IMODE(program.socket.stat().st_mode) == 0o600


def test_it_ends_at_a_signal_and_begins_over_a_socket_that_a_kill_left(program):
    program.kill()
    assert program.socket.exists()
    program.start()
    assert ask(program, ask="identity")["known"]
    assert program.end(signal.SIGTERM) == 0
    assert not program.socket.exists()


def test_a_place_that_is_another_s_is_refused(program, tmp_path):
    for path, says in (
        (program.socket, "listens at"),
        (tmp_path / "file", "is no socket"),
        (tmp_path / ("long" * 40), "longer than"),
        (tmp_path / "none" / "s", "Nothing can listen"),
        (tmp_path / "open" / "s", "could put a socket"),
    ):
        (tmp_path / "file").touch()
        (tmp_path / "open").mkdir(exist_ok=True)
        (tmp_path / "open").chmod(0o777)
        with pytest.raises(StartRefused, match=says), listening(path, is_for_others=False):
            pass
    assert ask(program, ask="identity")["known"]


def test_a_disk_that_fails_ends_it_and_the_next_start_goes_on(program, tmp_path):
    program.kill()
    code = """
import sqlite3
from failgate.audit.signer import ledger
def fail(self, one):
    error = sqlite3.OperationalError("disk I/O error"); error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    raise error
ledger.Ledger._judge = fail
"""
    program.start(code=code)
    assert "disk I/O" in ask(program, ask="sign", heads=[head()])["refusal"]["sentence"]
    assert program.ended() != 0
    program.start()
    assert ask(program, ask="sign", heads=[head()])["signed"]["outcomes"][0]["note"]
