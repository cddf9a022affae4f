"""The tree in which a report is replayed: a git worktree of its own, or one made from the report's bundle or snapshot.

The person's checkout and index are never touched. Hooks, filters and file system monitors that a repository names are
switched off: git only writes files here. A tree that a killed replay left is removed by the next one: each is held by
a lock that ends with its process.
"""

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from failgate.client.exits import ClientError
from failgate.client.git import Git, top_of
from failgate.client.messages import inert
from failgate.client.source import MOST_FILES

UNREPLAYABLE = 65  # EX_DATAERR
TAG = re.compile(rb"\[redacted:[a-z0-9-]{1,40}:[0-9a-f]{8}\]")


class Unreplayable(ClientError):
    """The report cannot be replayed as it is; nothing was executed."""

    slug = "unreplayable"
    exit_code = UNREPLAYABLE


class Source(NamedTuple):
    """What a tree is made from: the repository here, the commit, and what the report holds beside them."""

    here: Path
    head: str | None
    diff: Path | None
    snapshot: Path | None
    bundle: Path | None
    is_redacted_allowed: bool = False


class Tree(NamedTuple):
    """A tree that was made: its folder, and how: `worktree`, `bundle` or `snapshot`."""

    folder: Path
    way: str


def head_of(folder: Path) -> str | None:
    """Return the id of the commit that is checked out in `folder`, or None."""
    found = Git(str(folder)).ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    return found.decode("ascii").strip() if found else None


def has_commit(folder: Path, commit: str) -> bool:
    """Tell whether the repository around `folder` holds `commit`, a full id."""
    repository = repository_around(folder)
    return repository is not None and _holds(repository, commit)


def repository_around(folder: Path) -> Path | None:
    """Return the top of the work tree around `folder`, or None; without git there is none."""
    try:
        found = top_of(str(folder))
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Path(found) if found else None


@contextlib.contextmanager
def held_tree(source: Source, base: Path, name: str, *, into: Path | None, is_kept: bool) -> Iterator[Tree]:
    """Give a tree at `base`/`name`, or at `into`, which must not exist; remove it at the end unless it is kept.

    Raises: Unreplayable.
    """
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    sweep(base)
    if into is not None and os.path.lexists(into):
        raise Unreplayable(f"{inert(str(into))} exists already.", hint="Name a folder that does not exist yet.")
    folder = into or base / f"{name}.{os.getpid()}"
    note = base / f"{name}.{os.getpid()}.lock"
    repository = repository_around(source.here)
    with note.open("w", encoding="utf-8", errors="surrogateescape") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{repository or ''}\n{'' if is_kept or into else folder}\n")
        lock.flush()
        try:
            yield _made(source, repository, folder)
        except Unreplayable:
            _remove(repository, folder)
            raise
        finally:
            if not (is_kept or into):
                _remove(repository, folder)
            note.unlink(missing_ok=True)


def sweep(base: Path) -> None:
    """Remove the trees below `base` whose replay was killed."""
    for note in base.glob("*.lock"):
        with contextlib.suppress(OSError), note.open("r+", encoding="utf-8", errors="surrogateescape") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            repository, _, rest = lock.read(65536).partition("\n")
            folder = rest.strip("\n")
            if folder and Path(folder).parent == base:
                _remove(Path(repository) if repository else None, Path(folder))
            note.unlink(missing_ok=True)


def _remove(repository: Path | None, folder: Path) -> None:
    if repository is not None and repository.is_dir():
        # Twice: also a tree that somebody locked. A folder that is no worktree of it stays for the next line.
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            Git(str(repository)).change("worktree", "remove", "--force", "--force", "--", str(folder))
    shutil.rmtree(folder, ignore_errors=True)


def _made(source: Source, repository: Path | None, folder: Path) -> Tree:
    if repository is not None and source.head is not None and _holds(repository, source.head):
        _change(
            repository, "worktree", "add", "--quiet", "--no-checkout", "--detach", "--", str(folder), source.head,
            doing="The worktree cannot be made",
        )  # fmt: skip
        way = "worktree"
    elif source.bundle is not None and source.head is not None:
        _change(
            source.bundle.parent, "clone", "--quiet", "--no-checkout", "--template=", "--", str(source.bundle),
            str(folder), doing="The bundle of the report cannot be cloned", hint="Fetch the commit: git fetch.",
        )  # fmt: skip
        way = "bundle"
    elif source.snapshot is not None:
        _unpack(source, source.snapshot, folder)
        return Tree(folder, "snapshot")
    else:
        raise _missing(source, repository)
    _change(folder, "reset", "--quiet", "--hard", source.head, doing="The commit cannot be checked out")
    if source.diff is not None:
        with source.diff.open("rb") as patch:
            _change(
                folder, "apply", "--whitespace=nowarn", "-", stdin=patch,
                doing="The captured changes do not apply to their commit",
                hint="Binary files are not part of them, and where something was redacted they may not fit.",
            )  # fmt: skip
    if source.snapshot is not None:
        _unpack(source, source.snapshot, folder)
    return Tree(folder, way)


def _change(where: Path, *arguments: str, doing: str, hint: str | None = None, stdin: IO[bytes] | None = None) -> None:
    """Let git change something. Raises: Unreplayable, which says what was being done and what git said."""
    try:
        said = Git(str(where)).change(*arguments, stdin=stdin)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreplayable(f"{doing}: {inert(str(error))[:300]}.", hint="A replay needs git in PATH.") from error
    if said is not None:
        raise Unreplayable(f"{doing}: git says {inert(said)[:300]!r}.", hint=hint)


def _holds(repository: Path, commit: str) -> bool:
    return Git(str(repository)).ask("cat-file", "-e", f"{commit}^{{commit}}") is not None


def _missing(source: Source, repository: Path | None) -> Unreplayable:
    if source.head is None:
        return Unreplayable(
            "The report names no commit and holds no snapshot of the source.",
            hint="Replay it where it was captured: failgate report replay --in-place.",
        )
    if repository is None:
        return Unreplayable(
            "There is no git repository here, and the report holds neither snapshot nor bundle.",
            hint="Go to a clone of the project, or name one by --repository.",
        )
    return Unreplayable(
        f"The commit {source.head[:12]} is not in the repository {inert(str(repository))}.",
        hint=f"Fetch it: git fetch --all, or git fetch origin {source.head}.",
    )


def _unpack(source: Source, snapshot: Path, folder: Path) -> None:
    """Add the files of `snapshot` that `folder` does not have. Only files, folders and links that stay inside.

    Source: PEP 706, the filter `data`, and `_inside`; SECURITY section 2, archives.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    redacted: list[str] = []
    try:
        with tarfile.open(snapshot, "r|") as archive:
            for count, member in enumerate(archive):
                # A sparse file of a few bytes may say that it is as large as a disk.
                is_plain = member.isreg() and not member.issparse()
                if count >= MOST_FILES:
                    raise Unreplayable(
                        f"The snapshot holds more than {MOST_FILES:,} members.",
                        hint="Replay the commit that the report names in a clone that has it: --repository FOLDER.",
                    )
                if not (is_plain or member.isdir() or member.issym()):
                    raise Unreplayable(f"The snapshot holds what is not unpacked: {inert(member.name)[:200]}.")
                clean = _inside(folder, tarfile.data_filter(member, str(folder)))
                if not os.path.lexists(folder / clean.name):
                    archive.extract(clean, folder, filter="data")
                    if clean.isreg() and _is_redacted(folder / clean.name):
                        redacted.append(clean.name)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise Unreplayable(f"The snapshot of the report cannot be unpacked: {inert(str(error))[:300]}.") from error
    if redacted and not source.is_redacted_allowed:
        raise redacted_in(redacted)


def _inside(folder: Path, member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return `member`, of a link the target in its shortest form, once it lies in `folder` and leads nowhere else.

    The filter `data` asks `os.path.realpath`, which believes a path that is too long for the system to be no link
    (CVE-2025-4330, CVE-2025-4517: mended in Python 3.11.13 and 3.12.11). Here no path is followed: nothing is written
    behind a link, and a link goes up no further than its own folder is deep before it goes down.

    Raises: Unreplayable.
    """
    *above, _ = parts = Path(member.name).parts or (".",)
    if ".git" in Path(member.name.lower()).parts:
        raise Unreplayable("The snapshot holds a folder .git, which could name programs to run.")
    is_outside = member.name.startswith("/") or ".." in parts
    is_outside |= any(folder.joinpath(*parts[:count]).is_symlink() for count in range(1, len(parts)))
    if member.issym():
        target = os.path.normpath(member.linkname)
        is_outside |= target.startswith("/") or target.split("/").count("..") > len(above)
        member = member.replace(linkname=target, deep=False)
    if is_outside:
        raise Unreplayable(f"The snapshot holds what leads out of its folder: {inert(member.name)[:200]}.")
    return member


def _is_redacted(path: Path) -> bool:
    before = b""
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            if TAG.search(before + piece):
                return True
            before = piece[-100:]
    return False


def redacted_in(places: Sequence[str]) -> Unreplayable:
    """Return the refusal that names the places where something was redacted."""
    shown = ", ".join(places[:8]) + (f" and {len(places) - 8} more" if len(places) > 8 else "")
    return Unreplayable(
        f"What would run is not what ran: secrets were redacted in {inert(shown)}.",
        hint="To run it with the tags in their place: --allow-redacted.",
    )
