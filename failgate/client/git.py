"""The repository around a folder, read without running anything that the repository asks for."""

import os
import subprocess
from typing import NamedTuple

DIFF_BYTES = 1024 * 1024
_SECONDS = 15
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_SAFE = (
    "--no-pager",
    "--no-optional-locks",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.untrackedCache=false",
    "-c",
    "submodule.recurse=false",
    "-c",
    "core.quotePath=false",
)

_PLAIN = ("--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=all")


class Repository(NamedTuple):
    """State and changes: `head` is the full commit id or None before the first commit; `diff` is bounded."""

    root: str
    head: str | None
    branch: str | None
    changed_files: int
    diff: bytes
    diff_dropped_bytes: int


def read_repository(folder: str) -> Repository | None:
    """Return the state of the repository around `folder`; None without git, outside of one or when git fails."""
    try:
        root = _git(folder, "rev-parse", "--show-toplevel")
        if root is None:
            return None
        top = os.fsdecode(root.rstrip(b"\n"))
        head = _line(_git(top, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"))
        branch = _line(_git(top, "symbolic-ref", "--quiet", "--short", "HEAD"))
        status = (
            _git(
                top,
                "status",
                "--porcelain=v1",
                "-z",
                "--untracked-files=normal",
                "--ignore-submodules=all",
                "--no-renames",
            )
            or b""
        )
        changed = len([entry for entry in status.split(b"\0") if entry])
        diff, dropped = _diff(top, head or _EMPTY_TREE)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Repository(top, head, branch, changed, diff, dropped)


def _git(folder: str, *arguments: str) -> bytes | None:
    """Return what git prints, or None when it fails."""
    done = subprocess.run(  # noqa: S603  # fixed arguments, no shell, nothing of the repository runs
        ["git", *_SAFE, "-C", folder, *arguments],  # noqa: S607  # the user's own git, from PATH
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
        timeout=_SECONDS,
        check=False,
    )
    return done.stdout if done.returncode == 0 else None


def _diff(folder: str, against: str) -> tuple[bytes, int]:
    """Return the changes since `against`, at most `DIFF_BYTES` in whole lines, and how many bytes are left out."""
    with subprocess.Popen(  # noqa: S603  # fixed arguments, no shell, external diffs and text conversions off
        ["git", *_SAFE, "-C", folder, "diff", *_PLAIN, against, "--"],  # noqa: S607  # the user's own git, from PATH
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    ) as running:
        assert running.stdout is not None
        kept = running.stdout.read(DIFF_BYTES)
        dropped = 0
        while piece := running.stdout.read(1 << 20):
            dropped += len(piece)
            if dropped > 64 * DIFF_BYTES:
                running.kill()
                break
    if dropped:
        whole = kept.rfind(b"\n") + 1 or len(kept)
        dropped += len(kept) - whole
        kept = kept[:whole]
    return kept, dropped


def _environment() -> dict[str, str]:
    """Return our environment without git's own variables, which could name programs to run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ATTR_NOSYSTEM": "1",
        "LC_ALL": "C",
    }


def _line(printed: bytes | None) -> str | None:
    text = (printed or b"").decode("utf-8", "replace").strip()
    return text or None
