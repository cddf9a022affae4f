"""Rules that pinned machines judge by themselves: their signed heads, and what ran by them. The rules are not here.

What a head allows is in no byte of the server: it has the digest of a body with a nonce. Nobody has to believe it: an
agent that is given no head, an old one or a false one asks people.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from failgate.access.principal import Principal
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.clock import MICROSECONDS, Clock, to_rfc3339
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import Conflict, Forbidden, Unprocessable
from failgate.base.ids import new_id
from failgate.relay.commands import manifest_of
from failgate.relay.directory import KeyDirectory
from failgate.relay.manifests import Manifests
from failgate.relay.relay import Relay
from failgate.sealed.form import SKEW_SECONDS
from failgate.wire.sealed import SealedRulesView, SealedRunView

_NEWEST: Final = "SELECT * FROM sealed_rules WHERE workspace_id = $1 ORDER BY epoch DESC LIMIT 1"
_OF_DIGEST: Final = "SELECT * FROM sealed_rules WHERE workspace_id = $1 AND digest = $2"
_ADD: Final = (
    "INSERT INTO sealed_rules (id, workspace_id, epoch, digest, signed, issued_us, expires_us, accepted_us, account_id)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING"
)
_RAN: Final = (
    "INSERT INTO sealed_run (id, workspace_id, rid, agent_id, agent_jkt, rules, commitment, exit_code, receipt,"
    " taken_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING"
)
_RUNS: Final = "SELECT * FROM sealed_run WHERE workspace_id = $1 ORDER BY id DESC LIMIT $2"
_encode = msgspec.json.Encoder(order="sorted").encode


class SealedRules:
    """Takes and gives heads, and takes what ran by them."""

    def __init__(
        self, db: Database, audit: AuditLog, clock: Clock, directory: KeyDirectory, manifests: Manifests
    ) -> None:
        self._db = db
        self._audit = audit
        self._clock = clock
        self._directory = directory
        self._manifests = manifests

    async def accept(
        self, tx: Transaction, relay: Relay, workspace_id: str, signed: Mapping[str, Any], actor: Actor
    ) -> SealedRulesView:
        """Keep the head that follows the newest one, or the first one, inside `tx`.

        Raises: Refused (it is not believed, or counts under another manifest), Conflict (the workspace is not sealed,
        or the head does not follow).
        """
        now_us = self._clock.now_us()
        kept = await self._manifests.newest(tx, workspace_id)
        if kept is None:
            raise Conflict("This workspace is not sealed.", hint="An administrator begins it with a signed manifest.")
        head = relay.rules(dict(signed), manifest_of(kept), now_us // MICROSECONDS)
        row = await tx.fetch_one(_NEWEST, workspace_id)
        last = 0 if row is None else int(row["epoch"])
        if head.epoch != last + 1:
            raise Conflict(f"The rules have the epoch {head.epoch}, and {last + 1} is next.", epoch=last)
        inserted = await tx.execute(
            _ADD, new_id(), workspace_id, head.epoch, head.digest, _encode(dict(signed)).decode(),
            head.iat * MICROSECONDS, head.exp * MICROSECONDS, now_us, actor.account_id,
        )  # fmt: skip
        if inserted != 1:
            raise Conflict("Other rules of this epoch were accepted.", epoch=head.epoch)
        data = {
            "epoch": head.epoch, "rules": head.rules, "manifest": head.manifest,
            "expires_us": head.exp * MICROSECONDS,
        }  # fmt: skip
        await self._say(tx, Act.SEALED_RULES_ACCEPTED, workspace_id, "sealed_rules", head.digest, actor, data)
        return SealedRulesView(
            epoch=head.epoch, digest=head.digest, expires_at=to_rfc3339(head.exp * MICROSECONDS),
            accepted_at=to_rfc3339(now_us), accepted_by=actor.account_id,
        )  # fmt: skip

    async def newest(self, tx: Database | Transaction, workspace_id: str) -> dict[str, Any] | None:
        """Return the newest head as it was signed, expired or not; None where there is none."""
        row = await tx.fetch_one(_NEWEST, workspace_id)
        return None if row is None else msgspec.json.decode(row["signed"], type=dict[str, Any])

    async def take_run(
        self, tx: Transaction, relay: Relay, workspace_id: str, principal: Principal, sent: str
    ) -> SealedRunView:
        """Keep what the agent `principal` ran by rules of this workspace, inside `tx`.

        Raises: Refused (it is not believed), Forbidden (no agent, or not by a key of its own), Unprocessable (rules
        that are not known here, or were not valid when it began), Conflict (not sealed, or it was told before).
        """
        if principal.agent_id is None:
            raise Forbidden("An agent tells what it ran, by its own token.")
        if await self._manifests.newest(tx, workspace_id) is None:
            raise Conflict("This workspace is not sealed.")
        in_force = await self._directory.in_force(tx, workspace_id)
        own = {jkt: key.jwk for jkt, key in in_force.items() if key.agent_id == principal.agent_id}
        run, jkt = relay.run(sent, workspace_id, own)
        head = await tx.fetch_one(_OF_DIGEST, workspace_id, run.rules)
        began_us = run.receipt.started * MICROSECONDS
        skew_us = SKEW_SECONDS * MICROSECONDS
        if head is None or not head["issued_us"] - skew_us <= began_us <= head["expires_us"]:
            raise Unprocessable("It did not run by rules that were in force here.")
        view = SealedRunView(
            id=run.rid, agent=principal.agent_id, digest=run.commit, rules=run.rules, exit_code=run.receipt.exit,
            taken_at=to_rfc3339(now_us := self._clock.now_us()), run=sent,
        )  # fmt: skip
        inserted = await tx.execute(
            _RAN, new_id(), workspace_id, run.rid, principal.agent_id, jkt, run.rules, run.commit, run.receipt.exit,
            sent, now_us,
        )  # fmt: skip
        if inserted != 1:
            raise Conflict("This run was told before.")
        data = {
            "digest": run.commit, "jkt": jkt, "rules": run.rules, "exit_code": run.receipt.exit,
            "output": run.receipt.out_sha256, "duration_ms": (run.receipt.ended - run.receipt.started) * 1000,
        }  # fmt: skip
        actor = Actor.of(principal)
        await self._say(tx, Act.SEALED_RUN_FINISHED, workspace_id, "sealed_run", run.rid, actor, data)
        return view

    async def runs(self, workspace_id: str, limit: int) -> list[SealedRunView]:
        """Return the newest runs."""
        return [_shown(row) for row in await self._db.fetch(_RUNS, workspace_id, limit)]

    async def _say(
        self, tx: Transaction, act: Act, workspace_id: str, kind: str, identifier: str, actor: Actor,
        data: Mapping[str, Any],
    ) -> None:  # fmt: skip
        event = Event(act=act, ws=workspace_id, obj_t=kind, obj_id=identifier, actor=actor, data=dict(data))
        await self._audit.append(tx, event)


def _shown(row: Row) -> SealedRunView:
    return SealedRunView(
        id=row["rid"], agent=row["agent_id"], digest=row["commitment"], rules=row["rules"],
        exit_code=int(row["exit_code"]), taken_at=to_rfc3339(row["taken_us"]), run=row["receipt"],
    )  # fmt: skip
