"""The manifests of keys of each workspace: taken when the relay believes them, given to whoever asks.

```text
epoch 1, signed by its own roots ──► epoch 2, by enough of both ──► …      the first one seals the workspace for good
```

Each person's keys are looked up in the directory: a manifest that names a key nobody could be given is refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import Conflict, Unprocessable
from failgate.base.ids import new_id
from failgate.relay.directory import DeviceKey, KeyDirectory
from failgate.relay.relay import Relay
from failgate.sealed.manifest import Manifest
from failgate.sealed.refusal import Refused

PAGE: Final = 16  # manifests at once; each may have half a megabyte
_NEWEST: Final = "SELECT * FROM key_manifest WHERE workspace_id = $1 ORDER BY epoch DESC LIMIT 1"
_AFTER: Final = "SELECT * FROM key_manifest WHERE workspace_id = $1 AND epoch > $2 ORDER BY epoch LIMIT $3"
_ADD: Final = (
    "INSERT INTO key_manifest (id, workspace_id, epoch, digest, signed, policies, expires_us, accepted_us, account_id)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING"
)
_encode = msgspec.json.Encoder(order="sorted").encode


class KeptManifest(msgspec.Struct, frozen=True):
    """A manifest that was accepted: as it was sent, with its policies' bodies. Times are microseconds since 1970."""

    epoch: int
    digest: str
    signed: dict[str, Any]
    policies: list[dict[str, Any]]
    expires_us: int
    accepted_us: int
    account_id: str | None


class Manifests:
    """Takes and gives manifests."""

    def __init__(self, db: Database, audit: AuditLog, clock: Clock, directory: KeyDirectory) -> None:
        self._db = db
        self._audit = audit
        self._clock = clock
        self._directory = directory

    async def accept(
        self,
        tx: Transaction,
        relay: Relay,
        workspace_id: str,
        signed: Mapping[str, Any],
        policies: Sequence[Mapping[str, Any]],
        actor: Actor,
    ) -> KeptManifest:
        """Keep the manifest that follows the newest one, or the first one, inside `tx`.

        Raises: Refused (it is not believed, or of another workspace), Unprocessable (a key that is not enrolled by that
        person or agent), Conflict (another one of this epoch was accepted meanwhile).
        """
        now_us = self._clock.now_us()
        last = await self.newest(tx, workspace_id)
        manifest = relay.manifest(dict(signed), None if last is None else last.signed, now_us // MICROSECONDS)
        if manifest.ws != workspace_id:
            raise Refused("workspace", "manifest.ws")
        relay.policies(policies, manifest)
        _check_enrolled(manifest, await self._directory.in_force(tx, workspace_id))
        kept = KeptManifest(
            manifest.epoch, manifest.digest, dict(signed), [dict(one) for one in policies],
            manifest.exp * MICROSECONDS, now_us, actor.account_id,
        )  # fmt: skip
        inserted = await tx.execute(
            _ADD, new_id(), workspace_id, kept.epoch, kept.digest, _encode(kept.signed).decode(),
            _encode(kept.policies).decode(), kept.expires_us, now_us, kept.account_id,
        )  # fmt: skip
        if inserted != 1:
            raise Conflict("Another manifest of this epoch was accepted.", hint="Fetch it and sign the next one.")
        event = Event(
            act=Act.KEY_MANIFEST_ACCEPTED, ws=workspace_id, obj_t="key_manifest", obj_id=kept.digest, actor=actor,
            data={
                "epoch": kept.epoch, "manifest": kept.digest, "expires_us": kept.expires_us,
                "people": len(manifest.people), "threshold": manifest.threshold,
            },
        )  # fmt: skip
        await self._audit.append(tx, event)
        return kept

    async def newest(self, tx: Database | Transaction, workspace_id: str) -> KeptManifest | None:
        """Return the newest manifest, expired or not; None in a workspace that is not sealed."""
        row = await tx.fetch_one(_NEWEST, workspace_id)
        return None if row is None else _kept(row)

    async def after(self, workspace_id: str, epoch: int) -> list[KeptManifest]:
        """Return up to `PAGE` manifests after `epoch`, in order."""
        return [_kept(row) for row in await self._db.fetch(_AFTER, workspace_id, epoch, PAGE)]

    async def is_sealed(self, workspace_id: str) -> bool:
        """Tell whether the workspace has a manifest: then nothing in the clear is asked in it."""
        row = await self._db.fetch_one(
            "SELECT 1 AS yes FROM key_manifest WHERE workspace_id = $1 LIMIT 1", workspace_id
        )
        return row is not None


def _check_enrolled(manifest: Manifest, known: Mapping[str, DeviceKey]) -> None:
    """Accept a manifest whose keys are all in force, as what they are named. Raises: Unprocessable."""
    for person in manifest.people:
        if not _is(known.get(person.enc), person.uid, "opening"):
            raise _unknown("members", person.uid)
        for one in person.keys:
            key = known.get(one.jkt)
            if not _is(key, person.uid, "deciding") or cast("DeviceKey", key).key_class != one.key_class:
                raise _unknown("members", person.uid)
    for jkt in manifest.agents or ():
        key = known.get(jkt)
        if key is None or key.purpose != "asking":
            raise _unknown("agents", jkt)


def _is(key: DeviceKey | None, account_id: str, purpose: str) -> bool:
    return key is not None and key.purpose == purpose and key.account_id == account_id


def _unknown(member: str, whose: str) -> Unprocessable:
    return Unprocessable(
        f"The manifest names a key under {member} that {whose} has not enrolled, or that was revoked.",
        hint="Enrol it first; `uid` is the account's id, and the class is the one it was enrolled with.",
        member=member,
    )


def _kept(row: Row) -> KeptManifest:
    return KeptManifest(
        int(row["epoch"]), row["digest"], msgspec.json.decode(row["signed"]), msgspec.json.decode(row["policies"]),
        row["expires_us"], row["accepted_us"], row["account_id"],
    )  # fmt: skip
