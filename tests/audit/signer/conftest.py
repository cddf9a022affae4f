"""Trees of hashes, the heads and proofs of them, and a folder in which a signer begins."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from failgate.audit.signer.making import make_signer, new_installation
from failgate.audit.signer.messages import Wanted
from failgate.audit.tree import Node, consistency_nodes, cover, fold, leaf_hash, resolve, root_of
from tests.signers import Program

WS = "0197f0c2-0000-7000-8000-000000000001"


class Tree:
    """A log of `size` records; `word` makes another history of it from record `fork` on."""

    def __init__(self, size: int, word: str = "record", fork: int = 0) -> None:
        self.leaves = [leaf_hash(f"{'record' if n < fork else word} {n}".encode()) for n in range(size)]

    def _hash(self, node: Node) -> bytes:
        return fold(self.leaves[node.place << node.level : (node.place + 1) << node.level])

    def root(self, size: int) -> bytes:
        return root_of([self._hash(node) for node in cover(0, size)])

    def wanted(self, old: int, size: int, log: str = WS) -> Wanted:
        proof = resolve(consistency_nodes(old, size), self._hash) if 0 < old < size else []
        return Wanted(log, size, self.root(size), old, tuple(proof))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_signer(tmp_path / "signer", new_installation("failgate.example"))
    return tmp_path / "signer"


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    one = Program(tmp_path / "process").start()
    yield one
    one.kill()
