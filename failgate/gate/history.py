"""What is known beside a request: how often the same command was asked for, how that ended, what is close to it.

Rows are shown as they are stored: only what is pending is compared with its audit records.
"""

from typing import Final

from failgate.base.db import Database, Row
from failgate.base.errors import Unprocessable
from failgate.gate.command import stored_command
from failgate.gate.likeness import LEAST_SHARED, alike_of, changes_between, program_of, shared
from failgate.gate.stored import SELECT, Stored, view_of, with_votes
from failgate.wire.gate import Command
from failgate.wire.history import CommandHistory, ComparedCommand

LAST: Final = 3  # earlier requests of the same command that are listed
CLOSE: Final = 24  # newest approved ones of the same program among which the closest is looked for
MAX_COMPARED_BYTES: Final = 32 * 1024  # of a command that is compared

# Approved by a quorum: not denied, not merely observed, not by breaking the glass. What is quarantined says nothing.
_APPROVED = (
    "observed IS NULL AND broken_by IS NULL AND decided_us IS NOT NULL AND state IN ('approved', 'executed', 'expired')"
)
_SAME = "workspace_id = $1 AND alike = $2 AND id < $3 AND state <> 'quarantined'"
_COUNT = (
    "SELECT COUNT(CASE WHEN observed IS NULL THEN 1 END) AS asked,"
    " COUNT(observed) AS observed,"
    f" COUNT(CASE WHEN {_APPROVED} THEN 1 END) AS approved,"
    " COUNT(CASE WHEN state = 'denied' THEN 1 END) AS denied,"
    " COUNT(CASE WHEN observed IS NULL AND finished_us IS NOT NULL AND exit_code = 0 THEN 1 END) AS succeeded,"
    " COUNT(CASE WHEN observed IS NULL AND finished_us IS NOT NULL AND exit_code <> 0 THEN 1 END) AS failed"
    f" FROM gate_command WHERE {_SAME}"
)
_LAST = f"{SELECT} WHERE {_SAME} ORDER BY id DESC LIMIT $4"
_LAST_APPROVED = f"{SELECT} WHERE {_SAME} AND {_APPROVED} ORDER BY id DESC LIMIT 1"
_CLOSE = (
    f"{SELECT} WHERE workspace_id = $1 AND program = $2 AND id < $3 AND {_APPROVED} AND LENGTH(body) <= $4"
    " ORDER BY id DESC LIMIT $5"
)


async def history_of(db: Database, stored: Stored, now_us: int) -> CommandHistory:
    """Return what was known when `stored` was asked for, as it is at `now_us`."""
    command = stored_command(stored.body)
    key = (stored.workspace_id, alike_of(command), stored.id)
    counts: dict[str, int] = {name: int(number) for name, number in (await db.fetch(_COUNT, *key))[0].items()}
    last = await db.fetch(_LAST, *key, LAST) if counts["asked"] + counts["observed"] else []
    same = await db.fetch(_LAST_APPROVED, *key) if counts["approved"] else []
    compared = _closest(same, command, least=0.0)
    if compared is None and len(stored.body) <= MAX_COMPARED_BYTES:
        place = (stored.workspace_id, program_of(command), stored.id)
        compared = _closest(await db.fetch(_CLOSE, *place, MAX_COMPARED_BYTES, CLOSE), command, least=LEAST_SHARED)
    return CommandHistory(
        **counts,
        last=[view_of(one, now_us) for one in await with_votes(db, last)],
        compared=None
        if compared is None
        else ComparedCommand(
            view_of((await with_votes(db, [compared]))[0], now_us),
            bool(same),
            changes_between(stored_command(compared["body"]), command),
        ),
    )


def _closest(rows: list[Row], command: Command, least: float) -> Row | None:
    """Return the row that shares most tokens with `command`, the newest of several; None when none shares `least`."""
    best, most = None, 0.0
    for row in rows:  # newest first
        try:
            share = shared(stored_command(row["body"]).argv, command.argv)
        except Unprocessable:
            continue  # a row that was damaged is compared with nothing
        if share >= least and (best is None or share > most):
            best, most = row, share
    return best
