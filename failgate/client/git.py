"""The repository around a folder, read without running anything that the repository asks for.

What could make git execute something, and what stops it: hooks (`core.hooksPath`), the monitor of files
(`core.fsmonitor`), external diffs and text conversions (`--no-ext-diff --no-textconv`), filters of attributes (each
configured one is overridden by an empty command), pagers and editors (never with our arguments), fetches of missing
objects and their helpers (`GIT_NO_LAZY_FETCH`, `GIT_ALLOW_PROTOCOL`, empty `credential.helper`), programs inside of
submodules (they are never entered), variables of the environment (`GIT_*` are not passed on).
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

from failgate.wire.reports import GitPath

DIFF_BYTES = 1024 * 1024
MOST_PATHS = 1000
_SECONDS = 15
_CHANGE_SECONDS = 600
_STREAM_SECONDS = 60
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_SAFE = ("--no-pager", "--no-optional-locks", "--literal-pathspecs")
_OVERRIDES = {
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "core.untrackedCache": "false",
    "core.sparseCheckout": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "core.quotePath": "false",
    "core.attributesFile": "/dev/null",
    "core.sshCommand": "false",
    "core.askPass": "false",
    "core.pager": "cat",
    "core.editor": "false",
    "credential.helper": "",
    "protocol.allow": "never",
    "submodule.recurse": "false",
    "status.submoduleSummary": "false",
    "diff.external": "",
    "diff.ignoreSubmodules": "dirty",
    "uploadpack.packObjectsHook": "",
}
_PLAIN = (
    "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--ignore-submodules=dirty", "--submodule=short",
    "--src-prefix=a/", "--dst-prefix=b/", "--no-relative", "--full-index", "-U3",
)  # fmt: skip


class Repository(NamedTuple):
    """State and changes: `head` is the full commit id or None before the first commit; `diff` is bounded.

    `diff` is against `head` and has what is staged and what is not; binary files are named there, without content.
    """

    root: str
    head: str | None
    branch: str | None
    changed_files: int
    diff: bytes
    diff_dropped_bytes: int
    status: tuple[GitPath, ...] = ()
    binary_files: int = 0


class Git:
    """git in one folder, with everything switched off that runs a program."""

    def __init__(self, folder: str) -> None:
        """Ask the configuration for filters, so that each can be switched off."""
        self._folder = folder
        self._environment = _environment(_OVERRIDES)
        named = self._listed_filters()
        self._environment = _environment(_OVERRIDES | named)

    def change(self, *arguments: str, stdin: IO[bytes] | None = None) -> str | None:
        """Carry out what writes files; return None, or the last line of what git said when it failed.

        Files of this machine may be read as a remote repository: a bundle is one.

        Raises: OSError (there is no git), subprocess.TimeoutExpired.
        """
        done = subprocess.run(  # noqa: S603  # no shell, nothing of the repository runs
            self._command(arguments),
            stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=self._environment | {"GIT_ALLOW_PROTOCOL": "file"},
            timeout=_CHANGE_SECONDS,
            check=False,
        )
        if done.returncode == 0:
            return None
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return said[-1] if said else f"git ended with {done.returncode}"

    def ask(self, *arguments: str) -> bytes | None:
        """Return what git prints, or None when it fails.

        Raises: OSError (there is no git), subprocess.TimeoutExpired.
        """
        done = subprocess.run(  # noqa: S603  # fixed arguments, no shell, nothing of the repository runs
            self._command(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment,
            timeout=_SECONDS,
            check=False,
        )
        return done.stdout if done.returncode == 0 else None

    @contextmanager
    def reading(self, *arguments: str) -> Iterator[tuple[IO[bytes], "subprocess.Popen[bytes]"]]:
        """Give what git prints as a stream; whoever leaves early ends git, and so does its time."""
        from threading import Timer

        with subprocess.Popen(  # noqa: S603  # fixed arguments, no shell, nothing of the repository runs
            self._command(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment,
        ) as running:
            assert running.stdout is not None
            timer = Timer(_STREAM_SECONDS, running.kill)
            timer.daemon = True
            timer.start()
            try:
                yield running.stdout, running
            finally:
                timer.cancel()
                if running.poll() is None:
                    running.stdout.close()
                    try:
                        running.wait(_SECONDS)
                    except subprocess.TimeoutExpired:
                        running.kill()

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return ["git", *_SAFE, "-C", self._folder, *arguments]

    def _listed_filters(self) -> dict[str, str]:
        listed = self.ask("config", "--name-only", "-z", "--get-regexp", r"^filter\.") or b""
        names = {os.fsdecode(key).rpartition(".")[0] for key in listed.split(b"\0") if key}
        return {
            f"{name}.{member}": value
            for name in names
            for member, value in (("clean", ""), ("smudge", ""), ("process", ""), ("required", "false"))
        }


def read_repository(folder: str, diff_bytes: int = DIFF_BYTES) -> Repository | None:
    """Return the state of the repository around `folder`; None without git, outside of one or when git fails."""
    try:
        top = top_of(folder)
        if top is None:
            return None
        git = Git(top)
        head = _line(git.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}"))
        branch = _line(git.ask("symbolic-ref", "--quiet", "--short", "HEAD"))
        status = list(_status(git))
        diff, dropped = _diff(git, head or _EMPTY_TREE, diff_bytes)
        numbers = git.ask("diff", *_PLAIN, "--numstat", "-z", head or _EMPTY_TREE, "--") or b""
    except (OSError, subprocess.TimeoutExpired):
        return None
    binary = sum(entry.startswith(b"-\t-\t") for entry in numbers.split(b"\0"))
    return Repository(top, head, branch, len(status), diff, dropped, tuple(status[:MOST_PATHS]), binary)


def top_of(folder: str) -> str | None:
    """Return the top of the work tree around `folder`; None outside of one.

    Only where `.git` stands: a repository whose configuration names another work tree could make us read that one.
    """
    root = Git(folder).ask("rev-parse", "--show-toplevel")
    if root is None:
        return None
    top = os.fsdecode(root.rstrip(b"\n"))
    here = os.path.realpath(folder)
    is_around = os.path.commonpath((here, os.path.realpath(top))) == os.path.realpath(top)
    return top if is_around and os.path.lexists(f"{top}/.git") else None


def _status(git: Git) -> Iterator[GitPath]:
    """Yield what differs, as `git status --porcelain=v2` says it, untracked files too."""
    printed = (
        git.ask(
            "status",
            "--porcelain=v2",
            "-z",
            "--untracked-files=normal",
            "--ignore-submodules=dirty",
            "--no-renames",
        )
        or b""
    )
    for entry in printed.split(b"\0"):
        kind = entry[:2]
        if kind == b"? ":
            yield GitPath("??", _text(entry[2:]))
        elif kind in (b"1 ", b"u "):
            fields = entry.split(b" ", 8 if kind == b"1 " else 10)
            yield GitPath(_text(fields[1]), _text(fields[-1]), fields[2].startswith(b"S"))


def _diff(git: Git, against: str, most: int) -> tuple[bytes, int]:
    """Return the changes since `against`, at most `most` bytes in whole lines, and how many bytes are left out.

    Of a git that ended too early nobody knows how many: at least one.
    """
    with git.reading("diff", *_PLAIN, against, "--") as (stream, running):
        kept = stream.read(most)
        dropped = 0
        while piece := stream.read(1 << 20):
            dropped += len(piece)
            if dropped > 64 * DIFF_BYTES:
                running.kill()
                break
        is_whole = not dropped and running.wait() == 0  # its time may have ended it
    if not is_whole and kept:
        dropped = max(dropped, 1)
        whole = kept.rfind(b"\n") + 1 or len(kept)
        dropped += len(kept) - whole
        kept = kept[:whole]
    return kept, dropped


def _environment(overrides: dict[str, str]) -> dict[str, str]:
    """Return our environment without git's own variables, which could name programs to run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    for number, (key, value) in enumerate(overrides.items()):
        kept |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return kept | {
        "GIT_CONFIG_COUNT": str(len(overrides)),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_PAGER": "cat",
        "LC_ALL": "C",
    }


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _line(printed: bytes | None) -> str | None:
    text = (printed or b"").decode("utf-8", "replace").strip()
    return text or None
