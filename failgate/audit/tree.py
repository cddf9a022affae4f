"""The Merkle tree of a log: hashes, incremental peaks, inclusion and consistency proofs. Pure.

Source: RFC 9162 section 2.1 (the tree of RFC 6962). Hashes are 32 bytes of SHA-256. A `Node` is a perfect subtree:
`Node(level, place)` covers the leaves `place * 2**level` up to `(place + 1) * 2**level`. What a proof is made of is
said in nodes; where their hashes come from (memory, tiles in a database) is the caller's business.
"""

import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

from failgate.base.errors import Unprocessable

EMPTY_ROOT = sha256(b"").digest()
TILE_HEIGHT = 8  # levels in a tile; C2SP tlog-tiles
TILE_WIDTH = 1 << TILE_HEIGHT

Peaks = tuple[bytes, ...]


class ProofRejected(Unprocessable):
    """A proof that does not prove what it is shown for."""

    slug = "proof-rejected"
    title = "The proof does not hold"


class Node(NamedTuple):
    """A perfect subtree: `level` 0 is a leaf; `place` counts the nodes of that level from 0."""

    level: int
    place: int


def leaf_hash(leaf: bytes) -> bytes:
    """Return SHA-256(0x00 || leaf)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def push(peaks: Peaks, size: int, leaf: bytes) -> Peaks:
    """Return the peaks of the tree of `size` leaves after the leaf hash `leaf` was added.

    Peaks are the hashes of the perfect subtrees that the binary digits of the size name, largest first.
    """
    kept = len(peaks)
    while size & 1:
        kept -= 1
        leaf = sha256(b"\x01" + peaks[kept] + leaf).digest()
        size >>= 1
    return (*peaks[:kept], leaf)


def grow(peaks: Peaks, size: int, leaves: Sequence[bytes]) -> tuple[Peaks, list[tuple[Node, bytes]]]:
    """Return the peaks of the tree of `size` leaves after the leaf hashes `leaves` were added, as `push` does one.

    Returns with them the nodes of tile levels 1, 2, … that were completed, lowest level first. Works level by level, so
    that each hash is made in one tight loop.
    """
    kept, added = list(peaks), list[bytes]()
    found: list[tuple[Node, bytes]] = []
    hashes, place, level = list(leaves), size, 0
    while hashes:
        if place & 1:
            hashes.insert(0, kept.pop())
            place -= 1
        if len(hashes) & 1:
            added.append(hashes.pop())
        hashes, place, level = _above(hashes), place >> 1, level + 1
        if level % TILE_HEIGHT == 0:
            found += [(Node(level, index), hashed) for index, hashed in enumerate(hashes, place)]
    return (*kept, *reversed(added)), found


def _above(hashes: Sequence[bytes]) -> list[bytes]:
    """Return the hashes of each two of `hashes`."""
    return [sha256(b"\x01" + left + right).digest() for left, right in zip(hashes[::2], hashes[1::2], strict=True)]


def root_of(peaks: Sequence[bytes]) -> bytes:
    """Return the root of the tree with these peaks, or of perfect subtrees that cover a range, largest first."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in peaks[-2::-1]:
        root = node_hash(peak, root)
    return root


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root of a perfect subtree over a power of two of `hashes`."""
    level = list(hashes)
    while len(level) > 1:
        level = _above(level)
    return level[0]


def cover(start: int, end: int) -> list[Node]:
    """Return the perfect subtrees that make up the leaves from `start` up to `end`, largest first.

    `start` is a multiple of the smallest power of two that is not below `end - start`, as in every proof of the RFC.
    """
    nodes: list[Node] = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append(Node(level, start >> level))
        start += 1 << level
    return nodes


def inclusion_nodes(index: int, size: int) -> list[list[Node]]:
    """Return, from the leaf upward, what covers each element of the proof that leaf `index` is in the tree of `size`.

    Raises: ProofRejected when there is no such leaf.
    Source: RFC 9162 section 2.1.3.1.
    """
    if not 0 <= index < size:
        raise ProofRejected(f"A tree of {size} leaves has no leaf {index}.")
    start, end, path = 0, size, list[list[Node]]()
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(cover(middle, end))
            end = middle
        else:
            path.append(cover(start, middle))
            start = middle
    return path[::-1]


def consistency_nodes(old: int, new: int) -> list[list[Node]]:
    """Return, from below upward, what covers each element of the proof that `new` leaves begin with `old` of them.

    Raises: ProofRejected when `old` is not between 0 and `new`.
    Source: RFC 9162 section 2.1.4.1.
    """
    if not 0 <= old <= new:
        raise ProofRejected(f"A tree of {new} leaves cannot begin with one of {old}.")
    if old in {0, new}:
        return []
    start, end, is_whole, path = 0, new, True, list[list[Node]]()
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(cover(middle, end))
            end = middle
        else:
            path.append(cover(start, middle))
            start, is_whole = middle, False
    if not is_whole:
        path.append(cover(start, end))
    return path[::-1]


def _split(size: int) -> int:
    """Return the largest power of two below `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def resolve(path: Sequence[Sequence[Node]], hash_of: Callable[[Node], bytes]) -> list[bytes]:
    """Return the hashes of a proof: each element of `path` folded into one."""
    return [root_of([hash_of(node) for node in nodes]) for nodes in path]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash `leaf` is entry `index` of the log of `size` entries whose root is `root`.

    `index` counts from 0; each hash is 32 bytes of SHA-256; `proof` runs from the leaf upward.

    Raises: ProofRejected (wrong length, or another root). Never ValueError.
    Source: RFC 9162 section 2.1.3.2.
    """
    if not 0 <= index < size:
        raise ProofRejected(f"A log of {size} records has no record {index}.")
    place, last, found = index, size - 1, leaf
    for element in proof:
        if last == 0:
            raise ProofRejected("The inclusion proof is too long.")
        if place & 1 or place == last:
            found = node_hash(element, found)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            found = node_hash(found, element)
        place >>= 1
        last >>= 1
    if last != 0:
        raise ProofRejected("The inclusion proof is too short.")
    if not hmac.compare_digest(found, root):
        raise ProofRejected(f"Record {index} is not in the log of {size} records with this root.")


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Check that the log of `new` entries begins with the `old` entries whose root was `old_root`.

    Raises: ProofRejected (wrong length, or another root). Never ValueError.
    Source: RFC 9162 section 2.1.4.2.
    """
    if not 0 <= old <= new:
        raise ProofRejected(f"A log of {new} records cannot continue one of {old}: records are missing.")
    if old in {0, new}:
        expected = EMPTY_ROOT if old == 0 else new_root
        if proof or not hmac.compare_digest(old_root, expected):
            raise ProofRejected(f"The logs of {old} and {new} records have no common beginning.")
        return
    found_old, found_new = _roots_by(old, new, [old_root, *proof] if old & (old - 1) == 0 else proof)
    if not (hmac.compare_digest(found_old, old_root) and hmac.compare_digest(found_new, new_root)):
        raise ProofRejected(f"The log of {new} records does not begin with the {old} that were signed before.")


def _roots_by(old: int, new: int, elements: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the two roots that the elements of a consistency proof lead to: steps 3 to 6 of the RFC."""
    if not elements:
        raise ProofRejected("The consistency proof is too short.")
    place, last = old - 1, new - 1
    while place & 1:
        place >>= 1
        last >>= 1
    found_old = found_new = elements[0]
    for element in elements[1:]:
        if last == 0:
            raise ProofRejected("The consistency proof is too long.")
        if place & 1 or place == last:
            found_old, found_new = node_hash(element, found_old), node_hash(element, found_new)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            found_new = node_hash(found_new, element)
        place >>= 1
        last >>= 1
    if last != 0:
        raise ProofRejected("The consistency proof is too short.")
    return found_old, found_new
