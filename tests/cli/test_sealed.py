"""The command that prints verdicts on test vectors. E10."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sealed.parties import VECTORS, vector_file


def test_vectors_prints_a_verdict_on_each_case(failgate: Any) -> None:
    done = failgate("sealed", "vectors", str(VECTORS), "--json")
    assert done.returncode == 0, done.stderr
    verdicts = json.loads(done.stdout)
    assert len(verdicts) == 141
    assert all(list(one) == ["case", "expected", "accepted", "reason"] for one in verdicts)
    assert all(one["accepted"] is one["expected"] for one in verdicts)
    lines = failgate("sealed", "vectors", str(VECTORS)).stdout.splitlines()
    assert lines[-1] == "141 vectors, 0 verdicts are not the expected ones."


def test_vectors_ends_with_1_where_a_verdict_is_another(failgate: Any, work: Path) -> None:
    keys = [{**one, "case": one["case"]} for one in vector_file()["negative_keys"]]
    keep = {name: one for name, one in vector_file().items() if not name.startswith(("positive_", "negative_"))}
    (work / "wrong.json").write_text(json.dumps({**keep, "positive_keys": keys}))
    done = failgate("sealed", "vectors", "wrong.json", "--json")
    assert done.returncode == 1
    assert [one["accepted"] for one in json.loads(done.stdout)] == [False] * 5
    assert failgate("sealed", "vectors", "wrong.json").stdout.count("WRONG refused: key") == 4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{\n "positive_jwe": [,]}', "bad.json:2: no JSON"),
        (b"\xff", "no JSON text in UTF-8"),
        (b"[" * 100_000, "no JSON text in UTF-8"),
        (b"[]", "the file is no object"),
        (b"{}", "holds no member positive_"),
    ],
)
def test_a_bad_file_is_named(failgate: Any, work: Path, content: bytes, said: str) -> None:
    (work / "bad.json").write_bytes(content)
    done = failgate("sealed", "vectors", "bad.json")
    assert done.returncode == 2, done.stdout
    assert done.stderr.startswith("failgate: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file_is_a_usage_error(failgate: Any) -> None:
    assert failgate("sealed", "vectors", "nowhere.json").returncode == 2
