"""Everything that is sealed in the database is sealed anew under another key, while the server runs or as it starts.

The key that a value is under does not stand in it; each is opened by the keys that there are. A row that changed
meanwhile is left to its writer, and the walk is repeated until it finds nothing: what was under way when the key
changed has been written by then.
"""

import asyncio
import base64
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, SYSTEM, Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import Conflict, FailgateError, StorageUnavailable
from failgate.base.secretbox import SecretBox

PAGE: Final = 200  # values between two turns of the writer
BETWEEN_SECONDS: Final = 0.2  # between two walks: what sealed by the old key before it changed is written by then
MOST_WALKS: Final = 50
_log = logging.getLogger("failgate.keys")


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column of sealed values: `key` names the row, `owner` (else the same) whom it is bound to; text is base64."""

    table: str
    key: str
    column: str
    purpose: str
    owner: str = ""
    is_text: bool = False


# docs/keys-and-data.md lists them; a test compares both.
COLUMNS: Final = (
    Sealed("signing_key", "id", "sealed", "signing-key"),
    Sealed("totp_secret", "id", "sealed", "totp", "account_id"),
    Sealed("sso_connection", "id", "signing_sealed", "sso signing key"),
    Sealed("sso_connection", "id", "client_secret_sealed", "sso client secret"),
    Sealed("notify_destination", "id", "sealed_secret", "notify secret", is_text=True),
    Sealed("notify_destination", "id", "sealed_previous", "notify secret", is_text=True),
    Sealed("notify_destination", "id", "sealed_address", "notify address", is_text=True),
    Sealed("redaction_rule", "id", "sealed", "redaction-rule", is_text=True),
    Sealed("redaction_set", "workspace_id", "sealed_key", "redaction-key", is_text=True),
    Sealed("sso_request", "id", "kept_sealed", "sso request"),
    Sealed("sso_session", "id", "hint_sealed", "sso logout hint"),
    Sealed("sso_test", "id", "outcome_sealed", "sso test"),
    Sealed("plugin_key", "id", "sealed", "plugin key", is_text=True),
)


@dataclass(frozen=True, slots=True)
class Resealed:
    """What a change of the key did: how many values it sealed anew, how many no key opens, where the old key lies."""

    key: str
    key_before: str
    values: int
    unreadable: int
    kept_as: str | None


class Resealing:
    """Changes the key of a box, and seals everything anew by it."""

    def __init__(self, database: Database, audit: AuditLog, box: SecretBox) -> None:
        """Work on `database`, whose sealed values `box` opens."""
        self._database = database
        self._audit = audit
        self._box = box
        self._turn = asyncio.Lock()

    async def rotate(self, actor: Actor) -> Resealed:
        """Seal by a new key from now on, and everything that there is; return once the old key opens nothing here.

        Raises: Conflict (it is under way, or the key is with a secrets manager), StorageUnavailable.
        """
        if self._turn.locked():
            raise Conflict("The sealing key is being changed.", hint="Wait until that is done.")
        async with self._turn:
            await asyncio.to_thread(self._box.begin)
            return await self._finish(actor)

    async def go_on(self) -> Resealed | None:
        """Finish a change that a stop interrupted, or that `[keys] previous_sealing` asks for; None: there is none."""
        if self._box.mark_before is None:
            return None
        async with self._turn:
            return await self._finish(SERVER)

    async def _finish(self, actor: Actor) -> Resealed:
        key, before = self._box.mark, self._box.mark_before or ""
        values = unreadable = 0
        for number in range(MOST_WALKS):
            anew, unreadable = await self._walk()
            values += anew
            if not anew and number:
                break
            await asyncio.sleep(BETWEEN_SECONDS)
        else:  # the old key stays until nothing needs it
            raise StorageUnavailable("Values went on being sealed by the old key.", hint="Ask again; it goes on.")
        await self._record(actor, key, before, values, unreadable)
        kept_as = await asyncio.to_thread(self._box.finish)
        _log.info("keys.sealing_rotated", extra={"key": key, "values": values, "unreadable": unreadable})
        return Resealed(key, before, values, unreadable, kept_as)

    async def _walk(self) -> tuple[int, int]:
        """Seal anew what the old key opens; return how many that were, and how many values no key opens."""
        values = unreadable = 0
        for column in COLUMNS:
            after = ""
            while rows := await self._page(column, after):
                due = [(row, fresh) for row in rows if (fresh := self._anew(column, row)) is not None]
                unreadable += sum(fresh == "" for _, fresh in due)
                values += await self._write(column, [(row, fresh) for row, fresh in due if fresh != ""])
                after = rows[-1]["key"]
        return values, unreadable

    async def _page(self, column: Sealed, after: str) -> Sequence[Row]:
        return await self._database.fetch(
            f"SELECT {column.key} AS key, {column.owner or column.key} AS owner, {column.column} AS sealed"
            f" FROM {column.table}"
            f" WHERE {column.column} IS NOT NULL AND {column.key} > $1 ORDER BY {column.key} LIMIT {PAGE}",
            after,
        )

    def _anew(self, column: Sealed, row: Row) -> bytes | str | None:
        """Return the value under the key that seals now; None when it is already, "" when no key opens it."""
        owner, purpose = row["owner"], column.purpose
        try:
            sealed = base64.b64decode(row["sealed"]) if column.is_text else bytes(row["sealed"])
            if self._box.is_current(sealed, purpose=purpose, owner=owner):
                return None
            plain = self._box.unseal(sealed, purpose=purpose, owner=owner)
        except (FailgateError, ValueError):
            return ""
        fresh = self._box.seal(plain, purpose=purpose, owner=owner)
        return base64.b64encode(fresh).decode() if column.is_text else fresh

    async def _write(self, column: Sealed, due: Sequence[tuple[Row, bytes | str]]) -> int:
        if not due:
            return 0
        # A row that somebody changed since it was read is theirs: the next walk looks at it.
        statement = (
            f"UPDATE {column.table} SET {column.column} = $1"  # ours alone
            f" WHERE {column.key} = $2 AND {column.column} = $3"
        )

        async def verb(tx: Transaction) -> None:
            for row, fresh in due:
                await tx.execute(statement, fresh, row["key"], row["sealed"])

        await self._database.write(verb)
        return len(due)

    async def _record(self, actor: Actor, key: str, before: str, values: int, unreadable: int) -> None:
        """Record the change, once: a kill after it leaves the file to be moved and nothing else."""

        async def verb(tx: Transaction) -> None:
            if await self._audit.of_object(tx, SYSTEM, key):
                return
            data: dict[str, JSON] = {"key_before": before, "values": values, "unreadable": unreadable}
            await self._audit.append(tx, Event(Act.SEALING_KEY_ROTATED, SYSTEM, "sealing_key", key, actor, data))

        await self._database.write(verb)
