"""Proofs as files: c2sp.org/tlog-proof@v1, and the hashes that lead from one head to another."""

from typing import NamedTuple

from failgate_verify.notes import Checkpoint, is_number, read_checkpoint, read_extra, read_hashes
from failgate_verify.verdict import Unusable

LARGEST_PROOF = 512 * 1024  # bytes
_FIRST = "c2sp.org/tlog-proof@v1"


class InclusionProof(NamedTuple):
    """A record's number, what the proof carries along, its hashes from the leaf upward, and the head they lead to."""

    seq: int
    extra: bytes | None
    hashes: list[bytes]
    checkpoint: Checkpoint


def read_proof(text: bytes) -> InclusionProof:
    """Return the proof in `text`. Raises: Unusable. Source: C2SP tlog-proof."""
    try:
        head, separator, note = text.decode().partition("\n\n")
    except UnicodeDecodeError:
        raise Unusable("The proof is no text.") from None
    lines = head.split("\n")
    if lines[0] != _FIRST or not separator:
        raise Unusable(f"The proof does not begin with {_FIRST}.")
    extra = None
    if len(lines) > 1 and lines[1].startswith("extra "):
        extra = read_extra(lines.pop(1)[6:])
    if len(lines) < 2 or not lines[1].startswith("index ") or not is_number(lines[1][6:]):
        raise Unusable("The proof has no line `index` with a number.")
    return InclusionProof(int(lines[1][6:]), extra, read_hashes(lines[2:]), read_checkpoint(note.encode()))


def read_consistency(text: bytes) -> list[bytes]:
    """Return the hashes in a file that has one in base64 on each line. Raises: Unusable."""
    try:
        lines = text.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise Unusable("The proof is no text.") from None
    return read_hashes([line for line in lines if line])
