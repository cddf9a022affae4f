"""Our entries in the settings of an agent program: put in, found again, taken out. What stands beside them stays.

Pure: the content of the file is given and returned. Sources: the hooks reference of Claude Code (`settings.json`), the
struct `HookEventsToml` of Codex (`hooks.json`).
"""

import os
import shlex
import sys
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, cast

from failgate.client.exits import NotConfigured
from failgate.client.hooks.hook import MARGIN_SECONDS

Program = Literal["claude-code", "codex"]
Scope = Literal["user", "project", "local"]
LAUNCH: Final = Path(__file__).with_name("launch.py")
_OURS: Final = ("failgate/client/hooks/launch.py", "failgate hook ")
_TOLD_SECONDS: Final = 60
_EVENTS: Final[dict[str, tuple[str, ...]]] = {
    "claude-code": ("PreToolUse", "PostToolUse", "PostToolUseFailure"),
    "codex": ("PreToolUse", "PermissionRequest", "PostToolUse"),
}
DECIDING: Final = frozenset(("PreToolUse", "PermissionRequest"))


class Entry(NamedTuple):
    """One entry of ours as it stands in a file: the event, the group's matcher, the handler."""

    event: str
    matcher: str | None
    handler: dict[str, Any]


def settings_path(program: Program, scope: Scope, folder: Path) -> Path:
    """Return where the program reads its hooks: the user's, the project's in `folder`, or its uncommitted ones.

    Raises: NotConfigured (Codex has no local scope).
    """
    if program == "codex":
        if scope == "local":
            raise NotConfigured("Codex has no local settings.", hint="Use --scope user or project.")
        if scope == "project":
            return folder / ".codex" / "hooks.json"
        return Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex") / "hooks.json"
    if scope == "user":
        return Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude") / "settings.json"
    return folder / ".claude" / ("settings.json" if scope == "project" else "settings.local.json")


def command_of(program: Program, wait_seconds: int, server: str | None = None, home: str | None = None) -> str:
    """Return the command line of a hook: whatever happens below it, its shell ends with 0 or with 2 and a reason.

    `server` is the only one whose word counts (`str(Address)`), `home` the client's own folder (only with a server):
    the settings of a project may change the environment.
    One pair of single quotes, no other: every shell that an agent program may use reads it alike.
    """
    script = (
        f'"$0" -I -S "$1" {program} --wait {wait_seconds}s ${{2+--server "$2"}} ${{3+--home "$3"}} || '
        '{ test $? -eq 2 || echo "failgate: the hook did not run; the call is blocked" >&2; exit 2; }'
    )
    words = [sys.executable, str(LAUNCH), *(word for word in (server, home) if word is not None)]
    return f"/bin/sh -c '{script}' {shlex.join(words)}"


def with_hooks(
    content: dict[str, Any], program: Program, wait_seconds: int, server: str | None = None, home: str | None = None
) -> dict[str, Any]:
    """Return `content` with our entries, in place of earlier ones; see `command_of`.

    Raises: NotConfigured (`hooks` is not what the program reads).
    """
    cleaned = without_hooks(content)
    hooks = dict(cleaned.get("hooks", {}))
    for event in _EVENTS[program]:
        hooks[event] = [
            *hooks.get(event, []),
            _group(event, program, command_of(program, wait_seconds, server, home), wait_seconds),
        ]
    return {**cleaned, "hooks": hooks}


def without_hooks(content: dict[str, Any]) -> dict[str, Any]:
    """Return `content` without our entries and without what they alone had filled.

    Raises: NotConfigured.
    """
    hooks: dict[str, Any] = {}
    for event, groups in _hooks(content).items():
        kept = [group for group in (_cleaned(one) for one in groups) if group is not None]
        if kept or not groups:
            hooks[event] = kept
    rest = {name: value for name, value in content.items() if name != "hooks"}
    if not hooks and content.get("hooks") != {}:
        return rest
    return {name: hooks if name == "hooks" else value for name, value in content.items()}


def entries_of(content: dict[str, Any]) -> list[Entry]:
    """Return our entries in `content`. Raises: NotConfigured."""
    return [
        Entry(event, group.get("matcher"), handler)
        for event, groups in _hooks(content).items()
        for group in groups
        for handler in _handlers(group)
        if _is_ours(handler)
    ]


def wait_of(handler: dict[str, Any]) -> int | None:
    """Return how long the hook of `handler` waits for reviewers, in seconds; None when its command does not say."""
    digits = str(handler.get("command", "")).partition("--wait ")[2].split("s", 1)[0]
    return int(digits) if digits.isdecimal() else None


def elsewhere(command: str, server: str, home: str) -> str:
    """Return the command line of ours `command` for another server and folder, to look what it does there."""
    words = shlex.split(command)
    return shlex.join([*words[:5], *(server, home)[: len(words) - 5]])


def _group(event: str, program: Program, command: str, wait_seconds: int) -> dict[str, Any]:
    handler: dict[str, Any] = {"type": "command", "command": command}
    is_deciding = event in DECIDING
    handler["timeout"] = wait_seconds + MARGIN_SECONDS if is_deciding else _TOLD_SECONDS
    if program == "codex":
        return {"hooks": [handler | ({"statusMessage": "Waiting for Failgate"} if is_deciding else {})]}
    return {"matcher": "*", "hooks": [handler | ({"onFailure": "block"} if is_deciding else {})]}


def _hooks(content: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    hooks = content.get("hooks", {})
    if not isinstance(hooks, dict):
        raise _strange("`hooks` is no object")
    found = cast("dict[str, Any]", hooks)
    for event, groups in found.items():
        if not isinstance(groups, list) or not all(
            isinstance(group, dict) and isinstance(group.get("hooks", []), list) for group in groups
        ):
            raise _strange(f"`hooks.{event}` is no list of groups")
    return found


def _strange(what: str) -> NotConfigured:
    return NotConfigured(f"The settings are not what the program reads: {what}.", hint="Mend the file, then again.")


def _handlers(group: dict[str, Any]) -> list[dict[str, Any]]:
    return [handler for handler in group.get("hooks", []) if isinstance(handler, dict)]


def _cleaned(group: dict[str, Any]) -> dict[str, Any] | None:
    handlers = [one for one in group.get("hooks", []) if not (isinstance(one, dict) and _is_ours(one))]
    if len(handlers) == len(group.get("hooks", [])):
        return group
    return {**group, "hooks": handlers} if handlers else None


def _is_ours(handler: dict[str, Any]) -> bool:
    return any(mark in str(handler.get("command", "")) for mark in _OURS)
