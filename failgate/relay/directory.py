"""The directory of public keys: what reviewers' devices open and sign with, and what agents sign with.

A key counts for nothing by standing here: an administrator's signed manifest names it by its thumbprint, and who
believes a manifest compares that. What is revoked here leaves the next manifest, and this server takes no decision by
it from that moment on.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from failgate.accounts.token_limits import check_label
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import canonical, parse_canonical
from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import BadInput, Conflict, NotFound
from failgate.base.ids import new_id
from failgate.relay.relay import Purpose, Relay
from failgate.wire.sealed import KeyClass, NewDeviceKey

MOST_OF_ONE: Final = 32  # keys in force of one person or agent; a manifest takes no more of one either
_LONGEST_ORIGIN: Final = 300
_ADD: Final = (
    "INSERT INTO device_key (id, workspace_id, purpose, account_id, agent_id, jkt, jwk, key_class, rp, origins, label,"
    " copies, created_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING"
)
_OF_ONE: Final = (
    "SELECT COUNT(*) AS number FROM device_key WHERE workspace_id = $1 AND COALESCE(account_id, agent_id) = $2"
    " AND revoked_us IS NULL"
)
_REVOKE: Final = (
    "UPDATE device_key SET revoked_us = $1 WHERE {where} AND revoked_us IS NULL"
    " RETURNING id, workspace_id, purpose, account_id, agent_id, jkt"
)


class DeviceKey(msgspec.Struct, frozen=True):
    """A public key; `holder` is the account or the agent, by its purpose. Times are microseconds since 1970."""

    id: str
    workspace_id: str
    purpose: Purpose
    account_id: str | None
    agent_id: str | None
    jkt: str
    jwk: Mapping[str, str]
    key_class: KeyClass | None
    rp: str | None
    origins: Sequence[str] | None
    label: str
    copies: Mapping[str, str] | None
    created_us: int
    revoked_us: int | None

    @property
    def holder(self) -> str:
        """Return whose it is."""
        return self.account_id or self.agent_id or ""


class KeyDirectory:
    """Enrols, lists and revokes public keys."""

    def __init__(self, db: Database, audit: AuditLog, clock: Clock) -> None:
        self._db = db
        self._audit = audit
        self._clock = clock

    async def enrol(
        self, tx: Transaction, relay: Relay, workspace_id: str, wish: NewDeviceKey, actor: Actor
    ) -> DeviceKey:
        """Keep a key of the person `actor` inside `tx`.

        Raises: Refused (it is no key for this), BadInput (the label; `class`, `rp`, `origins` do not fit), Conflict
        (it was enrolled here before, or is one more than a person has).
        """
        _check_class(wish)
        return await self._add(
            tx, workspace_id, actor, purpose=wish.purpose, jkt=relay.thumbprint(wish.purpose, wish.jwk), jwk=wish.jwk,
            label=wish.label, account_id=actor.account_id, key_class=wish.key_class, rp=wish.rp, origins=wish.origins,
            copies=await self._checked_copies(tx, workspace_id, wish, actor),
        )  # fmt: skip

    async def enrol_agent(
        self, tx: Transaction, relay: Relay, workspace_id: str, jwk: Mapping[str, str], label: str, actor: Actor
    ) -> DeviceKey:
        """Keep a key of the agent `actor` inside `tx`. Raises: as `enrol`."""
        jkt = relay.thumbprint("asking", jwk)
        return await self._add(
            tx, workspace_id, actor, purpose="asking", jkt=jkt, jwk=jwk, label=label, agent_id=actor.id
        )

    async def revoke(self, workspace_id: str, key_id: str, actor: Actor, holder: str | None = None) -> None:
        """Let the key count no more; with `holder` only one of that account. Raises: NotFound."""

        async def verb(tx: Transaction) -> None:
            where = "workspace_id = $2 AND id = $3 AND ($4 = '' OR account_id = $4)"
            if not await self._revoke(tx, where, [workspace_id, key_id, holder or ""], actor, "revoked"):
                raise NotFound("There is no such key in force.")

        await self._db.write(verb)

    async def list(self, workspace_id: str) -> Sequence[DeviceKey]:
        """Return every key of the workspace, the earliest first; revoked ones too."""
        rows = await self._db.fetch("SELECT * FROM device_key WHERE workspace_id = $1 ORDER BY id", workspace_id)
        return [_key(row) for row in rows]

    async def in_force(
        self, tx: Database | Transaction, workspace_id: str, jkts: Iterable[str] | None = None
    ) -> dict[str, DeviceKey]:
        """Return the keys in force, or those of `jkts`, by their thumbprints."""
        rows = await tx.fetch(
            "SELECT * FROM device_key WHERE workspace_id = $1 AND revoked_us IS NULL ORDER BY id", workspace_id
        )
        wanted = None if jkts is None else frozenset(jkts)
        return {row["jkt"]: _key(row) for row in rows if wanted is None or row["jkt"] in wanted}

    async def end_in_workspace(self, tx: Transaction, workspace_id: str, account_id: str, actor: Actor) -> None:
        """Revoke every key of the account in the workspace, which it leaves."""
        where = "workspace_id = $2 AND account_id = $3"
        await self._revoke(tx, where, [workspace_id, account_id], actor, "member_removed")

    async def end_of_account(self, tx: Transaction, account_id: str, actor: Actor) -> None:
        """Revoke every key of the account, which is disabled."""
        await self._revoke(tx, "account_id = $2", [account_id], actor, "account_disabled")

    async def end_of_agent(self, tx: Transaction, agent_id: str, actor: Actor) -> None:
        """Revoke every key of the agent, which is disabled."""
        await self._revoke(tx, "agent_id = $2", [agent_id], actor, "agent_disabled")

    async def end_at_owner_change(self, tx: Transaction, agent_id: str, actor: Actor) -> None:
        """Revoke every key of the agent: who answers for it now has not said whose keys these are."""
        await self._revoke(tx, "agent_id = $2", [agent_id], actor, "owner_changed")

    async def end_of_workspace(self, tx: Transaction, workspace_id: str, actor: Actor) -> None:
        """Revoke every key of the workspace, which is deleted."""
        await self._revoke(tx, "workspace_id = $2", [workspace_id], actor, "workspace_deleted")

    async def _add(
        self,
        tx: Transaction,
        workspace_id: str,
        actor: Actor,
        *,
        purpose: Purpose,
        jkt: str,
        jwk: Mapping[str, str],
        label: str,
        account_id: str | None = None,
        agent_id: str | None = None,
        key_class: KeyClass | None = None,
        rp: str | None = None,
        origins: Sequence[str] | None = None,
        copies: Mapping[str, str] | None = None,
    ) -> DeviceKey:
        [found] = await tx.fetch(_OF_ONE, workspace_id, account_id or agent_id)
        if found["number"] >= MOST_OF_ONE:
            raise Conflict(f"There are {MOST_OF_ONE} keys in force.", hint="Revoke one that is not used.")
        label = check_label(label)
        key = DeviceKey(
            new_id(), workspace_id, purpose, account_id, agent_id, jkt, dict(jwk), key_class, rp, origins, label,
            copies, self._clock.now_us(), None,
        )  # fmt: skip
        inserted = await tx.execute(
            _ADD, key.id, workspace_id, purpose, account_id, agent_id, jkt, _text(key.jwk), key_class, rp,
            None if origins is None else _text(list(origins)), label,
            None if copies is None else _text(dict(copies)), key.created_us,
        )  # fmt: skip
        if inserted != 1:
            raise Conflict(
                "This key was enrolled in the workspace before.", hint="Make a new one: a key is one person's, once."
            )
        event = Event(
            act=Act.DEVICE_KEY_ENROLLED, ws=workspace_id, obj_t="device_key", obj_id=key.id, actor=actor,
            data={"purpose": purpose, "jkt": jkt, **({} if key_class is None else {"class": key_class})},
        )  # fmt: skip
        await self._audit.append(tx, event)
        return key

    async def _checked_copies(
        self, tx: Transaction, workspace_id: str, wish: NewDeviceKey, actor: Actor
    ) -> Mapping[str, str] | None:
        """Return the copies of a shared key. Raises: BadInput (no opening key, or for a key that is none of theirs)."""
        if wish.copies is None:
            return None
        if wish.purpose != "opening" or not wish.copies:
            raise BadInput("Copies are those of an opening key that devices share.", member="copies")
        known = await self.in_force(tx, workspace_id, wish.copies)
        for jkt in wish.copies:
            key = known.get(jkt)
            if key is None or key.purpose != "opening" or key.account_id != actor.account_id:
                raise BadInput(
                    "A copy is for a key that is no opening key of yours in force.",
                    hint="Enrol that device first.",
                    member="copies",
                )
        return wish.copies

    async def _revoke(self, tx: Transaction, where: str, args: Sequence[str], actor: Actor, reason: str) -> bool:
        rows = await tx.fetch(_REVOKE.format(where=where), self._clock.now_us(), *args)
        for row in rows:
            event = Event(
                act=Act.DEVICE_KEY_REVOKED, ws=row["workspace_id"], obj_t="device_key", obj_id=row["id"], actor=actor,
                data={"purpose": row["purpose"], "jkt": row["jkt"], "reason": reason},
            )  # fmt: skip
            await self._audit.append(tx, event)
        return bool(rows)


def _check_class(wish: NewDeviceKey) -> None:
    """Accept `class` of a deciding key alone, `rp` and `origins` of a passkey's. Raises: BadInput."""
    if (wish.key_class is not None) != (wish.purpose == "deciding"):
        raise BadInput("A key that decides has a class, one that opens has none.", member="class")
    for text in (*(wish.origins or ()), *(() if wish.rp is None else (wish.rp,))):
        if not (text.isascii() and text.isprintable()) or len(text) > _LONGEST_ORIGIN:
            raise BadInput(
                "rp and origins are printable ASCII.", hint="Write an origin like https://gate.acme.example."
            )
    is_passkey = wish.key_class == "webauthn"
    if (bool(wish.rp), bool(wish.origins)) != (is_passkey, is_passkey):
        raise BadInput("A key of class webauthn has rp and origins, others have neither.", member="rp")


def _text(value: object) -> str:
    return canonical(value).decode()


def _key(row: Row) -> DeviceKey:
    return DeviceKey(
        id=row["id"], workspace_id=row["workspace_id"], purpose=row["purpose"], account_id=row["account_id"],
        agent_id=row["agent_id"], jkt=row["jkt"], jwk=cast("dict[str, str]", parse_canonical(row["jwk"].encode())),
        key_class=row["key_class"], rp=row["rp"],
        origins=None if row["origins"] is None else cast("list[Any]", parse_canonical(row["origins"].encode())),
        label=row["label"],
        copies=None if row["copies"] is None else cast("dict[str, str]", parse_canonical(row["copies"].encode())),
        created_us=row["created_us"], revoked_us=row["revoked_us"],
    )  # fmt: skip
