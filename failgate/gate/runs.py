"""Runs: the commands that one session of an agent program asked for, and what they led to.

What a run is called is the agent's own word: it is shown as that, and nothing is decided by it.
"""

import hashlib
from typing import Final

import msgspec

from failgate.base.canonical import canonical
from failgate.base.db import Database, Transaction
from failgate.base.errors import NotFound
from failgate.base.ids import is_id, new_id
from failgate.gate.command import check_text
from failgate.gate.stored import COLUMNS, Stored, with_votes
from failgate.wire.gate import Origin

LONGEST_NAME: Final = 200  # characters of each text
_UPSERT: Final = (
    "INSERT INTO gate_run (id, workspace_id, requester_id, mark, program, model, session, run, began_us, last_us,"
    " commands) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, 1)"
    " ON CONFLICT (workspace_id, requester_id, mark) DO UPDATE SET last_us = excluded.last_us,"
    " commands = gate_run.commands + 1, model = COALESCE(excluded.model, gate_run.model)"
)
_LINK: Final = (
    "INSERT INTO gate_run_command (command_id, run_id, tool) SELECT $1, id, $2 FROM gate_run"
    " WHERE workspace_id = $3 AND requester_id = $4 AND mark = $5"
)
_COLUMNS: Final = "id, requester_id, program, model, session, run, began_us, last_us, commands"
_LED_TO: Final = (
    "SELECT gate_run_command.run_id AS run_id,"
    " SUM(CASE WHEN state = 'executed' THEN 1 ELSE 0 END) AS executed,"
    " SUM(CASE WHEN state = 'denied' THEN 1 ELSE 0 END) AS denied,"
    " SUM(CASE WHEN exit_code <> 0 THEN 1 ELSE 0 END) AS failed"
    " FROM gate_run_command JOIN gate_command ON gate_command.id = gate_run_command.command_id"
    " WHERE gate_command.workspace_id = $1 AND gate_run_command.run_id IN ({}) GROUP BY gate_run_command.run_id"
)


class Run(msgspec.Struct, frozen=True):
    """One run: who asked, what it calls itself, when it asked first and last, how often, and what that led to.

    `executed`, `denied` and `failed` (with a code other than 0) count its commands.
    """

    id: str
    requester_id: str
    program: str | None
    model: str | None
    session: str | None
    run: str | None
    began_us: int
    last_us: int
    commands: int
    executed: int = 0
    denied: int = 0
    failed: int = 0


class RunCommand(msgspec.Struct, frozen=True):
    """A command of a run, and the tool that the agent says it is for."""

    stored: Stored
    tool: str | None


def check_origin(origin: Origin | None) -> None:
    """Accept what a submission says of where it comes from.

    Raises: Unprocessable (NUL or a lone surrogate), TooLarge (a text over 200 characters).
    """
    if origin is None:
        return
    for name in ("program", "model", "session", "run", "tool"):
        check_text(f"origin.{name}", getattr(origin, name), LONGEST_NAME)


async def note_origin(tx: Transaction, stored: Stored, origin: Origin) -> None:
    """Count the command `stored` in its run, inside the transaction that keeps it."""
    if not (origin.program or origin.session or origin.run):
        return
    mark = hashlib.sha256(canonical([origin.program, origin.session, origin.run])).hexdigest()
    owner = (stored.workspace_id, stored.requester_id, mark)
    names = (origin.program, origin.model, origin.session, origin.run)
    await tx.execute(_UPSERT, new_id(), *owner, *names, stored.created_us)
    await tx.execute(_LINK, stored.id, origin.tool, *owner)


async def runs_of(
    database: Database, workspace_id: str, requester_id: str, limit: int, before_us: int | None = None
) -> list[Run]:
    """Return up to `limit` runs of a requester, the one that asked last first; those before `before_us`."""
    bound = "" if before_us is None else " AND last_us < $4"
    values = () if before_us is None else (before_us,)
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM gate_run WHERE workspace_id = $1 AND requester_id = $2{bound}"
        " ORDER BY last_us DESC, id DESC LIMIT $3",
        workspace_id, requester_id, limit, *values,
    )  # fmt: skip
    return await _counted(database, workspace_id, [Run(**row) for row in rows])


async def run_of(database: Database, workspace_id: str, requester_id: str, run_id: str) -> Run:
    """Return the run. Raises: NotFound (absent, of another workspace or requester)."""
    query = f"SELECT {_COLUMNS} FROM gate_run WHERE workspace_id = $1 AND requester_id = $2 AND id = $3"
    rows = await database.fetch(query, workspace_id, requester_id, run_id) if is_id(run_id) else []
    if not rows:
        raise NotFound("There is no such run.")
    return (await _counted(database, workspace_id, [Run(**rows[0])]))[0]


async def commands_of(
    database: Database, workspace_id: str, run_id: str, limit: int, before: str | None = None
) -> list[RunCommand]:
    """Return up to `limit` commands of the run, newest first, with ids below `before`."""
    bound = "" if before is None else " AND gate_command.id < $4"
    columns = ", ".join(f"gate_command.{name} AS {name}" for name in COLUMNS)
    values = () if before is None else (before,)
    rows = await database.fetch(
        f"SELECT {columns}, gate_run_command.tool AS tool FROM gate_run_command"
        " JOIN gate_command ON gate_command.id = gate_run_command.command_id"
        f" WHERE gate_command.workspace_id = $1 AND gate_run_command.run_id = $2{bound}"
        " ORDER BY gate_command.id DESC LIMIT $3",
        workspace_id, run_id, limit, *values,
    )  # fmt: skip
    tools = [row.pop("tool") for row in rows]
    return [RunCommand(stored, tool) for stored, tool in zip(await with_votes(database, rows), tools, strict=True)]


async def _counted(database: Database, workspace_id: str, runs: list[Run]) -> list[Run]:
    if not runs:
        return []
    places = ", ".join(f"${place}" for place in range(2, len(runs) + 2))
    rows = await database.fetch(_LED_TO.format(places), workspace_id, *(run.id for run in runs))
    counts = {row.pop("run_id"): {name: int(number or 0) for name, number in row.items()} for row in rows}
    return [msgspec.structs.replace(run, **counts.get(run.id, {})) for run in runs]
