"""The Merkle tree: roots and proofs. Source: RFC 9162 section 2.1; SHA-256, hashes of 32 bytes."""

from collections.abc import Sequence
from hashlib import sha256

from failgate_verify.verdict import Tampered

WIDTH = 256  # leaves of a tile
LEVELS = 8  # log2 of it
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Return SHA-256(0x00 || leaf)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


class Peaks:
    """A tree that grows to the right: the hashes of its perfect subtrees, largest first."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.size = 0
        self._hashes: list[bytes] = []

    def push(self, hashed: bytes, level: int = 0) -> None:
        """Add a perfect subtree of 2**level leaves; the size is a multiple of that."""
        place = self.size >> level
        self.size += 1 << level
        while place & 1:
            hashed = node_hash(self._hashes.pop(), hashed)
            place >>= 1
        self._hashes.append(hashed)

    def root(self, more: Sequence[bytes] = ()) -> bytes:
        """Return the root, with the leaf hashes `more` added behind; this tree stays as it is."""
        grown = Peaks()
        grown.size, grown._hashes = self.size, [*self._hashes]
        for hashed in more:
            grown.push(hashed)
        return _folded(grown._hashes)


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root of a perfect subtree over a power of two of `hashes`."""
    level = list(hashes)
    while len(level) > 1:
        level = [sha256(b"\x01" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def _folded(peaks: Sequence[bytes]) -> bytes:
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in peaks[-2::-1]:
        root = node_hash(peak, root)
    return root


def verify_inclusion(leaf: bytes, seq: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash `leaf` is record `seq` of `size`. Raises: Tampered. Source: section 2.1.3.2."""
    place, last, found = seq, size - 1, leaf
    is_of_length = 0 <= seq < size
    for element in proof:
        if not is_of_length or last == 0:
            is_of_length = False
            break
        if place & 1 or place == last:
            found = node_hash(element, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, element)
        place, last = place >> 1, last >> 1
    if not is_of_length or last != 0:
        raise Tampered(seq, f"A proof of {len(proof)} hashes cannot lead from record {seq} to a tree of {size}.")
    if found != root:
        raise Tampered(seq, f"Record {seq} does not lead to the signed root.")


def verify_consistency(  # noqa: C901 - the steps of the RFC, in its order
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Check that the tree of `new` leaves begins with that of `old`. Raises: Tampered. Source: section 2.1.4.2."""
    if not 0 <= old <= new:
        raise Tampered(new, f"The log has {new} records, {old} were signed before: records are missing.")
    if old in {0, new}:
        if proof or old_root != (EMPTY_ROOT if old == 0 else new_root):
            raise Tampered(None, f"The logs of {old} and {new} records have no common beginning.")
        return
    elements = [old_root, *proof] if old & (old - 1) == 0 else [*proof]
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    found_old = found_new = elements[0] if elements else b""
    is_of_length = bool(elements)
    for element in elements[1:]:
        if last == 0:
            is_of_length = False
            break
        if place & 1 or place == last:
            found_old, found_new = node_hash(element, found_old), node_hash(element, found_new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found_new = node_hash(found_new, element)
        place, last = place >> 1, last >> 1
    if not is_of_length or last != 0:
        raise Tampered(None, f"A proof of {len(proof)} hashes cannot lead from {old} to {new} records.")
    if found_old != old_root or found_new != new_root:
        raise Tampered(None, f"The log of {new} records does not begin with the {old} that were signed before.")
