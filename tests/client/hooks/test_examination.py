"""`failgate doctor --hooks` and `failgate init PROGRAM` as a person uses them. E12."""

import json
from pathlib import Path
from typing import Any

import pytest

from failgate.client.hooks import examination


@pytest.fixture
def settings(environment: dict[str, str], tmp_path: Path) -> Path:
    environment["HOME"] = str(tmp_path / "person")
    (tmp_path / "person").mkdir()
    return tmp_path / "person" / ".claude" / "settings.json"


def test_written_hooks_are_proven_to_block(failgate: Any, settings: Path) -> None:
    assert failgate("init", "claude-code", "--wait", "2m").returncode == 0
    done = failgate("doctor", "--hooks", "--json")
    assert done.returncode == 0, done.stdout
    [check] = json.loads(done.stdout)["checks"]
    assert check["verdict"] == "ok"
    assert str(settings) in check["sentence"]


def test_a_narrow_terminal_hides_no_process(failgate: Any, settings: Path, environment: dict[str, str]) -> None:
    """`ps` cuts its lines at an exported COLUMNS, and a shell may export it."""
    environment["COLUMNS"] = "20"
    assert failgate("init", "claude-code").returncode == 0
    done = failgate("doctor", "--hooks")
    assert done.returncode == 0, done.stdout


def _spoil(settings: Path, **changes: Any) -> None:
    content = json.loads(settings.read_text())
    handler = content["hooks"]["PreToolUse"][0]["hooks"][0]
    for name, value in changes.items():
        if name == "command":
            handler[name] = value(handler[name])
        elif name == "matcher":
            content["hooks"]["PreToolUse"][0][name] = value
        elif name == "disableAllHooks":
            content[name] = value
        else:
            handler[name] = value
    settings.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"timeout": 60}, "timeout"),
        ({"onFailure": "allow"}, "onFailure"),
        ({"matcher": "Bash"}, "matcher"),
        ({"disableAllHooks": True}, "disableAllHooks"),
        ({"command": lambda text: text.replace("exit 2", "exit 0")}, "killed"),
        ({"command": lambda text: text + " || true"}, "in place of 2"),
    ],
)
def test_a_hook_that_would_let_calls_through_is_found(
    failgate: Any, settings: Path, changes: dict[str, Any], said: str
) -> None:
    failgate("init", "claude-code")
    _spoil(settings, **changes)
    done = failgate("doctor", "--hooks")
    assert done.returncode == 1
    assert said in done.stdout


def test_a_machine_without_hooks_is_told_how_to_get_them(failgate: Any, settings: Path) -> None:
    done = failgate("doctor", "--hooks")
    assert done.returncode == 1
    assert "failgate init claude-code" in done.stdout


def test_printing_and_removing_write_nothing_that_was_not_asked(failgate: Any, settings: Path) -> None:
    printed = failgate("init", "claude-code", "--print")
    assert json.loads(printed.stdout)["hooks"]["PreToolUse"]
    assert not settings.exists()
    assert "nothing was changed" in failgate("init", "claude-code", "--remove").stdout
    failgate("init", "claude-code")
    again = failgate("init", "claude-code")
    assert "nothing was changed" in again.stdout
    assert "took our hooks out" in failgate("init", "claude-code", "--remove").stdout
    assert json.loads(settings.read_text()) == {}


@pytest.mark.parametrize(
    "arguments",
    [("codex", "--scope", "local"), ("claude-code", "--wait", "soon"), ("claude-code", "--force"), ("--remove",)],
)
def test_what_cannot_be_meant_is_refused(failgate: Any, settings: Path, arguments: tuple[str, ...]) -> None:
    assert failgate("init", *arguments).returncode in (2, 78)
    assert not settings.exists()


def test_a_kill_that_cannot_be_carried_out_proves_nothing(
    failgate: Any, settings: Path, environment: dict[str, str], work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failgate("init", "claude-code")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(examination, "_PS", "/nonexistent/ps")
    [proof] = examination.examine(work)
    assert (proof.verdict, "was not killed" in proof.sentence) == ("fail", True)
