"""Output as text."""

import pytest

from failgate.failure.plain import without_escapes


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]52;c;ZXZpbA==\x1b\\text", "text"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ('\x1bP$q"p\x1b\\text', "text"),
        ("\x1b_apc\x1b\\text", "text"),
        ("\x9b31mred", "red"),
        ("\x1b[2J\x1b[Hhome", "home"),
        ("10%\r50%\r100%", "100%"),
        ("abX\bc", "abc"),
        ("line\r\nnext", "line\nnext"),
        ("\x1b]0;never ended", ""),
    ],
)
def test_output_keeps_nothing_that_a_terminal_obeys(raw: str, shown: str) -> None:
    assert without_escapes(raw) == shown
