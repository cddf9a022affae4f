"""Recordings as frames; hostile ones stay bounded in time and memory."""

import json
import random
import re
import time
import tracemalloc

import pytest

from failgate.web.playback import MOST_FRAMES, play

CLASS = re.compile(r"(?:f\d\d?|b\d\d?|front|back|bold|italic|under|strike)(?: |$)")


def cast(*events, width=40, height=10):
    header = {"version": 2, "width": width, "height": height}
    return "\n".join(json.dumps(one) for one in (header, *events)).encode()


def shown(content):
    played = play(content)
    assert played is not None
    return ["".join(text for text, _ in row) for row in played.screen]


def test_the_screen_is_what_a_terminal_shows():
    played = play(cast([0.0, "o", "one\r\n"], [0.5, "o", "\x1b[31mtwo\x1b[0m\x1b[1A\x1b[2K\rnew"], [99.0, "o", "er"]))
    assert [row for row in played.screen if row] == [(("newer", ""),), (("two", "f1"),)]
    assert [frame.at_ms for frame in played.frames] == [0, 500, 2500], "a long pause is short"
    assert played.frames[1].rows == {0: [("new", "")], 1: [("two", "f1")]}
    assert json.loads(played.document())["frames"][0] == [0, {"0": [["one", ""]]}]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b]0;title\x07a", "a"),
        ("\x1b]52;c;ZXZpbA==\x1b\\a", "a"),
        ('\x1bP$q"p\x1b\\a', "a"),
        ("\x9d0;title\x9ca", "a"),
        ("\x1b_apc\x1b\\\x1b^pm\x1b\\a", "a"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\u202eb\u200bc", "abc"),
        ("a" + "\u0301" * 9000 + "b", "\u00e1b"),
        ("\x1b[?3h\x1b[999999999Cx\ry", "y"),
        ("\x1b[c\x1b[6n\x1b[>ca", "a"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
)
def test_nothing_outside_of_the_screen_is_obeyed(text, seen):
    assert shown(cast([0, "o", text]))[0] == seen


def test_a_string_that_is_split_between_events_is_still_one():
    assert shown(cast([0, "o", "a\x1b]52;c;ZX"], [0.1, "o", "Zpb\x07b"]))[0] == "ab"


PIECES = ["\x1b[999999999b", "\x1b[999999999L", "\x1b[999999999@", "\x1b[1;999999999r", "\x1b[?3h", "\x1b[?3l", "\x1b#8",
          "\x1b[9;9H", "x", "\u6f22", "\x1b[38;2;1;2;3m", "\x1b[48;5;200m", "\x1b[7m", "\x1b" + "[" + "1;" * 4000 + "m", "\x1b[",
          "\x1b]", "\x1bP", "\x1bc", "\x1b7", "\x1b[?1049h", "\t", "\n" * 50, "\x1bM" * 50, "\x84", "\x0e", "\x1b(0", "\U0001f600"]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES, ids=ascii)
def test_a_hostile_repetition_is_bounded(piece, monkeypatch):
    monkeypatch.setattr("failgate.web.playback.MOST_SECONDS", 0.3)
    count = 200_000 // len(piece)
    content = cast(*([at / 100, "o", piece * 50] for at in range(count // 50)), width=10**9, height=10**9)
    tracemalloc.start()
    began = time.monotonic()
    played = play(content)
    took = time.monotonic() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert played is not None
    assert took < 5  # the memory is traced, which is slow, and the machine may be busy
    assert peak < 96 * 1024 * 1024
    assert len(played.frames) <= MOST_FRAMES + 1
    assert (played.columns, played.rows) == (200, 60)


def test_random_sequences_give_only_known_classes_and_visible_text():
    chance = random.Random(7)  # a fixed sequence is wanted
    for _ in range(60):
        events = [[at / 20, "o", "".join(chance.choices(PIECES, k=20))] for at in range(20)]
        played = play(cast(*events))
        assert played is not None
        for frame in played.frames:
            for number, row in frame.rows.items():
                assert 0 <= number < 10
                for text, style in row:
                    assert all(one == " " or one.isprintable() for one in text)
                    assert CLASS.sub("", style) == ""
        again = {number: row for frame in played.frames for number, row in frame.rows.items()}
        assert all(again.get(number, []) == list(row) for number, row in enumerate(played.screen))


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"version": 3}', b"\xff\xfe", b"[" * 100_000, b'null\n[0,"o","x"]']
)
def test_what_is_no_recording_is_not_played(content):
    assert play(content) is None


@pytest.mark.parametrize(
    "event", ["[]", "[1]", '[null,"o","x"]', '[-1,"o","x"]', '[1e400,"o","x"]', "nonsense", '[NaN,"o","x"]']
)
def test_an_event_that_cannot_be_read_is_passed_over(event):
    content = cast([0, "o", "a"]) + b"\n" + event.encode() + b"\n" + json.dumps([1, "o", "b"]).encode()
    assert shown(content)[0].startswith("a")
    assert shown(content)[0].endswith("b")
