"""Proofs and entries as they leave: the texts and bytes that C2SP describes."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from failgate.audit.stored import StoredRecord


@dataclass(frozen=True, slots=True)
class Proof:
    """Hashes of a proof for the log of `size` records, and the signed note of that head, or of a later one."""

    hashes: list[bytes]
    size: int
    checkpoint: str

    def as_json(self) -> dict[str, object]:
        """Return what the API answers: `hashes` in base64, the `size` that they lead to, and `checkpoint`."""
        return {
            "hashes": [b64encode(element).decode("ascii") for element in self.hashes],
            "size": self.size,
            "checkpoint": self.checkpoint,
        }


def tlog_proof(seq: int, proof: Proof, extra: bytes | None = None) -> str:
    """Return an inclusion proof as C2SP tlog-proof text. `proof` is for the size of its checkpoint.

    `extra` is carried along, not proven: the record itself, so that who reads the proof can hash it.

    Source: c2sp.org/tlog-proof@v1.
    """
    hashes = "".join(f"{b64encode(element).decode('ascii')}\n" for element in proof.hashes)
    carried = "" if extra is None else f"extra {b64encode(extra).decode('ascii')}\n"
    return f"c2sp.org/tlog-proof@v1\n{carried}index {seq}\n{hashes}\n{proof.checkpoint}"


def entries_tile(records: Sequence[StoredRecord]) -> bytes:
    """Return records as an entry bundle: each after its length, a big-endian uint16. Source: C2SP tlog-tiles."""
    return b"".join(len(stored.leaf).to_bytes(2, "big") + stored.leaf for stored in records)
