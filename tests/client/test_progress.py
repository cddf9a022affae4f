"""How far an upload is."""

import io

from failgate.client.progress import Progress, size_text


def test_on_a_terminal_one_line_is_written_over_and_leaves_nothing_behind() -> None:
    stream = io.StringIO()
    progress = Progress(1000, stream=stream, is_terminal=True)
    progress.begin("output\x1b[2J.txt", 1000)
    progress.sent(500)
    progress.done(1000)
    progress.close()
    text = stream.getvalue()
    assert "\n" not in text
    assert "\x1b[2J" not in text
    assert "100%" in text
    assert text.endswith("\r\x1b[K")


def test_elsewhere_a_line_stands_for_each_artifact() -> None:
    stream = io.StringIO()
    progress = Progress(3 << 20, stream=stream, is_terminal=False)
    for name in ("a", "b"):
        progress.begin(name, 1 << 20)
        progress.sent(1 << 20)
        progress.done(1 << 20)
    progress.again(2.0, "The server did not answer.")
    progress.close()
    assert stream.getvalue().splitlines() == [
        "failgate: a is uploaded, 1.0 MiB",
        "failgate: b is uploaded, 1.0 MiB",
        "failgate: The server did not answer. Trying again in 2 s; what arrived stays.",
    ]


def test_silence_is_silent_and_nothing_is_all_of_nothing() -> None:
    stream = io.StringIO()
    for progress in (Progress(0, stream=stream, is_terminal=True, is_silent=True),):
        progress.begin("x", 0)
        progress.done(0)
        progress.again(1, "x")
        progress.close()
    assert stream.getvalue() == ""
    assert [size_text(size) for size in (0, 1023, 1024, 5 << 30)] == ["0 B", "1023 B", "1.0 KiB", "5.0 GiB"]
