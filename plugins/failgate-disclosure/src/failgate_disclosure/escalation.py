"""People with the platform role are told of a report that waits: with 24 hours left and when 48 are over, once each.

What is told is kept in the report's row, and known by its key where it is kept until it is sent: a restart between the
two tells nobody twice. A clock that jumps over both moments has the second alone told; one that goes back, nothing.
"""

from functools import partial
from typing import Final

from failgate.plugin import Actor, Database, Host, PlatformNotice, Row, Transaction, to_rfc3339
from failgate_disclosure.states import ACKNOWLEDGE_SECONDS, standing_of

_SYSTEM: Final = Actor("system", "failgate")
_WAITING: Final = "SELECT id, number, received_us, reminded_us FROM report WHERE state = 'new' AND escalated_us IS NULL"


class Escalation:
    """Tells of reports that nobody acknowledged."""

    def __init__(self, host: Host, database: Database) -> None:
        """Look at the reports in `database`; tell, and put on record, by `host`."""
        self._host = host
        self._database = database

    async def look(self) -> None:
        """Tell of every report whose moment has come, where anybody can be told."""
        now_us = self._host.clock.now_us()
        for row in await self._database.fetch(_WAITING):
            standing = standing_of("new", row["received_us"], None, now_us)
            if standing.is_late:
                await self._tell(row, "overdue", "A report of a vulnerability waits for more than 48 hours", now_us)
            elif standing.is_near and row["reminded_us"] is None:
                await self._tell(row, "reminded", "A report of a vulnerability waits: 24 hours are left", now_us)

    async def _tell(self, row: Row, moment: str, title: str, now_us: int) -> None:
        due_us = row["received_us"] + ACKNOWLEDGE_SECONDS * 1_000_000
        notice = PlatformNotice(
            key=f"{row['id']} {moment}",
            event=f"disclosure.{moment}",
            title=title,
            lines=(
                ("Report", str(row["number"])),
                ("Received", _minute(row["received_us"])),
                ("To be acknowledged by", _minute(due_us)),
            ),
            path=f"/platform/x/{self._host.name}/{row['id']}",
        )
        if await self._host.tell(notice):
            await self._host.record("disclosure.escalated", row["id"], actor=_SYSTEM, state=moment)
            column = "escalated_us" if moment == "overdue" else "reminded_us"
            await self._database.write(partial(_mark, column, row["id"], now_us))


async def _mark(column: str, identity: str, now_us: int, tx: Transaction) -> None:
    await tx.execute(f"UPDATE report SET {column} = $1 WHERE id = $2", now_us, identity)


def _minute(at_us: int) -> str:
    return f"{to_rfc3339(at_us)[:16].replace('T', ' ')} UTC"
