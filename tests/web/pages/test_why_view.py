import pytest

from failgate.base.errors import BadInput, FailgateError, TooLarge
from failgate.web.pages.why_view import MAX_CHARACTERS, answer_view, command_of, words_of
from failgate.wire.gate import Explanation, Finding, Risk


def typed(command: str, written: str = "shell", folder: str = "", host: str = "") -> dict[str, str]:
    return {"command": command, "written": written, "folder": folder, "host": host, "agent": ""}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("git status --short", ["git", "status", "--short"]),
        ('rm -rf "old build"\r\n', ["rm", "-rf", "old build"]),
        ("grep -e 'a && b' x", ["grep", "-e", "a && b", "x"]),
        ("rm \u202etxt.exe", ["rm", "\u202etxt.exe"]),
    ],
)
def test_a_line_of_one_plain_command_is_its_words(line: str, words: list[str]) -> None:
    assert words_of(typed(line)) == (words, False)


@pytest.mark.parametrize(
    "line",
    [
        "make && make install",
        "echo $HOME",
        "rm *.o",
        "A=1 make",
        "ls >out",
        "ls\nrm x",
        "for x in y",
        "echo `id`",
        "#x",
    ],
)
def test_a_line_of_which_a_shell_makes_more_is_judged_as_a_line(line: str) -> None:
    """Split by its blanks it would be a harmless program with odd arguments."""
    assert words_of(typed(line)) == (["bash", "-c", line], True)


def test_one_word_a_line_is_taken_as_it_is() -> None:
    assert words_of(typed("sh\r\n-c\r\n\r\necho 'x\r\n", "lines")) == (["sh", "-c", "", "echo 'x"], False)


@pytest.mark.parametrize(
    ("given", "kind", "says"),
    [
        (typed(""), BadInput, "No command"),
        (typed(" \r\n\t"), BadInput, "No command"),
        (typed("", "lines"), BadInput, "No command"),
        (typed('rm "a b'), BadInput, "quote that is not closed"),
        (typed("rm a\\"), BadInput, "backslash"),
        (typed("rm a\0b"), BadInput, "NUL"),
        (typed("rm\na\0b", "lines"), BadInput, "NUL"),
        (typed("ls", "morse"), BadInput, "how the command is written"),
        (typed("x" * (MAX_CHARACTERS + 1)), TooLarge, "limit is 16384"),
    ],
)
def test_what_is_no_command_is_refused_by_name(given: dict[str, str], kind: type[FailgateError], says: str) -> None:
    with pytest.raises(kind, match=says) as refused:
        command_of(given)
    assert refused.value.hint


def test_without_folder_and_host_the_plainest_are_asked_about() -> None:
    assert command_of(typed("ls")) == ({"v": 1, "argv": ["ls"], "cwd": "/", "env": {}, "host": "localhost"}, False)
    command, _ = command_of(typed("ls", folder=" /srv ", host="ci-7"))
    assert (command["cwd"], command["host"]) == ("/srv", "ci-7")


def test_the_answer_says_who_said_what_and_what_an_approval_takes() -> None:
    said = Explanation(
        "ask", [Finding("risk", "ask", "high", 1, 85, ["removes files"])], "two people", 2, Risk(85, ["removes files"]),
        "two", ["1 of lead"], 3, 600, 60, ["oncall after 30 s"],
    )  # fmt: skip
    command, is_line = command_of(typed("rm \u202ex"))
    view = answer_view(command, said, "bot", is_line=is_line)
    assert (view.kind, view.headline, view.risk, view.unusual) == ("wait", "People would be asked", 85, 1)
    assert any("RLO" in part.text for token in view.tokens for part in token.head if part.is_unusual)
    assert dict(view.terms) == {
        "Approvals": "2 people",
        "Among them": "1 of lead",
        "Each takes": "the name of the host, typed, and a second factor of the last five minutes, of two people",
        "Ends it": "3 denials",
        "Time to decide": "10 min at most",
        "Time to use": "60 s at most",
        "Told meanwhile": "oncall after 30 s",
    }
    assert answer_view(command, Explanation("allow", []), "you", is_line=False).terms == ()
