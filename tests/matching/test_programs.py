"""PATH: an ordinary one makes nobody wait, and none lets another file run under the name of a program. # E2 E28"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from failgate_allowlist.entry import Entry
from failgate_allowlist.index import Index
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failgate.client.search import programs_of
from failgate.gate.policy import CommandContext, Finding
from failgate.wire.gate import Argument, Command, ExecutableIdentity, FoundProgram, Rule, RuleExecutable

HERE, LINE = "/src/app", "git status && ls -la | head -5"
SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INSTALLED = {name: f"/usr/bin/{name}" for name in ("git", "ls", "head")}
DIGEST = "0" * 64

# How PATH looks on the machines of developers.
ORDINARY = {
    "rust, pipx": f"/home/dev/.cargo/bin:/home/dev/.local/bin:{SYSTEM}:/usr/games",
    "virtual environment": f"/home/dev/app/.venv/bin:/home/dev/bin:{SYSTEM}",
    "nvm": f"/home/dev/.nvm/versions/node/v22.11.0/bin:{SYSTEM}",
    "fnm": f"/run/user/1000/fnm_multishells/4242_1700000000000/bin:/home/dev/.local/share/fnm:{SYSTEM}",
    "pyenv, rbenv, asdf": f"/home/dev/.pyenv/shims:/home/dev/.rbenv/shims:/home/dev/.asdf/shims:{SYSTEM}",
    "conda": f"/opt/miniconda3/envs/app/bin:/opt/miniconda3/condabin:{SYSTEM}",
    "go, snap, flatpak": f"{SYSTEM}:/usr/local/go/bin:/home/dev/go/bin:/snap/bin:/var/lib/flatpak/exports/bin",
    "a program of agents": f"/home/dev/.codex/tmp/arg0/codex-arg0x7Yk2:/home/dev/.claude/local:{SYSTEM}",
    "Windows below": f"{SYSTEM}:/usr/lib/wsl/lib:/mnt/c/Program Files (x86)/Common Files/:/mnt/c/Users/dev ops/bin",
    "Homebrew": "/opt/homebrew/bin:/opt/homebrew/sbin:/usr/local/bin:/System/Cryptexes/App/usr/bin:/usr/bin:/bin:/Users/dev/bin",
    "Linuxbrew": f"/home/linuxbrew/.linuxbrew/bin:{SYSTEM}",
    "NixOS": "/run/wrappers/bin:/home/dev/.nix-profile/bin:/etc/profiles/per-user/dev/bin:/run/current-system/sw/bin",
    "a container": f"/home/node/.bun/bin:/workspace/node_modules/.bin:{SYSTEM}",
    "a runner of jobs": f"/opt/hostedtoolcache/Python/3.12.7/x64/bin:/home/runner/.dotnet/tools:{SYSTEM}",
    "slashes at the end": "/home/dev/bin/:/usr/local/bin/:/usr/bin/:/bin/",
}
# With these nothing passes, wherever the names lead to now.
TREACHEROUS = [
    f":{SYSTEM}", f"{SYSTEM}:", "/usr/bin::/bin", f".:{SYSTEM}", f"{SYSTEM}:.", f"node_modules/.bin:{SYSTEM}", f"bin:{SYSTEM}",
    f"~/bin:{SYSTEM}", f"/tmp/x:{SYSTEM}", f"/var/tmp:{SYSTEM}", f"/dev/shm/a/b:{SYSTEM}", f"/private/tmp/x:{SYSTEM}", f"//tmp//x:{SYSTEM}",
    f"/run/lock:{SYSTEM}", f"/proc/self/cwd:{SYSTEM}", f"/home/dev/../../tmp:{SYSTEM}", f"{SYSTEM}:/tmp", "",
]  # fmt: skip
# Where somebody could have put a file named git.
PLANTED = [
    "/home/dev/.cargo/bin/git", "/home/dev/.local/bin/git", "/src/app/git", "/src/app/node_modules/.bin/git", "/tmp/git", "/run/user/1000/git",
    "/usr/bin/bash", "/usr/bin/../../tmp/git", "//usr/bin/git", "git", "./git", "/mnt/c/git", "/var/lib/git", "/workspace/git",
]  # fmt: skip


def rule(*argv: str, **members: Any) -> Rule:
    return Rule(kind="argument", effect="allow", argv=list(argv), rest=Argument(one_of=["-la", "-5", "x"]), **members)


def indexed(*rules: Rule) -> Index:
    index = Index()
    for number, one in enumerate(rules or (Rule("exact", "allow", ["git", "status"]), rule("ls"), rule("head"))):
        index.put(Entry("w", f"r{number}", one, "ann", 1))
    return index


def judged(
    index: Index, argv: list[str], path: str | None, programs: Mapping[str, str] | None, exe: str | None = None
) -> Finding:
    env = {"HOME": "/home/dev"} | ({} if path is None else {"PATH": path})
    found = None if programs is None else {name: FoundProgram(place) for name, place in programs.items()}
    attested = ExecutableIdentity(exe or f"/usr/bin/{argv[0]}", DIGEST)
    command = Command(v=1, argv=argv, cwd=HERE, env=env, host="h", exe=attested, programs=found, home="/home/dev")
    return index.judge(command, CommandContext("w", "bot", "ann", 5))


def line(path: str | None, programs: Mapping[str, str] | None, text: str = LINE, *rules: Rule) -> Finding:
    return judged(indexed(*rules), ["bash", "-c", text], path, programs)


@pytest.mark.parametrize("path", ORDINARY.values(), ids=ORDINARY)
def test_with_an_ordinary_search_path_nobody_waits(path: str) -> None:
    assert line(path, INSTALLED).says == "allow"
    assert judged(indexed(), ["git", "status"], path, {}).says == "allow"
    assert judged(indexed(), ["git", "status"], path, {}, "/home/dev/.cargo/bin/git").says == "abstain"


@pytest.mark.parametrize("path", ORDINARY.values(), ids=ORDINARY)
def test_with_the_same_search_path_a_planted_file_waits(path: str) -> None:
    for place in PLANTED:
        assert line(path, INSTALLED | {"git": place}).says == "abstain", place
        assert line(path, INSTALLED | {"head": place}).says == "abstain", place
        assert judged(indexed(), ["git", "status"], path, {}, place).says == "abstain", place


def test_a_name_that_nobody_looked_up_waits() -> None:
    ordinary = ORDINARY["rust, pipx"]
    for programs in (
        {},
        {"git": "/usr/bin/git"},
        {"git ": "/usr/bin/git", "ls": "/usr/bin/ls", "head": "/usr/bin/head"},
    ):
        said = line(ordinary, programs)
        assert (said.says, "nobody said which file would run" in said.reason) == ("abstain", True), programs
    assert line(SYSTEM, {}).says == "abstain"  # the search path would do, but the names were looked up and not found
    for said in (line(ordinary, None), judged(indexed(), ["git", "status"], ordinary, None)):
        assert (said.says, "nobody said where its search path leads" in said.reason) == ("abstain", True)
    assert line(SYSTEM, None).says == "allow"
    assert line(None, None).says == "allow"


@pytest.mark.parametrize("basic", ["grep", "pager", "sh", "ssh", "gzip", "["])
def test_a_planted_file_that_an_allowed_program_would_start_waits(basic: str) -> None:
    """`egrep` is a script that starts `grep`; `git` starts a pager."""
    ordinary = ORDINARY["rust, pipx"]
    for place in PLANTED:
        if place == "/usr/bin/bash":  # it is installed
            continue
        shadowed = {basic: place}
        for said in (judged(indexed(), ["git", "status"], ordinary, shadowed), line(ordinary, INSTALLED | shadowed)):
            assert (said.says, f"{basic} is another file" in said.reason) == ("abstain", True), place
    assert judged(indexed(), ["git", "status"], ordinary, {basic: f"/usr/bin/{basic}"}).says == "allow"
    assert judged(indexed(), ["git", "status"], ordinary, {"python": "/home/dev/.venv/bin/python"}).says == "allow"


@pytest.mark.parametrize(
    ("interpreter", "expected"),
    [
        (None, "allow"), ("/usr/bin/dash", "allow"), ("/usr/bin/node", "allow"), ("/home/dev/.nvm/versions/node/v22/bin/node", "abstain"),
        ("/home/dev/.local/bin/node", "abstain"), ("/tmp/node", "abstain"), ("", "abstain"), ("node", "abstain"), ("/usr/bin/../../tmp/x", "abstain"),
    ],
)  # fmt: skip
def test_a_script_passes_only_with_what_reads_it(interpreter: str | None, expected: str) -> None:
    exact, path = Rule("exact", "allow", ["npm", "--version"]), ORDINARY["rust, pipx"]
    attested = ExecutableIdentity("/usr/bin/npm", DIGEST, interpreter)
    direct = Command(
        v=1, argv=["npm", "--version"], cwd=HERE, env={"PATH": path}, host="h", exe=attested, programs={}
    )  # fmt: skip
    inside = Command(
        v=1, argv=["bash", "-c", "npm --version"], cwd=HERE, env={"PATH": path}, host="h",
        exe=ExecutableIdentity("/usr/bin/bash", DIGEST), programs={"npm": FoundProgram("/usr/bin/npm", None, interpreter)},
    )  # fmt: skip
    for command in (direct, inside):
        assert indexed(exact).judge(command, CommandContext("w", "bot", "ann", 5)).says == expected
    named = Rule("exact", "allow", ["npm", "--version"], env=["PATH"])
    said = indexed(named).judge(direct, CommandContext("w", "bot", "ann", 5)).says
    assert said == ("allow" if expected == "allow" or (interpreter or "").startswith("/home/") else "abstain")


@pytest.mark.parametrize(
    ("asked", "expected"), [("ls", "allow"), ("git", "allow"), ("sh", "abstain"), ("/bin/ls", "abstain")]
)
def test_one_file_that_is_many_programs_is_what_it_is_called(asked: str, expected: str) -> None:
    exact = Rule("exact", "allow", [asked, "x"])
    assert judged(indexed(exact), [asked, "x"], SYSTEM, {}, "/bin/busybox").says == expected
    assert judged(indexed(exact), [asked, "x"], SYSTEM, {}, "/home/dev/bin/busybox").says == "abstain"
    refusing = Rule("prefix", "deny", ["rm"])
    assert judged(indexed(refusing), ["ls", "x"], SYSTEM, {}, "/bin/busybox").says == "abstain"


@pytest.mark.parametrize("path", TREACHEROUS)
def test_with_a_treacherous_search_path_everything_waits_and_says_why(path: str) -> None:
    for said in (line(path, INSTALLED), line(path, None), judged(indexed(), ["git", "status"], path, None)):
        assert said.says == "abstain"
        assert "search path" in said.reason


def test_what_the_shell_does_itself_is_no_file() -> None:
    echo = rule("echo")
    assert line(ORDINARY["nvm"], {}, "echo x", echo).says == "allow"
    assert line(ORDINARY["nvm"], {"echo": "/home/dev/bin/echo"}, "cd src && echo x", echo).says == "abstain"


def test_a_program_of_a_home_passes_where_a_rule_pins_it() -> None:
    path, place = ORDINARY["rust, pipx"], "/home/dev/.cargo/bin/rg"
    pinned = rule("rg", executable=RuleExecutable(place))
    assert line(path, {"rg": place}, "rg x", pinned).says == "allow"
    assert line(path, {"rg": "/usr/bin/rg"}, "rg x", pinned).says == "abstain"
    assert line(path, {}, "rg x", pinned).says == "abstain"
    assert line(path, {"rg": place}, "rg x", rule("rg", env=["PATH"])).says == "allow"
    assert line(path, {"rg": "/tmp/rg"}, "rg x", rule("rg", env=["PATH"])).says == "abstain"
    by_digest = rule("rg", executable=RuleExecutable(place, DIGEST))
    for sha256, expected in ((DIGEST, "allow"), ("1" * 64, "abstain"), (None, "abstain")):
        command = Command(
            v=1, argv=["bash", "-c", "rg x"], cwd=HERE, env={"PATH": path}, host="h",
            exe=ExecutableIdentity("/usr/bin/bash", DIGEST), programs={"rg": FoundProgram(place, sha256)},
        )  # fmt: skip
        assert indexed(by_digest).judge(command, CommandContext("w", "bot", "ann", 5)).says == expected


def test_a_rule_that_refuses_a_folder_of_programs_refuses_them_in_lines() -> None:
    refusing = Rule("path", "deny", pattern="/usr/sbin/")
    assert line(SYSTEM, {"useradd": "/usr/sbin/useradd"}, "useradd x", refusing).says == "deny"


def test_a_shell_of_which_nobody_said_the_file_is_looked_for_like_any_program() -> None:
    def said(path: str) -> str:
        command = Command(
            v=1, argv=["bash", "-c", LINE], cwd=HERE, env={"PATH": path}, host="h",
            programs={name: FoundProgram(place) for name, place in INSTALLED.items()},
        )  # fmt: skip
        return indexed().judge(command, CommandContext("w", "bot", "ann", 5)).says

    assert said(SYSTEM) == "allow"
    assert said(ORDINARY["rust, pipx"]) == "abstain"


def test_a_relative_program_behind_cd_is_not_the_one_that_was_looked_up() -> None:
    own = Rule("exact", "allow", ["./run"], executable=RuleExecutable(f"{HERE}/run"))
    assert line(SYSTEM, {"./run": f"{HERE}/run"}, "./run", own).says == "allow"
    assert line(SYSTEM, {"./run": f"{HERE}/run"}, "cd src && ./run", own).says == "abstain"


# Real shells, real files: `system`, `home/…` and `open` stand for /usr/bin, /home/dev/… and /tmp/x.

_NAMES = ("git", "ls", "head")
_ENTRIES = st.lists(st.sampled_from(["home/a", "home/b", "open", ".", ""]), max_size=3)
_BEFORE = st.lists(st.sampled_from(["home/a", "home/b"]), max_size=2, unique=True)
_HELD = st.dictionaries(st.sampled_from(_NAMES), st.sampled_from(["home/a", "home/b", "open", "."]), max_size=2)


@pytest.fixture(scope="module")
def machine() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp()).resolve()
    for place in ("system", "home/a", "home/b", "open"):
        (root / place).mkdir(parents=True)
    for name in _NAMES:
        _stub(root / "system" / name)
    yield root
    shutil.rmtree(root)


def _stub(path: Path) -> None:
    path.write_text('#!/bin/sh\necho "$0" >> "$LOG"\n')
    path.chmod(0o755)


def _ran(shell: str, root: Path, path: str) -> list[Path]:
    log = root / "log"
    log.unlink(missing_ok=True)
    env = {"PATH": path, "LOG": str(log)}
    subprocess.run([shell, "-c", LINE], cwd=root, env=env, capture_output=True, check=False)
    found = log.read_text().splitlines() if log.exists() else []
    return [Path(os.path.realpath(root / name)) for name in found]


def _as_seen(text: str, root: Path) -> str:
    for place, stands_for in (("system", "/usr/bin"), ("home", "/home/dev"), ("open", "/tmp/x")):
        text = text.replace(str(root / place), stands_for)
    return text


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_what_passes_runs_installed_programs_and_what_is_ordinary_passes(machine: Path, shell: str) -> None:
    """No bypass: whatever lies where, a line that passes ran nothing else in the real shell. And not by refusing all."""
    path = shutil.which(shell)
    assert path is not None
    seen = {"allow": 0, "abstain": 0}

    @settings(max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.one_of(_BEFORE, _ENTRIES), _ENTRIES, _HELD)
    def each(before: list[str], after: list[str], held: dict[str, str]) -> None:
        for name in _NAMES:
            for place in ("home/a", "home/b", "open", "."):
                (machine / place / name).unlink(missing_ok=True)
        for name, place in held.items():
            _stub(machine / place / name)
        entries = [entry if entry in {"", "."} else str(machine / entry) for entry in (*before, "system", *after)]
        search = ":".join(entries)
        told = programs_of([shell, "-c", LINE], str(machine), search)
        programs = {name: _as_seen(found["path"], machine) for name, found in told.items()}
        assert set(programs) >= set(_NAMES)
        says = judged(indexed(), [shell, "-c", LINE], _as_seen(search, machine), programs).says
        seen[says] += 1
        shadowed = any(place in before for place in held.values())
        is_plain = not {"open", ".", ""} & {*before, *after}
        assert (says == "allow") == (is_plain and not shadowed), (search, held)
        if says == "allow":
            ran = _ran(path, machine, search)
            assert ran
            assert {file.parent for file in ran} == {machine / "system"}, (search, held, ran)

    each()
    assert min(seen.values()) > 5, seen


def test_a_script_of_the_system_that_starts_a_planted_program_is_not_let(machine: Path) -> None:
    """`egrep` is a script that starts `grep` along PATH: run so it does start the planted one, so a rule must not pass it."""
    egrep, home = shutil.which("egrep"), machine / "home" / "a"
    assert egrep is not None
    log = machine / "log"
    log.unlink(missing_ok=True)
    search = f"{home}:/usr/bin:/bin"

    def says() -> str:
        programs = {
            name: FoundProgram(_as_seen(one["path"], machine))
            for name, one in programs_of(["egrep", "x"], str(machine), search).items()
        }
        command = Command(
            v=1, argv=["egrep", "x"], cwd=HERE, env={"PATH": _as_seen(search, machine)}, host="h",
            exe=ExecutableIdentity("/usr/bin/egrep", DIGEST, "/usr/bin/dash"), programs=programs,
        )  # fmt: skip
        return indexed(rule("egrep")).judge(command, CommandContext("w", "bot", "ann", 5)).says

    assert says() == "allow"
    _stub(home / "grep")
    try:
        assert says() == "abstain"
        subprocess.run(
            [egrep, "x"],
            env={"PATH": search, "LOG": str(log)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        assert log.exists()  # what would have run
    finally:
        (home / "grep").unlink()
