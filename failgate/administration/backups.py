"""The operator's verbs about backups: they are on record before the first byte leaves, and once the file is whole."""

from failgate.administration.verb import OPERATOR, Answer, Arguments, Verbs
from failgate.audit.record import SYSTEM, Act, Event
from failgate.audit.stored import read_heads
from failgate.base.canonical import JSON
from failgate.base.db import Transaction
from failgate.roster import Services

_KEEP = "INSERT INTO backup_made (id, made_us, manifest, size_bytes, artifacts) VALUES ($1, $2, $3, $4, $5)"


class BeginBackup(Arguments, frozen=True):
    """Arguments of `backup.begin`: whether the keys go in, sealed, and whether the artifacts do."""

    keys: bool
    artifacts: bool


class FinishedBackup(Arguments, frozen=True):
    """Arguments of `backup.finish`: which backup, of which moment, its manifest's SHA-256 in hex, the file's size."""

    backup: str
    made_us: int
    manifest: str
    size_bytes: int
    artifacts: int


class Backups:
    """The verbs over open services."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def table(self) -> Verbs:
        """Return each verb with the shape of its arguments."""
        return {"backup.begin": (BeginBackup, self._begin), "backup.finish": (FinishedBackup, self._finish)}

    async def _begin(self, asked: BeginBackup) -> Answer:
        facts: dict[str, JSON] = {
            "keys": "sealed" if asked.keys else "left out",
            "artifacts": "copied" if asked.artifacts else "left out",
        }
        await self._services.audit.record(Event(Act.BACKUP_BEGUN, SYSTEM, "server", "server", OPERATOR, facts))
        for stored in await read_heads(self._services.db):  # the backup holds heads that are signed now
            await self._services.audit.checkpoint(stored.log)
        return {}

    async def _finish(self, made: FinishedBackup) -> Answer:
        facts: dict[str, JSON] = {
            "manifest": made.manifest,
            "made_us": made.made_us,
            "size_bytes": made.size_bytes,
            "artifacts": made.artifacts,
        }

        async def keep(tx: Transaction) -> None:
            await tx.execute(_KEEP, made.backup, made.made_us, made.manifest, made.size_bytes, made.artifacts)
            event = Event(Act.BACKUP_MADE, SYSTEM, "backup", made.backup, OPERATOR, facts)
            await self._services.audit.append(tx, event)

        await self._services.db.write(keep)
        return {}
