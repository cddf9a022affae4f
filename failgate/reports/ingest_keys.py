"""Write-only keys: the SDK of a project sends failures with one, and can do nothing else with it.

A key is 128 random bits in hex, as an SDK writes it into its address (DSN), and kept as SHA-256. It is no token: no
other door knows it. It stands in programs that many people have, so it is no secret from them; it can be revoked.
"""

import hashlib
import re
import secrets
from collections.abc import Sequence
from typing import Final, NamedTuple

from failgate.access.principal import Principal
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.cache import ReadThrough
from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import BadInput, NotFound
from failgate.base.ids import new_id

_KEY: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_PROJECT: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._ -]{0,98}[A-Za-z0-9])?", re.ASCII)
_NUMBERS: Final = 10**12  # an SDK wants a whole number, and some hold it in a double
_INSERT: Final = """
INSERT INTO ingest_key (id, workspace_id, number, project, account_id, key_sha256, created_us)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_REVOKE: Final = """
UPDATE ingest_key SET revoked_us = $1 WHERE id = $2 AND workspace_id = $3 AND revoked_us IS NULL
"""


class IngestKey(NamedTuple):
    """A key without its secret. `number` stands for the project in an address; `account_id` answers for it."""

    id: str
    workspace_id: str
    number: int
    project: str
    account_id: str
    created_us: int

    @property
    def principal(self) -> Principal:
        """Return who speaks by this key. No decision gives it a permission: it has no role."""
        return Principal(
            kind="ingest_key", agent_id=self.id, owner_account_id=self.account_id, workspace_id=self.workspace_id,
            auth=("key",), label=f"{self.project} (SDK)",
        )  # fmt: skip


class IngestKeys:
    """Makes, finds and revokes them."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        """Work on `database`."""
        self._database = database
        self._audit = audit
        self._clock = clock
        self._known: ReadThrough[str, IngestKey] = ReadThrough(self._load, limit=10_000)

    async def create(self, workspace_id: str, project: str, account_id: str, actor: Actor) -> tuple[IngestKey, str]:
        """Make a key of `project`, for which `account_id` answers; return it and its text, which is not kept.

        Raises: BadInput (the project's name).
        """
        if not _PROJECT.fullmatch(project):
            raise BadInput(
                "The project's name does not fit.", hint="Use 1 to 100 letters, digits, dots, spaces, hyphens."
            )
        text = secrets.token_hex(16)
        key = IngestKey(new_id(), workspace_id, secrets.randbelow(_NUMBERS), project, account_id, self._clock.now_us())

        async def verb(tx: Transaction) -> None:
            await tx.execute(
                _INSERT, key.id, workspace_id, key.number, project, account_id, _digest(text), key.created_us
            )
            await self._record(tx, Act.INGEST_KEY_MINTED, workspace_id, key.id, actor)

        await self._database.write(verb)
        return key, text

    async def list(self, workspace_id: str) -> Sequence[IngestKey]:
        """Return the keys of a workspace that were not revoked, the earliest first."""
        query = "SELECT * FROM ingest_key WHERE workspace_id = $1 AND revoked_us IS NULL ORDER BY id"
        return [_key_of(row) for row in await self._database.fetch(query, workspace_id)]

    async def revoke(self, workspace_id: str, key_id: str, actor: Actor) -> None:
        """End a key at once. Raises: NotFound (there is none, or it ended before)."""

        async def verb(tx: Transaction) -> None:
            row = await tx.fetch_one(
                "SELECT key_sha256 FROM ingest_key WHERE id = $1 AND workspace_id = $2", key_id, workspace_id
            )
            if row is None or await tx.execute(_REVOKE, self._clock.now_us(), key_id, workspace_id) != 1:
                raise NotFound("There is no such key.")
            await self._record(tx, Act.INGEST_KEY_REVOKED, workspace_id, key_id, actor)
            digest = str(row["key_sha256"])
            tx.after_commit(lambda: self._known.forget(digest))

        await self._database.write(verb)

    async def end_of_workspace(self, tx: Transaction, workspace_id: str, actor: Actor) -> None:
        """End every key of `workspace_id`, which is deleted."""
        rows = await tx.fetch(
            "UPDATE ingest_key SET revoked_us = $1 WHERE workspace_id = $2 AND revoked_us IS NULL RETURNING id",
            self._clock.now_us(), workspace_id,
        )  # fmt: skip
        for row in rows:
            await self._record(tx, Act.INGEST_KEY_REVOKED, workspace_id, row["id"], actor)
        tx.after_commit(lambda: self._known.forget_where(lambda _, key: key.workspace_id == workspace_id))

    async def resolve(self, text: str) -> IngestKey | None:
        """Return the key that `text` is, or None: malformed, unknown, revoked."""
        return await self._known.get(_digest(text)) if _KEY.fullmatch(text) else None

    async def _load(self, digest: str) -> IngestKey | None:
        query = "SELECT * FROM ingest_key WHERE key_sha256 = $1 AND revoked_us IS NULL"
        row = await self._database.fetch_one(query, digest)
        return _key_of(row) if row is not None else None

    async def _record(self, tx: Transaction, act: Act, workspace_id: str, key_id: str, actor: Actor) -> None:
        await self._audit.append(
            tx, Event(act=act, ws=workspace_id, obj_t="ingest_key", obj_id=key_id, actor=actor, data={})
        )


def _key_of(row: Row) -> IngestKey:
    return IngestKey(
        row["id"], row["workspace_id"], row["number"], row["project"], row["account_id"], row["created_us"]
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
