"""What of an artifact's bytes is read to be shown: all of a small one, the beginning and the end of a large one."""

from dataclasses import dataclass
from typing import Final

from failgate.failure.plain import lines_of
from failgate.reports.reading import OpenedArtifact

SHOWN_BYTES: Final = 512 * 1024  # of one artifact; the rest by download


@dataclass(frozen=True, slots=True)
class Content:
    """What is shown of an artifact's bytes: the beginning, the end, and how many bytes between them are not."""

    start: bytes
    end: bytes
    cut_bytes: int

    def lines(self) -> list[str]:
        """Return its lines as plain text; one of ours stands where bytes are not shown."""
        if not self.cut_bytes:
            return lines_of(self.start)
        return [*lines_of(self.start), f"[{self.cut_bytes} bytes left out]", *lines_of(self.end)]


async def content_of(opened: OpenedArtifact) -> Content:
    """Return the beginning and the end of an artifact, all of it when it is small; the reading is on record."""
    size = opened.size_bytes
    if size <= SHOWN_BYTES:
        return Content(await _read(opened, 0, size), b"", 0)
    start, end = SHOWN_BYTES // 4, size - 3 * SHOWN_BYTES // 4
    return Content(await _read(opened, 0, start), await _read(opened, end, size), end - start)


async def _read(opened: OpenedArtifact, start: int, stop: int) -> bytes:
    return b"".join([piece async for piece in await opened.read(start, stop)])
