"""F2 F19: the review led by keys at the terminal."""

import io
from pathlib import Path

import pytest

from failgate.client.report_folder import reports_under, reviewed_in
from failgate.client.review_keys import lead
from failgate.client.reviewing import Review
from tests.client.test_rewriting import archive, kept


def reviewed(root: Path, keys: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Review, str]:
    report = kept(root, output=("output", b"\x1b]0;owned\x07id 7 of acme\n"), tree=("snapshot", archive(b"x")))
    monkeypatch.setattr("sys.stdin", io.StringIO(keys))
    going = Review(root, report)
    return going, lead(going).end


def test_an_artifact_is_looked_at_left_out_and_words_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    going, end = reviewed(tmp_path, "1\nx 2\nr acme\np id [0-9]\nu\n", monkeypatch)
    assert end == "upload"
    said = capsys.readouterr().err
    assert "1 [x] output" in said
    assert "2 [ ] tree" in said
    assert "\x1b]0;" not in said
    assert [one.name for one in going.report.manifest.artifacts] == ["output"]
    assert reviewed_in(going.report) == [going.report.manifest.artifacts[0].sha256]
    assert [one.manifest.id for one in reports_under(tmp_path)] == [going.report.manifest.id]


def test_quitting_changes_nothing_and_so_does_the_end_of_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for keys in ("x 1\nr acme\nq\n", "x 1\n"):
        going, end = reviewed(tmp_path / keys[-2], keys, monkeypatch)
        assert end == "quit"
        assert len(going.report.manifest.artifacts) == 2
        assert reviewed_in(going.report) == []


def test_a_wrong_key_is_said_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, end = reviewed(tmp_path, "9\nx 0\nx\nfrobnicate\n\n2\ns\n", monkeypatch)
    assert end == "keep"
    said = capsys.readouterr().err
    assert "There is no artifact '9'" in said
    assert "none of the keys" in said
    assert "src/cart.py" in said
    reviewed(tmp_path / "asked", "?\n\nq\n", monkeypatch)
    said = capsys.readouterr().err
    assert (said.count("look at it"), "none of the keys" in said) == (3, False), "a question mark shows the keys"


def test_a_step_is_taken_back_and_a_word_that_cannot_be_replaced_is_never_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    going, end = reviewed(tmp_path, "r ab\np (\nx 1\nr acme\n1\nz\nz\nz\ns\n", monkeypatch)
    assert end == "keep"
    said = capsys.readouterr().err
    assert "too short" in said
    assert "RE2 does not take" in said
    assert "id 7 of [redacted:by-hand:" in said, "a preview shows what would leave"
    assert "1 x by hand" in said
    assert "nothing to take back" in said
    assert len(going.report.manifest.artifacts) == 2
