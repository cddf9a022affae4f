"""The desk's verbs about advisories: drafted, edited and published, revision by revision. Each is on record before it.

What was published stays as it is. A draft may be edited after that; it becomes public as a further revision alone.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import msgspec

from failgate.plugin import Actor, Conflict, Database, Host, NotFound, Row, SecretBox, Transaction
from failgate_disclosure.advisory import Advisory, Publisher, Revision, csaf_bytes, csaf_filename
from failgate_disclosure.advisory.model import Status
from failgate_disclosure.checking import Basis, Checked, check
from failgate_disclosure.desk import Report
from failgate_disclosure.triage import Triage, moment_of
from failgate_disclosure.triaging import Stale, Triaged, Triaging

PAGE: Final = 50
PLACE: Final = "/security/advisories"
_PURPOSE: Final = "disclosure advisory"
_NEWEST: Final = (
    "SELECT advisory_release.*, advisory.file_name, advisory.published_us FROM advisory JOIN advisory_release"
    " ON advisory_release.advisory_id = advisory.id AND advisory_release.number ="
    " (SELECT MAX(number) FROM advisory_release WHERE advisory_id = advisory.id)"
)


@dataclass(frozen=True, slots=True)
class Drafted:
    """The draft of a report's advisory: `edit` counts its changes; `file_name` is of what is published, else None."""

    id: str
    report_id: str
    edit: int
    changed_us: int
    changed_by: str
    file_name: str | None
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Released:
    """What is public: an advisory, its CSAF document, when it was published first and last."""

    file_name: str
    published_us: int
    released_us: int
    advisory: Advisory
    csaf: bytes


class Advisories:
    """Keeps drafts, sealed, and what was published, open."""

    def __init__(
        self, host: Host, database: Database, box: SecretBox, triaging: Triaging, publisher: Publisher | None
    ) -> None:
        """Keep in `database`, seal by `box`; severity and embargo come from `triaging`.

        `publisher` has the address of this server; without one nothing is published.
        """
        self._host = host
        self._database = database
        self._box = box
        self._triaging = triaging
        self._publisher = publisher

    async def begin(self, report: Report, *, actor: Actor, author: str) -> None:
        """Begin the draft of a report's advisory with what is known; nothing happens when there is one."""
        if await self._row(self._database, report.id) is not None:
            return
        await self._host.record("disclosure.drafted", report.id, actor=actor)
        triage = (await self._triaging.of(report.id)).triage
        identity, now_us = str(uuid4()), self._host.clock.now_us()
        names = triage.credits or tuple(filter(None, [report.contents.credit]))
        fields = {
            "tracking_id": f"SA-{moment_of(now_us).year}-{report.number:04}",
            "title": report.contents.title,
            "language": "en",
        }
        fields |= {f"credits.{index}.name": name for index, name in enumerate(names)}
        await self._database.write(
            lambda tx: tx.execute(
                "INSERT INTO advisory (id, report_id, edit, changed_us, changed_by, sealed)"
                " VALUES ($1, $2, 1, $3, $4, $5) ON CONFLICT DO NOTHING",
                identity,
                report.id,
                now_us,
                author,
                self._sealed(identity, fields),
            )
        )

    async def draft_of(self, report_id: str) -> Drafted | None:
        """Return the draft of a report's advisory, if there is one."""
        row = await self._row(self._database, report_id)
        return None if row is None else self._drafted(row)

    async def save(self, report_id: str, edit: int, fields: Mapping[str, str], *, actor: Actor, author: str) -> None:
        """Keep `fields` in place of the draft that `edit` counts, whatever may be wrong with them.

        Raises: Stale (another one is kept by now), NotFound.
        """
        kept = await self._kept(report_id, edit)
        await self._host.record("disclosure.edited", report_id, actor=actor, state=f"edit {edit + 1}")
        now_us, sealed = self._host.clock.now_us(), self._sealed(kept.id, fields)

        async def verb(tx: Transaction) -> None:
            changed = await tx.execute(
                "UPDATE advisory SET edit = edit + 1, changed_us = $1, changed_by = $2, sealed = $3"
                " WHERE id = $4 AND edit = $5",
                now_us, author, sealed, kept.id, edit,
            )  # fmt: skip
            if changed != 1:
                raise Stale

        await self._database.write(verb)

    async def check(self, drafted: Drafted, status: Status) -> Checked:
        """Return the advisory that a draft makes now, or all that is wrong with it."""
        triaged = await self._triaging.of(drafted.report_id)
        return self._check(drafted, triaged.triage, await self.newest(drafted.report_id), status)

    async def publish(self, report_id: str, edit: int, *, actor: Actor, author: str) -> Checked:
        """Make the draft that `edit` counts public, as the first or a further revision, or return why it is not yet.

        Raises: Stale (the draft, the severity or the embargo is another one by now), Conflict (another advisory has
        its identifier), NotFound.
        """
        drafted, triaged = await self._kept(report_id, edit), await self._triaging.of(report_id)
        before = await self.newest(report_id)
        checked = self._check(drafted, triaged.triage, before, "final")
        advisory = checked.advisory
        if advisory is None:
            return checked
        file_name = csaf_filename(advisory.tracking_id)
        await self._check_name(self._database, drafted.id, file_name)
        csaf = csaf_bytes(advisory, folder_url=f"{advisory.publisher.namespace}{PLACE}/")
        digest = hashlib.sha256(csaf).hexdigest()
        said = f"{advisory.tracking_id} {advisory.version} sha256:{digest}"
        await self._host.record("disclosure.published", report_id, actor=actor, state=said)
        now_us = self._host.clock.now_us()
        fields = {**drafted.fields, "change": ""}
        kept = (drafted, triaged, file_name, self._sealed(drafted.id, fields))
        await self._database.write(lambda tx: self._release(tx, kept, advisory, csaf, (now_us, author)))
        return checked

    async def _release(
        self, tx: Transaction, kept: tuple[Drafted, Triaged, str, bytes], advisory: Advisory, csaf: bytes,
        by: tuple[int, str],
    ) -> None:  # fmt: skip
        drafted, triaged, file_name, sealed = kept
        now_us, author = by
        row = await tx.fetch_one("SELECT edit FROM triage WHERE report_id = $1", drafted.report_id)
        if (0 if row is None else row["edit"]) != triaged.edit:
            raise Stale
        await self._check_name(tx, drafted.id, file_name)
        changed = await tx.execute(
            "UPDATE advisory SET edit = edit + 1, changed_us = $1, changed_by = $2, sealed = $3, file_name = $4,"
            " published_us = COALESCE(published_us, $1) WHERE id = $5 AND edit = $6",
            now_us, author, sealed, file_name, drafted.id, drafted.edit,
        )  # fmt: skip
        if changed != 1:
            raise Stale
        await tx.execute(
            "INSERT INTO advisory_release (advisory_id, number, released_us, contents, csaf)"
            " VALUES ($1, $2, $3, $4, $5)",
            drafted.id, len(advisory.revisions), now_us, msgspec.json.encode(advisory), csaf,
        )  # fmt: skip

    async def newest(self, report_id: str) -> Released | None:
        """Return what of a report is public, if anything."""
        row = await self._database.fetch_one(f"{_NEWEST} WHERE advisory.report_id = $1", report_id)
        return None if row is None else _released(row)

    async def published(self, number: int) -> tuple[list[Released], bool]:
        """Return page `number`, from 1, of what is public, the newest first, and whether more follow."""
        rows = await self._database.fetch(
            f"{_NEWEST} ORDER BY advisory.published_us DESC, advisory.file_name LIMIT {PAGE + 1} OFFSET $1",
            (number - 1) * PAGE,
        )
        return [_released(row) for row in rows[:PAGE]], len(rows) > PAGE

    async def by_file(self, file_name: str) -> Released:
        """Return the public advisory whose CSAF document is called so. Raises: NotFound."""
        row = await self._database.fetch_one(f"{_NEWEST} WHERE advisory.file_name = $1", file_name)
        if row is None:
            raise NotFound("There is no such advisory.")
        return _released(row)

    def _check(self, drafted: Drafted, triage: Triage, before: Released | None, status: Status) -> Checked:
        now, revisions = moment_of(self._host.clock.now_us()), tuple[Revision, ...]()
        fields: Mapping[str, str] = drafted.fields
        if before is not None:
            revisions = before.advisory.revisions
            fields = {**fields, "tracking_id": before.advisory.tracking_id}
        if status == "draft":  # nobody waits for it: it may be read while the clock is wrong, and says what it is
            fields = {**fields, "change": fields.get("change") or "Draft."}
            now = max([now, *(revision.at for revision in revisions)])
        embargo = None if triage.embargo_us is None else moment_of(triage.embargo_us)
        basis = Basis(status, self._publisher, now, triage.vector, embargo, revisions)
        return check(fields, basis)

    async def _kept(self, report_id: str, edit: int) -> Drafted:
        row = await self._row(self._database, report_id)
        if row is None:
            raise NotFound("This report has no advisory.", hint="Begin one at the report.")
        if row["edit"] != edit:
            raise Stale
        return self._drafted(row)

    async def _check_name(self, read: Database | Transaction, identity: str, file_name: str) -> None:
        row = await read.fetch_one("SELECT id FROM advisory WHERE file_name = $1 AND id <> $2", file_name, identity)
        if row is not None:
            raise Conflict("Another advisory has this identifier.", hint="Give this one another identifier.")

    async def _row(self, read: Database | Transaction, report_id: str) -> Row | None:
        return await read.fetch_one("SELECT * FROM advisory WHERE report_id = $1", report_id)

    def _sealed(self, identity: str, fields: Mapping[str, str]) -> bytes:
        return self._box.seal(msgspec.json.encode(dict(fields)), purpose=_PURPOSE, owner=identity)

    def _drafted(self, row: Row) -> Drafted:
        plain = self._box.unseal(row["sealed"], purpose=_PURPOSE, owner=row["id"])
        return Drafted(
            row["id"], row["report_id"], row["edit"], row["changed_us"], row["changed_by"], row["file_name"],
            msgspec.json.decode(plain, type=dict[str, str]),
        )  # fmt: skip


def _released(row: Row) -> Released:
    return Released(
        row["file_name"], row["published_us"], row["released_us"],
        msgspec.json.decode(row["contents"], type=Advisory), row["csaf"],
    )  # fmt: skip
