"""The desk's verbs about a report's severity, embargo, credits and links. Each is on record before it is done."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from failgate.plugin import Actor, Conflict, Database, Host, Row, SecretBox, Transaction, Unprocessable, to_rfc3339
from failgate_disclosure.advisory.cvss import score_of
from failgate_disclosure.triage import MOST_LINKS, Link, Triage


class Stale(Conflict):
    """Somebody saved another text meanwhile; nothing of either is lost."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("Somebody changed this meanwhile.", hint="Compare both texts and save again.")


@dataclass(frozen=True, slots=True)
class Triaged:
    """A triage as it is kept: `edit` counts its changes, 0 when nobody made one; times in microseconds since 1970."""

    triage: Triage
    edit: int = 0
    changed_us: int = 0
    changed_by: str = ""


class Triaging:
    """Keeps what the desk makes of reports, sealed."""

    def __init__(self, host: Host, database: Database, box: SecretBox) -> None:
        """Keep in `database`, seal by `box`."""
        self._host = host
        self._database = database
        self._box = box

    async def of(self, report_id: str) -> Triaged:
        """Return the triage of a report."""
        return (await self.of_all([report_id])).get(report_id, Triaged(Triage()))

    async def of_all(self, report_ids: Sequence[str]) -> dict[str, Triaged]:
        """Return the triages of at most a page of reports, by their ids, those that there are."""
        places = ", ".join(f"${number}" for number in range(1, len(report_ids) + 1))
        rows = await self._database.fetch(f"SELECT * FROM triage WHERE report_id IN ({places})", *report_ids)
        return {row["report_id"]: self._triaged(row) for row in rows}

    async def save(self, report_id: str, edit: int, triage: Triage, *, actor: Actor, author: str) -> None:
        """Keep `triage` in place of the one that `edit` counts.

        Raises: Stale (another one is kept by now), Unprocessable (an embargo for what is published).
        """
        await self._check(self._database, report_id, edit, triage)
        until = "none" if triage.embargo_us is None else to_rfc3339(triage.embargo_us)
        severity = score_of(triage.vector).severity if triage.vector else "open"
        await self._host.record(
            "disclosure.triaged", report_id, actor=actor, state=f"severity {severity} embargo {until}"
        )
        sealed = self._box.seal(msgspec.json.encode(triage), purpose="disclosure triage", owner=report_id)
        now_us = self._host.clock.now_us()

        async def verb(tx: Transaction) -> None:
            await self._check(tx, report_id, edit, triage)
            await tx.execute(
                "INSERT INTO triage (report_id, edit, changed_us, changed_by, sealed) VALUES ($1, $2, $3, $4, $5)"
                " ON CONFLICT (report_id) DO UPDATE SET edit = excluded.edit, changed_us = excluded.changed_us,"
                " changed_by = excluded.changed_by, sealed = excluded.sealed",
                report_id, edit + 1, now_us, author, sealed,
            )  # fmt: skip

        await self._database.write(verb)

    async def links(self, report_id: str) -> list[Link]:
        """Return what a report is linked with."""
        rows = await self._database.fetch(
            "SELECT * FROM report_link WHERE report_id = $1 ORDER BY added_us, object", report_id
        )
        return [Link(row["kind"], row["workspace"], row["object"]) for row in rows]

    async def link(self, report_id: str, link: Link, *, actor: Actor) -> None:
        """Link a report with `link`, once. Raises: Conflict (nobody follows so many)."""
        if len(await self.links(report_id)) >= MOST_LINKS:
            raise Conflict(f"This report has {MOST_LINKS} links, which is the most.", hint="Take one away.")
        await self._host.record("disclosure.linked", report_id, actor=actor, state=f"{link.kind} {link.object}")
        now_us = self._host.clock.now_us()
        await self._database.write(
            lambda tx: tx.execute(
                "INSERT INTO report_link (report_id, kind, workspace, object, added_us) VALUES ($1, $2, $3, $4, $5)"
                " ON CONFLICT DO NOTHING",
                report_id,
                link.kind,
                link.workspace,
                link.object,
                now_us,
            )
        )

    async def unlink(self, report_id: str, link: Link, *, actor: Actor) -> None:
        """Take `link` away."""
        await self._host.record("disclosure.unlinked", report_id, actor=actor, state=f"{link.kind} {link.object}")
        await self._database.write(
            lambda tx: tx.execute(
                "DELETE FROM report_link WHERE report_id = $1 AND kind = $2 AND workspace = $3 AND object = $4",
                report_id,
                link.kind,
                link.workspace,
                link.object,
            )
        )

    async def _check(self, read: Database | Transaction, report_id: str, edit: int, triage: Triage) -> None:
        row = await read.fetch_one("SELECT * FROM triage WHERE report_id = $1", report_id)
        kept = Triaged(Triage()) if row is None else self._triaged(row)
        if kept.edit != edit:
            raise Stale
        if kept.triage.embargo_us != triage.embargo_us and await read.fetch_one(
            "SELECT id FROM advisory WHERE report_id = $1 AND published_us IS NOT NULL", report_id
        ):
            raise Unprocessable(
                "The advisory of this report is published: its embargo is over.", hint="Leave the embargo as it was."
            )

    def _triaged(self, row: Row) -> Triaged:
        plain = self._box.unseal(row["sealed"], purpose="disclosure triage", owner=row["report_id"])
        return Triaged(msgspec.json.decode(plain, type=Triage), row["edit"], row["changed_us"], row["changed_by"])
