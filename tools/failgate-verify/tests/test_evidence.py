"""An evidence pack made by hand: what is wrong with it is found, whoever made it. B10 E7"""

from pathlib import Path

import pytest

from tests.handmade import LOG, Operator, bundle, make_leaves, pack, verify, write_folder, write_tar
from tests.handmade import TABLE as HEAD
from tests.handmade import pack_line as row


def test_lines_of_this_log_are_proven_and_those_of_others_are_counted(
    tmp_path: Path, leaves: list[bytes], operator: Operator
) -> None:
    table = HEAD + row(leaves, 0) + row(leaves, 599) + row(leaves, 7, log="system")
    files = pack(leaves, table, operator)
    for path in (
        write_folder(tmp_path / "folder", files),
        write_tar(tmp_path / "pack.tar", files) or tmp_path / "pack.tar",
    ):
        answer = verify("evidence", path, "--vkey", operator.vkey)
        assert (answer["exit_code"], answer["count"], answer["elsewhere"]) == (0, 3, 1), answer
        assert "which are not in this pack: 1" in answer["lines"][-1]


@pytest.mark.parametrize(
    ("table", "code", "says"),
    [
        (HEAD + f"{LOG},3,sha256:{'0' * 64},,x\r\n", 1, "votes.csv, line 2: record 3 is another one"),
        (HEAD + f"{LOG},3,,,x\r\n", 1, "record 3 is another one"),
        (HEAD + f"{LOG},600,sha256:{'0' * 64},,x\r\n", 3, "come without a proof, in lines: 1."),
        (HEAD + f"{LOG},3x,,,x\r\n", 2, "names a record '3x'"),
        (HEAD + f"{LOG}\r\n", 2, "names a record ''"),
        ("voter,vote\r\nx,y\r\n", 2, "does not begin with the columns"),
        ("", 2, "does not begin with the columns"),
        (HEAD + '"x\r\n', 2, "is no CSV"),
    ],
)
def test_a_table_that_names_something_else_is_found(
    tmp_path: Path, leaves: list[bytes], table: str, code: int, says: str
) -> None:
    answer = verify("evidence", write_folder(tmp_path / "pack", pack(leaves, table)))
    assert (answer["exit_code"], says in answer["lines"][0]) == (code, True), answer


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"origin": "other"}, 1, "of another checkpoint"),
        ({"root": "0" * 64}, 1, "of another checkpoint"),
        ({"files": {}}, 1, "is not the file that manifest.json names"),
        ({"files": {"votes.csv": 1, "approvals.html": None}}, 1, "is not the file"),
        ({"files": {"gone.csv": {"sha256": "0"}}}, 1, ""),
        ({"format": "else"}, 2, "is not of failgate-evidence-pack"),
        ({"v": 2}, 2, "version 1"),
        ({"files": []}, 2, "version 1"),
    ],
)
def test_a_manifest_that_says_something_else_is_found(
    tmp_path: Path, leaves: list[bytes], change: dict, code: int, says: str
) -> None:
    answer = verify("evidence", write_folder(tmp_path / "pack", pack(leaves, HEAD, **change)))
    assert (answer["exit_code"], says in answer["lines"][0]) == (code, True), answer


def test_the_bundle_inside_is_verified_as_any_other(tmp_path: Path, leaves: list[bytes]) -> None:
    files = pack(leaves, HEAD + row(leaves, 3))
    [name] = [one for one in files if one.startswith("bundle/entries/001")]
    damaged = files | {name: files[name].replace(b"vote.cast", b"vote.lost", 1)}
    answer = verify("evidence", write_folder(tmp_path / "damaged", damaged))
    assert (answer["exit_code"], answer["first_bad"]) == (1, 256)
    answer = verify("evidence", write_folder(tmp_path / "other", files), "--vkey", Operator(2).vkey)
    assert answer["exit_code"] != 0
    without = {one: content for one, content in files.items() if not one.startswith("bundle/")}
    assert verify("evidence", write_folder(tmp_path / "without", without))["exit_code"] == 3
    added = files | {"bundle/else.txt": b""}
    assert verify("evidence", write_folder(tmp_path / "added", added))["exit_code"] == 2
    assert verify("evidence", tmp_path / "nothing")["exit_code"] == 2
    assert verify("evidence", write_folder(tmp_path / "bare", bundle(make_leaves(3))))["exit_code"] == 2
