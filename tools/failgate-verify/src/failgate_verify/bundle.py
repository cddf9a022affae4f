"""A bundle on disk, a folder or a tar archive of it, read without unpacking and without trusting a name in it."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from failgate_verify.tree import WIDTH
from failgate_verify.verdict import Unusable

MOST_FILES = 1 << 20
_BLOCK = 512
_INSIDE = "bundle/"  # where an evidence pack has its bundle
_NUMBER = r"((?:x[0-9]{3}/){0,3}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
_TILE = re.compile(rf"(?:entries|tile/([01]))/{_NUMBER}", re.ASCII)
_PLAIN = frozenset({"manifest.json", "vkey", "checkpoint", "bodies.jsonl"})


class Tile(NamedTuple):
    """A file in tile layout: records (`level` None) or hashes; its number in that level, its entries by its name."""

    level: int | None
    number: int
    width: int


class Place(NamedTuple):
    """Where the bytes of a file are: in the archive from `offset`, or in a file of their own at `path`."""

    path: Path
    offset: int
    size: int


class Bundle(NamedTuple):
    """What is in a bundle: plain files by name, tiles by their place in the tree. `is_cut`: an archive without end."""

    plain: dict[str, Place]
    tiles: dict[Tile, Place]
    is_cut: bool


def open_bundle(path: Path) -> Bundle:
    """Return what is in the folder or archive `path`.

    Raises: Unusable (not there, not readable, neither of both, or with anything inside that no bundle has: links,
    devices, names that lead out of it, a name twice).
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _collected(_in_folder(path), is_cut=False)
        if stat.S_ISREG(mode):
            return _in_archive(path, path.stat().st_size)
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}.") from error
    raise Unusable(f"{path} is neither a folder nor a file.")


def open_pack(path: Path) -> tuple[dict[str, Place], Bundle]:
    """Return the files of an evidence pack, a folder or an archive of it, by name, and the bundle in it.

    Raises: Unusable, as `open_bundle`.
    """
    try:
        if path.is_dir():
            found, is_cut = list(_in_folder(path)), False
        else:
            with path.open("rb") as file:
                members = _Members(path, file, path.stat().st_size)
                found = list(members)
                is_cut = members.is_cut
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}.") from error
    files: dict[str, Place] = {}
    for name, place in found:
        if not name.startswith(_INSIDE):
            if name in files:
                raise Unusable(f"The pack has {name[:120]!a} twice.")
            files[name] = place
    inside = ((name.removeprefix(_INSIDE), place) for name, place in found if name.startswith(_INSIDE))
    return files, _collected(inside, is_cut=is_cut)


def read(place: Place, most: int) -> bytes:
    """Return the bytes of a file, at most `most`. Raises: Unusable (longer, or gone)."""
    if place.size > most:
        raise Unusable(f"{place.path}: a file of the bundle has {place.size} bytes; {most} are the most.")
    try:
        with place.path.open("rb") as file:
            file.seek(place.offset)
            return file.read(place.size)
    except OSError as error:
        raise Unusable(f"{place.path} cannot be read: {error.strerror}.") from error


def read_file(path: Path, most: int) -> bytes:
    """Return the bytes of a file that the person named. Raises: Unusable."""
    try:
        if not path.is_file():
            raise Unusable(f"{path} is no file.")
        return read(Place(path, 0, path.stat().st_size), most)
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}.") from error


def tile_name(tile: Tile) -> str:
    """Return the name of a tile in a bundle."""
    number, last = divmod(tile.number, 1000)
    groups = [f"{last:03d}"]
    while number:
        number, rest = divmod(number, 1000)
        groups.append(f"x{rest:03d}")
    where = "entries" if tile.level is None else f"tile/{tile.level}"
    return "/".join([where, *reversed(groups)]) + ("" if tile.width == WIDTH else f".p/{tile.width}")


def _tile_of(name: str) -> Tile | None:
    written = _TILE.fullmatch(name)
    if written is None:
        return None
    level, digits, width = written.groups()
    tile = Tile(
        None if level is None else int(level), int(digits.replace("/", "").replace("x", "")), int(width or WIDTH)
    )
    return tile if tile.width <= WIDTH and tile_name(tile) == name else None


def _collected(found: Iterator[tuple[str, Place]], *, is_cut: bool) -> Bundle:
    plain: dict[str, Place] = {}
    tiles: dict[Tile, Place] = {}
    for name, place in found:
        tile = _tile_of(name)
        if name in plain or tile in tiles:
            raise Unusable(f"The bundle has {name!a} twice.")
        if tile is not None:
            tiles[tile] = place
        elif name in _PLAIN:
            plain[name] = place
        else:
            raise Unusable(f"The bundle has a file that no bundle has: {name[:120]!a}.")
        if len(plain) + len(tiles) > MOST_FILES:
            raise Unusable(f"The bundle has more than {MOST_FILES} files.")
    return Bundle(plain, tiles, is_cut)


def _in_folder(root: Path) -> Iterator[tuple[str, Place]]:
    """Yield the regular files; anything else is refused, so that no link leads out. Raises: Unusable, OSError."""
    folders = [(root, "", 0)]
    while folders:
        folder, prefix, depth = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                name = prefix + entry.name
                if entry.is_dir(follow_symlinks=False) and depth < 8:
                    folders.append((folder / entry.name, f"{name}/", depth + 1))
                elif entry.is_file(follow_symlinks=False):
                    yield name, Place(folder / entry.name, 0, entry.stat(follow_symlinks=False).st_size)
                else:
                    raise Unusable(f"The bundle has {name[:120]!a}, which is no regular file.")


def _in_archive(path: Path, length: int) -> Bundle:
    """Read the headers of a ustar archive; its files stay where they are. Raises: Unusable, OSError."""
    with path.open("rb") as file:
        members = _Members(path, file, length)
        found = _collected(iter(members), is_cut=False)
    return found._replace(is_cut=members.is_cut)


class _Members:
    """The regular files in an archive, by their headers. Source: POSIX.1-2017 pax, ustar Interchange Format."""

    def __init__(self, path: Path, file: BinaryIO, length: int) -> None:
        self._path = path
        self._file = file
        self._length = length
        self.is_cut = False

    def __iter__(self) -> Iterator[tuple[str, Place]]:
        offset = 0
        while True:
            self._file.seek(offset)
            header = self._file.read(_BLOCK)
            if header == bytes(_BLOCK):
                return
            if len(header) < _BLOCK and offset:
                self.is_cut = True
                return
            name, size = self._header(header)
            start = offset + _BLOCK
            if name.endswith("/"):
                offset = start
                continue
            self.is_cut = start + size > self._length
            yield name, Place(self._path, start, min(size, self._length - start))
            if self.is_cut:
                return
            offset = start + -(-size // _BLOCK) * _BLOCK

    def _header(self, header: bytes) -> tuple[str, int]:
        """Return name and size of a member; of a folder the size is 0 and the name ends with a slash."""
        checked = sum(header[:148]) + 8 * 0x20 + sum(header[156:])
        if len(header) < _BLOCK or header[257:262] != b"ustar" or _octal(header[148:156]) != checked:
            raise Unusable(f"{self._path} is no bundle: neither a folder nor a tar archive.")
        kind, size = header[156:157], _octal(header[124:136])
        name = "/".join(part.decode("latin-1") for part in (_text(header[345:500]), _text(header[:100])) if part)
        name = name.removeprefix("./")
        if size is None:
            raise Unusable(f"The archive's member {name[:120]!a} has no size.")
        if kind == b"5" and size == 0:
            parts = name.rstrip("/").split("/")
            if ".." in parts or name.startswith("/"):
                raise Unusable(f"The archive has a name that leads out of it: {name[:120]!a}.")
            return f"{name.rstrip('/')}/", 0
        if kind not in {b"0", b"\x00"}:
            raise Unusable(f"The archive has {name[:120]!a}, which is no regular file.")
        return name, size


def _octal(field: bytes) -> int | None:
    digits = field.strip(b" \x00")
    return int(digits, 8) if digits and re.fullmatch(rb"[0-7]{1,12}", digits) else None


def _text(field: bytes) -> bytes:
    return field.split(b"\x00", 1)[0]
