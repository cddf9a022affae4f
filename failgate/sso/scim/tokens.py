"""The token of a connection: `fg_scim_<id>_<secret>_<checksum>`, kept as its SHA-256, one that counts at a time.

It opens the doors of provisioning and nothing else, and there what its own connection provisioned.
"""

from dataclasses import dataclass

from failgate.access.principal import Principal
from failgate.accounts.token_text import digest_of, token_id_of, write_token
from failgate.audit.log import AuditLog
from failgate.audit.record import SYSTEM, Act, Actor, Event
from failgate.base.cache import ReadThrough
from failgate.base.clock import Clock
from failgate.base.db import Database, Transaction
from failgate.base.ids import new_id
from failgate.sso.connection import Connection

MAX_CHARACTERS = 128
_LOAD = (
    "SELECT scim_token.id, scim_token.connection_id FROM scim_token"
    " JOIN sso_connection ON sso_connection.id = scim_token.connection_id"
    " WHERE token_sha256 = $1 AND revoked_us IS NULL AND sso_connection.removed_us IS NULL"
)


@dataclass(frozen=True, slots=True)
class ScimToken:
    """The token of a connection without its secret. Times are microseconds since 1970."""

    id: str
    connection_id: str
    created_us: int
    last_used_us: int | None


class _Live:
    """A token in memory."""

    __slots__ = ("is_touched", "principal", "token_id", "used_us")

    def __init__(self, token_id: str, principal: Principal) -> None:
        self.token_id = token_id
        self.principal = principal
        self.used_us = 0
        self.is_touched = False


class ScimTokens:
    """Mints, resolves and revokes the tokens of connections."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._live: ReadThrough[str, _Live] = ReadThrough(self._load, limit=1000)

    async def mint(self, connection: Connection, actor: Actor) -> str:
        """Return the text of a new token; it cannot be read again, and the one before has ended."""
        token_id = new_id()
        text = write_token("scim", token_id)

        async def verb(tx: Transaction) -> None:
            await self._end(tx, connection.id, connection.workspace_id, actor, "rotated")
            await tx.execute(
                "INSERT INTO scim_token (id, connection_id, token_sha256, created_us) VALUES ($1, $2, $3, $4)",
                token_id, connection.id, digest_of(text), self._clock.now_us(),
            )  # fmt: skip
            event = Event(
                act=Act.TOKEN_MINTED, ws=connection.workspace_id or SYSTEM, obj_t="token", obj_id=token_id, actor=actor,
                data={"kind": "scim", "owner": connection.id},
            )  # fmt: skip
            await self._audit.append(tx, event)

        await self._database.write(verb)
        return text

    async def revoke(self, connection: Connection, actor: Actor) -> None:
        """End the token of the connection at once; nothing happens when there is none."""

        async def verb(tx: Transaction) -> None:
            await self._end(tx, connection.id, connection.workspace_id, actor, "revoked")

        await self._database.write(verb)

    async def end_of_connection(self, tx: Transaction, connection_id: str, actor: Actor) -> None:
        """End the token of a connection that is removed, inside that transaction."""
        row = await tx.fetch_one("SELECT workspace_id FROM sso_connection WHERE id = $1", connection_id)
        await self._end(
            tx, connection_id, row["workspace_id"] if row is not None else None, actor, "connection_removed"
        )

    async def current(self, connection_id: str) -> ScimToken | None:
        """Return the token of the connection, or None."""
        query = (
            "SELECT id, connection_id, created_us, last_used_us FROM scim_token"
            " WHERE connection_id = $1 AND revoked_us IS NULL"
        )
        row = await self._database.fetch_one(query, connection_id)
        return ScimToken(**row) if row is not None else None

    async def exist(self) -> bool:
        """Tell whether any connection has a token."""
        return await self._database.fetch_one("SELECT id FROM scim_token WHERE revoked_us IS NULL LIMIT 1") is not None

    async def resolve(self, text: str) -> Principal | None:
        """Return the principal of the token `text`, or None: malformed, unknown, revoked, its connection removed."""
        if len(text) > MAX_CHARACTERS or token_id_of(text, "scim") is None:
            return None
        live = await self._live.get(digest_of(text))
        if live is None:
            return None
        live.used_us, live.is_touched = self._clock.now_us(), True
        return live.principal

    async def sweep(self) -> None:
        """Write down when tokens were last used. To be called once a minute."""
        touched = [live for _, live in self._live.entries() if live.is_touched]
        if not touched:
            return

        async def verb(tx: Transaction) -> None:
            for live in touched:
                await tx.execute("UPDATE scim_token SET last_used_us = $1 WHERE id = $2", live.used_us, live.token_id)

        for live in touched:
            live.is_touched = False
        await self._database.write(verb)

    async def _load(self, digest: str) -> _Live | None:
        row = await self._database.fetch_one(_LOAD, digest)
        if row is None:
            return None
        return _Live(row["id"], Principal(kind="scim", connection_id=row["connection_id"], auth=("token",)))

    async def _end(
        self, tx: Transaction, connection_id: str, workspace_id: str | None, actor: Actor, reason: str
    ) -> None:
        query = "UPDATE scim_token SET revoked_us = $1 WHERE connection_id = $2 AND revoked_us IS NULL RETURNING id"
        rows = await tx.fetch(query, self._clock.now_us(), connection_id)
        for row in rows:
            event = Event(
                act=Act.TOKEN_REVOKED, ws=workspace_id or SYSTEM, obj_t="token", obj_id=row["id"], actor=actor,
                data={"kind": "scim", "reason": reason},
            )  # fmt: skip
            await self._audit.append(tx, event)
        ids = frozenset(str(row["id"]) for row in rows)
        if ids:
            tx.after_commit(lambda: self._live.forget_where(lambda _, live: live.token_id in ids))
