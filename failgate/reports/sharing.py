"""Share links, as their workspace has them: make, list, revoke, review of source snapshots, the switch.

A link opens one report to whoever holds it, and of the report only the chosen artifacts; it ends by itself. What its
holder meets is `share_visits.py`. A link lives while its row, its report and its workspace let it: revoked, expired,
switched off, quarantined or deleted, it answers as if it had never been.
"""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Final

import msgspec

from failgate.access.principal import Principal
from failgate.accounts.password import Passwords
from failgate.accounts.token_text import digest_of, write_token
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import MICROSECONDS, Clock, to_rfc3339
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import BadInput, Conflict, NotFound, Unprocessable
from failgate.base.idempotency import FirstAnswers, RequestKey
from failgate.base.ids import new_id
from failgate.reports.reading import SELECT_ENTRIES, SELECT_ONE, no_report
from failgate.reports.share import DEFAULT_KINDS, NEEDS_REVIEW, share_of, share_view
from failgate.wire.shares import MadeShare, NewShare, SharePage

LONGEST_SECONDS: Final = 90 * 86_400
SHORTEST_SECONDS: Final = 60
MAX_OPEN: Final = 100  # of one report
KEPT_VISITS: Final = 100  # of one link
_SHOWN_VISITS: Final = 20
_PASSPHRASE: Final = (8, 1024)
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)

_INSERT: Final = """
INSERT INTO share (id, workspace_id, report_id, artifacts, token_sha256, passphrase_hash, creator_t, creator_id,
  creator_label, created_us, expires_us, views)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0)
"""
_COUNT_OPEN: Final = """
SELECT count(*) AS number FROM share
WHERE workspace_id = $1 AND report_id = $2 AND revoked_us IS NULL AND expires_us > $3
"""
_LIST: Final = "SELECT * FROM share WHERE workspace_id = $1 AND report_id = $2 ORDER BY id DESC LIMIT 200"
_LIST_ALL: Final = """
SELECT share.* FROM share JOIN report ON report.workspace_id = share.workspace_id AND report.id = share.report_id
WHERE share.workspace_id = $1 AND share.revoked_us IS NULL AND share.expires_us > $2 ORDER BY share.id DESC LIMIT 200
"""
_VISITS: Final = "SELECT viewed_us, network FROM share_view WHERE share_id = $1 ORDER BY id DESC LIMIT $2"
_REVOKE: Final = """
UPDATE share SET revoked_us = $1 WHERE workspace_id = $2 AND report_id = $3 AND id = $4 AND revoked_us IS NULL
"""
_REVIEW: Final = """
INSERT INTO artifact_review (workspace_id, report_id, sha256, reviewer_t, reviewer_id, reviewed_us)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace_id, report_id, sha256) DO NOTHING
"""
_STOP: Final = (
    "INSERT INTO sharing_stop (workspace_id, stopped_us) VALUES ($1, $2) ON CONFLICT (workspace_id) DO NOTHING"
)
_IS_OVER: Final = """
(share.expires_us < $1 OR NOT EXISTS (SELECT 1 FROM report
  WHERE report.workspace_id = share.workspace_id AND report.id = share.report_id))
"""


class Sharing:
    """Makes, lists and revokes share links."""

    def __init__(
        self, database: Database, audit: AuditLog, clock: Clock, passwords: Passwords, base_url: Callable[[], str]
    ) -> None:
        """Work on `database`; `base_url` is where the links lead."""
        self._db = database
        self._audit = audit
        self._clock = clock
        self._passwords = passwords
        self._base_url = base_url
        self._answers = FirstAnswers(database, clock.now_us)

    async def create(
        self, principal: Principal, workspace_id: str, report_id: str, wish: NewShare, key: RequestKey | None = None
    ) -> MadeShare:
        """Make a link to a sealed report; its address cannot be read again. The same `key` gives the first answer.

        Raises: NotFound (no such report here); Unprocessable (an end or passphrase out of bounds, an artifact that
        the report has not, a source snapshot that nobody reviewed); Conflict (not sealed, sharing is switched off,
        100 links are open); TooManyRequests.
        """
        _check(wish)
        passphrase_hash = None if wish.passphrase is None else await self._passwords.hash(wish.passphrase)

        async def verb(tx: Transaction) -> MadeShare:
            return await self._create(tx, principal, workspace_id, report_id, wish, passphrase_hash)

        return await self._answers.once(key, MadeShare, verb, _without_url)

    async def page(self, workspace_id: str, report_id: str) -> SharePage:
        """Return the links of a report, newest first, ended ones too, with their latest visits.

        Raises: NotFound (no such report here).
        """
        if await self._db.fetch_one(SELECT_ONE, workspace_id, report_id) is None:
            raise no_report()
        return await self._listed(workspace_id, await self._db.fetch(_LIST, workspace_id, report_id))

    async def open_count(self, workspace_id: str, report_id: str) -> int:
        """Return how many links of a report have not ended."""
        count = await self._db.fetch_one(_COUNT_OPEN, workspace_id, report_id, self._clock.now_us())
        return int(count["number"]) if count is not None else 0

    async def open_links(self, workspace_id: str) -> SharePage:
        """Return the links of the workspace that have not ended, newest first, at most 200."""
        return await self._listed(workspace_id, await self._db.fetch(_LIST_ALL, workspace_id, self._clock.now_us()))

    async def revoke(self, principal: Principal, workspace_id: str, report_id: str, share_id: str) -> None:
        """End a link; it opens nothing when this returns, nor does what it opened before.

        Raises: NotFound (no such link of this report, or revoked before).
        """

        async def verb(tx: Transaction) -> None:
            if await tx.execute(_REVOKE, self._clock.now_us(), workspace_id, report_id, share_id) != 1:
                raise NotFound("There is no such link.")
            await self._record(tx, Act.SHARE_REVOKED, principal, workspace_id, share_id, {"report": report_id})

        await self._db.write(verb)

    async def review(self, principal: Principal, workspace_id: str, report_id: str, sha256s: Collection[str]) -> None:
        """Note that `principal` looked through these source snapshots of a report of theirs to read.

        Raises: NotFound (no such report, or it has no such artifact).
        """
        await self._db.write(lambda tx: self.review_within(tx, principal, workspace_id, report_id, sha256s))

    async def review_within(
        self, tx: Transaction, principal: Principal, workspace_id: str, report_id: str, sha256s: Collection[str]
    ) -> None:
        """Do what `review` does inside an open transaction."""
        known = {entry["sha256"] for entry in await tx.fetch(SELECT_ENTRIES, workspace_id, report_id)}
        for sha256 in sorted(sha256s):
            if sha256 not in known:
                raise NotFound("The report has no such artifact.")
            actor, now_us = Actor.of(principal), self._clock.now_us()
            if await tx.execute(_REVIEW, workspace_id, report_id, sha256, actor.t, actor.id, now_us) == 1:
                event = Event(Act.ARTIFACT_REVIEWED, workspace_id, "report", report_id, actor, {"sha256": sha256})
                await self._audit.append(tx, event)

    async def reviewed(self, workspace_id: str, report_id: str) -> frozenset[str]:
        """Return the digests of the report's source snapshots that somebody looked through."""
        query = "SELECT sha256 FROM artifact_review WHERE workspace_id = $1 AND report_id = $2"
        return frozenset(row["sha256"] for row in await self._db.fetch(query, workspace_id, report_id))

    async def is_stopped(self, workspace_id: str) -> bool:
        """Tell whether the workspace's links answer nobody."""
        query = "SELECT stopped_us FROM sharing_stop WHERE workspace_id = $1"
        return await self._db.fetch_one(query, workspace_id) is not None

    async def switch(self, principal: Principal, workspace_id: str, *, is_on: bool) -> None:
        """Let the workspace's links answer, or all of them answer as absent from now on."""

        async def verb(tx: Transaction) -> None:
            if is_on:
                changed = await tx.execute("DELETE FROM sharing_stop WHERE workspace_id = $1", workspace_id)
            else:
                changed = await tx.execute(_STOP, workspace_id, self._clock.now_us())
            act = Act.SHARING_RESUMED if is_on else Act.SHARING_STOPPED
            if changed == 1:
                event = Event(act, workspace_id, "workspace", workspace_id, Actor.of(principal), {})
                await self._audit.append(tx, event)

        await self._db.write(verb)

    async def end_of_workspace(self, tx: Transaction, workspace_id: str, actor: Actor) -> None:
        """End every link of `workspace_id`, which is deleted, and what they opened before."""
        query = "UPDATE share SET revoked_us = $1 WHERE workspace_id = $2 AND revoked_us IS NULL AND expires_us > $1"
        rows = await tx.fetch(f"{query} RETURNING id, report_id", self._clock.now_us(), workspace_id)
        for row in rows:
            facts: dict[str, JSON] = {"report": row["report_id"]}
            await self._audit.append(tx, Event(Act.SHARE_REVOKED, workspace_id, "share", row["id"], actor, facts))

    async def sweep(self) -> None:
        """Forget links that ended 90 days ago and those of deleted reports."""
        limit_us = self._clock.now_us() - LONGEST_SECONDS * MICROSECONDS

        async def verb(tx: Transaction) -> None:
            ended = f"SELECT share.id FROM share WHERE {_IS_OVER}"
            await tx.execute(f"DELETE FROM share_view WHERE share_id IN ({ended})", limit_us)
            await tx.execute(f"DELETE FROM share WHERE {_IS_OVER}", limit_us)

        await self._db.write(verb)

    async def _create(
        self,
        tx: Transaction,
        principal: Principal,
        workspace_id: str,
        report_id: str,
        wish: NewShare,
        passphrase_hash: str | None,
    ) -> MadeShare:
        row = await tx.fetch_one(SELECT_ONE, workspace_id, report_id)
        if row is None:
            raise no_report()
        if row["state"] != "sealed":
            raise Conflict(f"The report is {row['state']}: only a sealed one is shared.", state=row["state"])
        if await tx.fetch_one("SELECT 1 AS one FROM sharing_stop WHERE workspace_id = $1", workspace_id) is not None:
            raise Conflict("Sharing is switched off in this workspace.", hint="An owner switches it on, in Settings.")
        now_us = self._clock.now_us()
        count = await tx.fetch_one(_COUNT_OPEN, workspace_id, report_id, now_us)
        if count is not None and count["number"] >= MAX_OPEN:
            raise Conflict(f"{MAX_OPEN} links to this report are open.", hint="Revoke some of them.")
        artifacts = await self._chosen(tx, workspace_id, report_id, wish.artifacts)
        share_id, expires_us = new_id(), now_us + wish.ttl_seconds * MICROSECONDS
        token, actor = write_token("shr", share_id), Actor.of(principal)
        await tx.execute(
            _INSERT, share_id, workspace_id, report_id, msgspec.json.encode(artifacts).decode(), digest_of(token),
            passphrase_hash, actor.t, actor.id, principal.label or actor.id, now_us, expires_us,
        )  # fmt: skip
        facts: dict[str, JSON] = {
            "report": report_id,
            "artifacts": len(artifacts),
            "expires_us": expires_us,
            "method": "link" if passphrase_hash is None else "passphrase",
        }
        await self._record(tx, Act.SHARE_CREATED, principal, workspace_id, share_id, facts)
        return MadeShare(share_id, f"{self._base_url()}/link#{token}", to_rfc3339(expires_us), artifacts)

    async def _chosen(
        self, tx: Transaction, workspace_id: str, report_id: str, wanted: Sequence[str] | None
    ) -> list[str]:
        entries = {one["sha256"]: one for one in await tx.fetch(SELECT_ENTRIES, workspace_id, report_id)}
        if wanted is None:
            wanted = [sha256 for sha256, one in entries.items() if one["kind"] in DEFAULT_KINDS]
        query = "SELECT sha256 FROM artifact_review WHERE workspace_id = $1 AND report_id = $2"
        reviewed = {row["sha256"] for row in await tx.fetch(query, workspace_id, report_id)}
        for sha256 in wanted:
            entry = entries.get(sha256)
            if entry is None or entry["artifact_id"] is None:
                raise Unprocessable("The report has no such artifact.", hint="Name its SHA-256.", member="artifacts")
            if entry["kind"] in NEEDS_REVIEW and sha256 not in reviewed:
                raise Unprocessable(
                    f"Nobody looked through the {entry['kind']} of this report yet; it holds source.",
                    hint="Look through it and say so on the page of the report's links, or leave it out.",
                    member="artifacts",
                )
        return list(dict.fromkeys(wanted))

    async def _listed(self, workspace_id: str, rows: Sequence[Row]) -> SharePage:
        is_stopped, now_us = await self.is_stopped(workspace_id), self._clock.now_us()
        return SharePage(
            [
                share_view(
                    share_of(row),
                    await self._db.fetch(_VISITS, row["id"], _SHOWN_VISITS) if row["views"] else (),
                    now_us,
                    is_stopped=is_stopped,
                )
                for row in rows
            ],
            None,
        )

    async def _record(
        self, tx: Transaction, act: Act, by: Principal, workspace_id: str, share_id: str, facts: dict[str, JSON]
    ) -> None:
        await self._audit.append(tx, Event(act, workspace_id, "share", share_id, Actor.of(by), facts))


def _check(wish: NewShare) -> None:
    if not SHORTEST_SECONDS <= wish.ttl_seconds <= LONGEST_SECONDS:
        raise Unprocessable(
            "A link lives from one minute to 90 days.", hint="The default is 7 days.", member="ttl_seconds"
        )
    if wish.artifacts is not None and not all(_SHA256.fullmatch(one) for one in wish.artifacts):
        raise BadInput("`artifacts` lists SHA-256 digests in hex.", member="artifacts")
    if wish.passphrase is None:
        return
    least, most = _PASSPHRASE
    if not least <= len(wish.passphrase) <= most or any(0xD800 <= ord(one) <= 0xDFFF for one in wish.passphrase):
        raise Unprocessable(
            f"A passphrase has {least} to {most} characters.",
            hint="A few unrelated words do well.",
            member="passphrase",
        )


def _without_url(answer: MadeShare) -> MadeShare:
    """Return what is kept of the answer: no secret."""
    return msgspec.structs.replace(answer, url=None)
