"""The commands of developers: reports, redact, login, help. F2 F17 F19 F20."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from failgate.cli.commands import TABLE
from tests.client.wire_server import ID, TOKEN, Wire

GITHUB = "ghp_" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"


def captured(failgate: Any, work: Path) -> str:
    failgate("capture", "--", "sh", "-c", f"echo {GITHUB}; printf '\\033]0;evil\\007red\\n'; exit 3")
    return json.loads(failgate("report", "list", "--json").stdout)[0]["id"]


def test_help_names_every_command_and_loads_none_of_them(failgate: Any) -> None:
    done = failgate("--help")
    assert done.returncode == 0
    assert all(f"  {name}" in done.stdout for name in TABLE)


@pytest.mark.parametrize(("word", "near"), [("rnu", "run"), ("captrue", "capture"), ("reprot", "report")])
def test_an_unknown_command_names_the_nearest_one(failgate: Any, word: str, near: str) -> None:
    done = failgate(word)
    assert done.returncode == 2
    assert done.stderr.startswith("failgate: ")
    assert f"Did you mean {near}?" in done.stderr


def test_review_shows_artifacts_sizes_and_findings_inert(failgate: Any, work: Path) -> None:  # F2 F20
    name = captured(failgate, work)
    shown = failgate("report", "review").stdout
    assert f"report    {name}" in shown
    assert "artifact  output.txt  output" in shown
    assert "x github-token in output.txt" in shown
    assert GITHUB not in shown
    assert "\x1b" not in shown
    assert "\nred\n" in shown, "output.txt is plain text"
    assert "\\u001b]0;evil\\u0007red" in shown, "the recording keeps the sequence, as JSON writes it"


def test_an_upload_needs_a_word_of_consent(failgate: Any, wire: Wire, work: Path) -> None:  # F2 F19
    captured(failgate, work)
    done = failgate("report", "upload")
    assert done.returncode == 2
    assert not wire.begun
    done = failgate("report", "upload", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["id"] == ID
    assert wire.sealed
    assert wire.begun["consent"]["by"] == "person"
    digest = json.loads(failgate("report", "list", "--json").stdout)[0]["manifest_sha256"]
    assert wire.begun["consent"]["manifest_sha256"] == digest
    assert "uploaded  20" in failgate("report", "show").stdout


def test_a_report_that_was_changed_after_its_capture_is_not_uploaded(failgate: Any, wire: Wire, work: Path) -> None:
    name = captured(failgate, work)
    folder = work / ".failgate" / "reports" / name
    artifact = next(one for one in folder.iterdir() if len(one.name) == 64)
    artifact.write_bytes(artifact.read_bytes() + b"more")
    done = failgate("report", "upload", "--yes")
    assert done.returncode == 1
    assert "changed after its capture" in done.stderr
    assert not wire.begun


def test_a_report_is_deleted_with_everything(failgate: Any, work: Path) -> None:
    name = captured(failgate, work)
    assert failgate("report", "delete", name).returncode == 2
    assert failgate("report", "delete", name, "--yes").returncode == 0
    assert list((work / ".failgate" / "reports").iterdir()) == []


def test_a_report_that_is_not_there_is_named(failgate: Any) -> None:
    done = failgate("report", "show", "0189")
    assert done.returncode == 1
    assert "There is no report '0189'" in done.stderr


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


def test_login_keeps_the_token_for_this_user_alone_and_logout_forgets_it(
    failgate: Any, environment: dict[str, str], tmp_path: Path
) -> None:
    del environment["FAILGATE_TOKEN"], environment["FAILGATE_WORKSPACE"]
    done = failgate("login", "--token-stdin", stdin=None, input=TOKEN + "\n")
    assert done.returncode == 0, done.stderr
    kept = tmp_path / "home" / "token"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert "agent builder" in failgate("whoami").stdout
    assert failgate("run", "--", "true").returncode == 0
    failgate("logout")
    assert not kept.exists()
    assert failgate("whoami").returncode == 78


def test_login_with_a_token_that_the_server_refuses_keeps_nothing(
    failgate: Any, environment: dict[str, str], tmp_path: Path
) -> None:
    del environment["FAILGATE_TOKEN"]
    done = failgate("login", "--token-stdin", stdin=None, input="fg_usr_wrong\n")
    assert done.returncode == 78
    assert not (tmp_path / "home" / "token").exists()


def test_explain_says_what_the_policies_say_and_submits_nothing(failgate: Any, wire: Wire) -> None:
    done = failgate("policy", "explain", "--json", "--", "rm", "-r", "x")
    assert json.loads(done.stdout)["decision"] == "ask"
    assert wire.of("/policy/explain")[0]["command"]["argv"] == ["rm", "-r", "x"]
    assert not wire.of("/commands")


def test_a_misspelt_setting_of_the_client_is_named(failgate: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "client.toml").write_text('uplaod = "never"\n')
    done = failgate("run", "--", "true")
    assert done.returncode == 78
    assert 'Did you mean "upload"?' in done.stderr


def test_redact_streams_its_text_and_writes_sarif_beside_it(failgate: Any, work: Path) -> None:
    text = f"é {GITHUB}\n" + "x" * 200_000 + "\npassword: s3cr3t!x\n"
    done = failgate("redact", "--findings", "log.sarif", "--findings-format", "sarif", stdin=None, input=text)
    assert done.returncode == 0, done.stderr
    assert GITHUB not in done.stdout
    assert done.stdout.count("\n") == 3
    log = json.loads((work / "log.sarif").read_text())
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
