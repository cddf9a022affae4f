"""Output as plain text: nothing that a terminal would obey is left, in whatever chunks it came."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from failgate.client.plain_text import PlainText

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
fragments = st.sampled_from(
    ["text ", "é", "\n", "\r\n", "\r", "\t", "\x1b[1;31m", "\x1b[", "\x1b]0;title\x07", "\x1b]52;c;QQ==\x1b\\", "\x1b]8;;",
     "\x1bP1$r\x1b\\", "\x1b", "\x07", "\x9b31m", "\x90q\x9c", "\x1b(B", "\x1bc", "\x00", "\x1b_x\x1b\\", "\x18"]
)  # fmt: skip


def plain(chunks: list[bytes]) -> str:
    text = PlainText()
    return b"".join([*(text.feed(chunk) for chunk in chunks), text.finish()]).decode()


@example(["text ", "\x1b[", "\x1b[", "text "], [1, 1, 8])  # what two sequences leave behind is not a third one
@given(st.lists(fragments, max_size=30), st.lists(st.integers(1, 9), min_size=1, max_size=60))
def test_chunks_make_no_difference_and_no_control_is_left(parts: list[str], sizes: list[int]) -> None:
    content = "".join(parts).encode()
    chunks, at, number = [], 0, 0
    while at < len(content):
        size = sizes[number % len(sizes)]
        chunks.append(content[at : at + size])
        at, number = at + size, number + 1
    whole = plain([content])
    assert plain(chunks) == whole
    assert not CONTROLS.search(whole)


@given(st.binary(max_size=200))
def test_any_bytes_become_text(content: bytes) -> None:
    assert not CONTROLS.search(plain([content]))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a\x1b]0;evil title\x07b", "ab"),
        ("a\x1b]52;c;c2VjcmV0\x1b\\b", "ab"),
        ("a\x1bP+q544e\x1b\\b", "ab"),
        ("\x1b[1mbold\x1b[0m", "bold"),
        ("50 %\r100 %\r\ndone\n", "50 %\n100 %\ndone\n"),
        ("a\x1b]0;never ended", "a]0;never ended"),
    ],
)
def test_what_a_terminal_would_obey_is_gone_and_all_text_stays(given: str, kept: str) -> None:
    assert plain([given.encode()]) == kept


def test_a_string_without_end_hides_nothing_for_long() -> None:
    text = PlainText()
    shown = text.feed(b"\x1b]0;") + b"".join(text.feed(b"x" * 4096) for _ in range(40))
    assert b"x" * 4096 in shown
