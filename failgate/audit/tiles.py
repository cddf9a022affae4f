"""Paths of tiles, as C2SP tlog-tiles writes them. Pure.

`<L>/<N>[.p/<W>]` is a tile of hashes, `entries/<N>[.p/<W>]` the records under a tile of level 0. N is written in groups
of three digits, all but the last after an `x`: `x001/x234/067`. W is the width of a tile that is not full yet.
"""

import re
from typing import NamedTuple

from failgate.audit.tree import TILE_WIDTH
from failgate.base.errors import NotFound

MEDIA_TYPE = "application/octet-stream"
_PATH = re.compile(r"(?:(entries)|([0-5]))/((?:x[0-9]{3}/){0,3}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


class TilePlace(NamedTuple):
    """A tile: its level, None for the records themselves, its number there, and how many of its 256 entries."""

    level: int | None
    number: int
    width: int


def tile_at(path: str) -> TilePlace:
    """Return the tile that `path`, from behind `tile/`, names. Raises: NotFound (not written in the one form)."""
    written = _PATH.fullmatch(path)
    if written is not None:
        entries, level, digits, width = written.groups()
        index = int(digits.replace("/", "").replace("x", ""))
        place = TilePlace(None if entries else int(level), index, int(width or TILE_WIDTH))
        if tile_path(place) == path:
            return place
    raise NotFound(
        "There is no such tile.", hint="A tile is `<L>/<N>` or `entries/<N>`, with `.p/<W>` while it is not full."
    )


def tile_path(place: TilePlace) -> str:
    """Return the path of a tile, from behind `tile/`."""
    level = "entries" if place.level is None else str(place.level)
    partial = "" if place.width == TILE_WIDTH else f".p/{place.width}"
    return f"{level}/{index_path(place.number)}{partial}"


def index_path(index: int) -> str:
    """Return the index of a tile in groups of three digits."""
    index, last = divmod(index, 1000)
    groups = [f"{last:03d}"]
    while index:
        index, rest = divmod(index, 1000)
        groups.append(f"x{rest:03d}")
    return "/".join(reversed(groups))
