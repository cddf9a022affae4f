"""Connections to identity providers: made by owners for a workspace, or declared in the config for the installation.

Each is answered from memory and forgotten in the moment of its change. What a connection opened ends with it: a session
that it vouched for closes when it is switched off or removed.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from failgate.accounts.sessions import Sessions
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, SYSTEM, Act, Actor, Event
from failgate.base.cache import ReadThrough
from failgate.base.canonical import JSON
from failgate.base.clock import Clock
from failgate.base.db import Database, Transaction
from failgate.base.errors import BadInput, Conflict, NotFound
from failgate.base.ids import new_id
from failgate.base.secretbox import SecretBox
from failgate.sso import stored
from failgate.sso.connection import Connection, Settings
from failgate.sso.domains import check_domain
from failgate.sso.draft import Declared, Draft, connection_of, draft_of
from failgate.sso.protocol import Refusal
from failgate.sso.stored import Kept
from failgate.workspaces.names import check_slug

MOST_OF_WORKSPACE: Final = 20
Ending = Callable[[Transaction, str, Actor], Awaitable[None]]
"""What else ends with the connection of this id, inside that transaction."""


class Connections:
    """Makes, finds, changes and ends connections."""

    def __init__(
        self, database: Database, audit: AuditLog, clock: Clock, box: SecretBox, *, sessions: Sessions
    ) -> None:
        """Keep them in `database`, their secrets sealed by `box`."""
        self._database = database
        self._audit = audit
        self._clock = clock
        self._box = box
        self._sessions = sessions
        self._removals: list[Ending] = []
        self._closings: list[Ending] = []
        self._by_slug = ReadThrough(self._load_by_slug, limit=10_000)
        self._by_id = ReadThrough(self._load_by_id, limit=10_000)

    def also_end(self, removal: Ending) -> None:
        """Have `removal` run in the transaction in which a connection is removed."""
        self._removals.append(removal)

    def also_close(self, closing: Ending) -> None:
        """Have `closing` run wherever the sessions of a connection end: when it is switched off, and when removed."""
        self._closings.append(closing)

    # Finding

    async def by_slug(self, slug: str) -> Connection | None:
        """Return the connection of that slug, enabled or not, or None; from memory after the first time."""
        return await self._by_slug.get(slug)

    async def by_id(self, connection_id: str) -> Connection | None:
        """Return the connection of that id, enabled or not, or None; from memory after the first time."""
        return await self._by_id.get(connection_id)

    async def of_workspace(self, workspace_id: str) -> Sequence[Kept]:
        """Return the workspace's own connections, by slug."""
        return await stored.load(self._database, self._box, "workspace_id = $1", workspace_id)

    async def of_installation(self) -> Sequence[Kept]:
        """Return the connections that the config file declares, by slug."""
        return await stored.load(self._database, self._box, "workspace_id IS NULL")

    async def one_of(self, workspace_id: str, connection_id: str) -> Kept:
        """Return one of the workspace's own connections.

        Raises: NotFound.
        """
        condition = "workspace_id = $1 AND id = $2"
        found = await stored.load(self._database, self._box, condition, workspace_id, connection_id)
        if not found:
            raise NotFound("There is no such connection.")
        return found[0]

    async def listed(self) -> list[Connection]:
        """Return what the sign-in page shows everybody: enabled, listed; the installation's first, then by title.

        A workspace's connection stands there once it has proven a domain: its owner chooses the words on the button.
        """
        condition = (
            "is_enabled = 1 AND is_listed = 1 AND (workspace_id IS NULL OR EXISTS (SELECT 1 FROM sso_domain"
            " WHERE sso_domain.connection_id = sso_connection.id AND sso_domain.verified_us IS NOT NULL))"
        )
        found = await stored.load(self._database, self._box, condition)
        connections = [kept.connection for kept in found]
        return sorted(connections, key=lambda one: (one.workspace_id is not None, one.title.casefold(), one.slug))

    async def of_domain(self, domain: str) -> list[Connection]:
        """Return the enabled connections that may bring in people of the mail domain `domain`."""
        condition = (
            "is_enabled = 1 AND EXISTS (SELECT 1 FROM sso_domain WHERE sso_domain.connection_id = sso_connection.id"
            " AND sso_domain.domain = $1 AND sso_domain.verified_us IS NOT NULL)"
        )
        return [kept.connection for kept in await stored.load(self._database, self._box, condition, domain)]

    async def enabled_within(self, tx: Transaction, connection: Connection) -> Connection:
        """Return the connection as `tx` sees it: a provider may take its time with an answer.

        Raises: Refusal (it was switched off or removed meanwhile).
        """
        found = await stored.load(tx, self._box, "id = $1 AND is_enabled = 1", connection.id)
        if not found:
            raise Refusal("connection_disabled", "The connection is switched off.")
        return found[0].connection

    async def with_metadata_url(self) -> list[Connection]:
        """Return the enabled SAML connections whose metadata is had from an address."""
        found = await stored.load(self._database, self._box, "is_enabled = 1")
        return [kept.connection for kept in found if getattr(kept.connection.settings, "metadata_url", None)]

    # Making and changing

    async def create(self, workspace_id: str, slug: str, draft: Draft, actor: Actor) -> Connection:
        """Make a connection of a workspace; it is enabled.

        Raises: BadInput; Conflict (the slug is taken, the workspace has 20).
        """
        connection = connection_of(new_id(), check_slug(slug), draft, workspace_id)

        async def verb(tx: Transaction) -> None:
            query = "SELECT COUNT(*) AS many FROM sso_connection WHERE workspace_id = $1 AND removed_us IS NULL"
            row = await tx.fetch_one(query, workspace_id)
            if row is not None and row["many"] >= MOST_OF_WORKSPACE:
                raise Conflict(f"The workspace has {MOST_OF_WORKSPACE} connections.", hint="Remove one first.")
            if not await stored.insert(tx, self._box, connection, self._clock.now_us()):
                raise Conflict(f"A connection named {slug} exists.", hint="Choose another short name.")
            facts: dict[str, JSON] = {"kind": connection.kind, "settings": stored.digest_of_settings(connection)}
            await self.record(tx, Act.SSO_CONNECTION_CREATED, connection, actor, facts)

        await self._database.write(verb)
        return connection

    async def change(
        self, workspace_id: str, connection_id: str, make: Callable[[Connection], Draft], change: str, actor: Actor
    ) -> Connection:
        """Give a workspace's connection what `make` returns for what it is now; `change` says which in one word.

        Raises: NotFound; BadInput.
        """

        async def verb(tx: Transaction) -> Connection:
            condition = "workspace_id = $1 AND id = $2"
            found = await stored.load(tx, self._box, condition, workspace_id, connection_id)
            if not found:
                raise NotFound("There is no such connection.")
            return await self._change_within(tx, found[0].connection, make(found[0].connection), change, actor)

        return await self._database.write(verb)

    async def replace_settings(self, before: Connection, settings: Settings, change: str, actor: Actor) -> None:
        """Give any connection other settings of the same protocol. Nothing happens when it was removed meanwhile."""

        async def verb(tx: Transaction) -> None:
            found = await stored.load(tx, self._box, "id = $1", before.id)
            if found:
                draft = draft_of(found[0].connection)
                await self._change_within(tx, found[0].connection, replace(draft, settings=settings), change, actor)

        await self._database.write(verb)

    async def enable(self, workspace_id: str, connection_id: str, actor: Actor) -> None:
        """Let people sign in through it again. Twice is as once. Raises: NotFound."""
        await self._switch(workspace_id, connection_id, actor, is_enabled=True)

    async def disable(self, workspace_id: str, connection_id: str, actor: Actor) -> None:
        """Let nobody sign in through it; the sessions that it opened have ended. Twice is as once. Raises: NotFound."""
        await self._switch(workspace_id, connection_id, actor, is_enabled=False)

    async def remove(self, workspace_id: str, connection_id: str, actor: Actor) -> None:
        """End a connection with its sessions, identities, domains and requests. Its slug is free again.

        Raises: NotFound.
        """
        await self._database.write(lambda tx: self.remove_within(tx, workspace_id, connection_id, actor))

    async def remove_within(self, tx: Transaction, workspace_id: str, connection_id: str, actor: Actor) -> None:
        """Do what `remove` does inside an open transaction."""
        connection = await self._of_workspace_within(tx, workspace_id, connection_id)
        ended = await self._end_sessions(tx, connection_id, actor)
        identities = await tx.execute("DELETE FROM sso_identity WHERE connection_id = $1", connection_id)
        for table in ("sso_domain", "sso_membership", "sso_request", "sso_session", "sso_test"):
            await tx.execute(f"DELETE FROM {table} WHERE connection_id = $1", connection_id)
        for removal in self._removals:
            await removal(tx, connection_id, actor)
        # The row stays for what refers to it; its slug and its secrets do not.
        query = (
            "UPDATE sso_connection SET removed_us = $1, slug = id, is_enabled = 0, client_secret_sealed = NULL,"
            " signing_sealed = NULL WHERE id = $2"
        )
        await tx.execute(query, self._clock.now_us(), connection_id)
        facts: dict[str, JSON] = {"sessions": ended, "identities": identities}
        await self.record(tx, Act.SSO_CONNECTION_REMOVED, connection, actor, facts)

    async def end_of_workspace(self, tx: Transaction, workspace_id: str, actor: Actor) -> None:
        """Remove every connection of `workspace_id`, which is deleted."""
        for kept in await stored.load(tx, self._box, "workspace_id = $1", workspace_id):
            await self.remove_within(tx, workspace_id, kept.connection.id, actor)

    async def note_test(
        self, tx: Transaction, connection: Connection, result: str, actor: Actor, *, has_passed: bool
    ) -> None:
        """Note inside a transaction that the connection was tested, with which result (one word).

        `has_passed`: its provider's answer was accepted, whoever it was about.
        """
        if has_passed:
            query = "UPDATE sso_connection SET tested_us = $1 WHERE id = $2"
            await tx.execute(query, self._clock.now_us(), connection.id)
        await self.record(tx, Act.SSO_CONNECTION_TESTED, connection, actor, {"result": result})

    # The installation's, from the config

    async def declare(
        self, declared: Sequence[Declared], keep: Callable[[Settings, Settings], Settings] = lambda _, after: after
    ) -> None:
        """Make the installation's connections what the config declares; one that left it is switched off.

        `keep` says what of the settings before stays in those that are declared.

        Raises: Conflict (a workspace has a connection of that slug); BadInput.
        """

        async def verb(tx: Transaction) -> None:
            kept = {
                one.connection.slug: one.connection for one in await stored.load(tx, self._box, "workspace_id IS NULL")
            }
            for each in declared:
                await self._declare(tx, kept.pop(each.slug, None), each, keep)
            for gone in kept.values():
                await self._switch_within(tx, gone, SERVER, is_enabled=False, reason="left_the_config")

        await self._database.write(verb)

    async def _declare(
        self,
        tx: Transaction,
        before: Connection | None,
        declared: Declared,
        keep: Callable[[Settings, Settings], Settings],
    ) -> None:
        now_us = self._clock.now_us()
        if before is None:
            connection = connection_of(new_id(), check_slug(declared.slug), declared.draft, None)
            if not await stored.insert(tx, self._box, connection, now_us):
                raise Conflict(
                    f"[sso.connections.{declared.slug}]: a workspace has a connection of this name.",
                    hint="Choose another name in the config file.",
                )
            facts: dict[str, JSON] = {"kind": connection.kind, "settings": stored.digest_of_settings(connection)}
            await self.record(tx, Act.SSO_CONNECTION_CREATED, connection, SERVER, facts)
        else:
            draft = replace(declared.draft, settings=keep(before.settings, declared.draft.settings))
            connection = await self._change_within(tx, before, draft, "config", SERVER)
            await self._switch_within(tx, before, SERVER, is_enabled=True)
        domains = sorted({check_domain(domain) for domain in declared.domains})
        held = {
            row["domain"]
            for row in await tx.fetch("SELECT domain FROM sso_domain WHERE connection_id = $1", connection.id)
        }
        for domain in held - set(domains):
            await tx.execute("DELETE FROM sso_domain WHERE connection_id = $1 AND domain = $2", connection.id, domain)
        for domain in domains:
            if domain not in held:
                await tx.execute(
                    "INSERT INTO sso_domain (id, connection_id, domain, token, verified_by, verified_us, created_us)"
                    " VALUES ($1, $2, $3, '', 'operator', $4, $4)",
                    new_id(), connection.id, domain, now_us,
                )  # fmt: skip
        self.forget(tx, connection)

    # The parts

    async def signing_material(self, connection: Connection, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return the connection's own key material, sealed at rest; `make` makes it at first use."""
        query = "SELECT signing_sealed FROM sso_connection WHERE id = $1"
        row = await self._database.fetch_one(query, connection.id)
        if row is not None and row["signing_sealed"] is not None:
            return self._box.unseal(row["signing_sealed"], purpose=stored.SIGNING_PURPOSE, owner=connection.id)
        sealed = self._box.seal(await make(), purpose=stored.SIGNING_PURPOSE, owner=connection.id)

        async def verb(tx: Transaction) -> bytes:
            keep = "UPDATE sso_connection SET signing_sealed = $1 WHERE id = $2 AND signing_sealed IS NULL"
            await tx.execute(keep, sealed, connection.id)
            kept = await tx.fetch_one(query, connection.id)
            if kept is None:
                raise NotFound("There is no such connection.")
            return bytes(kept["signing_sealed"])

        return self._box.unseal(await self._database.write(verb), purpose=stored.SIGNING_PURPOSE, owner=connection.id)

    async def replace_signing_material(
        self, workspace_id: str, connection_id: str, material: bytes, change: str, actor: Actor
    ) -> None:
        """Keep other key material of a workspace's connection; `change` says why in one word. Raises: NotFound."""
        sealed = self._box.seal(material, purpose=stored.SIGNING_PURPOSE, owner=connection_id)

        async def verb(tx: Transaction) -> None:
            connection = await self._of_workspace_within(tx, workspace_id, connection_id)
            await tx.execute("UPDATE sso_connection SET signing_sealed = $1 WHERE id = $2", sealed, connection_id)
            await self.record(tx, Act.SSO_CONNECTION_CHANGED, connection, actor, {"change": change})

        await self._database.write(verb)

    async def record(
        self, tx: Transaction, act: Act, connection: Connection, actor: Actor, facts: dict[str, JSON]
    ) -> None:
        """Record what happened to a connection, in the log of its workspace or of the installation."""
        event = Event(
            act=act, ws=log_of(connection), obj_t="sso_connection", obj_id=connection.id, actor=actor, data=facts
        )
        await self._audit.append(tx, event)

    def forget(self, tx: Transaction, connection: Connection) -> None:
        """Ask the database again for this connection once `tx` is committed."""

        def forget() -> None:
            self._by_slug.forget(connection.slug)
            self._by_id.forget(connection.id)

        tx.after_commit(forget)

    async def _change_within(
        self, tx: Transaction, before: Connection, draft: Draft, change: str, actor: Actor
    ) -> Connection:
        after = connection_of(before.id, before.slug, draft, before.workspace_id)
        secret = after.client_secret if after.client_secret is not None else before.client_secret
        after = replace(after, is_enabled=before.is_enabled, domains=before.domains, client_secret=secret)
        if after == before:
            return before
        if after.kind != before.kind:
            raise BadInput("A connection keeps its protocol.", hint="Make another connection.")
        await stored.update(tx, self._box, after, self._clock.now_us())
        if after.trusted_methods != before.trusted_methods:  # what was vouched for under the old list counts no more
            await tx.execute("UPDATE sso_identity SET factor_us = NULL WHERE connection_id = $1", after.id)
        facts: dict[str, JSON] = {"change": change, "settings": stored.digest_of_settings(after)}
        await self.record(tx, Act.SSO_CONNECTION_CHANGED, after, actor, facts)
        self.forget(tx, after)
        return after

    async def _switch(self, workspace_id: str, connection_id: str, actor: Actor, *, is_enabled: bool) -> None:
        async def verb(tx: Transaction) -> None:
            connection = await self._of_workspace_within(tx, workspace_id, connection_id)
            await self._switch_within(tx, connection, actor, is_enabled=is_enabled)

        await self._database.write(verb)

    async def _switch_within(
        self, tx: Transaction, connection: Connection, actor: Actor, *, is_enabled: bool, reason: str | None = None
    ) -> None:
        query = "UPDATE sso_connection SET is_enabled = $1, changed_us = $2 WHERE id = $3 AND is_enabled <> $1"
        if await tx.execute(query, int(is_enabled), self._clock.now_us(), connection.id) != 1:
            return
        if is_enabled:
            await self.record(tx, Act.SSO_CONNECTION_ENABLED, connection, actor, {})
        else:
            ended = await self._end_sessions(tx, connection.id, actor)
            await tx.execute("DELETE FROM sso_request WHERE connection_id = $1", connection.id)
            facts: dict[str, JSON] = {"sessions": ended, "reason": reason}
            await self.record(tx, Act.SSO_CONNECTION_DISABLED, connection, actor, facts)
        self.forget(tx, connection)

    async def _of_workspace_within(self, tx: Transaction, workspace_id: str, connection_id: str) -> Connection:
        found = await stored.load(tx, self._box, "workspace_id = $1 AND id = $2", workspace_id, connection_id)
        if not found:
            raise NotFound("There is no such connection.")
        self.forget(tx, found[0].connection)
        return found[0].connection

    async def _end_sessions(self, tx: Transaction, connection_id: str, actor: Actor) -> int:
        rows = await tx.fetch("SELECT id FROM session WHERE connection_id = $1", connection_id)
        for closing in self._closings:
            await closing(tx, connection_id, actor)
        return await self._sessions.end_these(tx, [row["id"] for row in rows], actor, "connection_ended")

    async def _load_by_slug(self, slug: str) -> Connection | None:
        found = await stored.load(self._database, self._box, "slug = $1", slug)
        return found[0].connection if found else None

    async def _load_by_id(self, connection_id: str) -> Connection | None:
        found = await stored.load(self._database, self._box, "id = $1", connection_id)
        return found[0].connection if found else None


def log_of(connection: Connection) -> str:
    """Return the log that a connection's records go to."""
    return connection.workspace_id or SYSTEM
