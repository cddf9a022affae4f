"""Our entries in the settings of an agent program: everything else stays. E12."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.client.exits import NotConfigured
from failgate.client.hooks.configuration import command_of, entries_of, wait_of, with_hooks, without_hooks

OTHERS: dict[str, Any] = {
    "model": "opus",
    "hooks": {
        "PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "echo hi"}]}],
        "Stop": [],
    },
    "permissions": {"allow": ["Bash(ls:*)"]},
}


@pytest.mark.parametrize("program", ["claude-code", "codex"])
def test_hooks_come_and_go_and_everything_else_stays(program: Any) -> None:
    made = with_hooks(OTHERS, program, 300)
    assert without_hooks(made) == OTHERS
    assert with_hooks(made, program, 300) == made
    assert list(made) == list(OTHERS)
    assert made["hooks"]["PreToolUse"][0] == OTHERS["hooks"]["PreToolUse"][0]
    assert without_hooks(with_hooks({}, program, 300)) == {}


def test_a_change_of_the_wait_replaces_the_entry() -> None:
    made = with_hooks(with_hooks(OTHERS, "claude-code", 300), "claude-code", 60)
    [entry] = [entry for entry in entries_of(made) if entry.event == "PreToolUse"]
    assert wait_of(entry.handler) == 60
    assert entry.handler["timeout"] == 90
    assert entry.handler["onFailure"] == "block"
    assert entry.matcher == "*"


def test_a_handler_beside_ours_in_one_group_stays() -> None:
    made = with_hooks({}, "claude-code", 60)
    made["hooks"]["PreToolUse"][0]["hooks"].append({"type": "command", "command": "true"})
    assert without_hooks(made)["hooks"]["PreToolUse"][0]["hooks"] == [{"type": "command", "command": "true"}]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
GROUP = st.fixed_dictionaries(
    {"hooks": st.lists(st.fixed_dictionaries({"command": st.text(max_size=8)}), min_size=1, max_size=2)}
)
GROUPS = st.lists(GROUP, min_size=1, max_size=2)


@given(
    st.dictionaries(st.text(max_size=8), JSON_VALUES, max_size=4),
    st.dictionaries(st.text(max_size=8) | st.just("PreToolUse"), GROUPS, min_size=1, max_size=3),
)
def test_nothing_of_others_is_ever_lost(content: dict[str, Any], hooks: dict[str, Any]) -> None:
    content = {**content, "hooks": hooks}
    assert without_hooks(with_hooks(content, "codex", 60)) == content


@pytest.mark.parametrize("hooks", [[], "x", {"PreToolUse": {}}, {"PreToolUse": [1]}, {"PreToolUse": [{"hooks": {}}]}])
def test_settings_that_are_none_are_refused(hooks: object) -> None:
    with pytest.raises(NotConfigured):
        with_hooks({"hooks": hooks}, "claude-code", 60)


@pytest.mark.parametrize("shell", [one for one in ("sh", "bash", "dash", "zsh", "fish") if shutil.which(one)])
def test_the_command_ends_with_two_in_every_shell_when_its_interpreter_is_gone(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "it's gone" / "python"))
    done = subprocess.run(
        [shell, "-c", command_of("codex", 60)], input="{}", capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert "the hook did not run; the call is blocked" in done.stderr
    assert json.dumps(command_of("codex", 60))
