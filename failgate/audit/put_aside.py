"""Records that the other side refuses for ever: put aside so that the rest goes on, shown, sent again when asked to.

A row names a record; its bytes stay where they are, in the log.
"""

from dataclasses import dataclass
from typing import Final

from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction

MOST_PUT_ASIDE: Final = 1_000  # of one exporter: whoever refuses more refuses everything, and is waited for
REASON_CHARACTERS: Final = 200

_PUT: Final = (
    "INSERT INTO audit_put_aside (exporter, log, seq, reason, attempts, put_us, is_due)"
    " VALUES ($1, $2, $3, $4, $5, $6, 0) ON CONFLICT (exporter, log, seq)"
    " DO UPDATE SET reason = excluded.reason, attempts = audit_put_aside.attempts + excluded.attempts, is_due = 0"
)
_COLUMNS: Final = "log, seq, reason, attempts, put_us, is_due"


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that is put aside: why, after how many tries, since when; `is_due` when it is to be sent again."""

    log: str
    seq: int
    reason: str
    attempts: int
    put_us: int
    is_due: bool


class PutAside:
    """The records that one exporter's other side refused."""

    def __init__(self, database: Database, exporter: str, clock: Clock) -> None:
        """Keep whose they are."""
        self._database = database
        self._exporter = exporter
        self._clock = clock

    async def put_within(self, tx: Transaction, log: str, seq: int, reason: str, attempts: int) -> None:
        """Put a record aside, or note that it was refused once more."""
        cut = reason[:REASON_CHARACTERS]
        await tx.execute(_PUT, self._exporter, log, seq, cut, attempts, self._clock.now_us())

    async def count(self) -> int:
        """Return how many are put aside."""
        query = "SELECT COUNT(*) AS number FROM audit_put_aside WHERE exporter = $1"
        row = await self._database.fetch_one(query, self._exporter)
        return int(row["number"]) if row is not None else 0

    async def page(self, limit: int) -> list[Refused]:
        """Return up to `limit`, the newest first."""
        query = (
            f"SELECT {_COLUMNS} FROM audit_put_aside WHERE exporter = $1 ORDER BY put_us DESC, log, seq DESC LIMIT $2"
        )
        return [_refused(row) for row in await self._database.fetch(query, self._exporter, limit)]

    async def due(self) -> list[Refused]:
        """Return those that are to be sent again, in the order of their logs."""
        query = f"SELECT {_COLUMNS} FROM audit_put_aside WHERE exporter = $1 AND is_due = 1 ORDER BY log, seq"
        return [_refused(row) for row in await self._database.fetch(query, self._exporter)]

    async def ask_within(self, tx: Transaction) -> int:
        """Have all of them sent again; return how many."""
        query = "UPDATE audit_put_aside SET is_due = 1 WHERE exporter = $1 AND is_due = 0"
        return await tx.execute(query, self._exporter)

    async def let_rest(self) -> None:
        """Send none of them until somebody asks again."""
        query = "UPDATE audit_put_aside SET is_due = 0 WHERE exporter = $1"
        await self._database.write(lambda tx: tx.execute(query, self._exporter))

    async def take_back(self, refused: Refused) -> None:
        """Forget one that was taken after all."""

        async def verb(tx: Transaction) -> None:
            query = "DELETE FROM audit_put_aside WHERE exporter = $1 AND log = $2 AND seq = $3"
            await tx.execute(query, self._exporter, refused.log, refused.seq)

        await self._database.write(verb)

    async def refuse_again(self, refused: Refused, reason: str) -> None:
        """Keep one for which it was in vain; it waits until somebody asks again."""
        await self._database.write(lambda tx: self.put_within(tx, refused.log, refused.seq, reason, 1))


def _refused(row: Row) -> Refused:
    return Refused(row["log"], row["seq"], row["reason"], row["attempts"], row["put_us"], bool(row["is_due"]))
