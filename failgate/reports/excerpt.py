"""What is kept of an output beside its bytes: the error that decided, the frame it names, the end of its text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from failgate.artifacts.artifacts import Inspection
from failgate.failure.decisive import decisive
from failgate.failure.fingerprint import frame_of
from failgate.failure.plain import lines_of

START_BYTES: Final = 8 * 1024
END_BYTES: Final = 24 * 1024
TEXT_CHARACTERS: Final = 2000
ERROR_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What an output says of its failure. Empty texts: nothing was found."""

    error: str = ""
    frame: str = ""
    text: str = ""


def excerpt_of(output: bytes) -> Excerpt:
    """Return the excerpt of the bytes of an output, or of its start and end."""
    lines = lines_of(output)
    found = decisive(lines)
    text = "\n".join(lines)[-TEXT_CHARACTERS:].replace("\0", " ")  # PostgreSQL keeps no NUL
    if found is None:
        return Excerpt(text=text)
    return Excerpt(found.text[:ERROR_CHARACTERS].replace("\0", " "), frame_of(found).replace("\0", " "), text)


class Excerpting:
    """Hands the bytes of one output on to another inspection, and keeps their start and end."""

    def __init__(self, inner: Inspection) -> None:
        """Work before `inner`."""
        self._inner = inner
        self._start = b""
        self._end = b""
        self.excerpt: Excerpt | None = None  # once the end was seen

    async def feed(self, piece: bytes) -> None:
        """See the next piece."""
        rest = piece
        if (room := START_BYTES - len(self._start)) > 0:
            self._start, rest = self._start + piece[:room], piece[room:]
        if rest:
            self._end = (self._end + rest[-END_BYTES:])[-END_BYTES:]
        await self._inner.feed(piece)

    async def finish(self) -> tuple[Mapping[str, int], str]:
        """Return what the other inspection found."""
        self.excerpt = excerpt_of(self._start + self._end)
        return await self._inner.finish()
