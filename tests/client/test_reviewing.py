"""F2 F19: what a review knows and does, whoever leads it."""

from pathlib import Path

import pytest

from failgate.base.errors import BadInput
from failgate.client import reviewing
from failgate.client.report_folder import reports_under, reviewed_in
from failgate.client.reviewing import Review
from tests.client.test_rewriting import archive, cast, kept, read


def test_naming_artifacts_takes_them_alone_and_counts_as_looked_at(tmp_path: Path) -> None:
    going = Review(tmp_path, kept(tmp_path, output=("output", b"x\n"), tree=("snapshot", archive(b"x"))))
    with pytest.raises(BadInput):
        going.take_only(frozenset({"nothing"}))
    going.take_only(frozenset({"tree"}))
    report = going.finish()
    assert [one.name for one in report.manifest.artifacts] == ["tree"]
    assert reviewed_in(report) == [report.manifest.artifacts[0].sha256]


def begun(root: Path) -> Review:
    return Review(
        root,
        kept(
            root,
            output=("output", b"id 7 of acme, acme\n"),
            tree=("snapshot", archive(b"acme")),
            tape=("recording", cast("ac", "me")),
        ),
    )


def test_every_step_is_taken_back_one_by_one(tmp_path: Path) -> None:
    going = begun(tmp_path)
    going.leave_out("tree")
    going.leave_out("tree")
    going.replace(["acme"])
    going.replace(patterns=["id [0-9]"])
    going.forget("acme")
    going.take_in("tree")
    assert going.changes == (frozenset(), (), ("id [0-9]",))
    steps = []
    while going.may_undo:
        going.undo()
        steps.append((sorted(going.changes.left_out), going.changes.literals, going.changes.patterns))
    assert steps == [
        (["tree"], (), ("id [0-9]",)), (["tree"], ("acme",), ("id [0-9]",)), (["tree"], ("acme",), ()), (["tree"], (), ()),
        ([], (), ()),
    ]  # fmt: skip
    with pytest.raises(BadInput):
        going.undo()


def test_what_words_would_do_is_known_before_and_comes_true(tmp_path: Path) -> None:
    going = begun(tmp_path)
    going.replace(["acme"])
    foreseen = {one.artifact.name: (one.places, one.is_lost) for one in going.items()}
    assert foreseen == {"output": (2, False), "tree": (0, True), "tape": (2, False)}, "its title too"
    assert going.totals()[:1] == (2,)
    assert [one.manifest.id for one in reports_under(tmp_path)] == [going.report.manifest.id], "nothing is written yet"
    report = going.finish()
    assert [one.name for one in report.manifest.artifacts] == ["output", "tape"]
    by_hand = {one.where: one.count for one in report.manifest.redactions if one.rule == "by-hand"}
    assert (by_hand["output"], by_hand["tape"]) == (2, 2)
    assert [one.path for one in report.manifest.noted_files] == ["tree"]


def test_a_preview_shows_what_will_stand_in_the_file(tmp_path: Path) -> None:
    going = begun(tmp_path)
    going.replace(["acme"])
    shown = list(going.preview(going.artifact("1")))[1:]
    report = going.finish()
    assert read(report, "output").decode().splitlines() == shown


def test_a_review_goes_on_with_the_report_that_it_made(tmp_path: Path) -> None:
    going = begun(tmp_path)
    going.see(going.artifact("1"))
    going.leave_out("tree")
    first = going.finish()
    assert not going.may_undo
    assert [one.is_seen for one in going.items()] == [True, False]
    assert going.finish() == first, "nothing was decided since"
    going.leave_out("tape")
    second = going.finish()
    assert second.manifest.id != first.manifest.id
    assert reviewed_in(second) == [second.manifest.artifacts[0].sha256]


def test_words_that_cannot_be_replaced_change_nothing(tmp_path: Path) -> None:
    going = begun(tmp_path)
    for literals, patterns in ((["acme", "ab"], []), ([], ["("]), ([], ["x*"])):
        with pytest.raises(BadInput):
            going.replace(literals, patterns)
    assert going.changes.is_nothing
    for number in ("", "0", "4", "x", "1" * 5000, "\u0661"):
        with pytest.raises(BadInput):
            going.artifact(number)


def test_a_large_report_is_not_read_for_each_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviewing, "COUNTED_BYTES", 10)
    going = begun(tmp_path)
    going.replace(["acme"])
    assert {one.places for one in going.items()} == {None}
    assert len(going.finish().manifest.artifacts) == 2
