"""What a command's page says of the call besides its arguments: program, directory, host, user, input. Pure."""

from dataclasses import dataclass
from typing import Any

import msgspec

from failgate.matching.unlooked import unlooked
from failgate.web.pages.token_view import Text, texts
from failgate.wire.gate import Command, CommandView


@dataclass(frozen=True, slots=True)
class FactView:
    """A fact of the call, and a remark of ours beside it."""

    label: str
    parts: tuple[Text, ...]
    remark: str = ""


def environment_of(body: dict[str, Any]) -> dict[str, str]:
    """Return the variables that are passed on."""
    env = body.get("env")
    return {str(name): str(value) for name, value in env.items()} if isinstance(env, dict) else {}


def unlooked_in(body: dict[str, Any]) -> str | None:
    """Return what of the call nobody looked at."""
    try:
        return unlooked(msgspec.convert(body, Command))
    except msgspec.ValidationError:  # a row that was damaged
        return None


def facts_of(command: CommandView) -> tuple[FactView, ...]:
    """Return program, directory, host and user of the call."""
    body: dict[str, Any] = command.command or {}
    exe = body.get("exe")
    found: list[FactView] = []
    if isinstance(exe, dict):
        found.append(FactView("Program", texts(str(exe.get("path"))), f"sha256 {str(exe.get('sha256'))[:12]}…"))
        if exe.get("interpreter") is not None:
            by = exe.get("interpreter_sha256")
            told = f"sha256 {str(by)[:12]}…" if by else "the program is a script"
            found.append(FactView("Read by", texts(str(exe["interpreter"])), told))
    else:
        found.append(FactView("Program", (), "the agent did not say which file this would be"))
    if isinstance(script := body.get("script"), dict):
        found.append(FactView("Script", texts(str(script.get("path"))), f"sha256 {str(script.get('sha256'))[:12]}…"))
    if (said := unlooked_in(body)) is not None:
        found.append(FactView("Not looked at", (), said))
    programs = body.get("programs")
    for name, one in sorted(programs.items()) if isinstance(programs, dict) else ():
        sha256 = f"sha256 {str(one['sha256'])[:12]}…" if one.get("sha256") else "a file of the system"
        found.append(FactView("By the search path", texts(f"{name} is {one.get('path')}"), sha256))
    if "cwd" in body:
        known = "the same folder is checked before it runs" if body.get("cwd_dev_ino") else ""
        found.append(FactView("Directory", texts(str(body["cwd"])), known))
    found.append(FactView("Host, user", texts(command.host), _user(body)))
    home, said = body.get("home"), environment_of(body).get("HOME")
    if home is not None and said not in {None, "", home}:
        found.append(
            FactView("Home", texts(str(home)), "HOME names another folder, where programs find their settings")
        )
    if body.get("stdin_sha256"):
        found.append(FactView("Input", texts(f"sha256 {str(body['stdin_sha256'])[:12]}…"), "read from standard input"))
    return tuple(found)


def _user(body: dict[str, Any]) -> str:
    """Return as whom it runs; a mask that leaves new files open to everybody is said to be one."""
    said = [f"{name} {body[name]}" for name in ("uid", "gid", "umask") if body.get(name) is not None]
    umask = body.get("umask")
    is_open = isinstance(umask, str) and umask.isdecimal() and not int(umask, 8) & 0o002
    return ", ".join(said) + (": every account may change the files that it makes" if is_open else "")
