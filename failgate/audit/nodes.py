"""The tree of a log as it lies in the database: hashes of nodes, read a tile at a time, and proofs made of them.

Committed hashes never change, so what was read once is kept; `is_fresh` reads again, for the signer, who must not trust
memory over the database.
"""

from collections.abc import Iterable, Sequence

from failgate.audit.places import node_position, record_position
from failgate.audit.tree import (
    TILE_HEIGHT,
    TILE_WIDTH,
    Node,
    consistency_nodes,
    cover,
    fold,
    inclusion_nodes,
    resolve,
    root_of,
)
from failgate.base.db import Database
from failgate.base.errors import StorageUnavailable

MOST_KEPT = 50_000  # hashes in memory: about 8 MB

_RECORDS = "SELECT position, leaf_hash AS hash FROM audit_record WHERE position >= {} AND position < {}"
_NODES = "SELECT position, hash FROM audit_node WHERE position >= {} AND position < {}"


class StoredTree:
    """Reads node hashes of every log of one database."""

    def __init__(self, database: Database) -> None:
        """Read from `database`."""
        self._database = database
        self._kept: dict[tuple[int, Node], bytes] = {}

    async def root(self, number: int, size: int, *, is_fresh: bool = False) -> bytes:
        """Return the root that the log with this number had at `size` records."""
        nodes = cover(0, size)
        hashes = await self._hashes(number, nodes, is_fresh=is_fresh)
        return root_of([hashes[node] for node in nodes])

    async def inclusion(self, number: int, seq: int, size: int) -> list[bytes]:
        """Return the proof that record `seq` is in the log of `size` records, leaf upward.

        Raises: ProofRejected (no such record).
        """
        return await self._proof(number, inclusion_nodes(seq, size))

    async def consistency(self, number: int, old: int, new: int) -> list[bytes]:
        """Return the proof that the log of `new` records begins with that of `old`.

        Raises: ProofRejected (`old` is larger than `new`).
        """
        return await self._proof(number, consistency_nodes(old, new))

    async def tile(self, number: int, level: int, index: int, width: int) -> list[bytes]:
        """Return the first `width` hashes of tile `index` of tile level `level`; fewer when they are not there yet."""
        first = index * TILE_WIDTH
        rows = await self._read(number, [(level, first, first + width)])
        start = _position(number, level, first)
        return [rows[place] for place in range(start, start + width) if place in rows]

    async def _proof(self, number: int, path: Sequence[Sequence[Node]]) -> list[bytes]:
        hashes = await self._hashes(number, [node for nodes in path for node in nodes])
        return resolve(path, hashes.__getitem__)

    async def _hashes(self, number: int, nodes: Iterable[Node], *, is_fresh: bool = False) -> dict[Node, bytes]:
        found: dict[Node, bytes] = {}
        missing: list[Node] = []
        for node in nodes:
            kept = None if is_fresh else self._kept.get((number, node))
            if kept is None:
                missing.append(node)
            else:
                found[node] = kept
        if missing:
            rows = await self._read(number, _spans(missing))
            if len(self._kept) > MOST_KEPT:
                self._kept.clear()
            for node in missing:
                found[node] = self._kept[number, node] = _folded(number, node, rows)
        return found

    async def _read(self, number: int, spans: Sequence[tuple[int, int, int]]) -> dict[int, bytes]:
        """Return the entries `first` to `end` of each tile level, by their positions, in one query."""
        selects: list[str] = []
        bounds: list[int] = []
        for level, first, end in spans:
            template = _NODES if level else _RECORDS
            bounds += [_position(number, level, first), _position(number, level, end)]
            selects.append(template.format(f"${len(bounds) - 1}", f"${len(bounds)}"))
        rows = await self._database.fetch(" UNION ALL ".join(selects), *bounds)
        return {row["position"]: row["hash"] for row in rows}


def _position(number: int, level: int, index: int) -> int:
    return node_position(number, level, index) if level else record_position(number, index)


def _spans(nodes: Iterable[Node]) -> list[tuple[int, int, int]]:
    """Return which entries of which tile level are needed, one span for each tile."""
    spans: dict[tuple[int, int], tuple[int, int]] = {}
    for node in nodes:
        level, rest = divmod(node.level, TILE_HEIGHT)
        first = node.place << rest
        end = first + (1 << rest)
        tile = level, first // TILE_WIDTH
        old = spans.get(tile, (first, end))
        spans[tile] = min(first, old[0]), max(end, old[1])
    return [(level, first, end) for (level, _), (first, end) in sorted(spans.items())]


def _folded(number: int, node: Node, entries: dict[int, bytes]) -> bytes:
    level, rest = divmod(node.level, TILE_HEIGHT)
    first = _position(number, level, node.place << rest)
    try:
        return fold([entries[place] for place in range(first, first + (1 << rest))])
    except KeyError:
        raise StorageUnavailable(
            "A part of the audit tree is missing in the database.", hint="Run `failgate audit verify`."
        ) from None
