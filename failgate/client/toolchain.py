"""Versions of the tools that a command or its project suggests.

Each tool is asked in a process of its own, all at the same time, for at most `SECONDS`, from the root folder and with a
bare environment. A program that lies inside of the captured folder is never started: whoever wrote the repository wrote
it too.
"""
# ruff: noqa: PTH100, PTH113, PTH117, PTH118, PTH119, PTH120, PTH123, PTH208 -- paths of PATH are looked at by the dozen

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from failgate.client.messages import inert

SECONDS = 2.0
_LONGEST = 200
_MOST_TOOLS = 12
_KEPT = ("HOME", "USER", "LANG", "PYENV_ROOT", "RUSTUP_HOME", "CARGO_HOME", "NVM_DIR", "JAVA_HOME", "GOROOT")
_WORDS = re.compile(r"[A-Za-z0-9_.+/-]+")


class Tool(NamedTuple):
    """A tool: how it is asked, which words of a command and which files of a project suggest it."""

    name: str
    question: tuple[str, ...]
    words: str
    files: str = ""


TOOLS = (
    Tool("git", ("--version",), "git"),
    Tool("python3", ("--version",), "python python3 pytest py.test tox nox pip pip3 uv poetry ruff mypy hatch",
         "pyproject.toml setup.py setup.cfg requirements.txt tox.ini"),
    Tool("node", ("--version",), "node npm npx yarn pnpm tsc jest vitest eslint", "package.json"),
    Tool("npm", ("--version",), "npm npx", "package-lock.json"),
    Tool("yarn", ("--version",), "yarn", "yarn.lock"),
    Tool("pnpm", ("--version",), "pnpm", "pnpm-lock.yaml"),
    Tool("go", ("version",), "go gofmt", "go.mod"),
    Tool("cargo", ("--version",), "cargo", "Cargo.toml"),
    Tool("rustc", ("--version",), "cargo rustc", "Cargo.toml"),
    Tool("gcc", ("--version",), "gcc cc make cmake meson ninja", "Makefile configure CMakeLists.txt meson.build"),
    Tool("clang", ("--version",), "clang clang++"),
    Tool("make", ("--version",), "make gmake", "Makefile GNUmakefile"),
    Tool("cmake", ("--version",), "cmake ctest", "CMakeLists.txt"),
    Tool("java", ("-version",), "java javac mvn gradle gradlew", "pom.xml build.gradle build.gradle.kts"),
    Tool("mvn", ("--version",), "mvn", "pom.xml"),
    Tool("ruby", ("--version",), "ruby rake bundle rspec", "Gemfile"),
    Tool("php", ("--version",), "php composer phpunit", "composer.json"),
    Tool("dotnet", ("--version",), "dotnet"),
    Tool("docker", ("--version",), "docker docker-compose"),
    Tool("terraform", ("--version",), "terraform"),
)  # fmt: skip


class Question:
    """The tools while they are asked: begun early, answered when everything else is done."""

    def __init__(self, argv: Sequence[str], folder: str, environment: Mapping[str, str], *, has_git: bool) -> None:
        """Start asking."""
        self._until = time.monotonic() + SECONDS
        self._asked: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._known: list[tuple[str, str]] = []
        tools = list(_suggested(argv, folder))
        if has_git and TOOLS[0] not in tools:
            tools.append(TOOLS[0])
        for tool in tools[:_MOST_TOOLS]:
            self._ask(tool, folder, environment)

    def answers(self) -> list[tuple[str, str]]:
        """Return (name, version) of each tool that answered in time, by name. The others are ended."""
        for name, running in self._asked:
            version = _answer(running, max(0.0, self._until - time.monotonic()))
            if version:
                self._known.append((name, version))
        self._asked.clear()
        return sorted(self._known)

    def _ask(self, tool: Tool, folder: str, environment: Mapping[str, str]) -> None:
        found = _program(tool.name, environment.get("PATH", os.defpath))
        if found is None:
            return
        if _is_inside(found, folder):
            version = _virtual_environment(found)
            if version is not None:
                self._known.append((tool.name, version))
            return
        bare = {name: environment[name] for name in _KEPT if name in environment}
        bare |= {"PATH": _outside(environment.get("PATH", os.defpath), folder), "LC_ALL": "C", "GOTOOLCHAIN": "local"}
        try:
            running = subprocess.Popen(  # noqa: S603  # a tool of the user's own path, with fixed arguments
                [found, *tool.question],
                cwd="/",
                env=bare,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError:
            return
        self._asked.append((tool.name, running))


def _suggested(argv: Sequence[str], folder: str) -> Iterator[Tool]:
    words = {os.path.basename(word) for token in argv for word in _WORDS.findall(token[:4096])}
    try:
        files = set(os.listdir(folder))
    except OSError:
        files = set()
    for tool in TOOLS:
        if words & set(tool.words.split()) or files & set(tool.files.split()):
            yield tool


def _program(name: str, path: str) -> str | None:
    """Return where `name` is found in `path`; a relative part of it is never looked at."""
    for part in path.split(os.pathsep):
        place = os.path.join(part, name)
        if os.path.isabs(part) and os.path.isfile(place) and os.access(place, os.X_OK):
            return place
    return None


def _outside(path: str, folder: str) -> str:
    return os.pathsep.join(
        part for part in path.split(os.pathsep) if os.path.isabs(part) and not _is_inside(part, folder)
    )


def _is_inside(place: str, folder: str) -> bool:
    """Tell whether `place`, or what it leads to, lies in `folder`."""
    inside = os.path.realpath(folder)
    if inside == "/":
        return False
    return any(f"{where}/".startswith(f"{inside}/") for where in (os.path.abspath(place), os.path.realpath(place)))


def _virtual_environment(program: str) -> str | None:
    """Return what a virtual environment's own file says of its Python; nothing of it is run."""
    try:
        with open(os.path.join(os.path.dirname(program), "..", "pyvenv.cfg"), encoding="utf-8") as stream:
            text = stream.read(4096)
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(r"^version(?:_info)?\s*=\s*([0-9][0-9A-Za-z.+]{0,40})", text, re.MULTILINE)
    return f"Python {found[1]} (pyvenv.cfg)" if found else None


def _answer(running: "subprocess.Popen[bytes]", seconds: float) -> str | None:
    try:
        printed, _ = running.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            running.communicate(timeout=0.2)  # what left the group and still holds the pipe is not waited for
        return None
    return _first(printed[:65536].decode("utf-8", "replace").splitlines())


def _first(lines: Iterable[str]) -> str | None:
    for line in lines:
        if line.strip():
            return inert(line.strip())[:_LONGEST]
    return None
