"""Sealed commands and the signed decisions about them: kept, handed on, counted. The server opens none of them.

```text
pending ──► approved ──► executed        what the server counts is its own word: an agent believes the decisions alone
   │           └──────► cancelled        its agent was interrupted before it executed anything
   ├──────► denied | cancelled
   └──────► expired      written down within seconds of its time, and never believed to wait after it
```

`id` outside of this room is the agent's `cid`, by which a decision names the command.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from failgate.access.principal import Principal
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, Act, Actor, Event
from failgate.base.clock import MICROSECONDS, Clock, to_rfc3339
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import Conflict, Forbidden, NotFound, TooManyRequests, Unprocessable
from failgate.base.ids import new_id
from failgate.relay.directory import KeyDirectory
from failgate.relay.manifests import KeptManifest, Manifests
from failgate.relay.relay import Admitted, Relay
from failgate.sealed import form
from failgate.sealed.command import Context
from failgate.sealed.decision import Decision
from failgate.sealed.manifest import MOST_BYTES, Manifest, read_payload
from failgate.wire.sealed import SealedCommandView, SealedState

MOST_SHOWN: Final = 200
EXPIRE_TOGETHER: Final = 64  # commands that expire in one transaction
_RETRY_SECONDS: Final = 10
_LOOK_SECONDS: Final = 1.0  # another process on the same database may have decided
_ADD: Final = (
    "INSERT INTO sealed_command (id, workspace_id, cid, agent_id, agent_jkt, owner_account_id, commitment, epoch,"
    " policy, size_bytes, body, state, created_us, expires_us)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'pending', $12, $13) ON CONFLICT DO NOTHING"
)
_ONE: Final = "SELECT * FROM sealed_command WHERE workspace_id = $1 AND cid = $2"
_LOCK: Final = "UPDATE sealed_command SET state = state WHERE workspace_id = $1 AND cid = $2"
_WAITING: Final = (
    "SELECT COUNT(*) AS number FROM sealed_command"
    " WHERE workspace_id = $1 AND agent_id = $2 AND state = 'pending' AND expires_us > $3"
)
_NEWEST: Final = "SELECT * FROM sealed_command WHERE workspace_id = $1 ORDER BY id DESC LIMIT $2"
_DECISIONS: Final = "SELECT * FROM sealed_decision WHERE workspace_id = $1 AND cid = $2 ORDER BY id"
_DECIDE: Final = (
    "INSERT INTO sealed_decision (id, workspace_id, cid, account_id, jkt, decision, body, decided_us)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING"
)
_MOVE: Final = (
    "UPDATE sealed_command SET state = $1, ended_us = $2, receipt = $3"
    " WHERE workspace_id = $4 AND cid = $5 AND state = $6"
)
_DUE: Final = (
    "SELECT * FROM sealed_command WHERE state = 'pending' AND expires_us <= $1 ORDER BY expires_us, id"
    f" LIMIT {EXPIRE_TOGETHER}"
)
_OPEN: Final = "SELECT * FROM sealed_command WHERE workspace_id = $1 AND state IN ('pending', 'approved') ORDER BY id"
_ENDED: Final[Mapping[str, str]] = {
    "approved": "The command is approved: enough people have decided.",
    "denied": "The command is denied: one denial ends it.",
    "expired": "The command has expired: its time to be decided is over.",
    "cancelled": "Its agent withdrew the command: there is nothing left to decide.",
    "executed": "The command was approved, and is executed.",
}
_encode = msgspec.json.Encoder(order="sorted").encode


class SealedCommands:
    """Takes sealed commands, decisions and receipts, and hands them on."""

    def __init__(
        self, db: Database, audit: AuditLog, clock: Clock, directory: KeyDirectory, manifests: Manifests
    ) -> None:
        self._db = db
        self._audit = audit
        self._clock = clock
        self._directory = directory
        self._manifests = manifests
        self._watched: dict[tuple[str, str], set[asyncio.Event]] = {}

    async def submit(
        self, tx: Transaction, relay: Relay, workspace_id: str, principal: Principal, sealed: Mapping[str, Any]
    ) -> SealedCommandView:
        """Keep a command of the agent `principal` inside `tx`, pending.

        Raises: Refused (it is not believed), Forbidden (no agent, or not by a key of its own), Conflict (the workspace
        is not sealed, the id is taken), TooManyRequests (too many of this agent wait).
        """
        if principal.agent_id is None:
            raise Forbidden("An agent asks for sealed commands, by its own token.")
        now_us = self._clock.now_us()
        kept, manifest = await self._in_force(tx, workspace_id)
        admitted: Admitted = relay.admit(dict(sealed), manifest, now_us // MICROSECONDS)
        ctx = admitted.ctx
        key = (await self._directory.in_force(tx, workspace_id, [ctx.agent])).get(ctx.agent)
        if key is None or key.agent_id != principal.agent_id:
            raise Forbidden("The command is not sealed by a key of this agent.", hint="Run failgate agent enroll.")
        [waiting] = await tx.fetch(_WAITING, workspace_id, principal.agent_id, now_us)
        if waiting["number"] >= relay.waiting_per_agent:
            raise TooManyRequests(
                "So many commands of this agent wait already.",
                retry_after_seconds=_RETRY_SECONDS,
                hint="Wait until one is decided.",
            )
        inserted = await tx.execute(
            _ADD, new_id(), workspace_id, ctx.cid, principal.agent_id, ctx.agent, principal.owner_account_id,
            ctx.commit, ctx.epoch, ctx.policy, admitted.size_bytes, _encode(dict(sealed)).decode(), now_us,
            ctx.exp * MICROSECONDS,
        )  # fmt: skip
        if inserted != 1:
            raise Conflict("A command of this id was asked for before.", hint="Seal it anew, with another cid.")
        data = {
            "digest": ctx.commit, "jkt": ctx.agent, "epoch": kept.epoch, "policy": ctx.policy,
            "expires_us": ctx.exp * MICROSECONDS, "size_bytes": admitted.size_bytes,
        }  # fmt: skip
        await self._say(tx, Act.SEALED_COMMAND_CREATED, workspace_id, ctx.cid, Actor.of(principal), data)
        return await self._view(tx, workspace_id, ctx.cid)

    async def decide(
        self, tx: Transaction, relay: Relay, workspace_id: str, principal: Principal, cid: str, sent: object
    ) -> SealedCommandView:
        """Keep the decision `sent` of the person `principal` inside `tx`; count what it makes of the command.

        Raises: NotFound; Refused (it is not believed); Forbidden (another person's key, or who answers for the agent);
        Conflict with `state` (too late, decided by this person before, or the manifest is another one by now).
        """
        await tx.execute(_LOCK, workspace_id, cid)  # two last approvals do not miss one another
        row, now_us = await self._row(tx, workspace_id, cid), self._clock.now_us()
        state = _state(row, now_us)
        if state != "pending":
            raise Conflict(_ENDED[state], state=state, hint="The decision was not taken.")
        kept, manifest = await self._in_force(tx, workspace_id)
        if kept.epoch != row["epoch"]:
            raise Conflict("The keys changed since: the agent has to ask again.", state=state)
        now, ctx = now_us // MICROSECONDS, _context(relay, row)
        jwks = {jkt: key.jwk for jkt, key in (await self._directory.in_force(tx, workspace_id)).items()}
        decision: Decision = relay.decision(sent, ctx, manifest, jwks, now)
        if decision.uid != principal.account_id:
            raise Forbidden("This is not signed by a key of yours.")
        if principal.account_id == row["owner_account_id"]:
            raise Forbidden("Who answers for an agent does not decide on what it asks.")
        if not await self._keep(tx, workspace_id, cid, decision, sent, now_us):
            raise Conflict("You decided on this command before.", state=state)
        if decision.decision == "deny":
            state = "denied"
        else:
            decisions = [_sent(one) for one in await tx.fetch(_DECISIONS, workspace_id, cid)]
            policy = relay.policies(kept.policies, manifest)[ctx.policy]
            if relay.is_enough(decisions, ctx, manifest, policy, jwks, now):
                state = "approved"
        if state != "pending":
            await self._move(tx, row, state, now_us, None)
        data = {
            "digest": ctx.commit, "decision": decision.decision, "jkt": decision.jkt, "jti": decision.jti,
            "state": state,
        }  # fmt: skip
        await self._say(tx, Act.SEALED_COMMAND_DECIDED, workspace_id, cid, Actor.of(principal), data)
        tx.after_commit(lambda: self._tell(workspace_id, cid))
        return await self._view(tx, workspace_id, cid)

    async def finish(
        self, tx: Transaction, relay: Relay, workspace_id: str, principal: Principal, cid: str, sent: str
    ) -> SealedCommandView:
        """Keep the agent's receipt inside `tx`: the command was executed.

        Raises: NotFound (also of another agent's), Refused, Conflict with `state` (it was not approved).
        """
        await tx.execute(_LOCK, workspace_id, cid)
        row, now_us = await self._row(tx, workspace_id, cid), self._clock.now_us()
        if row["agent_id"] != principal.agent_id:
            raise _not_found()
        if row["state"] != "approved":
            raise Conflict(f"The command is {row['state']}.", state=row["state"])
        key = (await self._directory.in_force(tx, workspace_id, [row["agent_jkt"]])).get(row["agent_jkt"])
        if key is None:
            raise Unprocessable("The agent's key was revoked.", hint="Enrol a new one.")
        receipt = relay.receipt(sent, _context(relay, row), dict(key.jwk))
        await self._move(tx, row, "executed", now_us, sent)
        data = {
            "digest": row["commitment"], "exit_code": receipt.exit, "output": receipt.out_sha256,
            "duration_ms": (receipt.ended - receipt.started) * 1000,
        }  # fmt: skip
        await self._say(tx, Act.SEALED_COMMAND_FINISHED, workspace_id, cid, Actor.of(principal), data)
        tx.after_commit(lambda: self._tell(workspace_id, cid))
        return await self._view(tx, workspace_id, cid)

    async def withdraw(self, tx: Transaction, workspace_id: str, principal: Principal, cid: str) -> SealedCommandView:
        """End a command of the agent `principal` inside `tx`: nobody decides on it any more, and nothing ran by it.

        Raises: NotFound (also of another agent's), Conflict with `state` (it has ended).
        """
        await tx.execute(_LOCK, workspace_id, cid)
        row, now_us = await self._row(tx, workspace_id, cid), self._clock.now_us()
        if principal.agent_id is None or row["agent_id"] != principal.agent_id:
            raise _not_found()
        state = _state(row, now_us)
        if state not in {"pending", "approved"}:
            raise Conflict(f"The command is {state}.", state=state)
        if not await self._end(tx, row, "cancelled", Act.SEALED_COMMAND_CANCELLED, Actor.of(principal), now_us):
            raise Conflict("The command changed meanwhile.", state=row["state"])
        return await self._view(tx, workspace_id, cid)

    async def expire_due(self) -> int:
        """Write down every command whose time went by while it waited; return how many."""
        count = 0
        while number := await self._db.write(self._expire_some):
            count += number
        return count

    async def end_of_workspace(self, tx: Transaction, workspace_id: str, actor: Actor) -> None:
        """Withdraw what is open in a workspace that is deleted, inside that transaction."""
        now_us = self._clock.now_us()
        for row in await tx.fetch(_OPEN, workspace_id):
            await self._end(tx, row, "cancelled", Act.SEALED_COMMAND_CANCELLED, actor, now_us)

    async def view(
        self, workspace_id: str, cid: str, principal: Principal, wait_seconds: float = 0
    ) -> SealedCommandView:
        """Return one command with its body and its decisions, once it is not pending or the time is over.

        Raises: NotFound (also for an agent: of another agent).
        """
        loop = asyncio.get_running_loop()
        until, event = loop.time() + wait_seconds, asyncio.Event()
        watchers = self._watched.setdefault((workspace_id, cid), set())
        watchers.add(event)
        try:
            while True:
                event.clear()
                row = await self._row(self._db, workspace_id, cid)
                if principal.agent_id is not None and row["agent_id"] != principal.agent_id:
                    raise _not_found()
                left = until - loop.time()
                if left <= 0 or _state(row, self._clock.now_us()) != "pending":
                    return await self._view(self._db, workspace_id, cid)
                try:
                    async with asyncio.timeout(min(left, _LOOK_SECONDS)):
                        await event.wait()
                except TimeoutError:
                    continue
        finally:
            watchers.discard(event)
            if not watchers:
                self._watched.pop((workspace_id, cid), None)

    async def list(self, workspace_id: str, limit: int) -> list[SealedCommandView]:
        """Return the newest commands, without bodies and decisions."""
        now_us = self._clock.now_us()
        return [_shown(row, now_us) for row in await self._db.fetch(_NEWEST, workspace_id, limit)]

    async def _in_force(self, tx: Transaction, workspace_id: str) -> tuple[KeptManifest, Manifest]:
        kept = await self._manifests.newest(tx, workspace_id)
        if kept is None:
            raise Conflict("This workspace is not sealed.", hint="An administrator begins it with a signed manifest.")
        return kept, manifest_of(kept)

    async def _keep(
        self, tx: Transaction, workspace_id: str, cid: str, decision: Decision, sent: object, now_us: int
    ) -> bool:
        inserted = await tx.execute(
            _DECIDE, new_id(), workspace_id, cid, decision.uid, decision.jkt, decision.decision,
            _encode(sent).decode(), now_us,
        )  # fmt: skip
        return inserted == 1

    async def _move(self, tx: Transaction, row: Row, state: SealedState, now_us: int, receipt: str | None) -> None:
        if not await self._moved(tx, row, state, now_us, receipt):
            raise Conflict("The command changed meanwhile.", state=row["state"])

    async def _moved(self, tx: Transaction, row: Row, state: SealedState, now_us: int, receipt: str | None) -> bool:
        moved = await tx.execute(_MOVE, state, now_us, receipt, row["workspace_id"], row["cid"], row["state"])
        return moved == 1

    async def _expire_some(self, tx: Transaction) -> int:
        now_us, count = self._clock.now_us(), 0
        for row in await tx.fetch(_DUE, now_us - MICROSECONDS):  # its last second still counts
            count += await self._end(tx, row, "expired", Act.SEALED_COMMAND_EXPIRED, SERVER, now_us)
        return count

    async def _end(self, tx: Transaction, row: Row, state: SealedState, act: Act, actor: Actor, now_us: int) -> bool:
        """Move the command of `row` to an end; False when somebody else moved it meanwhile."""
        workspace_id, cid = row["workspace_id"], row["cid"]
        if not await self._moved(tx, row, state, now_us, None):
            return False
        await self._say(tx, act, workspace_id, cid, actor, {"digest": row["commitment"]})
        tx.after_commit(lambda: self._tell(workspace_id, cid))
        return True

    async def _say(
        self, tx: Transaction, act: Act, workspace_id: str, cid: str, actor: Actor, data: Mapping[str, Any]
    ) -> None:
        event = Event(act=act, ws=workspace_id, obj_t="sealed_command", obj_id=cid, actor=actor, data=dict(data))
        await self._audit.append(tx, event)

    async def _row(self, tx: Database | Transaction, workspace_id: str, cid: str) -> Row:
        row = await tx.fetch_one(_ONE, workspace_id, cid)
        if row is None:
            raise _not_found()
        return row

    async def _view(self, tx: Database | Transaction, workspace_id: str, cid: str) -> SealedCommandView:
        row = await self._row(tx, workspace_id, cid)
        decisions = await tx.fetch(_DECISIONS, workspace_id, cid)
        return _shown(row, self._clock.now_us(), decisions, is_whole=True)

    def _tell(self, workspace_id: str, cid: str) -> None:
        for event in self._watched.get((workspace_id, cid), ()):
            event.set()


def manifest_of(kept: KeptManifest) -> Manifest:
    """Return the manifest that was accepted, without asking anew who signed it."""
    payload = form.octets(kept.signed["payload"], "manifest.payload", most=MOST_BYTES)
    return read_payload(form.read_object(payload, "manifest.payload"))


def _context(relay: Relay, row: Row) -> Context:
    return relay.context(msgspec.json.decode(row["body"]))


def _sent(row: Row) -> str | dict[str, Any]:
    return cast("str | dict[str, Any]", msgspec.json.decode(row["body"]))


def _state(row: Row, now_us: int) -> SealedState:
    is_over = row["state"] == "pending" and now_us > row["expires_us"] + MICROSECONDS - 1
    return "expired" if is_over else cast("SealedState", row["state"])


def _shown(row: Row, now_us: int, decisions: Sequence[Row] = (), *, is_whole: bool = False) -> SealedCommandView:
    return SealedCommandView(
        id=row["cid"], state=_state(row, now_us), digest=row["commitment"], agent=row["agent_id"],
        epoch=int(row["epoch"]), size_bytes=int(row["size_bytes"]), created_at=to_rfc3339(row["created_us"]),
        expires_at=to_rfc3339(row["expires_us"]), sealed=msgspec.json.decode(row["body"]) if is_whole else None,
        decisions=[_sent(one) for one in decisions], receipt=row["receipt"],
    )  # fmt: skip


def _not_found() -> NotFound:
    return NotFound("There is no such sealed command.")
