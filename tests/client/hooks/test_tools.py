"""Which tools are asked for: what nobody names, and what writes a file that decides what runs later. E12."""

from pathlib import Path
from typing import Any

import pytest

from failgate.client.exits import NotConfigured
from failgate.client.hooks.event import Event
from failgate.client.hooks.tools import treatment_of


def event(tool: str, cwd: Path | str = "/src", **members: Any) -> Event:
    return Event("PreToolUse", tool, members, str(cwd), "s", "t", {})


def treated(tool: str, table: dict[str, Any] | None = None, **members: Any) -> str:
    return treatment_of(event(tool, **members), table or {}, "/src/ann/.config/failgate")


@pytest.mark.parametrize(
    "tool", ["Bash", "mcp__mail__send", "mcp__failgate__exec", "PowerShell", "SomethingNew", "bash", ""]
)
def test_a_shell_and_everything_unknown_are_asked_for(tool: str) -> None:
    assert treated(tool, file_path="/src/a.py") == "ask"


@pytest.mark.parametrize("tool", ["Read", "Grep", "TodoWrite", "mcp__failgate__run_gated"])
def test_what_reads_or_asks_by_itself_passes(tool: str) -> None:
    assert treated(tool) == "pass"


@pytest.mark.parametrize("path", ["a.py", "/src/deep/b.txt", "/src/.github/workflows/ci.yml"])
def test_an_ordinary_file_is_written_without_asking(path: str) -> None:
    assert treated("Write", file_path=path) == "pass"


@pytest.mark.parametrize(
    "path",
    [
        ".claude/settings.json", "/src/.claude/settings.local.json", "/other/.claude/settings.json", "sub/../.claude/x",
        "~/.bashrc", "~/.claude/settings.json", "~/.ssh/authorized_keys", "~/.codex/hooks.json", ".git/hooks/pre-commit",
        "/src/ann/.config/failgate/client.toml", ".mcp.json", "", "~/.bash_aliases", "~/.config/systemd/user/a.service",
        "~/.config/autostart/a.desktop", "~/.local/lib/python3.11/site-packages/usercustomize.py", "/etc/profile.d/a.sh",
        "/usr/bin/git", "/bin/ls", "vendor/HEAD",
    ],
)  # fmt: skip
def test_a_file_that_decides_what_runs_or_is_gated_is_asked_for(path: str) -> None:
    assert treated("Edit", file_path=path) == "ask"
    assert treated("NotebookEdit", notebook_path=path) == "ask"


def test_a_program_that_is_looked_for_by_its_name_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Written over, it keeps its name and its mode, and a rule for the name lets it pass."""
    monkeypatch.setenv("PATH", "/src/.venv/bin:/home/dev/.cargo/bin:/src:.:/usr/bin")
    assert treated("Write", file_path="/src/.venv/bin/python") == "ask"
    assert treated("Write", file_path="/home/dev/.cargo/bin/rg") == "ask"
    assert (
        treated("Write", file_path="/src/a.py") == "pass"
    )  # a search path that holds the project guards no file of it


def test_a_link_to_such_a_file_is_seen_through(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "innocent").symlink_to(tmp_path / ".git")
    asked = event("Write", tmp_path, file_path="innocent/config")
    assert treatment_of(asked, {}, "/nowhere") == "ask"


def test_a_patch_is_judged_by_every_file_that_it_names() -> None:
    patch = "*** Begin Patch\n*** Update File: a.py\n@@\n-a\n+b\n{}*** End Patch\n"
    assert treated("apply_patch", command=patch.format("")) == "pass"
    assert treated("apply_patch", command=patch.format("*** Add File: .git/hooks/post-merge\n+x\n")) == "ask"
    assert treated("apply_patch", command=patch.format("*** Move to: .codex/hooks.json\n")) == "ask"
    assert treated("apply_patch", command="nothing that is known") == "ask"


def test_the_table_comes_first_and_the_stricter_word_wins() -> None:
    table = {"ask": ["WebFetch"], "pass": ["mcp__github__*", "WebFetch"], "deny": ["mcp__github__delete*"]}
    assert treated("WebFetch", table) == "ask"
    assert treated("mcp__github__get_issue", table) == "pass"
    assert treated("mcp__github__delete_repo", table) == "deny"


@pytest.mark.parametrize("wish", ["Bash", [1], [""], {"a": 1}])
def test_a_list_that_is_none_is_refused(wish: object) -> None:
    with pytest.raises(NotConfigured):
        treated("Bash", {"pass": wish})
