"""The source of a failure: a snapshot of the work tree as a tar, and the history as a git bundle.

A snapshot has what git tracks and what it would offer to add, as it lies there now, without `.git` and without what is
ignored. Every file and every name passes the rules. The same tree gives the same bytes: sorted names, no times, no
owners. A bundle is compressed history: the rules cannot look into it, so it is made only when it is asked for.
"""

import io
import os
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import IO, NamedTuple

from failgate.client.git import Git
from failgate.redaction import RedactingStream, Scanner
from failgate.wire.reports import NotedFile

SNAPSHOT_TYPE = "application/x-tar"
BUNDLE_TYPE = "application/x-git-bundle"
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_PIECE = 1 << 20
MOST_FILES = 10_000
_BLOCK = tarfile.BLOCKSIZE


class Taken(NamedTuple):
    """What a snapshot took: how many files, how many bytes of others it left out, and which."""

    files: int
    left_out_bytes: int
    left_out: list[NotedFile]


class _Sink(io.RawIOBase):
    """What `tarfile` writes to."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def writable(self) -> bool:
        return True

    def write(self, content: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]  # the narrower type of what tarfile gives
        self._write(bytes(content))
        return len(content)


def write_snapshot(
    top: str,
    write: Callable[[bytes], object],
    scanner: Scanner,
    count: Callable[[str], object],
    *,
    limit: int,
    file_limit: int,
) -> Taken:
    """Write the tar of the work tree at `top`; call `count` with the rule of every secret that was replaced.

    A file of more than `file_limit` bytes, and everything after `limit` bytes or 10,000 files, is left out whole: half
    of a source file is of no use.

    Raises: OSError, subprocess.TimeoutExpired.
    """
    paths = list(_paths(top))
    beyond = len(paths) - MOST_FILES
    left_out = [NotedFile("…", f"{beyond} files beyond the first {MOST_FILES:,}")] if beyond > 0 else []
    files = left_out_bytes = size = 0
    taken: set[str] = set()
    with closing(tarfile.TarFile.open(fileobj=_Sink(write), mode="w|", format=tarfile.PAX_FORMAT)) as tar:
        for path in paths[:MOST_FILES]:
            name = _clean_name(path, scanner, count)
            if name in taken:
                name = f"{name}~{len(taken)}"
            entry = _entry(top, path, name)
            if isinstance(entry, str):
                left_out.append(NotedFile(name, entry))
                continue
            member, source = entry
            if source is None:
                member.linkname = _clean_name(os.fsencode(member.linkname), scanner, count)
                tar.addfile(member)
            else:
                with source:
                    reason = "larger than the limit of a file" if member.size > file_limit else None
                    if reason is None and size + member.size + _BLOCK > limit:
                        reason = "beyond the limit of the snapshot"
                    if reason is not None:
                        left_out.append(NotedFile(name, reason, member.size))
                        left_out_bytes += member.size
                        continue
                    with tempfile.SpooledTemporaryFile(_PIECE) as content:
                        member.size = _clean_content(source, content.write, file_limit, scanner, count)
                        content.seek(0)
                        tar.addfile(member, content)
            taken.add(name)
            size += member.size + _BLOCK
            files += 1
    return Taken(files, left_out_bytes, left_out)


def write_bundle(top: str, write: Callable[[bytes], object], limit: int) -> bool:
    """Write the bundle of HEAD; tell whether it is whole: one that is larger than `limit` is of no use.

    Raises: OSError, subprocess.TimeoutExpired.
    """
    size = 0
    with Git(top).reading("bundle", "create", "-q", "-", "HEAD") as (stream, running):
        while piece := stream.read(_PIECE):
            size += len(piece)
            if size > limit:
                return False
            write(piece)
        return running.wait() == 0 and size > 0


def _paths(top: str) -> Iterator[bytes]:
    """Yield the names that git tracks or would add, sorted."""
    listed = Git(top).ask("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--full-name") or b""
    seen = sorted({path for path in listed.split(b"\0") if path})
    for path in seen:
        if not {b"..", b".git", b".failgate", b""} & set(path.split(b"/")):
            yield path


def _entry(top: str, path: bytes, name: str) -> "tuple[tarfile.TarInfo, IO[bytes] | None] | str":
    """Return the member and its open file (None for a link), or why there is none. No link on the way is followed."""
    *folders, last = path.split(b"/")
    held = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            below = os.open(folder, _FLAGS | os.O_DIRECTORY, dir_fd=held)
            os.close(held)
            held = below
        mode = os.stat(last, dir_fd=held, follow_symlinks=False).st_mode
        member = tarfile.TarInfo(name)
        if stat.S_ISLNK(mode):
            target = os.readlink(last, dir_fd=held)
            if not _stays(folders, target):
                return "a symbolic link that leads out"
            member.type, member.linkname, member.mode = tarfile.SYMTYPE, os.fsdecode(target), 0o777
            return member, None
        if not stat.S_ISREG(mode):
            return "a submodule" if stat.S_ISDIR(mode) else "not a regular file"
        descriptor = os.open(last, _FLAGS, dir_fd=held)
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            os.close(descriptor)
            return "not a regular file"
        member.size, member.mode = facts.st_size, 0o755 if facts.st_mode & 0o100 else 0o644
        return member, os.fdopen(descriptor, "rb")
    except FileNotFoundError:
        return "deleted in the work tree"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    finally:
        os.close(held)


def _stays(folders: "list[bytes]", target: bytes) -> bool:
    """Tell whether a link in `folders` to `target` stays inside, judged by its text alone."""
    depth = len(folders)
    if target.startswith(b"/"):
        return False
    for part in target.split(b"/"):
        depth += -1 if part == b".." else 0 if part in (b"", b".") else 1
        if depth < 0:
            return False
    return True


def _clean_content(
    source: IO[bytes], write: Callable[[bytes], object], most: int, scanner: Scanner, count: Callable[[str], object]
) -> int:
    """Write `source`, at most `most` bytes of it, redacted; return how many bytes that are."""
    stream = RedactingStream(scanner)
    size = read = 0
    while read < most and (piece := source.read(min(_PIECE // 4, most - read))):
        read += len(piece)
        clean = stream.feed(piece)
        size += len(clean)
        write(clean)
    clean = stream.finish()
    write(clean)
    for found in stream.findings:
        count(found.rule)
    return size + len(clean)


def _clean_name(path: bytes, scanner: Scanner, count: Callable[[str], object]) -> str:
    from failgate.redaction import redact

    result = redact(path.decode("utf-8", "replace"), scanner)
    for found in result.findings:
        count(found.rule)
    return result.text
