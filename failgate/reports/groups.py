"""Groups of one failure: listed, read, and what people decide on them.

```text
open ──► resolved ──► regressed     seen again (in the version said, or a later one)
  any ──► ignored                   it goes on being counted and is never regressed
  any ──► open                      reopened
```
"""

from typing import Final, get_args

from failgate.access.principal import Principal
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON
from failgate.base.clock import Clock, to_rfc3339
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import BadInput, NotFound
from failgate.base.ids import is_id
from failgate.reports.life import DAY_US
from failgate.wire.groups import GroupPage, GroupState, ReportGroup

DAYS: Final = 24
PAGE_MOST: Final = 100
STATES: Final[tuple[GroupState, ...]] = get_args(GroupState)
VERSION_CHARACTERS: Final = 200
_ACTS: Final[dict[GroupState, Act]] = {
    "resolved": Act.REPORT_GROUP_RESOLVED,
    "ignored": Act.REPORT_GROUP_IGNORED,
    "open": Act.REPORT_GROUP_REOPENED,
}
_SELECT = """
SELECT id, project, fingerprint, title, command, error, state, resolved_in_version, first_us, last_us, first_version,
  last_version, last_report_id, count FROM report_group WHERE workspace_id = $1
"""
_DAYS_OF = "SELECT group_id, day, count FROM report_group_day WHERE workspace_id = $1 AND day > $2"
_CHANGE = """
UPDATE report_group SET state = $1, resolved_in_version = $2, changed_us = $3, changed_by = $4
WHERE workspace_id = $5 AND id = $6
"""


def no_group() -> NotFound:
    """Return the refusal for a group that is absent or of another workspace."""
    return NotFound("There is no such group of reports.")


class ReportGroups:
    """The groups of workspaces."""

    def __init__(self, db: Database, audit: AuditLog, clock: Clock) -> None:
        """Read and change the groups in `db`."""
        self._db = db
        self._audit = audit
        self._clock = clock

    async def page(
        self,
        workspace_id: str,
        *,
        state: GroupState | None = None,
        project: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> GroupPage:
        """Return up to `limit` (1 to 100) groups, the last seen first, that come behind the cursor `after`.

        Raises: BadInput (`after` is no cursor).
        """
        sql, args = _SELECT, [workspace_id]
        for column, value in (("state", state), ("project", project)):
            if value is not None:
                args.append(value)
                sql += f" AND {column} = ${len(args)}"
        bounds = list[int | str](args)
        if after is not None:
            bounds += _cursor(after)
            sql += f" AND (last_us, id) < (${len(bounds) - 1}, ${len(bounds)})"
        count = min(max(limit, 1), PAGE_MOST)
        rows = await self._db.fetch(f"{sql} ORDER BY last_us DESC, id DESC LIMIT {count + 1}", *bounds)
        shown = rows[:count]
        last = shown[-1] if len(rows) > count else None
        return GroupPage(
            await self._views(workspace_id, shown), f"{last['last_us']}.{last['id']}" if last is not None else None
        )

    async def one(self, workspace_id: str, group_id: str) -> ReportGroup:
        """Return one group.

        Raises: NotFound.
        """
        row = await self._db.fetch_one(f"{_SELECT} AND id = $2", workspace_id, group_id)
        if row is None:
            raise no_group()
        return (await self._views(workspace_id, [row]))[0]

    async def projects(self, workspace_id: str) -> list[str]:
        """Return the names of the projects that have groups, at most 200; reports without one are left out."""
        rows = await self._db.fetch(
            "SELECT DISTINCT project FROM report_group WHERE workspace_id = $1 AND project <> '' ORDER BY project"
            " LIMIT 200",
            workspace_id,
        )
        return [row["project"] for row in rows]

    async def resolve(
        self, principal: Principal, workspace_id: str, group_id: str, version: str | None = None
    ) -> ReportGroup:
        """Call a failure resolved, in `version` when it is given: reports of older versions do not reopen it.

        Raises: NotFound; BadInput (the version).
        """
        text = (version or "").strip() or None
        if text is not None and (len(text) > VERSION_CHARACTERS or not text.isprintable()):
            raise BadInput("A version is one line of at most 200 characters.", hint="Write it as the reports do.")
        return await self._change(principal, workspace_id, group_id, "resolved", text)

    async def ignore(self, principal: Principal, workspace_id: str, group_id: str) -> ReportGroup:
        """Ignore a failure until it is reopened.

        Raises: NotFound.
        """
        return await self._change(principal, workspace_id, group_id, "ignored", None)

    async def reopen(self, principal: Principal, workspace_id: str, group_id: str) -> ReportGroup:
        """Take back what was decided on a failure.

        Raises: NotFound.
        """
        return await self._change(principal, workspace_id, group_id, "open", None)

    async def _change(
        self, principal: Principal, workspace_id: str, group_id: str, state: GroupState, version: str | None
    ) -> ReportGroup:
        async def verb(tx: Transaction) -> None:
            changed = await tx.execute(
                _CHANGE, state, version, self._clock.now_us(), principal.id, workspace_id, group_id
            )
            if changed != 1:
                raise no_group()
            event = Event(_ACTS[state], workspace_id, "report_group", group_id, Actor.of(principal), dict[str, JSON]())
            await self._audit.append(tx, event)

        await self._db.write(verb)
        return await self.one(workspace_id, group_id)

    async def _views(self, workspace_id: str, rows: list[Row]) -> list[ReportGroup]:
        if not rows:
            return []
        today = self._clock.now_us() // DAY_US
        days: dict[str, list[int]] = {row["id"]: [0] * DAYS for row in rows}
        places = ", ".join(f"${number}" for number in range(3, 3 + len(rows)))
        query = f"{_DAYS_OF} AND group_id IN ({places})"
        for row in await self._db.fetch(query, workspace_id, today - DAYS, *days):
            if row["day"] <= today:
                days[row["group_id"]][DAYS - 1 - (today - row["day"])] = row["count"]
        return [_view(row, days[row["id"]]) for row in rows]


def _view(row: Row, days: list[int]) -> ReportGroup:
    return ReportGroup(
        id=row["id"],
        project=row["project"] or None,
        fingerprint=row["fingerprint"],
        title=row["title"] or f"No report is left of {row['fingerprint']}",
        command=row["command"],
        error=row["error"],
        state=row["state"],
        count=row["count"],
        first_at=to_rfc3339(row["first_us"]),
        last_at=to_rfc3339(row["last_us"]),
        first_version=row["first_version"] or None,
        last_version=row["last_version"] or None,
        last_report_id=row["last_report_id"],
        days=days,
        resolved_in_version=row["resolved_in_version"],
    )


def _cursor(text: str) -> tuple[int, str]:
    number, _, identifier = text.partition(".")
    if not (number.isascii() and number.isdigit() and len(number) < 18 and is_id(identifier)):
        raise BadInput("`after` is no cursor of this list.", hint="Use the `next` of the page before.")
    return int(number), identifier
