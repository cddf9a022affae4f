"""The escalation ladder: while nobody decides on a request, the people of each step are told, once and in turn.

The steps are frozen into the request's terms. Which were taken stands in the audit log and nowhere else: a restart
forgets none and takes none twice.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from failgate.accounts.accounts import Accounts
from failgate.audit.log import AuditLog
from failgate.audit.record import SERVER, Act, Event
from failgate.base.background import Background
from failgate.base.canonical import JSON
from failgate.base.db import Database, Transaction
from failgate.base.errors import FailgateError
from failgate.base.log import get_logger
from failgate.gate.ladder import Silence
from failgate.gate.stored import load_locked
from failgate.gate.terms import Escalation, Person
from failgate.notify import cursor
from failgate.notify.routing import StandIns
from failgate.workspaces.workspaces import Workspaces

LOOK_SECONDS: Final = 1.0  # between two looks at what waits
_log = get_logger("failgate.notify")


class Escalating:
    """Looks at what waits, and takes the steps that are due."""

    def __init__(
        self,
        db: Database,
        audit: AuditLog,
        *,
        workspaces: Workspaces,
        accounts: Accounts,
        silent: Callable[[], Sequence[Silence]],
        stand_ins: StandIns,
    ) -> None:
        """Ask `silent` what is due, and `stand_ins` who is told in the place of whoever is away."""
        self._db = db
        self._audit = audit
        self._workspaces = workspaces
        self._accounts = accounts
        self._silent = silent
        self._stand_ins = stand_ins
        self._taken: dict[str, int] = {}  # by request: how many steps are known to be taken
        self._background = Background("notify-escalating", self._step)

    def start(self) -> None:
        """Go on looking, in the background."""
        self._background.start()

    async def close(self) -> None:
        """Stop; what falls due meanwhile is told after the next start, if it still waits."""
        await self._background.close()

    async def run_once(self) -> int:
        """Take every step that is due and was not taken; return how many. One that fails is due again, and alone."""
        taken, known, number = self._taken, dict[str, int](), 0
        people: dict[tuple[str, Escalation], list[str]] = {}  # of this look: a flood of requests has one ladder
        for silence in self._silent():
            known[silence.command_id] = taken.get(silence.command_id, 0)
            if known[silence.command_id] >= len(silence.steps):
                continue
            try:
                number += await self._take(silence, people)
            except FailgateError as error:
                _log.warning("escalation.failed", command=silence.command_id, reason=str(error))
            except Exception as error:  # noqa: BLE001  # one request must not keep the others silent
                _log.exception("escalation.broke", command=silence.command_id, error=type(error).__name__)
            else:
                known[silence.command_id] = len(silence.steps)
        self._taken = known
        return number

    async def escalate(
        self,
        tx: Transaction,
        workspace_id: str,
        command_id: str,
        *,
        group: str,
        step: int,
        accounts: Sequence[str],
        waited_us: int,
    ) -> None:
        """Record, inside `tx`, that nobody decided and who is told now: `accounts` and destinations hear of it.

        `group` is the name of the step, `step` counts from 1, `waited_us` is for how long the command has waited.
        Nobody outside of the workspace is told, whoever is named.
        """
        facts: dict[str, JSON] = {
            "group": group, "step": step, "accounts": tuple(sorted(accounts)), "waited_us": waited_us,
        }  # fmt: skip
        event = Event(Act.COMMAND_ESCALATED, workspace_id, "command", command_id, SERVER, facts)
        await cursor.follow_from(tx, workspace_id, (await self._audit.append(tx, event)).seq)

    async def _take(self, silence: Silence, people: dict[tuple[str, Escalation], list[str]]) -> int:
        keys = [(silence.workspace_id, step) for step in silence.steps]
        for key in keys:
            if key not in people:
                people[key] = await self._told(*key)
        told = [people[key] for key in keys]

        async def verb(tx: Transaction) -> int:
            stored = await load_locked(tx, silence.workspace_id, silence.command_id)
            if stored.state != "pending":
                return 0
            records = await self._audit.of_object(tx, silence.workspace_id, silence.command_id)
            done = {one.record["data"]["step"] for one in records if one.record["act"] == Act.COMMAND_ESCALATED}
            number = 0
            for place, (step, accounts) in enumerate(zip(silence.steps, told, strict=True), 1):
                if place not in done:
                    await self.escalate(
                        tx, silence.workspace_id, silence.command_id,
                        group=step.name, step=place, accounts=accounts, waited_us=silence.waited_us,
                    )  # fmt: skip
                    number += 1
            return number

        return await self._db.write(verb)

    async def _told(self, workspace_id: str, step: Escalation) -> list[str]:
        """Return the accounts of the members whom `step` names; of one who is away, that of who stands in."""
        roles = {one.account_id: one.role.value for one in await self._workspaces.members(workspace_id)}
        accounts = await self._accounts.by_ids(roles)
        named = [
            account.id
            for account in accounts.values()
            if account.is_enabled and step.has(Person(account.id, roles[account.id], account.email))
        ]
        stand_ins = await self._stand_ins(workspace_id) if named else {}
        return list(dict.fromkeys(stand_ins.get(account_id, account_id) for account_id in named))

    async def _step(self) -> None:
        await asyncio.sleep(LOOK_SECONDS)
        await self.run_once()
