"""Every account of the installation, as its administrator sees them: who, not what they work on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from failgate.base.db import Database, Row

PAGE: Final = 50
# The second look over to a neighbouring room: how many workspaces, never which.
_SELECT: Final = """
SELECT account.id, account.email, account.is_platform_admin, account.created_us, account.disabled_us,
       account.password_hash IS NOT NULL AS has_password,
       (SELECT count(*) FROM membership WHERE membership.account_id = account.id) AS workspaces,
       (SELECT max(seen_us) FROM session WHERE session.account_id = account.id) AS seen_us
FROM account
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """An account in the list. Times are microseconds since 1970; `seen_us` of an open session, or None."""

    id: str
    email: str
    is_platform_admin: bool
    created_us: int
    disabled_us: int | None
    has_password: bool
    workspaces: int
    seen_us: int | None


@dataclass(frozen=True, slots=True)
class PlatformPerson:
    """Somebody who has the platform role, and whose account is open."""

    id: str
    email: str


async def platform_people(database: Database) -> Sequence[PlatformPerson]:
    """Return who has the platform role, by address."""
    rows = await database.fetch(
        "SELECT id, email FROM account WHERE is_platform_admin = 1 AND disabled_us IS NULL ORDER BY email"
    )
    return [PlatformPerson(row["id"], row["email"]) for row in rows]


class Directory:
    """Reads the accounts."""

    def __init__(self, database: Database) -> None:
        """Read from `database`."""
        self._database = database

    async def page(self, search: str = "", after: str = "") -> tuple[Sequence[Entry], str | None]:
        """Return up to 50 accounts by address, those after the address `after`, and the `after` of the next page.

        `search` is a part of the address; letters of any case.
        """
        where = "WHERE email > $1 AND email LIKE $2 ESCAPE '!' ORDER BY email LIMIT $3"
        rows = await self._database.fetch(f"{_SELECT} {where}", after, f"%{_literal(search)}%", PAGE + 1)
        entries = [_entry(row) for row in rows[:PAGE]]
        return entries, entries[-1].email if len(rows) > PAGE else None

    async def one(self, account_id: str) -> Entry | None:
        """Return the account of that id, or None."""
        row = await self._database.fetch_one(f"{_SELECT} WHERE account.id = $1", account_id)
        return _entry(row) if row is not None else None

    async def counts(self) -> tuple[int, int]:
        """Return how many accounts there are and how many of them are disabled."""
        row = await self._database.fetch_one("SELECT count(*) AS total, count(disabled_us) AS disabled FROM account")
        return (int(row["total"]), int(row["disabled"])) if row is not None else (0, 0)


def _literal(search: str) -> str:
    text = search.strip().lower()[:254].replace("\0", "")
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _entry(row: Row) -> Entry:
    return Entry(
        row["id"],
        row["email"],
        bool(row["is_platform_admin"]),
        row["created_us"],
        row["disabled_us"],
        bool(row["has_password"]),
        int(row["workspaces"]),
        row["seen_us"],
    )
