"""The quick look: whole tiles in which nothing is in doubt, in several processes. What is in doubt goes to `walk.py`.

A sweep never says what is wrong. It passes over nothing either: bytes, numbers, chain and hashes of every record are
what they should be, or the answer is None.
"""

import multiprocessing
import os
from binascii import b2a_base64
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

from failgate_verify.held import Held, tile_root
from failgate_verify.record import base64url, members_of, plain, read_record
from failgate_verify.tree import WIDTH

CHUNK = 64  # tiles that one process takes at a time
LARGE = 4 * CHUNK  # tiles from which on more processes pay for their start
_TO_URL = bytes.maketrans(b"+/", b"-_")


class Swept(NamedTuple):
    """Tiles in which nothing is in doubt, if the record before them has the hash `before` (base64url)."""

    before: bytes
    last: bytes
    log: bytes
    roots: list[bytes]
    rest: list[bytes]


class _Tile(NamedTuple):
    before: bytes
    last: bytes
    log: bytes
    hashes: list[bytes]


def sweep(held: Held) -> tuple[list[bytes], list[bytes]] | None:
    """Return the hashes of all full tiles and of the records in the last one; None when anything is in doubt."""
    if sum(tile.level is None for tile in held.bundle.tiles) != held.end - held.begin:
        return None  # also what keeps a made-up size from costing anything
    stated = held.tile_hashes()
    if stated is None and (held.begin > 0 or held.end < held.size // WIDTH):
        return None
    roots = [] if stated is None else stated[: held.begin]
    rest: list[bytes] = []
    last, log = base64url(bytes(32)) if held.begin == 0 else None, None
    for swept in _all(held):
        if swept is None or (last is not None and swept.before != last) or (log is not None and swept.log != log):
            return None
        last, log, rest = swept.last, swept.log, swept.rest
        roots += swept.roots
    if stated is not None:
        if roots[held.begin :] != stated[held.begin : len(roots)]:
            return None
        roots += stated[len(roots) :]
    if held.end < held.tiles and held.size % WIDTH:
        rest = held.leaf_hashes(held.tiles - 1) or []
    return roots, rest


_held: list[Held] = []  # what the processes beside this one inherit


def _all(held: Held) -> Iterator[Swept | None]:
    spans = [(start, min(start + CHUNK, held.end)) for start in range(held.begin, held.end, CHUNK)]
    beside = min(os.cpu_count() or 1, 4)
    can_fork = "fork" in multiprocessing.get_all_start_methods()
    if held.end - held.begin < LARGE or beside < 2 or not can_fork:
        for span in spans:
            yield _span(held, span)
        return
    _held[:] = [held]
    with multiprocessing.get_context("fork").Pool(beside) as pool:
        yield from pool.imap(_in_process, spans)


def _in_process(span: tuple[int, int]) -> Swept | None:
    return _span(_held[0], span)


def _span(held: Held, span: tuple[int, int]) -> Swept | None:
    roots, rest = list[bytes](), list[bytes]()
    first, last, log = b"", b"", b""
    for number in range(*span):
        content = held.records(number)
        tile = None if content is None else _tile(content, number * WIDTH, held.width(number))
        if tile is None or (last and (tile.before != last or tile.log != log)):
            return None
        stated = held.leaf_hashes(number)
        if stated is not None and stated != tile.hashes:
            return None
        first, last, log = first or tile.before, tile.last, tile.log
        if len(tile.hashes) == WIDTH:
            roots.append(tile_root(tile.hashes))
        else:
            rest = tile.hashes
    return Swept(first, last, log, roots, rest)


def _tile(content: bytes, seq: int, width: int) -> _Tile | None:
    """Return what the tile of the records from `seq` leads to, None when one of them is in doubt."""
    hashes: list[bytes] = []
    place, last, begin, log = 0, b"", b"", b""
    for number in range(seq, seq + width):
        length = int.from_bytes(content[place : place + 2], "big")
        leaf = content[place + 2 : place + 2 + length]
        place += 2 + length
        found = plain(leaf)
        if found is None:
            record = read_record(leaf)
            if record is None:
                return None
            prev, written, ws = record.prev.encode("utf-8", "replace"), record.seq, record.ws.encode()
        else:
            data, _, prev, digits, _, ws = found.groups()
            names = members_of(data)
            if len(names) > 1 and names != sorted(set(names)):
                return None
            written = int(digits)
        if written != number or (last and prev != last) or (log and ws != log):
            return None
        begin, log = begin or prev, ws
        hashed = sha256(b"\x00" + leaf).digest()
        last = b2a_base64(hashed, newline=False).translate(_TO_URL, b"=")
        hashes.append(hashed)
    return _Tile(begin, last, log, hashes) if place == len(content) else None
