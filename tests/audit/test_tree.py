"""The Merkle tree by the vectors, then every proof of every tree up to 64 leaves against the definition in the RFC. B10"""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from failgate.audit.tree import (
    EMPTY_ROOT,
    Node,
    ProofRejected,
    consistency_nodes,
    cover,
    fold,
    grow,
    inclusion_nodes,
    leaf_hash,
    push,
    resolve,
    root_of,
    verify_consistency,
    verify_inclusion,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "audit-vectors.json").read_text())
LEAVES = [sha256(b"\x00" + str(n).encode()).digest() for n in range(64)]


def mth(hashes):
    """The definition, RFC 9162 section 2.1.1, written as it stands there."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return sha256(b"\x01" + mth(hashes[:k]) + mth(hashes[k:])).digest()


ROOTS = [mth(LEAVES[:n]) for n in range(65)]


def hash_of(node: Node) -> bytes:
    return fold(LEAVES[node.place << node.level : (node.place + 1) << node.level])


def test_leaf_hashes_and_roots_are_those_of_the_vectors():
    peaks, found, roots = (), [], [root_of(())]
    for size, leaf in enumerate(VECTORS["events_jcs"]):
        found.append(leaf_hash(leaf.encode()).hex())
        peaks = push(peaks, size, bytes.fromhex(found[-1]))
        roots.append(root_of(peaks))
    assert found == VECTORS["leaf_hashes_hex"]
    assert [root.hex() for root in roots] == VECTORS["roots_hex"]


def test_peaks_give_the_root_of_the_definition_at_every_size():
    peaks = ()
    assert root_of(peaks) == EMPTY_ROOT
    for size, leaf in enumerate(LEAVES):
        peaks = push(peaks, size, leaf)
        assert len(peaks) == (size + 1).bit_count()
        assert root_of(peaks) == ROOTS[size + 1]
        assert root_of([hash_of(node) for node in cover(0, size + 1)]) == ROOTS[size + 1]


def test_every_inclusion_proof_holds_and_every_change_to_one_is_refused():
    for size in range(1, 65):
        for index in range(size):
            proof = resolve(inclusion_nodes(index, size), hash_of)
            verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])
            wrong = [
                (LEAVES[index], index, size, proof, ROOTS[size - 1]),
                (LEAVES[index - 1] if index else EMPTY_ROOT, index, size, proof, ROOTS[size]),
                (LEAVES[index], index, size, [*proof, EMPTY_ROOT], ROOTS[size]),
                (LEAVES[index], size, size, proof, ROOTS[size]),
                (LEAVES[index], -1, size, proof, ROOTS[size]),
            ]
            if proof:
                wrong += [
                    (LEAVES[index], index, size, proof[:-1], ROOTS[size]),
                    (LEAVES[index], index, size, proof[1:], ROOTS[size]),
                    (LEAVES[index], index, size, [*proof[:-1], EMPTY_ROOT], ROOTS[size]),
                    (LEAVES[index], index ^ 1, size, proof, ROOTS[size]),
                ]
            for case in wrong:
                with pytest.raises(ProofRejected):
                    verify_inclusion(*case)


def test_every_consistency_proof_holds_and_every_change_to_one_is_refused():
    for new in range(65):
        for old in range(new + 1):
            proof = resolve(consistency_nodes(old, new), hash_of)
            verify_consistency(old, new, proof, ROOTS[old], ROOTS[new])
            wrong = [
                (old, new, [*proof, EMPTY_ROOT], ROOTS[old], ROOTS[new]),
                (old, new, proof, LEAVES[63], ROOTS[new]),
                (new + 1, new, proof, ROOTS[old], ROOTS[new]),
                (-1, new, proof, ROOTS[old], ROOTS[new]),
            ]
            if old > 0:
                wrong.append((old, new, proof, ROOTS[old], LEAVES[63]))
            if proof:
                wrong += [
                    (old, new, proof[:-1], ROOTS[old], ROOTS[new]),
                    (old, new, proof[1:], ROOTS[old], ROOTS[new]),
                    (old, new, [LEAVES[63], *proof[1:]], ROOTS[old], ROOTS[new]),
                    (old, new, [], ROOTS[old], ROOTS[new]),
                ]
            for case in wrong:
                with pytest.raises(ProofRejected):
                    verify_consistency(*case)


def test_a_proof_for_a_leaf_that_is_not_there_is_refused():
    for index, size in ((0, 0), (8, 8), (-1, 3)):
        with pytest.raises(ProofRejected):
            inclusion_nodes(index, size)
    for old, new in ((2, 1), (-1, 1)):
        with pytest.raises(ProofRejected):
            consistency_nodes(old, new)


def test_a_proof_in_a_million_leaves_has_twenty_hashes():
    assert len(inclusion_nodes(765_432, 1_000_000)) == 20


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 255, 256, 257, 300, 1000])
def test_leaves_that_are_added_together_make_the_tree_that_they_make_one_by_one(count):
    leaves = [sha256(str(number).encode()).digest() for number in range(1300)]
    for size in (0, 1, 2, 3, 7, 200, 255, 256, 300):
        peaks = ()
        for place in range(size):
            peaks = push(peaks, place, leaves[place])
        grown, nodes = grow(peaks, size, leaves[size : size + count])
        for place in range(size, size + count):
            peaks = push(peaks, place, leaves[place])
        assert grown == peaks
        tiles = range(size // 256, (size + count) // 256)
        assert nodes == [(Node(8, tile), fold(leaves[tile * 256 : tile * 256 + 256])) for tile in tiles]


def test_a_tree_of_many_leaves_completes_nodes_of_the_second_tile_level():
    leaves = [number.to_bytes(32, "big") for number in range(65_536)]
    peaks, below = grow((), 0, leaves[:65_000])
    peaks, nodes = grow(peaks, 65_000, leaves[65_000:])
    assert [node for node, _ in below] == [Node(8, place) for place in range(253)]
    assert [node for node, _ in nodes] == [Node(8, 253), Node(8, 254), Node(8, 255), Node(16, 0)]
    assert peaks == (fold(leaves),) == (nodes[-1][1],)
