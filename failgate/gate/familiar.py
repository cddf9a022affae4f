"""Which programs an agent has run before: what its approvals were used for. Asked at each submission, so in memory."""

from collections import OrderedDict
from typing import Final

from failgate.base.cache import ReadThrough
from failgate.base.db import Database, Transaction
from failgate.gate.command import stored_command
from failgate.gate.stored import Stored
from failgate.wire.gate import Command

MAX_PROGRAMS: Final = 1000  # of one agent; what it runs beyond stays new to it
MAX_MET: Final = 100_000  # pairs of agent and program that are known to be written
_SELECT: Final = "SELECT program FROM gate_familiar WHERE workspace_id = $1 AND requester_id = $2"
_ADD: Final = (
    "INSERT INTO gate_familiar (workspace_id, requester_id, program, first_us) SELECT $1, $2, $3, CAST($4 AS BIGINT)"
    " WHERE (SELECT count(*) FROM gate_familiar WHERE workspace_id = $1 AND requester_id = $2) < $5"
    " ON CONFLICT (workspace_id, requester_id, program) DO NOTHING"
)


class Familiar:
    """The programs that each requester has used approvals for."""

    def __init__(self, db: Database) -> None:
        """Read from `db` what is asked for the first time."""
        self._met: OrderedDict[tuple[str, str, str], None] = OrderedDict()  # written already, whether asked for or not
        self._db = db
        self._known: ReadThrough[tuple[str, str], frozenset[str]] = ReadThrough(self._load, limit=10_000)

    async def knows(self, workspace_id: str, requester_id: str, command: Command) -> bool:
        """Tell whether the requester has run this program before."""
        programs = await self._known.get((workspace_id, requester_id))
        return programs is not None and program_of(command) in programs

    async def meet(self, tx: Transaction, stored: Stored, at_us: int) -> None:
        """Keep that the requester runs the program of `stored`, in the transaction that uses its approval."""
        key, program = (stored.workspace_id, stored.requester_id), program_of(stored_command(stored.body))
        known = self._known.peek(key)  # a verb awaits its transaction alone
        if (*key, program) in self._met or (known is not None and program in known):
            return
        await tx.execute(_ADD, *key, program, at_us, MAX_PROGRAMS)
        tx.after_commit(lambda: self._keep(key, program))

    def end_of_workspace(self, workspace_id: str) -> None:
        """Forget what is remembered of a workspace that is deleted."""
        self._known.forget_where(lambda key, _: key[0] == workspace_id)
        for key in [key for key in self._met if key[0] == workspace_id]:
            del self._met[key]

    def _keep(self, key: tuple[str, str], program: str) -> None:
        self._known.forget(key)
        self._met[(*key, program)] = None
        if len(self._met) > MAX_MET:
            self._met.popitem(last=False)

    async def _load(self, key: tuple[str, str]) -> frozenset[str]:
        return frozenset(row["program"] for row in await self._db.fetch(_SELECT, *key))


def program_of(command: Command) -> str:
    """Return what tells programs apart: the attested file, or else the word that names it."""
    return command.argv[0] if command.exe is None else command.exe.path
