"""Which tools of an agent program are asked for. What nobody names is asked for.

A shell and everything unknown go to the gate. Tools that read, plan or talk pass: the program's own permissions hold.
Tools that write files pass too, except where a file decides what runs later or what is gated.
"""
# ruff: noqa: PTH111, PTH118 -- pathlib would slow the start

from __future__ import annotations

import os

from failgate.client.exits import NotConfigured
from failgate.client.hooks.event import Event

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal

    Treatment = Literal["ask", "pass", "deny"]
SHELLS = frozenset(("Bash",))  # both programs name their shell so
PASSING = frozenset(
    (  # noqa: SIM905 - a word a line hides the list
        "Read Glob Grep LS NotebookRead TodoRead TodoWrite Task Agent TaskCreate TaskGet TaskList TaskUpdate "
        "TaskOutput EnterPlanMode ExitPlanMode AskUserQuestion WebSearch WebFetch BashOutput KillShell KillBash "
        "TaskStop Skill SlashCommand ToolSearch ListMcpResourcesTool ReadMcpResourceTool update_plan "
        "view_image web_search"
    ).split()
)
WRITING = frozenset(("Write", "Edit", "MultiEdit", "NotebookEdit", "apply_patch"))
_PATHS = ("file_path", "notebook_path", "path")
_GUARDED_HERE = (".claude", ".codex", ".mcp.json", ".git", ".envrc")
_REPOSITORY = "HEAD"  # with it a folder of any name is a repository, whose settings say what git runs
_GUARDED_AT_HOME = (
    ".claude", ".claude.json", ".codex", ".ssh", ".gitconfig", ".bashrc", ".bash_aliases", ".bash_profile",
    ".bash_login", ".bash_logout", ".profile", ".xprofile", ".xsessionrc", ".zshrc", ".zshenv", ".zprofile", ".zlogin",
    ".zlogout", ".config/fish", ".config/git", ".config/systemd", ".config/autostart", ".config/environment.d",
    ".local/bin", ".local/lib", "bin",
)  # fmt: skip
_SYSTEM = (
    "/usr", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/local/bin", "/usr/local/lib", "/bin", "/sbin", "/lib", "/etc",
    "/opt", "/snap", "/nix", "/gnu",
)  # fmt: skip
_GATED = frozenset(
    f"mcp__failgate__{name}"
    for name in ("run_gated", "request_approval", "await_decision", "policy_check", "report_context")
)
_PATCHED = ("*** Add File: ", "*** Update File: ", "*** Delete File: ", "*** Move to: ")


def treatment_of(event: Event, table: Mapping[str, Any], folder: str) -> Treatment:
    """Return what is done about the tool of `event`, by the table `hook` of `client.toml`, then by the rule above.

    `folder` is the client's own. A name of the table ends in `*` to mean a beginning. `deny` comes before `ask` before
    `pass`.

    Raises: NotConfigured (a list of the table is none).
    """
    wishes = _wishes(table)
    for treatment in ("deny", "ask", "pass"):
        if any(_fits(event.tool, name) for name in wishes[treatment]):
            return treatment
    if event.tool in PASSING or event.tool in _GATED:  # these ask by themselves
        return "pass"
    if event.tool in WRITING:
        return "ask" if is_guarded(event, folder) else "pass"
    return "ask"


def is_guarded(event: Event, folder: str) -> bool:
    """Tell whether the tool writes a file that decides what runs later or what is gated; also when none is named."""
    paths = _paths_of(event)
    home = os.path.expanduser("~")
    roots = [folder, *(os.path.join(home, name) for name in _GUARDED_AT_HOME)]
    roots += [os.path.join(event.cwd, name) for name in _GUARDED_HERE]
    guarded = [os.path.realpath(root) for root in (*roots, *_programs(event.cwd))]
    for path in paths:
        real = os.path.realpath(os.path.join(event.cwd, os.path.expanduser(path)))
        if any(real == root or real.startswith(root + "/") for root in guarded):
            return True
        names = real.split("/")
        if names[-1] == _REPOSITORY or any(name in _GUARDED_HERE for name in names):
            return True
    return not paths


def _programs(cwd: str) -> list[str]:
    """Return the folders of programs, the system's and those of PATH, but for those that hold the folder of the call.

    A program that is written over keeps its name and its mode, and a rule for the name lets it pass.
    """
    here = os.path.realpath(cwd) + "/"
    places = [place for place in os.environ.get("PATH", "").split(os.pathsep) if place.startswith("/")]
    return [place for place in (*_SYSTEM, *places) if not here.startswith(os.path.realpath(place).rstrip("/") + "/")]


def _paths_of(event: Event) -> list[str]:
    if event.tool == "apply_patch":
        patch = event.tool_input.get("command") or event.tool_input.get("input")
        lines = patch.splitlines() if isinstance(patch, str) else []
        return [line[len(mark) :].strip() for line in lines for mark in _PATCHED if line.startswith(mark)]
    return [path for name in _PATHS if isinstance(path := event.tool_input.get(name), str) and path]


def _wishes(table: Mapping[str, Any]) -> dict[Treatment, list[str]]:
    wishes: dict[Treatment, list[str]] = {"ask": [], "pass": [], "deny": []}
    for treatment in wishes:
        named = table.get(treatment, [])
        if not isinstance(named, list) or not all(isinstance(name, str) and name for name in named):
            raise NotConfigured(
                f"client.toml: hook.{treatment} is no list of tools.", hint='Write it like ["WebFetch"].'
            )
        wishes[treatment] = named
    return wishes


def _fits(tool: str, name: str) -> bool:
    return tool.startswith(name[:-1]) if name.endswith("*") else tool == name
