"""The walk over a bundle, record by record: it names the first one that is not what it should be.

"First bad" is the record whose bytes or place differ, not the one behind it that no longer fits. Where the bundle has
hashes that lead to the signed root, they tell. Without them the chain does: of two records that do not fit together,
the next one knows which of them it followed.
"""

from base64 import urlsafe_b64decode

from failgate_verify.held import Held, root_of, split, tile_root
from failgate_verify.record import Placed, base64url, read_record
from failgate_verify.tree import WIDTH, leaf_hash
from failgate_verify.verdict import Tampered


class Walk:
    """One pass over a log; `run` returns the hashes of its full tiles and of the records in the last one."""

    def __init__(self, held: Held) -> None:
        """Begin before the first record."""
        self._held = held
        self._signed = held.signed_hashes()
        self._stated = held.tile_hashes() or []
        self._last: bytes | None = bytes(32)  # the hash of the record before; None where it is not in the bundle
        self._last_leaf = b""
        self._log: str | None = None
        self._broken: int | None = None  # the record that does not follow the one before, until the next one was asked
        self._claimed = ""  # and the hash that it names
        self._roots: list[bytes] = []
        self._recent: dict[int, list[bytes]] = {}  # the leaf hashes of the last two tiles

    def run(self) -> tuple[list[bytes], list[bytes]]:
        """Walk. Raises: Tampered."""
        held, rest = self._held, list[bytes]()
        for number in range(held.tiles):
            if held.begin <= number < held.end:
                hashes = self._tile(number)
            elif held.width(number) == WIDTH:
                self._leave()
                self._roots.append(self._stated[number])
                continue
            else:
                self._leave()
                hashes = held.leaf_hashes(number) or []
            if len(hashes) == WIDTH:
                self._roots.append(tile_root(hashes))
            else:
                rest = hashes
        self._leave(rest)
        self._compare(rest)
        return self._roots, rest

    def _tile(self, number: int) -> list[bytes]:
        held, first = self._held, number * WIDTH
        if number and number == held.begin:
            self._last = None
        leaves, is_more = split(held.any_records(number), held.width(number))
        known = self._known(number)
        hashes: list[bytes] = []
        self._recent = {number - 1: self._recent.get(number - 1, []), number: hashes}
        for place in range(held.width(number)):
            seq = first + place
            if place >= len(leaves):
                raise Tampered(self._blamed(seq), f"Record {seq} is missing.")
            hashed = leaf_hash(leaves[place])
            if known is not None and hashed != known[place]:
                raise Tampered(seq, f"Record {seq} is not the one that was signed.")
            self._record(seq, leaves[place])
            hashes.append(hashed)
            self._last, self._last_leaf = hashed, leaves[place]
        if is_more:
            raise Tampered(first + held.width(number), f"There is more behind record {first + held.width(number) - 1}.")
        return hashes

    def _known(self, number: int) -> list[bytes] | None:
        """Return the leaf hashes of a tile when they lead to the signed root."""
        if self._signed is None:
            return None
        hashes = self._held.leaf_hashes(number)
        if hashes is None or (len(hashes) == WIDTH and tile_root(hashes) != self._signed[number]):
            return None
        return hashes

    def _record(self, seq: int, leaf: bytes) -> None:
        record = read_record(leaf)
        if record is None:
            raise Tampered(self._blamed(seq), f"Record {seq} is not canonical.")
        is_kept = self._last is None or record.prev.encode("utf-8", "replace") == base64url(self._last)
        if record.seq != seq or (self._log is not None and record.ws != self._log):
            blamed = self._misplaced(seq, record, leaf, is_kept=is_kept)
            raise Tampered(blamed, f"Record {seq} is in a place that is not its own.")
        self._log = record.ws
        if self._broken is not None:
            raise Tampered(self._broken - 1 if is_kept else self._broken, "The chain of hashes is broken.")
        if not is_kept:
            self._broken, self._claimed = seq, record.prev

    def _blamed(self, seq: int) -> int:
        """Return the record before a broken link instead of `seq`, when there was one."""
        return seq if self._broken is None else self._broken - 1

    def _misplaced(self, seq: int, record: Placed, leaf: bytes, *, is_kept: bool) -> int:
        """Return which record to blame for one that stands in another's place, or among those of another log."""
        if self._broken is not None:
            return self._broken - 1
        is_pushed = record.seq == seq - 1 and leaf != self._last_leaf  # by the one before it, which was put in
        is_alone = record.seq == seq and not is_kept  # the one before it is not the one that it followed
        return seq - 1 if is_pushed or is_alone else seq

    def _leave(self, rest: list[bytes] | None = None) -> None:
        """Decide who broke the last link when no record behind it can be asked. Raises: Tampered.

        At the end of the log (`rest` are the leaf hashes of its last tile) the root can: with the hash that the last
        record names, instead of that of the record before it, either it is the signed one or it is not.
        """
        if self._broken is None:
            return
        number, place = divmod(self._broken - 1, WIDTH)
        claimed, hashes = _hash_in(self._claimed), list(self._recent.get(number, []))
        if rest is not None and claimed is not None and len(hashes) > place:
            hashes[place] = claimed
            roots = list(self._roots)
            if len(hashes) == WIDTH:
                roots[number] = tile_root(hashes)
            if root_of(roots, rest if len(hashes) == WIDTH else hashes) == self._held.root:
                raise Tampered(self._broken - 1, "The chain of hashes is broken.")
        raise Tampered(self._broken, "The chain of hashes is broken.")

    def _compare(self, rest: list[bytes]) -> None:
        if root_of(self._roots, rest) != self._held.root:
            for number, hashed in enumerate(self._roots):
                if self._signed is not None and hashed != self._signed[number]:
                    first = number * WIDTH
                    raise Tampered(None, f"The records {first} to {first + WIDTH - 1} do not lead to the signed root.")
            raise Tampered(None, "The records do not lead to the signed root.")


def _hash_in(text: str) -> bytes | None:
    """Return the hash that `text` writes in base64url, None when it writes none."""
    try:
        octets = urlsafe_b64decode(text + "=")
    except ValueError:
        return None
    return octets if len(octets) == 32 else None
