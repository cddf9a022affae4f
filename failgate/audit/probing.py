"""The test record: what an exporter has to take before anything else leaves by it, and whenever an operator asks.

It stands in a log of its own, `test`, so that it has a number and disturbs none of a real log. Its act is
`exporter.tested`; that the first one arrived is a record of the system log, `exporter.enabled`.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from failgate.audit.chain import BEFORE_FIRST
from failgate.audit.encoding import leaf_of
from failgate.audit.exporter import TEST_LOG, ExportedRecord
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, SYSTEM, Act, Actor, Event
from failgate.base.canonical import JSON, base64url
from failgate.base.clock import Clock
from failgate.base.db import Database, Transaction

_BEGIN: Final = (
    "INSERT INTO audit_exporter (exporter, probes, is_due, proven_us) VALUES ($1, 0, 1, NULL)"
    " ON CONFLICT (exporter) DO NOTHING"
)
_READ: Final = "SELECT probes, is_due, proven_us FROM audit_exporter WHERE exporter = $1"
_ASK: Final = "UPDATE audit_exporter SET is_due = 1 WHERE exporter = $1"
_ARRIVED: Final = (
    "UPDATE audit_exporter SET probes = probes + 1, is_due = 0, proven_us = COALESCE(proven_us, $2) WHERE exporter = $1"
)
Hand = Callable[[Sequence[ExportedRecord]], Awaitable[None]]


class Probing:
    """The test records of one exporter."""

    def __init__(self, database: Database, audit: AuditLog, exporter: str, clock: Clock) -> None:
        """Keep whose they are."""
        self._database = database
        self._audit = audit
        self._exporter = exporter
        self._clock = clock

    async def is_proven(self) -> bool:
        """Tell whether a test record ever arrived."""
        row = await self._database.fetch_one(_READ, self._exporter)
        return row is not None and row["proven_us"] is not None

    async def prove(self, hand: Hand) -> None:
        """Send a test record by `hand` when the exporter is new here, or somebody asked; return when it arrived.

        Raises: whatever `hand` raises; then it is still due.
        """
        row = await self._database.fetch_one(_READ, self._exporter)
        if row is None:
            await self._database.write(lambda tx: tx.execute(_BEGIN, self._exporter))
            row = await self._database.fetch_one(_READ, self._exporter)
        assert row is not None
        if not row["is_due"]:
            return
        number, is_first = int(row["probes"]), row["proven_us"] is None
        await hand([test_record(self._exporter, number, self._clock.now_us())])

        async def verb(tx: Transaction) -> None:
            await tx.execute(_ARRIVED, self._exporter, self._clock.now_us())
            if is_first:
                facts: dict[str, JSON] = {"number": number}
                event = Event(Act.EXPORTER_ENABLED, SYSTEM, "exporter", self._exporter, SERVER, facts)
                await self._audit.append(tx, event)

        await self._database.write(verb)

    async def ask_within(self, tx: Transaction, actor: Actor) -> None:
        """Have a test record sent before anything else, because `actor` asks."""
        await tx.execute(_BEGIN, self._exporter)
        await tx.execute(_ASK, self._exporter)
        await self._audit.append(tx, Event(Act.EXPORTER_TESTED, SYSTEM, "exporter", self._exporter, actor))


def test_record(exporter: str, number: int, now_us: int) -> ExportedRecord:
    """Return the test record `number` of `exporter`."""
    event = Event(Act.EXPORTER_TESTED, TEST_LOG, "exporter", exporter, SERVER)
    return ExportedRecord(TEST_LOG, number, leaf_of(event, number, now_us, base64url(BEFORE_FIRST)))
