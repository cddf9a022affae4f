"""The starter rules: most of what is read on an ordinary day passes, nothing else does. E2 E28."""

import random
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from failgate_allowlist.entry import Entry
from failgate_allowlist.index import Index

from failgate.gate.policy import CommandContext
from failgate.gate.starter import starter_rules
from failgate.matching.matcher import check_rule
from failgate.matching.shell import inspect_line
from failgate.wire.gate import Command, ExecutableIdentity
from tests.gate import abuses, tricks
from tests.gate.ordinary import COMMANDS

HERE = "/src/app"
ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/home/dev", "LANG": "C.UTF-8", "TERM": "xterm-256color"}
CONTEXT = CommandContext("w", "bot", "ann", 5)


def indexed(rules) -> Index:
    index = Index()
    for number, rule in enumerate(rules):
        index.put(Entry("w", f"r{number}", rule, "ann", 1))
    return index


@pytest.fixture(scope="module")
def index() -> Index:
    return indexed(starter_rules([HERE]))


def says(
    index: Index, argv: Sequence[str], *, exe: str | None = "", cwd: str = HERE, env: dict[str, str] | None = None,
    home: str | None = "/home/dev",
):  # fmt: skip
    """Return what the rules say; the program is attested as the installed one, as `exe`, or with None not at all."""
    path = exe if exe != "" else argv[0] if argv and argv[0].startswith("/") else f"/usr/bin/{argv[0] if argv else ''}"
    attested = None if path is None else ExecutableIdentity(path, "0" * 64)
    env = ENV if env is None else env
    command = Command(v=1, argv=list(argv), cwd=cwd, env=env, host="h", exe=attested, home=home)
    return index.judge(command, CONTEXT).says


def test_every_starter_rule_is_one_that_may_be_made():
    rules = starter_rules([HERE])
    for rule in rules:
        check_rule(rule)
    assert len(rules) > 150
    assert len({(*rule.argv, repr(rule.arguments)) for rule in rules}) == len(rules)


def test_most_of_an_ordinary_day_passes_as_lines_for_a_shell(index):
    """Each command of the day as an agent sends it, through `bash -c`: at least 80 of 100 pass."""
    asked = [text for text in COMMANDS if says(index, ["bash", "-c", text]) != "allow"]
    share = 1 - len(asked) / len(COMMANDS)
    assert len(COMMANDS) >= 200
    assert share >= 0.8, f"{share:.0%} of {len(COMMANDS)}; asked for: {asked}"


def test_most_of_an_ordinary_day_passes_as_words(index):
    """The same commands without those that need a shell, each as its argument list."""
    plain = [
        shlex.split(text) for text in COMMANDS if not any(sign in text.replace("'{print $", "") for sign in "|&;>$*")
    ]
    asked = [argv for argv in plain if says(index, argv) != "allow"]
    share = 1 - len(asked) / len(plain)
    assert len(plain) >= 130
    assert share >= 0.8, f"{share:.0%} of {len(plain)}; asked for: {asked}"


def test_no_abuse_of_arguments_passes(index):
    """Each as words, and as a line for a shell."""
    tried = [*abuses.argument_abuses(), *abuses.other_programs()]
    assert len(tried) > 1330
    passed = [argv for argv in tried if says(index, argv) == "allow"]
    passed += [argv for argv in tried if says(index, ["bash", "-c", shlex.join(argv)]) == "allow"]
    assert passed == []


def test_no_trick_of_the_shell_passes(index):
    allowed = ["git status", "ls -la", "cat a.txt", "echo x", "cat x", "ls"]
    assert all(says(index, ["bash", "-c", line]) == "allow" for line in allowed)
    for shell in ("bash", "sh", "dash", "/bin/sh", "zsh", "fish", "busybox"):
        passed = [line for line in tricks.LINES if says(index, [shell, "-c", line]) == "allow"]
        assert passed == [], shell


@pytest.mark.parametrize("argv", [["ls", "-la"], ["git", "status"], ["rg", "x"], ["bash", "-c", "ls -la"]])
def test_no_variable_of_the_environment_slips_through(index, argv):
    assert says(index, argv) == "allow"
    passed = [env for env in tricks.ENVIRONMENTS if says(index, argv, env=ENV | env) == "allow"]
    assert passed == []


@pytest.mark.parametrize(
    "env",
    [
        {"HOME": "/tmp/evil"}, {"HOME": HERE}, {"HOME": f"{HERE}/h"}, {"HOME": "/home/dev/h"}, {"HOME": "/home/dev/../x"},
        {"HOME": "/home/de"}, {"HOME": "/"}, {"XDG_CONFIG_HOME": "/var/tmp/x"}, {"XDG_CONFIG_HOME": HERE},
        {"XDG_CONFIG_HOME": "/home/dev"}, {"CARGO_HOME": f"{HERE}/.cargo"}, {"GOROOT": f"{HERE}/go"},
        {"GOPATH": "/home/dev/other"}, {"JAVA_HOME": "/home/dev/java"}, {"NVM_DIR": f"{HERE}/.nvm"},
    ],
)  # fmt: skip
def test_git_is_let_read_its_settings_in_the_account_s_own_folder_alone(index, env):
    for argv in (["git", "status"], ["bash", "-c", "git diff | head"]):
        assert says(index, argv, env=ENV | env) == "abstain"
    assert says(index, ["ls"], env=ENV | env) == "allow"  # it reads none


def test_settings_at_their_ordinary_places_keep_nothing_from_passing(index):
    ordinary = {
        "HOME": "/home/dev/", "XDG_CONFIG_HOME": "/home/dev/.config", "CARGO_HOME": "/home/dev/.cargo",
        "RUSTUP_HOME": "/home/dev/.rustup", "GOPATH": "/home/dev/go", "NVM_DIR": "/home/dev/.config/nvm",
        "GOROOT": "/usr/lib/go-1.22", "JAVA_HOME": "/usr/lib/jvm/default",
    }  # fmt: skip
    assert says(index, ["git", "status"], env=ENV | ordinary) == "allow"
    without = {name: value for name, value in ENV.items() if name != "HOME"}
    assert says(index, ["git", "status"], env=without, home=None) == "allow"
    assert says(index, ["git", "status"], home=None) == "abstain"  # nobody said whose folder that is


def test_no_other_file_under_the_name_of_the_program_passes(index):
    assert says(index, ["git", "status"], exe="/usr/bin/git") == "allow"
    assert says(index, ["git", "status"], exe="/usr/local/bin/git") == "allow"
    passed = [path for path in tricks.PROGRAMS if says(index, ["git", "status"], exe=path) == "allow"]
    assert passed == []
    for shell in ("/tmp/evil/bash", "/src/app/bash", "/usr/bin/zsh"):
        assert says(index, ["bash", "-c", "ls"], exe=shell) == "abstain"


@pytest.mark.parametrize(
    "cwd", ["/", "/src", "/src/app2", "/etc", "/src/app/../../etc", "/tmp", "/root", "/proc/self/cwd"]
)
def test_no_folder_passes_that_the_workspace_did_not_name(index, cwd):
    for argv in (["ls"], ["cat", "a.txt"], ["git", "status"], ["whoami"], ["bash", "-c", "ls"]):
        assert says(index, argv, cwd=cwd) == "abstain", argv
    assert says(index, ["ls"], cwd="/src/app/deep/er") == "allow"


def mutated(argv: Sequence[str], rolls: random.Random) -> list[str]:
    """Return `argv` with one to three changes of the kinds by which people get past lists."""
    words = list(argv)
    for _ in range(rolls.randint(1, 3)):
        place = rolls.randrange(len(words))
        move = rolls.randrange(9)
        odd = rolls.choice(
            ["--output=x", "-o", "-exec", "-c", "--pre=id", "--help", "/etc/shadow", "../x", ";", "$(id)", "`id`", "|sh", "&&", "\n",              "\u202e", "-i", "--", "@/etc/x", "~", ".ssh/id_rsa", "/", "..", "--exec-path=/tmp", "-O", "--ext-diff", "-w", "w x", "1e id"]
        )  # fmt: skip
        if move == 0:
            words.insert(place + 1, odd)
        elif move == 1:
            words[place] = odd
        elif move == 2:
            words[place] += odd
        elif move == 3:
            words[place] = odd + words[place]
        elif move == 4:
            words.insert(0, rolls.choice(["env", "sudo", "sh", "xargs", "nice", "time", "timeout"]))
        elif move == 5:
            words[0] = rolls.choice(["/tmp/", "./", "../", "/usr/bin/../../tmp/"]) + words[0]
        elif move == 6:
            words[place] = words[place].swapcase()
        elif move == 7:
            words.append(odd)
        else:
            words[0] = words[0] + rolls.choice([" ", "\n", "\u200b", ".sh", "-x"])
    return words


# What a mutation of an allowed command may still be: words that only read below the folder of the call.
DANGEROUS = (
    "--output", "-exec", "-c core", "--pre", "/etc/", "..", "$(", "`", "|sh", "\n", "\u202e", "@/", "~", ".ssh", "--exec-path",
    "--ext-diff", "/tmp", "\u200b",
)  # fmt: skip


def _has(word: str, sign: str) -> bool:
    if sign == "..":
        return sign in word.split("/")
    return word.startswith(sign) if sign.startswith(("-", "~", "/")) else sign in word


def test_no_mutation_of_an_allowed_command_passes_that_would_do_something_else(index):
    """3,000 seeded mutations: what passes has the program of an allowed command and no word that could do harm."""
    rolls = random.Random(2026)
    day = [shlex.split(text) for text in COMMANDS if not any(sign in text for sign in "|&;>$*")]
    known = [argv for argv in day if says(index, argv) == "allow"]
    programs = {argv[0] for argv in known}
    passed = []
    for _ in range(3000):
        argv = mutated(rolls.choice(known), rolls)
        for asked in (argv, ["bash", "-c", shlex.join(argv)] if "\0" not in "".join(argv) else argv):
            if says(index, asked) == "allow":
                passed.append(argv)
    for argv in passed:
        assert argv[0] in programs, argv
        if argv[0] not in {"echo", "tr", "grep"}:  # their words are texts
            assert not [word for word in argv[1:] for sign in DANGEROUS if _has(word, sign)], argv
            assert not any(word.startswith(("../", "/")) for word in argv[1:]), argv
    assert len(passed) < 3000


def test_the_whole_corpus_is_counted():
    """What docs/rules.md says of the corpora."""
    counts = {
        "ordinary": len(COMMANDS),
        "arguments": len(list(abuses.argument_abuses())),
        "programs": len(list(abuses.other_programs())),
        "lines": len(tricks.LINES),
        "environments": len(tricks.ENVIRONMENTS),
    }
    assert counts["arguments"] + counts["programs"] >= 1330
    assert counts["lines"] >= 150
    assert all(inspect_line(line) is not None for line in tricks.LINES)
    print(counts)


# Run for real: no list of tricks decides here. Every command that passes, of an ordinary day and of seeded mutations, is
# run by the installed program in a repository of its own. What it starts along PATH meets a witness; files are compared.

SYSTEM = "/usr/local/bin:/usr/bin:/bin"
# What the programs of the corpora may start along PATH: `egrep` is a script that calls grep, as its package says.
HELPERS = {"egrep": {"grep"}, "fgrep": {"grep"}}
WITNESSED = shlex.split(
    "sh bash dash env id evil git grep sed awk cat less more pager sensible-pager vi vim editor nano ssh gpg python3 perl"
    " man tar gzip find xargs rm cp mv tee touch curl wget nc open xdg-open diff file"
)


class Machine:
    """A repository, and witnesses in front of the search path."""

    def __init__(self, root: Path) -> None:
        self.folder, self.front, self.log = root / "app", root / "front", root / "log"
        for place in (self.folder / "src", self.folder / "tests", self.front, root / "home"):
            place.mkdir(parents=True)
        for name in WITNESSED:
            (self.front / name).write_text(f'#!/bin/sh\necho {name} >> "{self.log}"\n')
            (self.front / name).chmod(0o755)
        for name in (
            "README.md",
            "a.txt",
            "x",
            "w x",
            "id",
            "src/app.py",
            "src/main.py",
            "tests/test_app.py",
            "pyproject.toml",
        ):
            (self.folder / name).write_text("import os\n# one\ndef main(): ...\n1e id\nx\n")
        self.env = {"PATH": f"{self.front}:{SYSTEM}", "HOME": str(root / "home"), "LANG": "C.UTF-8"}
        who = ["-c", "user.name=t", "-c", "user.email=t@t.example"]
        for step in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "one"]):
            self.run(["git", *step])
        (self.folder / "a.txt").write_text("changed\n")

    def run(self, argv: Sequence[str]) -> set[str]:
        """Run the installed program; return which witnesses were started."""
        self.log.unlink(missing_ok=True)
        program = shutil.which(argv[0], path=SYSTEM)
        assert program is not None
        subprocess.run(
            argv, executable=program, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
            check=False, timeout=20,
        )  # fmt: skip
        return set(self.log.read_text().split()) if self.log.exists() else set()

    def files(self) -> dict[str, tuple[int, ...]]:
        """Return facts of every file but the log, and the index of git, which is its cache of what it saw."""
        ours = {self.log, self.folder / ".git" / "index"}
        facts = {path: path.lstat() for path in self.log.parent.rglob("*") if path not in ours}
        return {
            str(path): (
                one.st_mode,
                one.st_ino,
                0 if path.is_dir() else one.st_size,
                0 if path.is_dir() else one.st_mtime_ns,
            )
            for path, one in facts.items()
        }


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(tmp_path_factory.mktemp("machine"))


def passing() -> list[list[str]]:
    """Return what passes of the day and of 3,000 mutations of it, once each, with a program that is installed here."""
    index, rolls = indexed(starter_rules([HERE])), random.Random(77)
    day = [shlex.split(text) for text in COMMANDS if not any(sign in text for sign in "|&;>$*")]
    known = [argv for argv in day if says(index, argv) == "allow"]
    tried = [*known, *(mutated(rolls.choice(known), rolls) for _ in range(3000))]
    found = {tuple(argv): list(argv) for argv in tried if "\0" not in "".join(argv) and says(index, argv) == "allow"}
    return [argv for argv in found.values() if shutil.which(argv[0], path=SYSTEM) is not None]


def test_a_witness_sees_what_is_started_and_files_what_is_changed(machine: Machine) -> None:
    """The oracle is no blind one."""
    before = machine.files()
    assert machine.run(["find", ".", "-maxdepth", "0", "-exec", "id", ";"]) == {"id"}
    assert machine.run(["git", "-c", "diff.external=evil", "diff"]) & {"evil", "sh"}
    assert machine.files() == before
    machine.run(["sort", "-o", "made", "a.txt"])
    assert set(machine.files()) - set(before) == {str(machine.folder / "made")}
    (machine.folder / "made").unlink()


def test_what_passes_changes_nothing_and_starts_nothing_else(machine: Machine) -> None:
    before, wrong = machine.files(), []
    commands = passing()
    for argv in commands:
        started = machine.run(argv) - HELPERS.get(argv[0], set())
        after = machine.files()
        if started or after != before:
            wrong.append((argv, started, sorted(set(after) ^ set(before))))
            before = after
    assert wrong == []
    assert len(commands) > 150
