"""The process beside a recorded shell: nothing leaves that holds a secret, and nothing is lost when the shell is killed."""

import json
import os
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failgate.client import recorder
from failgate.client.answer import Lost
from failgate.client.http import Api
from failgate.client.recorder import Recording, Sending, Tap
from failgate.redaction import Scanner, redact_bytes

SECRET = b"ghp_R4nD0mR4nD0mR4nD0mR4nD0mR4nD0mR4nD0m"
KEY = b"-----BEGIN RSA PRIVATE KEY-----\r\n" + b"MIIEowIBAAKCAQEA7Zz3\r\n" * 20 + b"-----END RSA PRIVATE KEY-----\r\n"
BEGUN = {"width": 80, "height": 24, "host": "build-1", "began_at": "2026-01-02T03:04:05Z"}


class Kept(Sending):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.ending: list[int | None] = []

    def start(self) -> None:
        """Send nothing anywhere."""

    def send(self, content: bytes) -> None:
        """Keep the chunk."""
        self.chunks.append(content)

    def be_heard(self) -> None:
        """Nobody listens."""

    def end(self, exit_code: int | None) -> None:
        """Keep how it ended."""
        self.ending.append(exit_code)

    @property
    def events(self) -> list[list[Any]]:
        """All lines after the header."""
        assert all(chunk.endswith(b"\n") for chunk in self.chunks)
        return [json.loads(line) for line in b"".join(self.chunks).split(b"\n")[1:-1]]

    @property
    def shown(self) -> str:
        """All that was shown."""
        return "".join(text for _, kind, text in self.events if kind == "o")


class Taped:
    """A recording in a thread, and its tap."""

    def __init__(self) -> None:
        self.kept = Kept()
        reading, self.writing = os.pipe()
        self.tap = Tap(self.writing)
        self._thread = threading.Thread(target=Recording(reading, self.kept, Scanner(), BEGUN).run)
        self._thread.start()

    def end(self, exit_code: int | None = 0) -> Kept:
        """End it, or let it break off; return what was kept."""
        if exit_code is None:
            os.close(self.writing)
        else:
            self.tap.finish(exit_code)
        self._thread.join(10)
        assert not self._thread.is_alive()
        return self.kept


def taped(pieces: Sequence[bytes], exit_code: int | None = 0) -> Kept:
    """Return what is kept of `pieces`."""
    one = Taped()
    for piece in pieces:
        one.tap.write(piece)
    return one.end(exit_code)


def until(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@settings(max_examples=60)
@given(st.lists(st.integers(1, 120), max_size=12), st.booleans())
def test_what_leaves_is_what_redaction_makes_of_the_whole_however_it_came(cuts: list[int], is_killed: bool) -> None:
    whole = b"$ export T=" + SECRET + b"\r\n" + KEY + "caf\u00e9 \u20ac\r\nlast ".encode() + SECRET[:9]
    pieces, at = list[bytes](), 0
    for cut in cuts:
        pieces.append(whole[at : at + cut])
        at += cut
    kept = taped([*pieces, whole[at:]], None if is_killed else 3)
    clean, _ = redact_bytes(whole, Scanner())
    shown = kept.shown
    assert SECRET.decode() not in shown
    assert "MIIEowIBAAKCAQEA7Zz3" not in shown
    assert len(shown) == len(clean.decode())  # tags differ by their key alone
    assert kept.ending == [None if is_killed else 3]


def test_all_goes_but_a_secret_that_is_being_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "SEND_SECONDS", 0.05)
    one = Taped()
    one.tap.write(b"whole\r\n$ export T=" + SECRET[:12])
    until(lambda: one.kept.shown == "whole\r\n$ export T=")
    time.sleep(0.25)
    one.tap.write(SECRET[12:] + b"\r\n")
    until(lambda: one.kept.shown.endswith("]\r\n"))
    assert SECRET[:12].decode() not in one.kept.shown
    assert one.end().shown.count("\r\n") == 2


def test_a_line_without_an_end_goes_within_a_second_and_while_it_moves() -> None:
    one = Taped()
    began = time.monotonic()
    one.tap.write(b"\x1b[2K\rPassword: ")
    until(lambda: one.kept.shown == "\x1b[2K\rPassword: ")
    assert time.monotonic() - began < 3  # a second, and what a busy machine adds
    for place in range(12):
        one.tap.write(b"\r\x1b[K 4%d%% ." % place)
        time.sleep(0.1)
    assert "41%" in one.kept.shown
    assert one.end().shown == "\x1b[2K\rPassword: " + "".join(f"\r\x1b[K 4{place}% ." for place in range(12))


@settings(max_examples=3, deadline=None)
@given(st.lists(st.floats(0, 0.15), min_size=len(SECRET), max_size=len(SECRET)))
def test_a_secret_printed_character_by_character_never_leaves(pauses: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "SEND_SECONDS", 0.02)
        patch.setattr(recorder, "_QUIET_SECONDS", 0.01)
        one = Taped()
        one.tap.write(b"half ")
        for place, pause in enumerate(pauses):
            one.tap.write(SECRET[place : place + 1])
            time.sleep(pause)
            assert one.kept.shown in {"", "half "}
        one.tap.write(b" done")
        shown = one.end().shown
    assert shown.startswith("half [redacted:")
    assert shown.endswith("] done")
    assert SECRET[:6].decode() not in shown


def test_a_key_that_is_written_slowly_is_not_cut_in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "SEND_SECONDS", 0.05)
    one = Taped()
    for line in KEY.splitlines(keepends=True)[:4]:
        one.tap.write(line)
        time.sleep(0.06)
    assert "MIIE" not in one.kept.shown
    one.tap.write(b"".join(KEY.splitlines(keepends=True)[4:]))
    assert "MIIE" not in one.end().shown


def test_sizes_and_markers_stand_where_they_happened_and_hold_no_secret() -> None:
    one = Taped()
    one.tap.write(b"a\r\n", at_us=0)
    one.tap.mark(f"asked 1 echo {SECRET.decode()}")
    one.tap.write(b"b\r\n")
    one.tap.resized(100, 30)
    one.tap.write(b"c\r\n")
    events = one.end().events
    assert [(kind, text[:6]) for _, kind, text in events] == [
        ("o", "a\r\n"), ("m", "asked "), ("o", "b\r\n"), ("r", "100x30"), ("o", "c\r\n"),
    ]  # fmt: skip
    assert [at for at, _, _ in events] == sorted(at for at, _, _ in events)
    assert SECRET.decode() not in str(events)


def test_much_goes_in_chunks_of_their_size() -> None:
    kept = taped([b"0123456789abcdef" * 255 + b"\r\n"] * 300)
    assert len(kept.chunks) > 3
    assert max(map(len, kept.chunks)) < 2 * recorder.CHUNK_BYTES
    assert len(kept.shown) == 300 * (16 * 255 + 2)


class Gone(Api):
    """A server that is there no more."""

    def __init__(self) -> None:
        self.asked = 0

    def call(self, *_: Any, **__: Any) -> Any:
        """Answer nothing."""
        self.asked += 1
        raise Lost("gone")

    put_file = call


def test_a_shell_that_has_ended_leaves_no_process_that_waits_for_a_server_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder, "LAST_SECONDS", 0.5)
    api = Gone()
    sending = Sending(api, "/recordings", {"id": "r", "chain": "00" * 32})
    sending.start()
    sending.send(b"the last words")
    with pytest.raises(Lost):
        sending.end(0)
    assert api.asked > 1
