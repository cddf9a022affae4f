from typing import Any

from failgate.web.pages.history_view import SHOWN, Beside, history_view
from failgate.web.pages.token_view import TOKEN_LIMIT
from failgate.wire.history import CommandChange, CommandHistory, ComparedCommand


def beside(command: Any, *changes: CommandChange, is_same: bool = False, **reports: str) -> Beside:
    history = CommandHistory(2, 1, 1, 0, 1, [command], ComparedCommand(command, is_same, list(changes)))
    return Beside(history, {command.id: "r"} if reports else {})


def test_counts_and_the_last_end_are_said(make_command: Any, now_us: int) -> None:
    past = make_command(["make"], state="executed", verdict="approve", outcome=2)
    view = history_view(beside(past, is_same=True, report="r"), now_us)
    assert view.sentence == "Asked 2 times before: approved 1, denied 1. Of 1 that ran, 1 failed."
    assert (view.rows[0].word, view.rows[0].exit_code, view.rows[0].report_id) == ("failed", 2, "r")
    assert view.compared is not None
    assert view.compared.headline == "The same call as m@a.example approved"


def test_what_differs_is_shown_inert_and_marked_by_place(make_command: Any, now_us: int) -> None:
    past = make_command(["make"], state="approved", verdict="approve")
    changes = [CommandChange("token", "main", "ma\u202ein", 1), CommandChange("variable", None, "1", name="CI")]
    view = history_view(beside(past, *changes), now_us).compared
    assert view is not None
    assert view.places == {1}
    assert [one.label for one in view.changes] == ["Token 2", "Variable CI"]
    assert any(part.is_unusual for part in view.changes[0].now)
    assert view.changes[1].before == ()


def test_of_long_texts_the_part_that_differs_is_shown(make_command: Any, now_us: int) -> None:
    past = make_command(["sh"], state="approved", verdict="approve")
    same = "x" * 5 * TOKEN_LIMIT
    rows = [CommandChange("token", f"{same}OLD{same}", f"{same}NEW{same}", 1)] * (SHOWN + 2)
    view = history_view(beside(past, *rows), now_us).compared
    assert view is not None
    assert view.more == 2
    assert "NEW" in "".join(part.text for part in view.changes[0].now)
    assert "OLD" in "".join(part.text for part in view.changes[0].before)


def test_what_was_never_asked_says_so(now_us: int) -> None:
    view = history_view(Beside(CommandHistory(0, 0, 0, 0, 0, [], None)), now_us)
    assert view.sentence.startswith("Nobody was asked for this before")
    assert view.compared is None
