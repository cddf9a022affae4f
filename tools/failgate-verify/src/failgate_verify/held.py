"""The log as a bundle holds it: which tiles of records and of hashes are there, and which have to be."""

from dataclasses import dataclass

from failgate_verify.bundle import Bundle, Tile, read, tile_name
from failgate_verify.manifest import Manifest
from failgate_verify.tree import LEVELS, WIDTH, Peaks, fold
from failgate_verify.verdict import Incomplete, Tampered

_LARGEST_LEAF = 65_535  # bytes
LARGEST_TILE = WIDTH * (_LARGEST_LEAF + 2)


@dataclass(frozen=True)
class Held:
    """A log of `size` records with the root `root`; its tiles from `begin` up to `end` are there as records."""

    bundle: Bundle
    size: int
    root: bytes
    begin: int
    end: int

    @property
    def tiles(self) -> int:
        """Return how many tiles of records the log has; the last one may not be full."""
        return -(-self.size // WIDTH)

    def width(self, number: int) -> int:
        """Return how many records tile `number` has."""
        return min(WIDTH, self.size - number * WIDTH)

    def records(self, number: int) -> bytes | None:
        """Return the bytes of a tile of records as it should be named, None when there is none."""
        return self._read(Tile(None, number, self.width(number)), LARGEST_TILE)

    def any_records(self, number: int) -> bytes:
        """Return the bytes of a tile of records under whatever width; nothing when there is none."""
        for width in range(WIDTH, 0, -1):
            content = self._read(Tile(None, number, width), LARGEST_TILE)
            if content is not None:
                return content
        return b""

    def leaf_hashes(self, number: int) -> list[bytes] | None:
        """Return the hashes of the records of a tile as the bundle states them, None when it does not."""
        width = self.width(number)
        content = self._read(Tile(0, number, width), WIDTH * 32)
        return None if content is None or len(content) != width * 32 else _parts(content)

    def tile_hashes(self) -> list[bytes] | None:
        """Return the hash of every full tile of records as the bundle states them, None when it does not."""
        found: list[bytes] = []
        full = self.size // WIDTH
        for start in range(0, full, WIDTH):
            width = min(WIDTH, full - start)
            content = self._read(Tile(1, start // WIDTH, width), WIDTH * 32)
            if content is None or len(content) != width * 32:
                return None
            found += _parts(content)
        return found

    def signed_hashes(self) -> list[bytes] | None:
        """Return the hash of every full tile when they are there and lead to the signed root, else None."""
        found = self.tile_hashes()
        rest = self.leaf_hashes(self.tiles - 1) if self.size % WIDTH else []
        return found if found is not None and rest is not None and root_of(found, rest) == self.root else None

    def _read(self, tile: Tile, most: int) -> bytes | None:
        place = self.bundle.tiles.get(tile)
        return None if place is None else read(place, most)


def hold(bundle: Bundle, size: int, root: bytes, manifest: Manifest) -> Held:
    """Return the log in `bundle`. Raises: Tampered (files beyond its end), Incomplete (hashes that are not there)."""
    begin, end = manifest.needed(size)
    tiles = -(-size // WIDTH)
    for tile in bundle.tiles:
        limit = tiles if tile.level in {None, 0} else -(-(size // WIDTH) // WIDTH)
        if tile.number >= limit:
            raise Tampered(size, f"The bundle has {tile_name(tile)}, beyond the {size} records that were signed.")
        if tile.level is None:
            begin, end = min(begin, tile.number), max(end, tile.number + 1)
    held = Held(bundle, size, root, begin, end)
    if begin > 0 or end < size // WIDTH:
        hashes = held.tile_hashes()
        if hashes is None:
            raise Incomplete(
                "The bundle holds a part of the log without the hashes of the rest: `tile/1/` is not whole."
            )
    if end < tiles and size % WIDTH and held.leaf_hashes(tiles - 1) is None:
        raise Incomplete("The bundle does not hold the end of the log, nor its hashes in `tile/0/`.")
    return held


def root_of(tile_hashes: list[bytes], rest: list[bytes]) -> bytes:
    """Return the root over full tiles and the leaf hashes of the last one."""
    peaks = Peaks()
    for hashed in tile_hashes:
        peaks.push(hashed, LEVELS)
    return peaks.root(rest)


def tile_root(hashes: list[bytes]) -> bytes:
    """Return the hash of a full tile."""
    return fold(hashes)


def split(content: bytes, most: int) -> tuple[list[bytes], bool]:
    """Return the whole records in a tile, at most `most`, and whether there is anything behind them."""
    leaves: list[bytes] = []
    place, length = 0, len(content)
    while len(leaves) < most and place + 2 <= length:
        size = content[place] << 8 | content[place + 1]
        if place + 2 + size > length:
            break
        leaves.append(content[place + 2 : place + 2 + size])
        place += 2 + size
    return leaves, place < length


def _parts(content: bytes) -> list[bytes]:
    return [content[place : place + 32] for place in range(0, len(content), 32)]
