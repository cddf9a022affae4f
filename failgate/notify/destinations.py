"""The places that a workspace tells: made, changed, tried, given a new secret, removed. Each change is audited.

An address may itself be a secret (whoever knows the URL of a chat's incoming webhook writes there), so it is sealed;
what is shown of it is what its notifier says. A secret to sign with is made here, sealed, and shown once; a new one
leaves the old one valid for a day, and both sign meanwhile (Standard Webhooks, "Signature scheme").
"""

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock, to_rfc3339
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import BadInput, Conflict, NotFound
from failgate.base.idempotency import FirstAnswers, RequestKey
from failgate.base.ids import is_id, new_id
from failgate.base.secret import Secret
from failgate.base.secretbox import SecretBox
from failgate.notify import events, outbox
from failgate.notify.cursor import follow_from
from failgate.notify.notifier import Destination as Address
from failgate.notify.notifier import Notifier, Notifiers
from failgate.notify.outbox import Count, Entry, Outbox
from failgate.notify.wording import Setting, of_test
from failgate.redaction import without_secrets
from failgate.wire.notify import MadeWebhook, NewWebhook, WebhookChange, WebhookView

MOST_DESTINATIONS: Final = 50  # of one workspace
OVERLAP_SECONDS: Final = 86_400  # for which the secret before the last rotation still signs
SECRET_BYTES: Final = 32
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every secret of Standard Webhooks begins with
_ADDRESS, _SECRET = "notify address", "notify secret"
_SELECT: Final = "SELECT * FROM notify_destination WHERE workspace_id = $1"
_INSERT: Final = (
    "INSERT INTO notify_destination (id, workspace_id, notifier, name, shown, sealed_address, sealed_secret, events,"
    " is_detailed, is_enabled, since, created_by, created_us)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $11, $12)"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A destination as it is kept; times are microseconds since 1970."""

    id: str
    workspace_id: str
    notifier: str
    name: str
    shown: str
    events: frozenset[str]
    is_detailed: bool
    is_enabled: bool
    since: int
    created_by: str
    created_us: int
    has_secret: bool
    previous_until_us: int | None


class Destinations:
    """The destinations of all workspaces."""

    def __init__(
        self, db: Database, audit: AuditLog, clock: Clock, box: SecretBox, notifiers: Notifiers, box_out: Outbox
    ) -> None:
        """Keep them in `db`, with `notifiers` to choose from."""
        self._db = db
        self._audit = audit
        self._clock = clock
        self._box = box
        self._notifiers = notifiers
        self._outbox = box_out
        self._answers = FirstAnswers(db, clock.now_us)

    @property
    def choices(self) -> Sequence[str]:
        """Return the notifiers that reach a URL, in the order of the config."""
        return [name for name, notifier in self._notifiers.items() if notifier.addressing == "url"]

    async def list(self, workspace_id: str) -> Sequence[Place]:
        """Return the workspace's destinations, the oldest first."""
        return [_place(row) for row in await self._db.fetch(f"{_SELECT} ORDER BY id", workspace_id)]

    async def one(self, workspace_id: str, destination_id: str) -> Place:
        """Return one destination. Raises: NotFound."""
        return _place(await self._row(workspace_id, destination_id))

    async def create(
        self, actor: Actor, by: str, workspace_id: str, wanted: NewWebhook, key: RequestKey | None = None
    ) -> MadeWebhook:
        """Make a destination; `by` is who did, as people read it. The secret is in this answer and never again.

        Raises: BadInput (an event or notifier that is none), Unprocessable (the address), Conflict (too many).
        """
        notifier = self._notifier(wanted.notifier)
        chosen = _events(wanted.events or events.NAMES)
        shown = await notifier.check(wanted.url)
        secret = _new_secret() if notifier.has_secret else None
        identifier, now_us = new_id(), self._clock.now_us()

        async def verb(tx: Transaction) -> MadeWebhook:
            count = await tx.fetch_one(
                "SELECT COUNT(*) AS number FROM notify_destination WHERE workspace_id = $1", workspace_id
            )
            if count is not None and count["number"] >= MOST_DESTINATIONS:
                raise Conflict(f"A workspace has at most {MOST_DESTINATIONS} destinations.", hint="Remove one first.")
            facts: dict[str, JSON] = {"notifier": wanted.notifier, "events": len(chosen)}
            since = await self._record(tx, Act.NOTIFICATION_DESTINATION_CREATED, workspace_id, identifier, actor, facts)
            await follow_from(tx, workspace_id, since)
            await tx.execute(
                _INSERT, identifier, workspace_id, wanted.notifier, _name(wanted.name), shown,
                self._sealed(_ADDRESS, identifier, wanted.url), self._sealed_or_none(identifier, secret),
                json.dumps(sorted(chosen)), int(wanted.details), since, by, now_us,
            )  # fmt: skip
            return MadeWebhook(identifier, secret)

        return await self._answers.once(key, MadeWebhook, verb, _without_secret)

    async def change(
        self, actor: Actor, workspace_id: str, destination_id: str, wanted: WebhookChange, key: RequestKey | None = None
    ) -> None:
        """Change what is named in `wanted`; a `key` had its effect once, here and below. Raises: NotFound, BadInput."""
        chosen = None if wanted.events is None else _events(wanted.events)

        async def verb(tx: Transaction) -> str:
            place = _place(await self._row_within(tx, workspace_id, destination_id))
            after = place.events if chosen is None else chosen
            details = place.is_detailed if wanted.details is None else wanted.details
            enabled = place.is_enabled if wanted.enabled is None else wanted.enabled
            facts: dict[str, JSON] = {"events": len(after), "details": int(details), "enabled": int(enabled)}
            seq = await self._record(tx, Act.NOTIFICATION_DESTINATION_CHANGED, workspace_id, place.id, actor, facts)
            # What happened while it was switched off is not told afterwards.
            since = seq if enabled and not place.is_enabled else place.since
            await tx.execute(
                "UPDATE notify_destination SET name = $1, events = $2, is_detailed = $3, is_enabled = $4, since = $5"
                " WHERE id = $6",
                place.name if wanted.name is None else _name(wanted.name), json.dumps(sorted(after)), int(details),
                int(enabled), since, place.id,
            )  # fmt: skip
            return place.id

        await self._answers.once(key, str, verb)

    async def rotate(
        self, actor: Actor, workspace_id: str, destination_id: str, key: RequestKey | None = None
    ) -> MadeWebhook:
        """Give it a new secret, which is in this answer alone; the one before it stays valid for a day.

        Raises: NotFound, Conflict (nothing is signed there).
        """
        secret, now_us = _new_secret(), self._clock.now_us()
        until_us = now_us + OVERLAP_SECONDS * MICROSECONDS

        async def verb(tx: Transaction) -> MadeWebhook:
            row = await self._row_within(tx, workspace_id, destination_id)
            if row["sealed_secret"] is None:
                raise Conflict("Nothing is signed for this destination: it has no secret.")
            await self._record(tx, Act.NOTIFICATION_DESTINATION_ROTATED, workspace_id, destination_id, actor, {})
            await tx.execute(
                "UPDATE notify_destination SET sealed_previous = sealed_secret, previous_until_us = $1,"
                " sealed_secret = $2 WHERE id = $3",
                until_us, self._sealed(_SECRET, destination_id, secret), destination_id,
            )  # fmt: skip
            return MadeWebhook(destination_id, secret, to_rfc3339(until_us))

        return await self._answers.once(key, MadeWebhook, verb, _without_secret)

    async def remove(self, actor: Actor, workspace_id: str, destination_id: str) -> None:
        """Remove it with its log; what waits for it is not sent. Raises: NotFound."""

        async def verb(tx: Transaction) -> None:
            await self._row_within(tx, workspace_id, destination_id)
            await self._record(tx, Act.NOTIFICATION_DESTINATION_REMOVED, workspace_id, destination_id, actor, {})
            await tx.execute("DELETE FROM notify_destination WHERE id = $1", destination_id)
            await outbox.drop_target(tx, workspace_id, destination_id)

        await self._db.write(verb)

    async def test(
        self, actor: Actor, workspace_id: str, destination_id: str, setting: Setting, key: RequestKey | None = None
    ) -> str:
        """Send a notification that says it is a test, before all that waits; return its id. Raises: NotFound."""
        entry_id, now_us = new_id(), self._clock.now_us()

        async def verb(tx: Transaction) -> str:
            place = _place(await self._row_within(tx, workspace_id, destination_id))
            seq = await self._record(tx, Act.NOTIFICATION_DESTINATION_TESTED, workspace_id, place.id, actor, {})
            said = of_test(outbox.message_id(entry_id), now_us, without_secrets(place.name) or place.notifier, setting)
            # Below every record's number: whoever tries a destination does not wait behind what hangs there.
            await self._outbox.put(tx, Entry(
                entry_id, workspace_id, place.id, is_member=False, notifier=place.notifier, place=-seq - 1,
                event=events.TEST, notification=said, state="waiting", attempts=0, next_us=now_us, created_us=now_us,
            ))  # fmt: skip
            return entry_id

        return await self._answers.once(key, str, verb)

    async def resend(
        self, actor: Actor, workspace_id: str, destination_id: str, entry_id: str, key: RequestKey | None = None
    ) -> None:
        """Send one that ended once more, under its old id. Raises: NotFound."""

        async def verb(tx: Transaction) -> str:
            await self._row_within(tx, workspace_id, destination_id)
            if not await self._outbox.again(tx, workspace_id, destination_id, entry_id):
                raise NotFound("There is no such delivery that ended.")
            facts: dict[str, JSON] = {"destination": destination_id}
            event = Event(Act.NOTIFICATION_RESENT, workspace_id, "notification", entry_id, actor, facts)
            await self._audit.append(tx, event)
            return entry_id

        await self._answers.once(key, str, verb)

    async def address(self, workspace_id: str, destination_id: str) -> tuple[Place, Address] | None:
        """Return where to send to with all secrets that are valid now; None when it is removed or switched off."""
        row = await self._db.fetch_one(f"{_SELECT} AND id = $2", workspace_id, destination_id)
        if row is None or not row["is_enabled"]:
            return None
        sealed = [row["sealed_secret"]]
        if row["previous_until_us"] is not None and self._clock.now_us() < row["previous_until_us"]:
            sealed.append(row["sealed_previous"])
        valid = tuple(Secret(self._unsealed(_SECRET, destination_id, each)) for each in sealed if each is not None)
        return _place(row), Address(self._unsealed(_ADDRESS, destination_id, row["sealed_address"]), valid)

    async def stop_within(self, tx: Transaction, workspace_id: str, destination_id: str, actor: Actor) -> None:
        """Switch it off: the other side said that it is gone."""
        await tx.execute("UPDATE notify_destination SET is_enabled = 0 WHERE id = $1", destination_id)
        await self._record(tx, Act.NOTIFICATION_DESTINATION_STOPPED, workspace_id, destination_id, actor, {})

    async def _row(self, workspace_id: str, destination_id: str) -> Row:
        if not is_id(destination_id):
            raise _absent()
        row = await self._db.fetch_one(f"{_SELECT} AND id = $2", workspace_id, destination_id)
        if row is None:
            raise _absent()
        return row

    @staticmethod
    async def _row_within(tx: Transaction, workspace_id: str, destination_id: str) -> Row:
        row = await tx.fetch_one(f"{_SELECT} AND id = $2", workspace_id, destination_id)
        if row is None:
            raise _absent()
        return row

    def _notifier(self, name: str) -> Notifier:
        if name not in self.choices:
            said = ", ".join(self.choices) or "none"
            raise BadInput("There is no such notifier for an address.", hint=f"This server has: {said}.")
        return self._notifiers[name]

    async def _record(
        self, tx: Transaction, act: Act, workspace_id: str, identifier: str, actor: Actor, facts: dict[str, JSON]
    ) -> int:
        """Append the record; return its number."""
        event = Event(act, workspace_id, "notification_destination", identifier, actor, facts)
        return (await self._audit.append(tx, event)).seq

    def _sealed(self, purpose: str, owner: str, text: str) -> str:
        return base64.b64encode(self._box.seal(text.encode(), purpose=purpose, owner=owner)).decode()

    def _sealed_or_none(self, owner: str, secret: str | None) -> str | None:
        return None if secret is None else self._sealed(_SECRET, owner, secret)

    def _unsealed(self, purpose: str, owner: str, sealed: str) -> str:
        return self._box.unseal(base64.b64decode(sealed), purpose=purpose, owner=owner).decode()


def view_of(place: Place, count: Count, now_us: int) -> WebhookView:
    """Return a destination as the API shows it."""
    until_us = place.previous_until_us
    return WebhookView(
        id=place.id,
        notifier=place.notifier,
        name=place.name,
        url=place.shown,
        events=sorted(place.events),
        details=place.is_detailed,
        enabled=place.is_enabled,
        created_at=to_rfc3339(place.created_us),
        created_by=place.created_by,
        has_secret=place.has_secret,
        previous_secret_until=to_rfc3339(until_us) if until_us is not None and now_us < until_us else None,
        waiting=count.waiting,
        delivered=count.delivered,
        dead=count.dead,
    )


def _without_secret(made: MadeWebhook) -> MadeWebhook:
    return MadeWebhook(made.id, None, made.previous_secret_until)


def _new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _events(names: Sequence[str]) -> frozenset[str]:
    unknown = sorted(set(names) - set(events.NAMES))
    if unknown:
        raise BadInput("There is no such event.", hint=f"The events are: {', '.join(events.NAMES)}.")
    return frozenset(names)


def _name(text: str) -> str:
    name = text.strip()
    if any(not character.isprintable() for character in name):
        raise BadInput("The name holds a character that cannot be shown.", hint="Use plain text.")
    return name


def _absent() -> NotFound:
    return NotFound("There is no such destination in this workspace.")


def _place(row: Row) -> Place:
    return Place(
        id=row["id"],
        workspace_id=row["workspace_id"],
        notifier=row["notifier"],
        name=row["name"],
        shown=row["shown"],
        events=frozenset(json.loads(row["events"])),
        is_detailed=bool(row["is_detailed"]),
        is_enabled=bool(row["is_enabled"]),
        since=row["since"],
        created_by=row["created_by"],
        created_us=row["created_us"],
        has_secret=row["sealed_secret"] is not None,
        previous_until_us=row["previous_until_us"],
    )
