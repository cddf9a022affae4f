"""The command that stands for a call of a tool: what its digest covers, what reviewers see, what rules look at.

A shell line is `[SHELL, "-c", LINE]` with the shell's own file, so that a rule judges it as it would judge that shell
anywhere. Any other tool is `/dev/null/PROGRAM/TOOL` with its members as arguments: nothing can ever be executed at a
path below `/dev/null`, so no rule for a tool lets a program run. `name=text`, and `name:=JSON` for what is no text.
"""
# ruff: noqa: PTH109 -- pathlib would slow the start

from __future__ import annotations

import os

from failgate.base.canonical import base64url, digest_of, json_bytes
from failgate.base.quick import NamedTuple, socket
from failgate.client.command import Call, build_call, check_unchanged, close_call
from failgate.client.exits import NotConfigured
from failgate.client.hooks.event import Event, Unreadable
from failgate.client.hooks.tools import SHELLS

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from failgate.client.command import Digesting

_SHELLS = ("bash", "zsh")
_SHELL_NAMES = {"claude-code": ("CLAUDE_CODE_SHELL", "SHELL"), "codex": ("SHELL",)}
# Variables that change what a shell makes of any line, or put something before it. Exported functions do, too. Those of
# git make it run or read something else even where it only shows, and are rarely set: its pagers and editors are not
# among them, it starts none where nobody sees them.
_BENDING = (
    "BASH_ENV", "SHELLOPTS", "BASHOPTS", "ZDOTDIR", "LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH",
    "CLAUDE_CODE_SHELL_PREFIX", "GIT_EXTERNAL_DIFF", "GIT_EXEC_PATH", "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_INDEX_FILE", "GIT_ATTR_SOURCE",
)  # fmt: skip
_BENDING_PREFIXES = ("BASH_FUNC_", "GIT_CONFIG", "GIT_TRACE")  # a trace may be written into any file
_NAME_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_UNASKED = frozenset(("description", "timeout", "run_in_background", "dangerouslyDisableSandbox"))


class Tooling(NamedTuple):
    """A call of a tool as it is asked for; `call` is set where a program of this machine would run."""

    command: dict[str, Any]
    digest: str
    reason: str | None
    call: Call | None
    digesting: Digesting | None = None

    def check_unchanged(self) -> None:
        """Return when shell and folder are those that were approved. Raises: Unverified."""
        if self.call is not None:
            check_unchanged(self.call, self.digesting)

    def close(self) -> None:
        """Close what is open."""
        if self.call is not None:
            close_call(self.call)


def tooling_of(
    event: Event,
    program: str,
    environment: Mapping[str, str],
    more: Iterable[str],
    shell: str | None,
    digesting: Digesting | None = None,
) -> Tooling:
    """Return what is asked for the call in `event` of the agent program `program`; changes to the event's folder.

    `shell` is the one of the configuration. `more` names further variables that are shown. `digesting` is as in
    `open_executable`.

    Raises: Unreadable (a shell without a line, a folder that is gone), NotConfigured, NotExecutable.
    """
    try:
        os.chdir(event.cwd)  # also so that nothing below is looked up elsewhere
    except (OSError, ValueError) as error:
        raise Unreadable("The folder of the call is not usable.", hint="Change to a folder that exists.") from error
    said = event.tool_input.get("description")
    reason = said[:4096] if isinstance(said, str) and said else None
    if event.tool in SHELLS:
        line = event.tool_input.get("command")
        if not isinstance(line, str) or not line:
            raise Unreadable("The call has no command line, so nobody can judge it.")
        argv = [shell_of(environment, shell, program), "-c", line, *_asides(event), *_bending(environment)]
        call = build_call(argv, environment, more, digesting=digesting)
        return Tooling(call.command, call.digest, reason, call, digesting)
    command = _command_of(event, program)
    return Tooling(command, digest_of(command), reason, None)


def shell_of(environment: Mapping[str, str], named: str | None, program: str) -> str:
    """Return the shell that the agent program uses: the one named, else the user's bash or zsh, else bash, else sh.

    Claude Code takes the user's from `CLAUDE_CODE_SHELL` before `SHELL`.

    Raises: NotConfigured (the named one is no absolute path).
    """
    if named is not None:
        if not named.startswith("/"):
            raise NotConfigured(f"client.toml: hook.shell is {named!a}.", hint="Write its whole path, like /bin/bash.")
        return named
    for variable in _SHELL_NAMES[program]:
        wished = environment.get(variable, "")
        if wished.startswith("/") and wished.rpartition("/")[2] in _SHELLS and os.access(wished, os.X_OK):
            return wished
    return "/bin/bash" if os.access("/bin/bash", os.X_OK) else "/bin/sh"


def tool_argv(program: str, tool: str, members: Mapping[str, Any]) -> list[str]:
    """Return the argument vector that stands for a call of `tool` with `members`, in their order."""
    return [f"/dev/null/{program}/{tool}", *(_argument(name, value) for name, value in members.items())]


def _argument(name: str, value: object) -> str:
    if not name or not set(name) <= _NAME_SIGNS:
        return f":={_json({name: value})}"
    return f"{name}={value}" if isinstance(value, str) else f"{name}:={_json(value)}"


def _json(value: object) -> str:
    return json_bytes(value).decode()


def _asides(event: Event) -> list[str]:
    """Return what else a shell is called with that changes what happens; a shell takes it as `$0` and on."""
    return [
        f"{name}:={_json(value)}"
        for name, value in event.tool_input.items()
        if name != "command" and (name not in _UNASKED or (name == "dangerouslyDisableSandbox" and value))
    ]


def _bending(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that change what any line does, shown as `_asides` are: no rule for the line alone fits."""
    return [
        f"{name}={environment[name]}"
        for name in sorted(environment)
        if environment[name] and (name in _BENDING or name.startswith(_BENDING_PREFIXES))
    ]


def _command_of(event: Event, program: str) -> dict[str, Any]:
    cwd = os.path.realpath(os.getcwd())
    facts = os.stat(cwd)  # noqa: PTH116 - pathlib would slow the start
    return {
        "v": 1,
        "argv": tool_argv(program, event.tool, event.tool_input),
        "cwd": cwd,
        "cwd_dev_ino": f"{facts.st_dev}:{facts.st_ino}",
        "env": {},
        "host": socket.gethostname() or "localhost",
        "uid": os.getuid(),
        "gid": os.getgid(),
        "nonce": base64url(os.urandom(32)),
    }
