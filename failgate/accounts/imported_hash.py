"""Passwords as other systems hashed them, with bcrypt, until the first sign-in makes them Argon2id hashes.

While there is such a hash, every sign-in by password costs one bcrypt check of the highest cost among them on top of
Argon2id, for every account and for none: an account that was taken over answers in the time of an unknown one.
Each cost doubles the work, so what a cheaper hash lacks is made up exactly: 2^c + (2^c + 2^(c+1) + … + 2^(h-1)) = 2^h.

Source: ASVS 5.0 6.3.8 (no difference tells accounts apart), 11.4.2.
"""

import re
from typing import Final

from failgate.base.db import Database
from failgate.base.errors import BadInput

BCRYPT_BYTES: Final = 72  # what bcrypt looks at
# Over cost 14 one check takes seconds: who tries to sign in would hold up everybody.
_BCRYPT: Final = re.compile(r"\$2b\$(?P<cost>0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}", re.ASCII)


def check_imported_hash(text: str) -> str:
    """Return `text` when it is a hash of another system that is taken over.

    Raises: BadInput.
    """
    if not is_imported_hash(text):
        raise BadInput(
            "The hash is not bcrypt in the form $2b$, cost 4 to 14, 60 characters.",
            hint="Other kinds are not taken over: make the account with a password of its own.",
        )
    return text


def is_imported_hash(stored: str | None) -> bool:
    """Tell whether `stored` is a hash of another system."""
    return stored is not None and _BCRYPT.fullmatch(stored) is not None


def fits_imported(stored: str | None, password: str, highest: int) -> bool:
    """Tell whether `password` has the bcrypt hash `stored`, after the work of one check of the cost `highest`.

    With None the work is the same and nothing fits; with a `highest` of 0 there is none to do. The password is tried
    exactly as it came.
    """
    if stored is None and not highest:
        return False
    import bcrypt

    found = _BCRYPT.fullmatch(stored) if stored is not None else None
    own = int(found["cost"]) if found is not None else None
    fits = False
    octets = password.encode()
    is_whole = len(octets) <= BCRYPT_BYTES and b"\0" not in octets
    looked_at = octets if is_whole else b""
    if stored is not None and own is not None:
        fits = bcrypt.checkpw(looked_at, stored.encode()) and is_whole
    for cost in range(own, highest) if own is not None else (highest,):
        bcrypt.hashpw(looked_at, bcrypt.gensalt(cost))
    return fits


class ImportedHashes:
    """Knows the highest cost among the hashes that still are another system's."""

    def __init__(self, database: Database) -> None:
        """Read from `database` when asked for the first time, and after each `forget`."""
        self._database = database
        self._highest: int | None = None
        self._changes = 0

    async def highest(self) -> int:
        """Return the highest cost; 0 when no account has such a hash."""
        if self._highest is not None:
            return self._highest
        changes = self._changes
        row = await self._database.fetch_one(
            "SELECT MAX(SUBSTR(password_hash, 5, 2)) AS cost FROM account WHERE password_hash LIKE $1", "$2b$%"
        )
        highest = int(row["cost"]) if row is not None and row["cost"] is not None else 0
        if changes == self._changes:
            self._highest = highest
        return highest

    def forget(self) -> None:
        """Ask the database anew: a hash came or went. To be called after the commit."""
        self._changes += 1
        self._highest = None
