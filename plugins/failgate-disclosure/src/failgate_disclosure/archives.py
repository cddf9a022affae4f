"""Archives looked into without unpacking them: bounded in depth, entries and bytes. Pure.

What is counted are the bytes that come out, never those that the archive announces.
"""

import gzip
import io
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from failgate.plugin import kinds_of_file

DEPTH: Final = 3  # archives in archives; a .tar.gz is two of them
ENTRIES: Final = 200  # of one attachment, in all its archives
UNPACKED_BYTES: Final = 32 << 20
RATIO: Final = 100  # bytes out for each byte in
FREE_BYTES: Final = 1 << 20  # that may come out of however little
ARCHIVES: Final = frozenset({"zip", "gz", "tar"})
_PIECE_BYTES: Final = 65_536
_HEAD_BYTES: Final = 1_024
_OUTSIDE: Final = re.compile(r"\.\.(?:/|\Z)|/|[A-Za-z]:")
_BROKEN: Final = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, RuntimeError,
    struct.error, LookupError, OverflowError,
)  # fmt: skip


class ArchiveRefused(Exception):
    """An archive that is not kept; the text says why, in words of ours."""


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


Judge = Callable[[bytes], bool]
"""Tells of the first bytes of a file, and of nothing else, whether such files are kept."""


def look_into(content: bytes, kinds: frozenset[str], is_kept: Judge) -> None:
    """Check everything in the archive `content`, which is of `kinds`, and in the archives within it.

    Raises: ArchiveRefused (a bomb, a broken or encrypted one, what leads outside of it, a file that is not kept).
    """
    _Look(len(content), is_kept).into(content, kinds, 1)


class _Look:
    """One look: what it may still read."""

    def __init__(self, size_bytes: int, is_kept: Judge) -> None:
        self._is_kept = is_kept
        self._entries = ENTRIES
        self._bytes = min(UNPACKED_BYTES, FREE_BYTES + RATIO * size_bytes)

    def into(self, content: bytes, kinds: frozenset[str], depth: int) -> None:
        if depth > DEPTH:
            raise ArchiveRefused(f"it holds archives in archives, more than {DEPTH} deep")
        opened = _zipped if "zip" in kinds else _gzipped if "gz" in kinds else _tarred
        try:
            for stream in opened(content, self._entries):
                self._entries -= 1
                if self._entries < 0:
                    raise ArchiveRefused(f"it holds more than {ENTRIES} files")
                if stream is not None:
                    self._entry(stream, depth)
        except _BROKEN:
            raise ArchiveRefused("it is broken, or packed in a way that is not looked into") from None

    def _entry(self, stream: _Stream, depth: int) -> None:
        whole = bytearray()
        is_archive = False
        while piece := stream.read(_PIECE_BYTES):
            self._bytes -= len(piece)
            if self._bytes < 0:
                raise ArchiveRefused(f"more than {UNPACKED_BYTES >> 20} MiB, or {RATIO} times its size, come out of it")
            if not whole:
                is_archive = bool(kinds_of_file(piece[:_HEAD_BYTES]) & ARCHIVES)
                if not self._is_kept(piece[:_HEAD_BYTES]):
                    raise ArchiveRefused("it holds a file of a kind that is not taken")
            if is_archive or not whole:
                whole += piece
        if is_archive:
            self.into(bytes(whole), kinds_of_file(bytes(whole[:_HEAD_BYTES])), depth + 1)


def _zipped(content: bytes, most: int) -> Iterator[_Stream | None]:
    # Each entry of the directory is an object of Python's: their number is known before they are made.
    if content.count(b"PK\x01\x02") > most:
        raise ArchiveRefused(f"it holds more than {ENTRIES} files")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            _check_name(entry.filename)
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise ArchiveRefused("it holds a link")
            if entry.flag_bits & 0x1:
                raise ArchiveRefused("it is encrypted, so nobody can look into it")
            if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise ArchiveRefused("it is packed in a way that is not looked into")
            if entry.is_dir():
                yield None
            else:
                with archive.open(entry) as stream:
                    yield stream


def _gzipped(content: bytes, _most: int) -> Iterator[_Stream]:
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
        yield stream


def _tarred(content: bytes, _most: int) -> Iterator[_Stream | None]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        for entry in archive:
            _check_name(entry.name)
            if not (entry.isdir() or entry.isreg()) or entry.issparse():
                raise ArchiveRefused("it holds a link, a device or a sparse file")
            yield None if entry.isdir() else archive.extractfile(entry)


def _check_name(name: str) -> None:
    plain = name.replace("\\", "/")
    if _OUTSIDE.match(plain) or "/../" in plain or plain.endswith("/.."):
        raise ArchiveRefused("it names a place outside of itself")
