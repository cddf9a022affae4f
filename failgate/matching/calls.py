"""What a command runs: one program, or those of a line that it gives to a shell. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from failgate.matching.paths import joined
from failgate.matching.programs import is_this_program, is_trusted_search, name_of, short_name
from failgate.matching.shell import Uninspectable, inspect_line, line_of
from failgate.wire.gate import Command, ExecutableIdentity, FoundProgram


@dataclass(frozen=True, slots=True)
class Call:
    """One program that would run. `folder` is where; `executable` what was attested.

    `is_attested` says whether `folder` is the one that was attested, or one that `cd` leads to by its name. `programs`
    are the files to which the names of a line lead; None when nobody looked them up. `home` is the account's folder;
    `has_script` whether the text that it runs in the end is part of what was asked.
    """

    argv: tuple[str, ...]
    folder: str
    env: Mapping[str, str]
    host: str
    agent_id: str | None
    executable: ExecutableIdentity | FoundProgram | None = None
    in_line: bool = False
    is_attested: bool = True
    programs: Mapping[str, FoundProgram] | None = None
    home: str | None = None
    has_script: bool = False

    def names(self) -> set[str]:
        """Return every name that the program goes by."""
        found = {name_of(self.argv[0])}
        if self.executable is not None:
            found.add(name_of(self.executable.path))
        return found | {short_name(name) for name in found}

    def paths(self) -> set[str]:
        """Return every path that leads to the program, as far as it is known."""
        found = {self.argv[0]} if self.argv[0].startswith("/") else set[str]()
        if "/" in self.argv[0] and not found:
            found.add(joined(self.folder, self.argv[0]))
        if self.executable is not None:
            found.add(self.executable.path)
        return found


def call_of(command: Command, agent_id: str | None) -> Call:
    """Return what `command` runs, as one call; `calls_in_line` looks into a line for a shell."""
    return Call(
        tuple(command.argv), command.cwd, command.env, command.host, agent_id, command.exe, programs=command.programs,
        home=command.home, has_script=command.script is not None,
    )  # fmt: skip


def calls_in_line(call: Call) -> list[Call] | Uninspectable | None:
    """Return the calls that a shell makes of its line, why they are not known, or None when `call` is not of that kind.

    The shell itself has to be the one that it is called, and the environment must not change what it does.
    """
    line = line_of(call.argv)
    if line is None or isinstance(line, Uninspectable):
        return line
    found = inspect_line(line)
    if isinstance(found, Uninspectable):
        return found
    if call.executable is not None and not is_this_program(call.argv[0], call.executable.path):
        return Uninspectable("the shell is not the installed one")
    if call.executable is None and "/" not in call.argv[0] and not is_trusted_search(call.env.get("PATH")):
        return Uninspectable("nobody said which file the shell is")
    calls: list[Call] = []
    for simple in found.commands:
        folder = call.folder
        for target in simple.folders:
            folder = joined(folder, target)
        calls.append(
            Call(
                simple.argv, folder, call.env, call.host, call.agent_id, _file_of(simple.argv[0], folder, call),
                in_line=True, is_attested=folder == call.folder, programs=call.programs, home=call.home,
                has_script=call.has_script and len(found.commands) == 1 and not simple.folders,
            )
        )  # fmt: skip
    return calls


def _file_of(name: str, folder: str, line: Call) -> FoundProgram | None:
    """Return the file that `name` leads to in a line, as it was attested in the folder of the line."""
    is_relative = "/" in name and not name.startswith("/")
    if line.programs is None or (is_relative and folder != line.folder):
        return None
    return line.programs.get(name)
