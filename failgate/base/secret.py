"""Secrets as values that do not print themselves."""

import asyncio
import base64
import binascii
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import Final, final

KEY_BYTES: Final = 32


class SecretUnavailable(OSError):
    """The place of a secret could not be read again; the sentence names the place. Drivers take it for a failed way."""


@final
class Secret:
    """A text that shows only by `reveal()`: its `repr`, `str` and format are masked."""

    __slots__ = ("_read", "_text")

    def __init__(self, text: str, read: Callable[[], str] | None = None) -> None:
        """Keep `text`; `read` reads it again in its place (it may block, and raise ValueError)."""
        self._text = text
        self._read = read

    def reveal(self) -> str:
        """Return the text itself. Each call is a place to look at in a review."""
        return self._text

    async def ask(self) -> str:
        """Return what stands in its place now, for what is changed while the server runs; else the text itself.

        Raises: SecretUnavailable.
        """
        if self._read is None:
            return self._text
        try:
            return await asyncio.to_thread(self._read)
        except ValueError as error:
            raise SecretUnavailable(str(error)) from None

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


def asking(secret: Secret | None) -> Callable[[], Awaitable[str]] | None:
    """Return what a driver calls for a password at each new connection; None where there is none."""
    return secret.ask if secret is not None else None


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
