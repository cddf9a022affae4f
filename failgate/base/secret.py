"""Secrets as values that do not print themselves."""

import hashlib
import hmac
from typing import final


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
