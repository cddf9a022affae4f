"""Accounts found: by id, by address, and whether they are enabled. What changes them is `accounts.py`."""

from collections.abc import Iterable
from typing import Final

from failgate.accounts.account import Account, account_of
from failgate.accounts.email_address import normalised_or_none
from failgate.accounts.tables import AccountRow
from failgate.base.db import Database, Row, Transaction

# Prepared: to build and to compile this query took a fifth of what a sign-in costs beside its hash.
_BY_EMAIL: Final = """
SELECT id, email, password_hash, password_changed_us, is_platform_admin, created_us, disabled_us
FROM account WHERE email = $1
"""


class AccountFinding:
    """Finds accounts; changes none."""

    def __init__(self, database: Database) -> None:
        """Read from `database`."""
        self._database = database

    async def by_id(self, account_id: str) -> Account | None:
        """Return the account of that id, or None."""
        return (await self.by_ids([account_id])).get(account_id)

    async def by_ids(self, account_ids: Iterable[str]) -> dict[str, Account]:
        """Return the accounts that exist among `account_ids`, by id."""
        wanted = list(dict.fromkeys(account_ids))
        if not wanted:
            return {}
        rows = await self._database.fetch(AccountRow.select().where(AccountRow.id.is_in(wanted)))
        return {row["id"]: account_of(row) for row in rows}

    async def by_email(self, email: str) -> Account | None:
        """Return the account of that address, in any case of letters, or None."""
        name = normalised_or_none(email)
        row = await self.row_of(name) if name is not None else None
        return account_of(row) if row is not None else None

    async def exist(self) -> bool:
        """Tell whether there is any account."""
        return await self._database.fetch_one("SELECT id FROM account LIMIT 1") is not None

    async def is_enabled_within(self, tx: Transaction, account_id: str) -> bool:
        """Tell whether the account exists and is enabled, as `tx` sees it."""
        query = "SELECT id FROM account WHERE id = $1 AND disabled_us IS NULL"
        return await tx.fetch_one(query, account_id) is not None

    async def has_password(self, account_id: str) -> bool:
        """Tell whether the account has a password."""
        query = "SELECT id FROM account WHERE id = $1 AND password_hash IS NOT NULL"
        return await self._database.fetch_one(query, account_id) is not None

    async def row_of(self, email: str) -> Row | None:
        """Return the row of a normalised address, or None."""
        return await self._database.fetch_one(_BY_EMAIL, email)
