"""API keys and agent tokens: long-lived credentials that are shown once and kept as SHA-256 only.

A plain SHA-256 is right for 256 random bits. `resolve` answers from memory; a revoked token is forgotten there in the
moment of the commit. How a token is written: `token_text.py`; what it may be limited to: `token_limits.py`.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, Literal

from failgate.access.principal import Principal
from failgate.access.role import Role
from failgate.accounts.tables import TokenRow
from failgate.accounts.token import Kind, Token, Wish, principal_of, token_of
from failgate.accounts.token_limits import check_label, check_networks, check_scopes, is_within, parsed_networks
from failgate.accounts.token_text import TOKEN_CHARACTERS, digest_of, token_id_of, write_token
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.cache import ReadThrough
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import BadInput, NotFound
from failgate.base.ids import new_id

RevokeReason = Literal[
    "revoked", "rotated", "password_changed", "account_disabled", "agent_disabled", "owner_changed", "member_removed",
    "workspace_deleted",
]  # fmt: skip

LONGEST_GRACE_SECONDS: Final = 7 * 86_400

_INSERT: Final = """
INSERT INTO token (id, kind, owner_id, account_id, workspace_id, label, token_sha256, scopes, created_us, expires_us,
                   networks, minted_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
# Looks over to the tables of a neighbouring room: who answers for an agent, and in which role a person is, is decided
# there.
_OWNER_OF_AGENT: Final = """
SELECT owner_account_id FROM agent WHERE id = $1 AND workspace_id = $2 AND disabled_us IS NULL
"""
_ROLE: Final = "SELECT role FROM membership WHERE workspace_id = $1 AND account_id = $2"
_LOAD: Final = """
SELECT token.* FROM token JOIN account ON account.id = token.account_id
WHERE token.token_sha256 = $1 AND token.revoked_us IS NULL AND account.disabled_us IS NULL
"""


class _Live:
    """A token in memory."""

    __slots__ = ("address", "expires_us", "is_touched", "networks", "principal", "token_id", "used_us")

    def __init__(self, token: Token) -> None:
        self.token_id = token.id
        self.expires_us = token.expires_us
        self.networks = parsed_networks(token.networks)
        self.principal = principal_of(token)
        self.used_us = 0
        self.address = token.last_used_address
        self.is_touched = False


class Tokens:
    """Mints, resolves and revokes tokens."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._live: ReadThrough[str, _Live] = ReadThrough(self._load)
        self._callbacks: list[Callable[[str], None]] = []

    async def mint(
        self,
        kind: Kind,
        owner_id: str,
        workspace_id: str,
        label: str,
        expires_us: int | None = None,
        *,
        actor: Actor,
        scopes: Iterable[str] | None = None,
        networks: Iterable[str] = (),
    ) -> str:
        """Return the text of a new token of `owner_id` in `workspace_id`; it cannot be read again.

        `owner_id` is an account for `usr`, an agent of that workspace for `agt`. The rest is as `Wish` has it.

        Raises: BadInput (the label, an expiry in the past, a scope, a network); NotFound (no such enabled account,
        member or agent).
        """
        wish = Wish(label, expires_us, scopes, networks)

        async def verb(tx: Transaction) -> str:
            return await self.mint_within(tx, kind, owner_id, workspace_id, wish, actor=actor)

        return await self._database.write(verb)

    async def mint_within(
        self, tx: Transaction, kind: Kind, owner_id: str, workspace_id: str, wish: Wish, *, actor: Actor
    ) -> str:
        """Do what `mint` does inside an open transaction."""
        now_us, label = self._clock.now_us(), check_label(wish.label)
        if wish.expires_us is not None and wish.expires_us <= now_us:
            raise BadInput("The token would expire before it is used.", hint="Choose a time in the future.")
        answering = owner_id if kind == "usr" else await self._owner_of_agent(tx, owner_id, workspace_id)
        query = "SELECT id FROM account WHERE id = $1 AND disabled_us IS NULL"
        if await tx.fetch_one(query, answering) is None:
            raise NotFound("There is no such account.")
        role = Role.AGENT if kind == "agt" else await _role(tx, workspace_id, owner_id)
        scopes, networks = check_scopes(wish.scopes, role), check_networks(wish.networks)
        token_id = new_id()
        text = write_token(kind, token_id)
        await tx.execute(
            _INSERT, token_id, kind, owner_id, answering, workspace_id, label, digest_of(text),
            None if scopes is None else json.dumps(scopes), now_us, wish.expires_us,
            json.dumps(networks) if networks else None, actor.account_id,
        )  # fmt: skip
        facts: dict[str, JSON] = {
            "kind": kind, "owner": owner_id, "expires_us": wish.expires_us, "networks": len(networks),
            "scopes": None if scopes is None else len(scopes),
        }  # fmt: skip
        await self._record(tx, Act.TOKEN_MINTED, (workspace_id, token_id), actor, facts)
        return text

    async def rotate(self, agent_id: str, workspace_id: str, wish: Wish, *, grace_seconds: int, actor: Actor) -> str:
        """Return a new token of the agent; its others end in `grace_seconds`, at once with 0.

        Raises: as `mint`; BadInput (a grace below 0 or over seven days).
        """
        return await self._database.write(
            lambda tx: self.rotate_within(tx, agent_id, workspace_id, wish, grace_seconds=grace_seconds, actor=actor)
        )

    async def rotate_within(
        self, tx: Transaction, agent_id: str, workspace_id: str, wish: Wish, *, grace_seconds: int, actor: Actor
    ) -> str:
        """Do what `rotate` does inside an open transaction."""
        if not 0 <= grace_seconds <= LONGEST_GRACE_SECONDS:
            raise BadInput("The old token may go on for seven days at most.", hint="Say how many seconds, 0 for none.")
        text = await self.mint_within(tx, "agt", agent_id, workspace_id, wish, actor=actor)
        where = "owner_id = $1 AND kind = 'agt' AND id <> $2"
        args = [agent_id, token_id_of(text) or ""]
        if grace_seconds == 0:
            await self._end_where(tx, where, args, actor, "rotated")
        else:
            ends_us = self._clock.now_us() + grace_seconds * MICROSECONDS
            await self._limit_where(tx, where, args, actor, ends_us)
        return text

    async def resolve(self, text: str, address: str | None = None) -> Principal | None:
        """Return who speaks by the token `text` from the IP `address`, or None.

        None: malformed, unknown, expired, revoked, its account disabled, or used from where it may not be.
        Asks the database only for a token that was not seen since the start.
        """
        if len(text) != TOKEN_CHARACTERS or not text.isascii():
            return None
        digest = digest_of(text)
        # What is in memory is there under the digest of its whole text; only a miss pays for the checksum.
        live = self._live.peek(digest)
        if live is None:
            live = await self._live.get(digest) if token_id_of(text) is not None else None
            if live is None:
                return None
        return self._used(live, address)

    def recall(self, digest: str, address: str | None) -> Principal | None:
        """Return what `resolve` says of the token with `digest` if it is in memory; None when it has to be asked."""
        live = self._live.peek(digest)
        return None if live is None else self._used(live, address)

    def _used(self, live: _Live, address: str | None) -> Principal | None:
        now_us = self._clock.now_us()
        if live.expires_us is not None and now_us >= live.expires_us:
            return None
        if live.networks and not is_within(address, live.networks):
            return None
        live.used_us, live.is_touched = now_us, True
        if address is not None:
            live.address = address
        return live.principal

    async def revoke(
        self,
        token_id: str,
        actor: Actor,
        *,
        workspace_id: str | None = None,
        owner_id: str | None = None,
        reason: RevokeReason = "revoked",
    ) -> None:
        """End the token `token_id` at once; nothing happens when it has ended and the operator asks.

        `workspace_id` and `owner_id`, when given, must be the token's; to who has to name them an ended one is missing.

        Raises: NotFound (there is none, or it is another's: the same answer).
        """

        async def verb(tx: Transaction) -> None:
            row = await tx.fetch_one("SELECT * FROM token WHERE id = $1", token_id)
            if (
                row is None
                or workspace_id not in {None, row["workspace_id"]}
                or owner_id not in {None, row["owner_id"]}
                or (row["revoked_us"] is not None and (workspace_id, owner_id) != (None, None))
            ):
                raise NotFound("There is no such token.")
            await self._end_where(tx, "id = $1", [token_id], actor, reason)

        await self._database.write(verb)

    async def end_all(
        self, tx: Transaction, account_id: str, actor: Actor, reason: RevokeReason, *, agents_too: bool
    ) -> None:
        """End every API key of `account_id`, and with `agents_too` the tokens of agents that it answers for."""
        where = "account_id = $1" if agents_too else "account_id = $1 AND kind = 'usr'"
        await self._end_where(tx, where, [account_id], actor, reason)

    async def end_of_agent(self, tx: Transaction, agent_id: str, actor: Actor) -> None:
        """End every token of the agent `agent_id`."""
        await self._end_where(tx, "owner_id = $1 AND kind = 'agt'", [agent_id], actor, "agent_disabled")

    async def end_in_workspace(self, tx: Transaction, workspace_id: str, account_id: str, actor: Actor) -> None:
        """End every token in `workspace_id` for which `account_id` answers."""
        where = "workspace_id = $1 AND account_id = $2"
        await self._end_where(tx, where, [workspace_id, account_id], actor, "member_removed")

    async def end_of_workspace(self, tx: Transaction, workspace_id: str, actor: Actor) -> None:
        """End every token in `workspace_id`, which is deleted."""
        await self._end_where(tx, "workspace_id = $1", [workspace_id], actor, "workspace_deleted")

    async def end_at_owner_change(self, tx: Transaction, agent_id: str, actor: Actor) -> None:
        """End every token of the agent `agent_id`: nobody answers for a token that somebody else holds."""
        await self._end_where(tx, "owner_id = $1 AND kind = 'agt'", [agent_id], actor, "owner_changed")

    async def list_in(self, workspace_id: str, kind: Kind | None = None) -> list[Token]:
        """Return the tokens of a workspace that were not revoked, newest first."""
        query = TokenRow.select().where((TokenRow.workspace_id == workspace_id) & TokenRow.revoked_us.is_null())
        if kind is not None:
            query = query.where(TokenRow.kind == kind)
        rows = await self._database.fetch(query.order_by(TokenRow.id, ascending=False))
        return [self._known(row) for row in rows]

    async def list(self, owner_id: str, workspace_id: str | None = None) -> list[Token]:
        """Return the tokens of an account or agent that were not revoked, newest first."""
        query = TokenRow.select().where((TokenRow.owner_id == owner_id) & TokenRow.revoked_us.is_null())
        if workspace_id is not None:
            query = query.where(TokenRow.workspace_id == workspace_id)
        rows = await self._database.fetch(query.order_by(TokenRow.id, ascending=False))
        return [self._known(row) for row in rows]

    def on_revoked(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback` with the id of each token that is revoked, right after the commit; return what undoes it."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    async def sweep(self) -> None:
        """Write down when and where tokens were last used; end what was opened with one that has expired.

        To be called once a minute.
        """
        lives, now_us = [live for _, live in self._live.entries()], self._clock.now_us()
        expired = frozenset(live.token_id for live in lives if live.expires_us and live.expires_us <= now_us)
        if expired:
            self._forget(expired)
        touched = [live for live in lives if live.is_touched]
        if not touched:
            return

        async def verb(tx: Transaction) -> None:
            query = "UPDATE token SET last_used_us = $1, last_used_address = $2 WHERE id = $3"
            for live in touched:
                await tx.execute(query, live.used_us, live.address, live.token_id)

        for live in touched:
            live.is_touched = False
        await self._database.write(verb)

    def _known(self, row: Row) -> Token:
        """Return the token of `row`, with a last use that is only in memory yet."""
        token, live = token_of(row), self._live.peek(row["token_sha256"])
        if live is None or not live.used_us:
            return token
        return replace(token, last_used_us=live.used_us, last_used_address=live.address)

    async def _load(self, digest: str) -> _Live | None:
        row = await self._database.fetch_one(_LOAD, digest)
        return _Live(token_of(row)) if row is not None else None

    async def _owner_of_agent(self, tx: Transaction, agent_id: str, workspace_id: str) -> str:
        row = await tx.fetch_one(_OWNER_OF_AGENT, agent_id, workspace_id)
        if row is None:
            raise NotFound("There is no such agent.")
        return str(row["owner_account_id"])

    async def _end_where(
        self, tx: Transaction, where: str, args: Sequence[str], actor: Actor, reason: RevokeReason
    ) -> None:
        now = len(args) + 1
        rows = await tx.fetch(
            f"UPDATE token SET revoked_us = ${now} WHERE {where} AND revoked_us IS NULL"
            " RETURNING id, kind, workspace_id",
            *args, self._clock.now_us(),
        )  # fmt: skip
        for row in rows:
            facts: dict[str, JSON] = {"kind": row["kind"], "reason": reason}
            await self._record(tx, Act.TOKEN_REVOKED, (row["workspace_id"], row["id"]), actor, facts)
        ids = frozenset(str(row["id"]) for row in rows)
        if ids:
            tx.after_commit(lambda: self._forget(ids))

    async def _limit_where(self, tx: Transaction, where: str, args: Sequence[str], actor: Actor, ends_us: int) -> None:
        """Let those tokens that would live longer end at `ends_us`."""
        last = len(args) + 1
        rows = await tx.fetch(
            f"UPDATE token SET expires_us = ${last} WHERE {where} AND revoked_us IS NULL"
            f" AND (expires_us IS NULL OR expires_us > ${last}) RETURNING id, kind, workspace_id",
            *args, ends_us,
        )  # fmt: skip
        for row in rows:
            facts: dict[str, JSON] = {"kind": row["kind"], "expires_us": ends_us}
            await self._record(tx, Act.TOKEN_LIMITED, (row["workspace_id"], row["id"]), actor, facts)
        ids = frozenset(str(row["id"]) for row in rows)
        # What is open goes on until the new end: only what is remembered of it is void.
        tx.after_commit(lambda: self._live.forget_where(lambda _, live: live.token_id in ids))

    async def _record(
        self, tx: Transaction, act: Act, pair: tuple[str, str], actor: Actor, facts: dict[str, JSON]
    ) -> None:
        workspace_id, token_id = pair
        event = Event(act=act, ws=workspace_id, obj_t="token", obj_id=token_id, actor=actor, data=facts)
        await self._audit.append(tx, event)

    def _forget(self, ids: frozenset[str]) -> None:
        self._live.forget_where(lambda _, live: live.token_id in ids)
        for token_id in ids:
            for callback in tuple(self._callbacks):
                callback(token_id)


async def _role(tx: Transaction, workspace_id: str, account_id: str) -> Role:
    row = await tx.fetch_one(_ROLE, workspace_id, account_id)
    if row is None:
        raise NotFound("There is no such member.", hint="An API key belongs to a member of its workspace.")
    return Role(row["role"])
