"""Which client certificate is which agent: a subject alternative name, registered for an agent of a workspace.

That a certificate is good was decided in its handshake. A name stands for one agent in each workspace, and a request
says which workspace it means: whoever runs another workspace can neither take a name away nor learn of it. `resolve`
answers from memory; what ends is forgotten there in the moment of its commit, and open sockets are told.

Sources: RFC 5280 section 4.2.1.6; RFC 9525 section 6.3 (names of hosts are compared without case).
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from failgate.access.principal import Principal
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.cache import ReadThrough
from failgate.base.canonical import base64url
from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import BadInput, Conflict, NotFound
from failgate.base.ids import new_id

EndReason = Literal[
    "revoked", "agent_disabled", "owner_changed", "account_disabled", "member_removed", "workspace_deleted"
]

LONGEST_SAN: Final = 1024
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+", re.ASCII)
_DNS: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.ASCII)
_EMAIL: Final = re.compile(r"[!-?A-~]+@[!-?A-~]+", re.ASCII)
_SELECT: Final = """
SELECT c.id, c.workspace_id, c.agent_id, c.san, c.created_us, c.registered_by, agent.name, agent.owner_account_id
FROM agent_certificate AS c JOIN agent ON agent.id = c.agent_id
JOIN account ON account.id = agent.owner_account_id
WHERE c.revoked_us IS NULL AND agent.disabled_us IS NULL AND account.disabled_us IS NULL
"""
# The look over to the accounts' table is the one of tokens: who answers for an agent must not be disabled.
_USABLE: Final = """
SELECT agent.id FROM agent JOIN account ON account.id = agent.owner_account_id
WHERE agent.id = $1 AND agent.workspace_id = $2 AND agent.disabled_us IS NULL AND account.disabled_us IS NULL
"""


@dataclass(frozen=True, slots=True)
class AgentCertificate:
    """A name that stands for an agent. `san` is `uri:…`, `dns:…` or `email:…`; the time is microseconds since 1970."""

    id: str
    workspace_id: str
    agent_id: str
    agent_name: str
    san: str
    created_us: int
    principal: Principal


class AgentCertificates:
    """Registers, resolves and revokes the names of agents."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._known: ReadThrough[str, tuple[AgentCertificate, ...]] = ReadThrough(self._load)
        self._callbacks: list[Callable[[str], None]] = []

    async def register(self, workspace_id: str, agent_id: str, san: str, actor: Actor) -> AgentCertificate:
        """Let a certificate with the name `san`, written as `check_san` takes it, be the agent.

        Raises: BadInput (the name); NotFound (no such enabled agent); Conflict (the name stands for an agent here).
        """
        return await self._database.write(
            lambda tx: self.register_within(tx, workspace_id, agent_id, san, actor),
        )

    async def register_within(
        self, tx: Transaction, workspace_id: str, agent_id: str, san: str, actor: Actor
    ) -> AgentCertificate:
        """Do what `register` does inside an open transaction."""
        name, certificate_id = check_san(san), new_id()
        if await tx.fetch_one(_USABLE, agent_id, workspace_id) is None:
            raise NotFound("There is no such agent.")
        inserted = await tx.execute(
            "INSERT INTO agent_certificate (id, workspace_id, agent_id, san, created_us, registered_by)"
            " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            certificate_id, workspace_id, agent_id, name, self._clock.now_us(), actor.account_id,
        )  # fmt: skip
        if inserted != 1:
            raise Conflict("This name stands for an agent of the workspace.", hint="Revoke that one first.")
        event = Event(
            act=Act.CERTIFICATE_REGISTERED, ws=workspace_id, obj_t="certificate", obj_id=certificate_id,
            actor=actor, data={"agent": agent_id, "kind": name.partition(":")[0], "san": _digest(name)},
        )  # fmt: skip
        await self._audit.append(tx, event)
        tx.after_commit(lambda: self._known.forget(name))
        [row] = await tx.fetch(f"{_SELECT} AND c.id = $1", certificate_id)
        return _certificate(row)

    async def revoke(self, workspace_id: str, certificate_id: str, actor: Actor, agent_id: str | None = None) -> None:
        """Let the name stand for the agent no more, at once; with `agent_id` only when it is that agent's.

        Raises: NotFound (there is none in this workspace or of this agent, or it has ended).
        """

        async def verb(tx: Transaction) -> None:
            where = "id = $2 AND workspace_id = $3 AND ($4 = '' OR agent_id = $4)"
            args = [certificate_id, workspace_id, agent_id or ""]
            if not await self._end_where(tx, where, args, actor, "revoked"):
                raise NotFound("There is no such certificate.")

        await self._database.write(verb)

    async def list(self, workspace_id: str, agent_id: str | None = None) -> Sequence[AgentCertificate]:
        """Return the names that stand for agents of the workspace, or for one of them, the earliest first."""
        query = f"{_SELECT} AND c.workspace_id = $1 AND ($2 = '' OR c.agent_id = $2) ORDER BY c.id"
        return [_certificate(row) for row in await self._database.fetch(query, workspace_id, agent_id or "")]

    async def resolve(self, names: Iterable[str]) -> Sequence[AgentCertificate]:
        """Return whom the `names` of one certificate stand for, in any workspace; from memory after the first time."""
        found: list[AgentCertificate] = []
        for name in names:
            found += await self._known.get(name) or ()
        return found

    def on_ended(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback` with the id of each one that ends, right after the commit; return what undoes it."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    async def end_of_agent(self, tx: Transaction, agent_id: str, actor: Actor) -> None:
        """End every name of the agent `agent_id`."""
        await self._end_where(tx, "agent_id = $2", [agent_id], actor, "agent_disabled")

    async def end_at_owner_change(self, tx: Transaction, agent_id: str, actor: Actor) -> None:
        """End every name of the agent `agent_id`: who answers for it now has not said whose keys these are."""
        await self._end_where(tx, "agent_id = $2", [agent_id], actor, "owner_changed")

    async def end_of_account(self, tx: Transaction, account_id: str, actor: Actor) -> None:
        """End every name of the agents for which `account_id` answers."""
        where = "agent_id IN (SELECT id FROM agent WHERE owner_account_id = $2)"
        await self._end_where(tx, where, [account_id], actor, "account_disabled")

    async def end_in_workspace(self, tx: Transaction, workspace_id: str, account_id: str, actor: Actor) -> None:
        """End every name of the agents in `workspace_id` for which `account_id` answers."""
        where = "agent_id IN (SELECT id FROM agent WHERE workspace_id = $2 AND owner_account_id = $3)"
        await self._end_where(tx, where, [workspace_id, account_id], actor, "member_removed")

    async def end_of_workspace(self, tx: Transaction, workspace_id: str, actor: Actor) -> None:
        """End every name of an agent in `workspace_id`, which is deleted."""
        await self._end_where(tx, "workspace_id = $2", [workspace_id], actor, "workspace_deleted")

    async def _load(self, san: str) -> tuple[AgentCertificate, ...]:
        rows = await self._database.fetch(f"{_SELECT} AND c.san = $1 ORDER BY c.id", san)
        return tuple(_certificate(row) for row in rows)

    async def _end_where(
        self, tx: Transaction, where: str, args: Sequence[str], actor: Actor, reason: EndReason
    ) -> bool:
        rows = await tx.fetch(
            f"UPDATE agent_certificate SET revoked_us = $1 WHERE {where} AND revoked_us IS NULL"
            " RETURNING id, workspace_id, agent_id, san",
            self._clock.now_us(), *args,
        )  # fmt: skip
        for row in rows:
            event = Event(
                act=Act.CERTIFICATE_REVOKED, ws=row["workspace_id"], obj_t="certificate", obj_id=row["id"],
                actor=actor, data={"agent": row["agent_id"], "reason": reason},
            )  # fmt: skip
            await self._audit.append(tx, event)
        ended = [(str(row["id"]), str(row["san"])) for row in rows]
        if ended:
            tx.after_commit(lambda: self._forget(ended))
        return bool(ended)

    def _forget(self, ended: Sequence[tuple[str, str]]) -> None:
        for certificate_id, san in ended:
            self._known.forget(san)
            for callback in tuple(self._callbacks):
                callback(certificate_id)


def check_san(text: str) -> str:
    """Return the subject alternative name `text` as it is kept: `uri:…`, `dns:…` (lower case) or `email:…`.

    Without one of these words before it, a name with `@` is an e-mail address, one with a scheme a URI, else a host.

    Raises: BadInput.
    """
    kind, sign, rest = text.partition(":")
    if not sign or kind not in {"uri", "dns", "email"}:
        is_uri = "://" in text or text.startswith("urn:")
        kind, rest = ("uri" if is_uri else "email" if "@" in text else "dns"), text
    rest = rest.lower() if kind == "dns" else rest
    pattern = {"uri": _URI, "dns": _DNS, "email": _EMAIL}[kind]
    if len(rest) > LONGEST_SAN or pattern.fullmatch(rest) is None:
        raise BadInput(
            "This is no subject alternative name.",
            hint="Write it like spiffe://acme.example/builder, build-1.acme.example or email:bot@acme.example.",
        )
    return f"{kind}:{rest}"


def _digest(san: str) -> str:
    return base64url(hashlib.sha256(san.encode()).digest())


def _certificate(row: Row) -> AgentCertificate:
    principal = Principal(
        kind="agent", agent_id=row["agent_id"], owner_account_id=row["owner_account_id"],
        workspace_id=row["workspace_id"], auth=("cert",), label=row["name"], maker_account_id=row["registered_by"],
    )  # fmt: skip
    return AgentCertificate(
        row["id"], row["workspace_id"], row["agent_id"], row["name"], row["san"], row["created_us"], principal
    )
