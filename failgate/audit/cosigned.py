"""The cosignatures that are kept: of each log the newest of each witness, and those of the newest head with enough.

They lie in memory, and in a table for the next start; what the table says is proven before it counts.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from failgate.audit.checkpoint import NoteRejected, read_unverified
from failgate.audit.cosigning import Cosignature, cosignature_in
from failgate.base.db import Database, Transaction
from failgate.base.vkey import Vkey

_log = logging.getLogger("failgate.audit.witnesses")
_ALL: Final = "SELECT log, witness, size, note, line FROM audit_cosignature"
_PUT: Final = """
INSERT INTO audit_cosignature (log, witness, size, note, line) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (log, witness, size) DO UPDATE SET note = excluded.note, line = excluded.line
"""
_DROP: Final = "DELETE FROM audit_cosignature WHERE log = $1 AND witness = $2 AND size = $3"


@dataclass(frozen=True, slots=True)
class Cosigned:
    """One note of a log, with the line of one witness."""

    note: str
    size: int
    cosignature: Cosignature


class CosignatureBook:
    """What the witnesses `keys` cosigned of every log; `quorum` of them are enough."""

    def __init__(self, database: Database, keys: Sequence[Vkey], quorum: int) -> None:
        """Keep whose cosignatures count; `open` reads what there is."""
        self._database = database
        self._keys = {key.text: key for key in keys}
        self._quorum = quorum
        self._lock = asyncio.Lock()
        self._of: dict[str, dict[str, dict[int, Cosigned]]] = {}  # by log, key, size

    async def open(self) -> None:
        """Read what was kept, and forget what is not proven or of no witness any more."""
        for row in await self._database.fetch(_ALL):
            key = self._keys.get(row["witness"])
            if key is None:
                continue
            try:
                size = read_unverified(row["note"]).size
                cosignature = cosignature_in(row["line"], row["note"], key)
            except NoteRejected as error:
                _log.error("cosignature.damaged: witness %s, log %s: %s", key.name, row["log"], error.sentence)
                continue
            self._of.setdefault(row["log"], {}).setdefault(key.text, {})[size] = Cosigned(
                row["note"], size, cosignature
            )

    async def keep(self, log: str, key: Vkey, one: Cosigned) -> None:
        """Keep what `key` said of `log`, durably; drop what neither is its newest nor belongs to enough."""
        async with self._lock:  # of two at once each would forget what the other said
            await self._keep(log, key, one)

    async def _keep(self, log: str, key: Vkey, one: Cosigned) -> None:
        before = self._of.get(log, {})
        after = {witness: dict(sizes) for witness, sizes in before.items()}
        # A larger one is of a history to which the witness said goodbye.
        mine = {size: old for size, old in after.get(key.text, {}).items() if size < one.size}
        after[key.text] = mine | {one.size: one}
        enough = self._enough(after)
        after = {
            witness: {size: each for size, each in sizes.items() if size in {enough, max(sizes)}}
            for witness, sizes in after.items()
        }
        dropped = [(witness, size) for witness, sizes in before.items() for size in sizes if size not in after[witness]]

        async def verb(tx: Transaction) -> None:
            await tx.execute(_PUT, log, key.text, one.size, one.note, one.cosignature.line)
            for witness, size in dropped:
                await tx.execute(_DROP, log, witness, size)

        await self._database.write(verb)
        self._of[log] = after

    def newest(self, log: str, key: Vkey) -> Cosigned | None:
        """Return the newest that `key` cosigned of `log`."""
        mine = self._of.get(log, {}).get(key.text)
        return mine[max(mine)] if mine else None

    def size(self, log: str) -> int:
        """Return how many records the newest head of `log` has that enough witnesses cosigned; 0 without one."""
        return self._enough(self._of.get(log, {}))

    def note(self, log: str, size: int) -> str | None:
        """Return the note of `log` with `size` records and every cosignature on it, or None without one."""
        found = [mine[size] for mine in self._of.get(log, {}).values() if size in mine]
        if not found:
            return None
        note = found[0].note
        return note + "".join(one.cosignature.line for one in found if one.note == note)

    def _enough(self, kept: Mapping[str, Mapping[int, Cosigned]]) -> int:
        notes = Counter(one.note for mine in kept.values() for one in mine.values())
        enough = [note for note, count in notes.items() if count >= self._quorum]
        return max((read_unverified(note).size for note in enough), default=0)

    def logs(self) -> list[str]:
        """Return every log of which something is kept."""
        return list(self._of)
