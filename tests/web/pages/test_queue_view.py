from typing import Any

from failgate.base.clock import to_rfc3339
from failgate.gate.ladder import Taken
from failgate.web.pages.queue_view import (
    LISTED,
    QueueView,
    command_page_view,
    commands_view,
    in_turn,
    pulse_of,
    queue_view,
    timeline_of,
)
from failgate.web.pages.text import microseconds

ME = "mara@acme.example"


def queue(waiting: list[Any], decided: list[Any], selected: Any, now_us: int, *, is_chosen: bool = False) -> QueueView:
    return queue_view(
        waiting, decided, selected,
        now_us=now_us, standing="vote", viewer=ME, is_chosen=is_chosen, is_full=False, report_id=None,
        server_url="http://127.0.0.1:8440",
    )  # fmt: skip


def test_a_phone_shows_the_list_until_a_request_is_chosen(make_command: Any, now_us: int) -> None:
    command = make_command(["ls"])
    assert queue([command], [], None, now_us).pane == "list"
    assert queue([command], [], command, now_us, is_chosen=True).pane == "detail"


def test_without_a_choice_the_first_of_the_list_is_shown(make_command: Any, now_us: int) -> None:
    view = queue([make_command(["ls"])], [], None, now_us)
    assert view.selected is not None
    assert view.selected.id == view.waiting[0].id


def test_an_empty_queue_selects_nothing(now_us: int) -> None:
    assert queue([], [], None, now_us).selected is None


def test_the_chart_counts_only_what_people_answered(make_command: Any) -> None:
    by_people = make_command(["ls"], state="denied", verdict="deny", votes=[(ME, "deny")])
    by_policy = make_command(["ls"], state="approved", verdict="approve", by=[])
    pulse = pulse_of([by_people, by_policy])
    assert (pulse.decided, pulse.median) == (1, "16.0 s")
    assert pulse.spark.bars[0].is_bad


def test_the_history_keeps_its_filter_from_page_to_page(make_command: Any, now_us: int) -> None:
    view = commands_view([make_command(["ls"])], "x1", slug="acme", state="denied", now_us=now_us, viewer=ME)
    assert view.next_href == "/w/acme/commands?state=denied&after=x1"
    assert [choice.label for choice in view.choices if choice.is_current] == ["Denied"]


def test_the_story_of_a_failure_is_told_in_order(make_command: Any, now_us: int) -> None:
    command = make_command(["ls"], state="executed", verdict="approve", votes=[(ME, "approve")], outcome=2)
    view = command_page_view(
        command, now_us=now_us, standing="vote", viewer=ME, is_full=False, report_id=None, may_read_audit=True
    )
    headlines = [step.headline for step in view.timeline]
    assert headlines == ["Asked", f"{ME} approved", "Approved", "Failed with exit code 2"]
    assert [step.at.us for step in view.timeline] == sorted(step.at.us for step in view.timeline)


def test_steps_of_the_ladder_stand_where_they_were_taken(make_command: Any, now_us: int) -> None:
    """B6: between the question and the decision, whatever the order in which they are read."""
    command = make_command(["make"], state="approved", votes=[("ann@acme.example", "approve")])
    asked = microseconds(command.created_at)
    steps = [
        Taken(name, number, number, to_rfc3339(asked + number * 10)) for name, number in (("oncall", 1), ("leads", 2))
    ]
    told = timeline_of(command, now_us, steps)
    assert [step.headline for step in told][:3] == ["Asked", "Nobody decided: oncall", "Nobody decided: leads"]
    assert [step.detail for step in told][1:3] == ["1 person was told, step 1", "2 people were told, step 2"]
    assert timeline_of(command, now_us)[1].headline.startswith("ann@acme.example")


def test_a_flood_of_one_agent_leaves_the_others_where_they_were(make_command: Any, now_us: int) -> None:
    flood = [make_command(["x", str(number)], id=f"flood-{number:03}", agent="noisy") for number in range(300)]
    quiet = make_command(["deploy"], id="quiet", agent="quiet")
    view = queue([*flood, quiet], [], None, now_us)
    assert "quiet" in [row.id for row in view.waiting[:2]]
    assert (len(view.waiting), view.unlisted, view.count) == (LISTED, 301 - LISTED, 301)


def test_what_is_alike_is_one_row_and_the_next_stands_in_when_it_is_decided(make_command: Any) -> None:
    same = [make_command(["x"], id=f"same-{number}") for number in range(3)]
    alike = {one.id: "k" for one in same}
    [(first, others)] = in_turn(same, alike)
    assert (first.id, others) == ("same-0", 2)
    assert [(one.id, more) for one, more in in_turn(same[1:], alike)] == [("same-1", 1)]
    assert len(in_turn(same, {})) == 3
