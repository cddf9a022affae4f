"""A person's account as a value. Pure."""

from dataclasses import dataclass

from failgate.base.db import Row


@dataclass(frozen=True, slots=True)
class Account:
    """A person's account. Times are microseconds since 1970; `email` is lower-case.

    `password_changed_us` tells which password an answer of `sign_in` is about.
    """

    id: str
    email: str
    created_us: int
    password_changed_us: int | None
    is_platform_admin: bool = False
    disabled_us: int | None = None

    @property
    def is_enabled(self) -> bool:
        """Tell whether it may sign in."""
        return self.disabled_us is None


def account_of(row: Row) -> Account:
    """Return the account of a row."""
    return Account(
        id=row["id"],
        email=row["email"],
        created_us=row["created_us"],
        password_changed_us=row["password_changed_us"],
        is_platform_admin=bool(row["is_platform_admin"]),
        disabled_us=row["disabled_us"],
    )
