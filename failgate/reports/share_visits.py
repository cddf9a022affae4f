"""Who comes by a share link: the token is exchanged once for a sealed visit; what the visit opens is one report.

```text
GET /s/<token> ──► open ──► a visit (proven, or waiting for the passphrase) ──► /s/<id of the link>
POST /s/<id>   ──► prove ──► a proven visit
GET /s/<id>…   ──► admit ──► report, open_artifact
```

A visit is no row: it is sealed text in a cookie that names the link, when the visit ends and whether the passphrase was
said. Every step asks the database for the link anew, so what ends the link ends its visits. Whatever is wrong with
a token, a visit or a link raises one NotFound.
"""

import base64
from dataclasses import dataclass
from typing import Final

from failgate.access.principal import Principal
from failgate.accounts.password import Passwords
from failgate.accounts.throttle import Throttle
from failgate.accounts.token_text import digest_of
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import base64url
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import FailgateError, Forbidden, NotFound
from failgate.base.ids import new_id
from failgate.base.secretbox import SecretBox
from failgate.reports.reading import OpenedArtifact, ReportReading
from failgate.reports.share import Share, network_of_view, share_of, shown_report
from failgate.reports.sharing import KEPT_VISITS
from failgate.wire.reports import ReportView

VISIT_SECONDS: Final = 3600
_PURPOSE: Final = "visit by a share link"
_LIVES: Final = """
share.revoked_us IS NULL AND share.expires_us > $2
  AND EXISTS (SELECT 1 FROM report WHERE report.workspace_id = share.workspace_id AND report.id = share.report_id
    AND report.state = 'sealed')
  AND NOT EXISTS (SELECT 1 FROM sharing_stop WHERE sharing_stop.workspace_id = share.workspace_id)
"""
_BY_TOKEN: Final = f"SELECT share.* FROM share WHERE share.token_sha256 = $1 AND {_LIVES}"
_BY_ID: Final = f"SELECT share.* FROM share WHERE share.id = $1 AND {_LIVES}"
_COUNT: Final = f"UPDATE share SET views = share.views + 1, last_view_us = $2 WHERE share.id = $1 AND {_LIVES}"
_INSERT_VIEW: Final = "INSERT INTO share_view (id, share_id, viewed_us, network) VALUES ($1, $2, $3, $4)"
_TRIM: Final = """
DELETE FROM share_view WHERE share_id = $1 AND id NOT IN
  (SELECT id FROM share_view WHERE share_id = $1 ORDER BY id DESC LIMIT $2)
"""


@dataclass(frozen=True, slots=True)
class Entered:
    """The sealed visit that a browser keeps, for the link `share_id`, during `seconds`."""

    share_id: str
    visit: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Admitted:
    """A live link and how far this visit came: `is_proven` when there is no passphrase or it was said."""

    share: Share
    is_proven: bool


class ShareVisits:
    """What the holder of a share link may do."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        clock: Clock,
        box: SecretBox,
        *,
        reading: ReportReading,
        passwords: Passwords,
        throttle: Throttle,
    ) -> None:
        """Work on `database`; visits are sealed by `box`, guesses at passphrases slowed by `throttle`."""
        self._db = database
        self._audit = audit
        self._clock = clock
        self._box = box
        self._reading = reading
        self._passwords = passwords
        self._throttle = throttle

    async def open(self, token: str, address: str) -> Entered:
        """Exchange the `token` of a link for a visit; without a passphrase the view is counted and on record.

        Raises: NotFound (never made, mistyped, expired, revoked, switched off, its report gone or quarantined: all
        the same); TooManyRequests.
        """
        share = self._found(await self._db.fetch_one(_BY_TOKEN, digest_of(token), self._clock.now_us()))
        self._throttle.reserve_view_of(share.id, address)
        if share.passphrase_hash is not None:
            return self._entered(share, is_proven=False)
        await self._count_view(share, address)
        return self._entered(share, is_proven=True)

    async def admit(self, share_id: str, visit: str | None) -> Admitted:
        """Return the live link that the sealed `visit` is of.

        Raises: NotFound (another visit, one that is over, a link that ended).
        """
        row = await self._db.fetch_one(_BY_ID, share_id, self._clock.now_us())
        is_proven = self._unsealed(share_id, visit)
        share = self._found(row)
        if is_proven is None:
            raise _nothing()
        return Admitted(share, is_proven or share.passphrase_hash is None)

    async def prove(self, admitted: Admitted, passphrase: str, address: str) -> Entered:
        """Check the passphrase of the link; return a proven visit, the view is counted and on record.

        Raises: Forbidden (a wrong one); TooManyRequests; NotFound (the link ended meanwhile).
        """
        share = admitted.share
        reservation = self._throttle.reserve(f"share {share.id}", address)
        verdict = await self._passwords.verify(share.passphrase_hash, passphrase)
        if not verdict.fits:
            facts = {"report": share.report_id, "reason": "passphrase"}
            event = Event(
                Act.SHARE_REFUSED, share.workspace_id, "share", share.id, _actor(share), {**facts}, out="deny",
                ip=network_of_view(address),
            )  # fmt: skip
            await self._audit.record(event)
            raise Forbidden("This is not the passphrase.", hint="Ask who sent you the link for it.")
        self._throttle.succeeded(reservation)
        await self._count_view(share, address)
        return self._entered(share, is_proven=True)

    async def report(self, share: Share, address: str) -> ReportView:
        """Return what the link shows of its report; the reading is on record.

        Raises: NotFound; TooManyRequests.
        """
        self._throttle.reserve_view_of(share.id, address)
        whole = await self._reading.view(_principal(share), share.workspace_id, share.report_id)
        return shown_report(share, whole)

    async def open_artifact(self, share: Share, sha256: str) -> OpenedArtifact:
        """Return an artifact that the link shows; `read` of it writes the record.

        Raises: NotFound (also: not one of the chosen).
        """
        if sha256 not in share.artifacts:
            raise _nothing()
        return await self._reading.open_artifact(_principal(share), share.workspace_id, share.report_id, sha256)

    def slow(self, share: Share, address: str) -> None:
        """Count a file that somebody at `address` fetches. Raises: TooManyRequests."""
        self._throttle.reserve_view_of(share.id, address)

    async def _count_view(self, share: Share, address: str) -> None:
        network, now_us = network_of_view(address), self._clock.now_us()

        async def verb(tx: Transaction) -> None:
            if await tx.execute(_COUNT, share.id, now_us) != 1:
                raise _nothing()
            await tx.execute(_INSERT_VIEW, new_id(), share.id, now_us, network)
            await tx.execute(_TRIM, share.id, KEPT_VISITS)
            row = await tx.fetch_one("SELECT views FROM share WHERE id = $1", share.id)
            count = row["views"] if row is not None else 0
            event = Event(
                Act.SHARE_VIEWED, share.workspace_id, "share", share.id, _actor(share),
                {"report": share.report_id, "count": count}, ip=network,
            )  # fmt: skip
            await self._audit.append(tx, event)

        await self._db.write(verb)

    def _entered(self, share: Share, *, is_proven: bool) -> Entered:
        now_us = self._clock.now_us()
        until_us = min(now_us + VISIT_SECONDS * MICROSECONDS, share.expires_us)
        plain = f"{until_us} {'proven' if is_proven else 'waiting'}".encode("ascii")
        sealed = self._box.seal(plain, purpose=_PURPOSE, owner=share.id)
        return Entered(share.id, base64url(sealed), max(1, (until_us - now_us) // MICROSECONDS))

    def _unsealed(self, share_id: str, visit: str | None) -> bool | None:
        """Return whether the visit is proven; None when it is none of this link, or over."""
        try:
            sealed = base64.b64decode((visit or "").encode("ascii") + b"===", b"-_")
            plain = self._box.unseal(sealed, purpose=_PURPOSE, owner=share_id).decode("ascii")
        except (FailgateError, ValueError):
            return None
        until_us, _, state = plain.partition(" ")
        return state == "proven" if self._clock.now_us() < int(until_us) else None

    @staticmethod
    def _found(row: Row | None) -> Share:
        if row is None:
            raise _nothing()
        return share_of(row)


def _principal(share: Share) -> Principal:
    return Principal(kind="share", share_id=share.id, workspace_id=share.workspace_id, auth=("link",))


def _actor(share: Share) -> Actor:
    return Actor.of(_principal(share))


def _nothing() -> NotFound:
    return NotFound("There is no such link.")
