"""The room of notifications: its services over one outbox, what they do in the background."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from failgate.accounts.accounts import Accounts
from failgate.audit.log import AuditLog
from failgate.audit.record import SYSTEM, Actor
from failgate.base.background import Background
from failgate.base.clock import Clock
from failgate.base.db import Database, Transaction
from failgate.base.secretbox import SecretBox
from failgate.gate.ladder import Silence
from failgate.gate.stored import not_found
from failgate.notify import cursor, outbox
from failgate.notify.delivering import Delivering
from failgate.notify.destinations import Destinations
from failgate.notify.escalating import Escalating
from failgate.notify.notifier import Notifiers
from failgate.notify.outbox import Outbox
from failgate.notify.platform import PlatformNotices
from failgate.notify.preferences import Preferences
from failgate.notify.routing import Routing, StandIns
from failgate.notify.subjects import ScannerOf, Subjects
from failgate.notify.wording import notice_of
from failgate.wire.notify import CommandNotice
from failgate.workspaces.workspaces import Workspaces

GATHER_SECONDS: Final = 0.1  # what is committed meanwhile is read at once: a busy gate commits all the time


@dataclass(frozen=True, slots=True)
class Notifications:
    """Everything about notifications that other rooms and the doors use."""

    audit: AuditLog
    clock: Clock
    notifiers: Notifiers
    destinations: Destinations
    preferences: Preferences
    subjects: Subjects
    outbox: Outbox
    routing: Routing
    delivering: Delivering
    following: Background
    escalating: Escalating
    notices: PlatformNotices

    @property
    def reaches_members(self) -> bool:
        """Tell whether a notifier of this server reaches members in person."""
        return any(notifier.addressing == "member" for notifier in self.notifiers.values())

    def start(self) -> None:
        """Tell what is still to be told, then what happens."""
        self.delivering.start()
        self.following.start()
        self.escalating.start()

    async def close(self) -> None:
        """Stop; what is not told yet is told after the next start."""
        await self.escalating.close()
        await self.following.close()
        await self.delivering.close()

    async def notice(self, workspace_id: str, command_id: str) -> CommandNotice:
        """Return what a browser's own notification says of a command as it stands. Raises: NotFound."""
        command = await self.subjects.command(workspace_id, command_id)
        if command is None:
            raise not_found()
        return notice_of(command)

    async def end_of_workspace(self, tx: Transaction, workspace_id: str, _actor: Actor) -> None:
        """Tell nothing more of a workspace that is deleted."""
        await cursor.leave(tx, workspace_id)
        await tx.execute("UPDATE notify_destination SET is_enabled = 0 WHERE workspace_id = $1", workspace_id)
        await outbox.end_all(tx, workspace_id, self.clock.now_us())

    async def end_in_workspace(self, tx: Transaction, workspace_id: str, account_id: str, _actor: Actor) -> None:
        """Tell nothing more to a member who leaves."""
        await self.preferences.forget_within(tx, workspace_id, account_id)
        await outbox.drop_target(tx, workspace_id, account_id)


def build_notifications(
    db: Database,
    audit: AuditLog,
    clock: Clock,
    box: SecretBox,
    *,
    notifiers: Notifiers,
    workspaces: Workspaces,
    accounts: Accounts,
    scanner_of: ScannerOf,
    silent: Callable[[], Sequence[Silence]],
    stand_ins: StandIns,
    base_url: str,
) -> Notifications:
    """Return the room; nothing runs before `start`. `silent` says on which requests nobody decides.

    `stand_ins` says of a workspace who stands in for whom: they are told in the place of whoever is away.
    """
    kept = Outbox(db, clock)
    destinations = Destinations(db, audit, clock, box, notifiers, kept)
    preferences, subjects = Preferences(db, audit, clock), Subjects(db, scanner_of)
    routing = Routing(
        db, audit, clock,
        notifiers=notifiers, destinations=destinations, preferences=preferences, subjects=subjects,
        workspaces=workspaces, stand_ins=stand_ins, outbox=kept, base_url=base_url,
    )  # fmt: skip
    delivering = Delivering(
        db, audit, clock,
        notifiers=notifiers, destinations=destinations, outbox=kept, address_of=_address_of(workspaces, accounts),
    )  # fmt: skip
    grew = audit.listen()
    grew.set()  # what was committed before the start is read first
    following = Background("notify-routing", _step(grew, routing))
    escalating = Escalating(db, audit, workspaces=workspaces, accounts=accounts, silent=silent, stand_ins=stand_ins)
    return Notifications(
        audit, clock, notifiers, destinations, preferences, subjects, kept, routing, delivering, following, escalating,
        PlatformNotices(db, clock, notifiers=notifiers, outbox=kept, base_url=base_url),
    )  # fmt: skip


def _step(grew: asyncio.Event, routing: Routing) -> Callable[[], Awaitable[None]]:
    async def step() -> None:
        await grew.wait()
        await asyncio.sleep(GATHER_SECONDS)
        grew.clear()
        try:
            await routing.run_once()
        except BaseException:
            grew.set()  # it is read again
            raise

    return step


def _address_of(workspaces: Workspaces, accounts: Accounts) -> Callable[[str, str], Awaitable[str | None]]:
    async def address_of(workspace_id: str, account_id: str) -> str | None:
        account = await accounts.by_id(account_id)
        if account is None or not account.is_enabled:
            return None
        if workspace_id == SYSTEM:
            return account.email if account.is_platform_admin else None
        return account.email if await workspaces.role_of(workspace_id, account_id) is not None else None

    return address_of
