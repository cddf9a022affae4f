"""Backup codes: what a person keeps on paper for the day the phone is lost. Pure.

Each code carries 120 random bits, so a plain SHA-256 is enough to store it (ASVS 6.5.2 asks for a slow hash below 112).
"""

import base64
import hashlib
import re
import secrets
from typing import Final

COUNT: Final = 10
CODE_BYTES: Final = 15
_WRITTEN: Final = re.compile(r"[a-z2-7]{24}", re.ASCII)
_SEPARATORS: Final = re.compile(r"[ \t-]", re.ASCII)


def new_codes() -> list[str]:
    """Return ten fresh codes, each four groups of six characters of base32 joined by hyphens."""
    return [_write(secrets.token_bytes(CODE_BYTES)) for _ in range(COUNT)]


def digest_of_code(text: str) -> str | None:
    """Return the stored form of the code `text` (SHA-256 in hexadecimal), or None when it is not written like one.

    Case, spaces and hyphens do not matter.
    """
    if len(text) > 64 or not text.isascii():
        return None
    plain = _SEPARATORS.sub("", text).lower()
    if _WRITTEN.fullmatch(plain) is None:
        return None
    return hashlib.sha256(plain.encode()).hexdigest()


def _write(raw: bytes) -> str:
    text = base64.b32encode(raw).decode().lower()
    return "-".join(text[start : start + 6] for start in range(0, len(text), 6))
