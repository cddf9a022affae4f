"""Saved views: filters of the audit page that somebody named, for themselves or for all who may read the log.

What changes what others see is on record; a private view is nobody else's, and answers like a missing one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from failgate.access.role import Role
from failgate.audit.log import AuditLog
from failgate.audit.record import Act, Actor, Event
from failgate.base.canonical import JSON, base64url
from failgate.base.clock import Clock
from failgate.base.db import Database, Row, Transaction
from failgate.base.errors import BadInput, Conflict, Forbidden, NotFound
from failgate.base.ids import new_id

LONGEST_NAME: Final = 80  # characters
LONGEST_QUERY: Final = 4_000
MOST_OF_PERSON: Final = 50  # views that one person keeps in a workspace
_COLUMNS: Final = "id, account_id, name, query, is_shared"
_SEEN: Final = (
    f"SELECT {_COLUMNS} FROM saved_view"
    " WHERE workspace_id = $1 AND (account_id = $2 OR is_shared = 1) ORDER BY is_shared DESC, name, id"
)
_ONE: Final = f"SELECT {_COLUMNS} FROM saved_view WHERE workspace_id = $1 AND id = $2"
_OF_PERSON: Final = "SELECT id, name FROM saved_view WHERE workspace_id = $1 AND account_id = $2"
_ADD: Final = (
    "INSERT INTO saved_view (id, workspace_id, account_id, name, query, is_shared, created_us)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7)"
)
_LEAVE: Final = "DELETE FROM saved_view WHERE workspace_id = $1 AND account_id = $2 AND is_shared = 0"


@dataclass(frozen=True, slots=True)
class SavedView:
    """A view: what it is called, what it asks for, whose it is, and whether others see it."""

    id: str
    account_id: str
    name: str
    query: str
    is_shared: bool


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: as the log names them, their account, and their role in the workspace."""

    actor: Actor
    account_id: str
    role: Role

    def may_change(self, view: SavedView) -> bool:
        """Tell whether they may rename and remove `view`: their own, and as an owner what all see."""
        return view.account_id == self.account_id or (view.is_shared and self.role is Role.OWNER)


class SavedViews:
    """Keeps the views of all workspaces."""

    def __init__(self, db: Database, audit: AuditLog, clock: Clock) -> None:
        """Keep them in `db`."""
        self._db = db
        self._audit = audit
        self._clock = clock

    async def list(self, workspace_id: str, account_id: str) -> Sequence[SavedView]:
        """Return the views that an account sees: those of all, then its own, by name."""
        return [_view(row) for row in await self._db.fetch(_SEEN, workspace_id, account_id)]

    async def save(self, visitor: Visitor, workspace_id: str, name: str, query: str, *, is_shared: bool) -> SavedView:
        """Keep the filter `query` under `name`. Raises: BadInput, Conflict (the name is taken, or too many)."""
        name = _checked(name)
        if not query:
            raise BadInput("Nothing is filtered.", hint="Filter first, then save what you see.")
        if len(query) > LONGEST_QUERY:
            raise BadInput("The filter is too long to be saved.", hint="Shorten its fields.")
        view = SavedView(new_id(), visitor.account_id, name, query, is_shared)

        async def verb(tx: Transaction) -> SavedView:
            await _must_be_free(tx, workspace_id, visitor.account_id, name, None)
            values = view.id, workspace_id, view.account_id, name, query, int(is_shared), self._clock.now_us()
            await tx.execute(_ADD, *values)
            if is_shared:
                await self._record(tx, Act.AUDIT_VIEW_SHARED, workspace_id, view, visitor.actor)
            else:
                self._audit.must_be_open(tx, workspace_id)
            return view

        return await self._db.write(verb)

    async def change(
        self, visitor: Visitor, workspace_id: str, view_id: str, name: str, *, is_shared: bool
    ) -> SavedView:
        """Give a view another name, show it to all or to its maker alone; return it as it was.

        Raises: BadInput, NotFound, Forbidden (only its maker and owners may), Conflict (the name is taken).
        """
        name = _checked(name)

        async def verb(tx: Transaction) -> SavedView:
            view = await _changeable(tx, workspace_id, view_id, visitor)
            await _must_be_free(tx, workspace_id, view.account_id, name, view.id)
            await tx.execute(
                "UPDATE saved_view SET name = $1, is_shared = $2 WHERE workspace_id = $3 AND id = $4",
                name, int(is_shared), workspace_id, view.id,
            )  # fmt: skip
            if is_shared and not view.is_shared:
                await self._record(tx, Act.AUDIT_VIEW_SHARED, workspace_id, view, visitor.actor)
            elif view.is_shared and not is_shared:
                await self._record(tx, Act.AUDIT_VIEW_WITHDRAWN, workspace_id, view, visitor.actor)
            elif view.is_shared and view.name != name:
                await self._record(tx, Act.AUDIT_VIEW_RENAMED, workspace_id, view, visitor.actor)
            else:
                self._audit.must_be_open(tx, workspace_id)
            return view

        return await self._db.write(verb)

    async def remove(self, visitor: Visitor, workspace_id: str, view_id: str) -> SavedView:
        """Remove a view and return it. Raises: NotFound, Forbidden (only its maker and owners may)."""

        async def verb(tx: Transaction) -> SavedView:
            view = await _changeable(tx, workspace_id, view_id, visitor)
            await tx.execute("DELETE FROM saved_view WHERE workspace_id = $1 AND id = $2", workspace_id, view.id)
            if view.is_shared:
                await self._record(tx, Act.AUDIT_VIEW_WITHDRAWN, workspace_id, view, visitor.actor)
            return view

        return await self._db.write(verb)

    async def end_in_workspace(self, tx: Transaction, workspace_id: str, account_id: str, _actor: Actor) -> None:
        """Forget the private views of a member who leaves; what all see stays."""
        await tx.execute(_LEAVE, workspace_id, account_id)

    async def _record(self, tx: Transaction, act: Act, workspace_id: str, view: SavedView, actor: Actor) -> None:
        facts: dict[str, JSON] = {"filter": base64url(sha256(view.query.encode()).digest()), "account": view.account_id}
        await self._audit.append(tx, Event(act, workspace_id, "audit_view", view.id, actor, facts))


async def _changeable(tx: Transaction, workspace_id: str, view_id: str, visitor: Visitor) -> SavedView:
    row = await tx.fetch_one(_ONE, workspace_id, view_id)
    view = None if row is None else _view(row)
    if view is None or not (view.is_shared or view.account_id == visitor.account_id):
        raise NotFound("There is no such view.")
    if not visitor.may_change(view):
        raise Forbidden("This view is somebody else's.", hint="Its maker and owners rename and remove it.")
    return view


async def _must_be_free(tx: Transaction, workspace_id: str, account_id: str, name: str, besides: str | None) -> None:
    rows = [row for row in await tx.fetch(_OF_PERSON, workspace_id, account_id) if row["id"] != besides]
    if any(row["name"].casefold() == name.casefold() for row in rows):
        raise Conflict(f"There is a view {name!a} already.", hint="Give this one another name.")
    if len(rows) >= MOST_OF_PERSON:
        raise Conflict(f"One person keeps at most {MOST_OF_PERSON} views.", hint="Remove one first.")


def _checked(name: str) -> str:
    name = name.strip()
    if not name:
        raise BadInput("The view has no name.", hint="Say in a few words what it shows.")
    if len(name) > LONGEST_NAME:
        raise BadInput("The name is too long.", hint=f"At most {LONGEST_NAME} characters.")
    if not name.isprintable():
        raise BadInput("The name holds a character that cannot be shown.", hint="Use letters, digits and blanks.")
    return name


def _view(row: Row) -> SavedView:
    return SavedView(row["id"], row["account_id"], row["name"], row["query"], row["is_shared"] == 1)
