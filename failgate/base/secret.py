"""Secrets as values that do not print themselves."""

import base64
import binascii
import hashlib
import hmac
from typing import Final, final

KEY_BYTES: Final = 32


@final
class Secret:
    """A text that shows only by `reveal()`: its `repr`, `str` and format are masked."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Keep `text`."""
        self._text = text

    def reveal(self) -> str:
        """Return the text itself. Each call is a place to look at in a review."""
        return self._text

    def __repr__(self) -> str:
        """Return a mask."""
        return "Secret('********')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        """Compare in constant time."""
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        """Return a hash that does not reveal the text."""
        return hash(hashlib.sha256(self._text.encode()).digest())


def key_of(secret: Secret) -> bytes:
    """Return the 256-bit key that `secret` says in base64.

    Raises: ValueError.
    """
    mend = "make one with `openssl rand -base64 32`"
    try:
        key = base64.b64decode(secret.reveal(), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"is not base64: {mend}") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"has {len(key)} bytes in place of {KEY_BYTES}: {mend}")
    return key
