"""E-mail addresses as the names of accounts: which texts are one, and the one way each is written. Pure."""

import re
import unicodedata
from typing import Final

from failgate.base.errors import BadInput

MAX_CHARACTERS: Final = 254  # RFC 5321 section 4.5.3.1.3, without the angle brackets
_LOCAL: Final = re.compile(r"[^\s@\"<>(),:;\[\]\\]{1,64}")
_DOMAIN: Final = re.compile(r"(?=.{1,253}\Z)[^\W_](?:[\w-]{0,61}[^\W_])?(?:\.[^\W_](?:[\w-]{0,61}[^\W_])?)*")


def normalise_email(text: str) -> str:
    """Return `text` as accounts are named: without outer spaces, NFC, lower-case.

    Not case-folded: that would make one name of `straße` and `strasse`, which are two mailboxes.

    Raises: BadInput (it is not an e-mail address).
    """
    email = normalised_or_none(text)
    if email is None:
        raise BadInput("That is not an e-mail address.", hint="Write it like name@example.com.")
    return email


def normalised_or_none(text: str) -> str | None:
    """Return what `normalise_email` returns, or None."""
    if len(text) > MAX_CHARACTERS * 2 or any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        return None
    email = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text.strip()).lower())
    local, at, domain = email.rpartition("@")
    is_written_so = at and _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain)
    if not is_written_so or len(email) > MAX_CHARACTERS or not email.isprintable():
        return None
    return email
