"""Attachments as they are listed, and at the desk downloaded: each on record, and never shown."""

from collections.abc import Sequence

import msgspec

from failgate.plugin import Asked, Download, Host, PageDoor, to_rfc3339
from failgate_disclosure.desk import Desk
from failgate_disclosure.fields import visible
from failgate_disclosure.kept_files import KeptFile


class FileLine(msgspec.Struct, frozen=True):
    """A file as it stands in a list."""

    id: str
    name: str
    size: str
    at: str
    is_redacted: bool


class FilePages:
    """Answers at the door where the desk downloads."""

    def __init__(self, desk: Desk, host: Host) -> None:
        """Open what `desk` keeps."""
        self._desk = desk
        self._host = host

    def doors(self) -> tuple[PageDoor, ...]:
        """Return the door."""
        return (PageDoor(name="file", path="/{id}/files/{file}", handler=self.download, audience="platform"),)

    async def download(self, asked: Asked) -> Download:
        """Return a file; that somebody took it is on record."""
        found = await self._desk.files.open(asked.path["id"], asked.path["file"])
        await self._host.record("attachment.downloaded", asked.path["file"], actor=asked.actor)
        return Download(found.name, found.content)


def lines_of(files: Sequence[KeptFile]) -> tuple[FileLine, ...]:
    """Return `files` as they may be shown."""
    return tuple(
        FileLine(
            one.id, visible(one.name), _size(one.size_bytes),
            to_rfc3339(one.received_us)[:16].replace("T", " "), one.is_redacted,
        )
        for one in files
    )  # fmt: skip


def _size(size_bytes: int) -> str:
    return f"{size_bytes:,} bytes" if size_bytes < 10_240 else f"{size_bytes // 1024:,} KiB"
