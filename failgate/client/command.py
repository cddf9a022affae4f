"""The exact call, as it is digested, shown, approved and executed: what `wire.gate.Command` says, made of this machine.

The rule of the environment: a command gets the variables that its reviewer saw and no others. They are the names in
`ALWAYS` and `LC_*`, and those that the caller adds by `--env NAME` or the setting `env`. A variable that makes a
program load foreign code is refused even then, and one that holds a secret too, since its value would be shown.
"""
# ruff: noqa: PTH109, PTH116 -- pathlib would slow the start

from __future__ import annotations

import os

from failgate.base.canonical import base64url, digest_of
from failgate.base.quick import NamedTuple, socket
from failgate.client.exits import CANNOT_EXECUTE, NotConfigured, NotExecutable, Unverified
from failgate.client.messages import inert
from failgate.client.operand import script_of
from failgate.client.search import digest_of_file, find_executable, programs_of, read_by
from failgate.wire.starters import chain_of

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    Digesting = Callable[[int], str]

ALWAYS = frozenset(
    (  # noqa: SIM905  # a word a line hides the list
        "PATH HOME LANG LANGUAGE TERM COLORTERM NO_COLOR FORCE_COLOR COLUMNS LINES USER LOGNAME SHELL TZ TMPDIR "
        "VIRTUAL_ENV CONDA_PREFIX CI GITHUB_ACTIONS GITLAB_CI BUILDKITE DEBIAN_FRONTEND XDG_RUNTIME_DIR "
        "XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME JAVA_HOME GOPATH GOROOT CARGO_HOME RUSTUP_HOME NVM_DIR "
        "NODE_ENV SOURCE_DATE_EPOCH"
    ).split()
)
INJECTING = frozenset(
    (  # noqa: SIM905  # a word a line hides the list
        "BASH_ENV ENV PROMPT_COMMAND PS4 SHELLOPTS BASHOPTS IFS CDPATH GLOBIGNORE ZDOTDIR PYTHONSTARTUP "
        "PYTHONPATH PYTHONHOME PYTHONINSPECT PYTHONBREAKPOINT PYTHONUSERBASE PERL5LIB PERL5OPT PERL5DB PERLLIB "
        "RUBYLIB RUBYOPT NODE_OPTIONS NODE_PATH JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS CLASSPATH "
        "GIT_SSH GIT_SSH_COMMAND GIT_EXTERNAL_DIFF GIT_PAGER GIT_EDITOR GIT_ASKPASS GIT_PROXY_COMMAND "
        "GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM GIT_CONFIG_COUNT GIT_CONFIG_PARAMETERS GIT_EXEC_PATH "
        "GIT_TEMPLATE_DIR GIT_DIR GIT_WORK_TREE SSH_ASKPASS PAGER MANPAGER LESSOPEN LESSCLOSE EDITOR VISUAL "
        "BROWSER GCONV_PATH HOSTALIASES LOCPATH NLSPATH TERMINFO TERMINFO_DIRS PHP_INI_SCAN_DIR PHPRC LUA_INIT "
        "LUA_PATH R_PROFILE RUSTC_WRAPPER MAKEFLAGS GOFLAGS CARGO_BUILD_RUSTC_WRAPPER"
    ).split()
)


_MOST_STATUS = 4096  # bytes of what Linux says of a process; the mask stands in its second line


class Executable(NamedTuple):
    """The file that would run: its real path, the digest of its bytes in hex, and an open descriptor of it."""

    path: str
    sha256: str
    descriptor: int


class Call(NamedTuple):
    """A command of this machine: `command` as it is sent, its digest, open descriptors of its program and folder.

    `programs` are those that its line names, when a reviewer edited it: `command` tells more then.
    """

    command: dict[str, Any]
    digest: str
    executable: Executable
    folder: int
    programs: dict[str, dict[str, str]] | None = None

    @property
    def argv(self) -> list[str]:
        """Return the argument vector."""
        return list(self.command["argv"])

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment that the command gets: what the reviewer saw, nothing else."""
        return dict(self.command["env"])


def build_call(
    argv: Sequence[str],
    environment: Mapping[str, str],
    more: Iterable[str] = (),
    folder: str | None = None,
    held: int | None = None,
    digesting: Digesting | None = None,
) -> Call:
    """Return the call of `argv` now, with the allowed part of `environment` and the variables named in `more`.

    It is of the current folder, or of `folder`. `held` is a descriptor of what it will read by its standard input,
    `digesting` is as in `open_executable`.

    Raises: NotConfigured (a variable that may not be passed, a folder that is gone), NotExecutable.
    """
    _check_arguments(argv)
    try:
        cwd = os.path.realpath(folder or os.getcwd())
        place = os.open(cwd, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise NotConfigured(
            f"The folder is not usable: {error.strerror}.", hint="Change to a folder that exists."
        ) from error
    shown = allowed_environment(environment, more) | {"PWD": cwd}
    path = shown.get("PATH", os.defpath)
    executable = open_executable(argv[0], cwd, path, digesting)
    command: dict[str, Any] = {
        "v": 1,
        "argv": list(argv),
        "cwd": cwd,
        "cwd_dev_ino": _identity(os.fstat(place)),
        "env": shown,
        "exe": {"path": executable.path, "sha256": executable.sha256},
        "host": socket.gethostname() or "localhost",
        **own_identity(),
        "nonce": base64url(os.urandom(32)),
        "programs": programs_of(argv, cwd, path),
    }
    command["exe"] |= read_by(executable.descriptor, cwd, path)
    if (home := _home_of_account()) is not None:
        command["home"] = home
    if (script := script_of(argv, cwd, path)) is not None:
        command["script"] = script
    if held is not None:
        command["stdin_sha256"] = digest_of_file(held)
    return Call(command, digest_of(command), executable, place)


def own_identity() -> dict[str, int | str]:
    """Return as whom this process runs commands: `uid`, `gid`, and the `umask`, which takes rights off new files.

    The mask is read where Linux tells it: to ask for it means to set it, for all threads. Source: proc(5), umask(2).
    """
    told: dict[str, int | str] = {"uid": os.getuid(), "gid": os.getgid()}
    try:
        with open("/proc/self/status", "rb", buffering=0) as file:  # noqa: PTH123 - pathlib would slow the start
            said = file.read(_MOST_STATUS)
    except OSError:
        return told
    mask = said.partition(b"\nUmask:\t")[2].partition(b"\n")[0]
    return told | ({"umask": mask.decode().zfill(4)} if mask.isdigit() else {})


def _home_of_account() -> str | None:
    """Return the account's folder by the user database: `HOME` says what whoever set it wanted."""
    import pwd

    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
        home.encode()
    except (KeyError, ValueError):
        return None
    return home if home.startswith("/") else None


def allowed_environment(environment: Mapping[str, str], more: Iterable[str]) -> dict[str, str]:
    """Return what of `environment` a command may have: the names in `ALWAYS`, `LC_*`, and `more`.

    Raises: NotConfigured (a name in `more` that injects code, holds a secret or is not set).
    """
    shown = {name: value for name, value in environment.items() if name in ALWAYS or name.startswith("LC_")}
    for name in more:
        shown[name] = _asked_for(name, environment)
    return {name: value for name, value in shown.items() if value.isprintable() or _is_text(value)}


def _asked_for(name: str, environment: Mapping[str, str]) -> str:
    from failgate.redaction.environment import is_sensitive_name

    if name in INJECTING or name.startswith(("LD_", "DYLD_", "BASH_FUNC_", "GIT_CONFIG_", "FAILGATE_")):
        raise NotConfigured(
            f"The variable {inert(name)} can make a program load other code; it is never passed on.",
            hint="Leave it out.",
        )
    if is_sensitive_name(name):
        raise NotConfigured(
            f"The variable {inert(name)} looks like a secret; its value would be shown to the reviewers.",
            hint="Let the command read it from a file.",
        )
    if name not in environment:
        raise NotConfigured(f"The variable {inert(name)} is not set.", hint="Set it, or leave out --env.")
    return environment[name]


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False  # bytes that are no UTF-8 cannot be shown; the variable is left out
    return True


def _check_arguments(argv: Sequence[str]) -> None:
    for place, token in enumerate(argv):
        if not _is_text(token):
            raise NotExecutable(
                f"argv[{place}] is not UTF-8, so it cannot be shown to a reviewer.",
                exit_code=CANNOT_EXECUTE,
                hint="Rename the file or use a pattern.",
            )


def open_executable(name: str, cwd: str, path: str, digesting: Digesting | None = None) -> Executable:
    """Return the program that `name` means in `cwd` with the search path `path`, opened and digested.

    `digesting` says what the digest of an open file is, in place of `digest_of_file`.

    Raises: NotExecutable (127 there is none, 126 it may not be executed or read).
    """
    found = find_executable(name, cwd, path)
    try:
        descriptor = os.open(found, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NotExecutable(
            f"{inert(found)} cannot be read, so what would run cannot be named: {error.strerror}.",
            exit_code=CANNOT_EXECUTE,
        ) from error
    return Executable(found, (digesting or digest_of_file)(descriptor), descriptor)


def check_unchanged(call: Call, digesting: Digesting | None = None) -> None:
    """Return when program and folder are still those that were approved: same file, same bytes, same place.

    Raises: Unverified, naming what changed. Stops the swap of a file, a link or a folder between approval and
    execution. `digesting` is as in `open_executable`.
    """
    argv0, cwd = call.command["argv"][0], call.command["cwd"]
    try:
        folder = os.stat(cwd)
    except OSError as error:
        raise Unverified(f"The folder {inert(cwd)} is gone: {error.strerror}.", hint="Ask again.") from error
    if (
        not (_identity(folder) == _identity(os.fstat(call.folder)) == call.command["cwd_dev_ino"])
        or os.path.realpath(cwd) != cwd
    ):
        raise Unverified(f"The folder {inert(cwd)} is another one than when it was approved.", hint="Ask again.")
    try:
        now = open_executable(argv0, cwd, call.environment.get("PATH", os.defpath), digesting)
    except NotExecutable as error:
        raise Unverified(
            f"The program {inert(argv0)} is not what was approved: {error.sentence}", hint="Ask again."
        ) from error
    try:
        is_same = now.path == call.executable.path and _identity(os.fstat(now.descriptor)) == _identity(
            os.fstat(call.executable.descriptor)
        )
    finally:
        os.close(now.descriptor)
    if not is_same or now.sha256 != call.executable.sha256:
        raise Unverified(f"The program {inert(call.executable.path)} changed since it was approved.", hint="Ask again.")
    path = call.environment.get("PATH", os.defpath)
    known = {name: said for name, said in call.command["exe"].items() if name.startswith("interpreter")}
    if read_by(call.executable.descriptor, cwd, path) != known:
        raise Unverified("What reads the script is another program than when it was approved.", hint="Ask again.")
    if script_of(call.argv, cwd, path) != call.command.get("script"):
        raise Unverified("The script is another text than when it was approved.", hint="Ask again.")
    if programs_of(call.argv, cwd, path) != (call.command["programs"] if call.programs is None else call.programs):
        raise Unverified(
            "A program of the line, or one that programs start, is another file than when it was approved.",
            hint="Ask again.",
        )


def is_script(call: Call) -> bool:
    """Tell whether the program is a text with `#!`: its interpreter opens it by its path, not by our descriptor."""
    return os.pread(call.executable.descriptor, 2, 0) == b"#!"


def is_read(call: Call) -> bool:
    """Tell whether a file of the call is opened by its path: by an interpreter, or by a program that starts it."""
    return "script" in call.command or is_script(call) or bool(own_programs(call))


def own_programs(call: Call) -> list[str]:
    """Return the names of the programs that those of `call` start and that others than root may change."""
    programs = call.command["programs"] if call.programs is None else call.programs
    return [level[0] for level in chain_of(call.argv)[0][1:] if "sha256" in programs.get(level[0], {})]


def close_call(call: Call) -> None:
    """Close the descriptors of `call`."""
    os.close(call.executable.descriptor)
    os.close(call.folder)


def _identity(facts: os.stat_result) -> str:
    return f"{facts.st_dev}:{facts.st_ino}"
