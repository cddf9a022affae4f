"""The command that redacts text. F17 F20."""

import json
import stat
from pathlib import Path
from typing import Any

import jsonschema

GITHUB = "ghp_" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"


def test_redact_prints_the_text_without_its_secrets(
    failgate: Any, work: Path, environment: dict[str, str]
) -> None:  # F17
    environment["MY_SECRET"] = "a value of mine"
    (work / "log").write_bytes(f"x {GITHUB} y é a value of mine \xff".encode("latin-1"))
    done = failgate("redact", "log", text=False, stdin=None)
    assert GITHUB.encode() not in done.stdout
    assert b"[redacted:environment:" in done.stdout
    assert done.stdout.endswith(b" \xff")


def test_redact_writes_findings_in_characters_without_the_text(failgate: Any, work: Path) -> None:
    text = f"é {GITHUB} password: s3cr3t!x"
    done = failgate("redact", "--findings", "-", stdin=None, input=text)
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert [text[one["start"] : one["end"]] for one in findings] == [GITHUB, "s3cr3t!x"]
    assert {frozenset(one) for one in findings} == {frozenset(("rule", "start", "end", "tag"))}
    whole = json.loads(failgate("redact", "--json", stdin=None, input=text).stdout)
    assert GITHUB not in whole["text"]
    assert len(whole["findings"]) == 2


def test_redact_streams_its_text_and_writes_sarif_beside_it(failgate: Any, work: Path) -> None:
    text = f"é {GITHUB}\n" + "x" * 200_000 + "\npassword: s3cr3t!x\n"
    done = failgate("redact", "--findings", "log.sarif", "--findings-format", "sarif", stdin=None, input=text)
    assert done.returncode == 0, done.stderr
    assert GITHUB not in done.stdout
    assert done.stdout.count("\n") == 3
    log = json.loads((work / "log.sarif").read_text())
    schema = Path(__file__).parents[1] / "vectors" / "sarif-2.1.0.schema.json"
    jsonschema.validate(log, json.loads(schema.read_text()))
    (run,) = log["runs"]
    regions = [one["locations"][0]["physicalLocation"]["region"] for one in run["results"]]
    spans = [text[one["charOffset"] : one["charOffset"] + one["charLength"]] for one in regions]
    assert spans == [GITHUB, "s3cr3t!x"]
    assert (log["version"], run["columnKind"]) == ("2.1.0", "unicodeCodePoints")
    known = {one["id"] for one in run["tool"]["driver"]["rules"]}
    assert {one["ruleId"] for one in run["results"]} <= known
    assert GITHUB not in (work / "log.sarif").read_text()


def test_redact_lists_its_rules(failgate: Any) -> None:
    lines = failgate("redact", "--list-rules").stdout.splitlines()
    assert lines[0].startswith("failgate-")
    assert any(line.startswith("github-token ") for line in lines)
    assert any(line.startswith("engines ") and ", re " in line for line in lines)
    assert json.loads(failgate("redact", "--list-rules", "--json").stdout)["rules"] == lines[0]


def test_one_machine_gives_one_secret_one_tag_and_its_key_is_private(failgate: Any, tmp_path: Path) -> None:
    tags = {json.loads(failgate("redact", "--findings", "-", stdin=None, input=GITHUB).stdout)["tag"] for _ in range(2)}
    assert len(tags) == 1
    key = tmp_path / "home" / "redaction.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.unlink()
    assert json.loads(failgate("redact", "--findings", "-", stdin=None, input=GITHUB).stdout)["tag"] not in tags


def test_redact_refuses_a_file_that_is_not_there(failgate: Any) -> None:
    done = failgate("redact", "nowhere.txt")
    assert done.returncode == 2
    assert done.stderr.startswith("failgate: ")
