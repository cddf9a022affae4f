"""Files one after the other as a tar archive, without one of them being on a disk. Pure."""

import tarfile
from collections.abc import AsyncIterator
from typing import Final

TAR_END: Final = bytes(2 * tarfile.BLOCKSIZE)


def tar_header(name: str, size: int, made_at: int) -> bytes:
    """Return what stands before a file of `size` bytes in a tar archive; `made_at` is in seconds since 1970.

    Source: POSIX.1-1988 ustar.
    """
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, made_at, 0o600
    return member.tobuf(tarfile.USTAR_FORMAT)


def tar_padding(size: int) -> bytes:
    """Return what stands behind a file of `size` bytes."""
    return bytes(-size % tarfile.BLOCKSIZE)


def tar_entry(name: str, content: bytes, made_at: int) -> bytes:
    """Return a file as it stands in a tar archive; `made_at` is in seconds since 1970."""
    return tar_header(name, len(content), made_at) + content + tar_padding(len(content))


async def tar_of(files: AsyncIterator[tuple[str, bytes]], made_at: int) -> AsyncIterator[bytes]:
    """Yield the archive of `files` (name, content), a file at a time."""
    async for name, content in files:
        yield tar_entry(name, content, made_at)
    yield TAR_END
