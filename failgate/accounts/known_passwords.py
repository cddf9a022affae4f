"""Passwords that are long enough to be one here and widely known all the same: a list on disk, nothing of it kept.

`long_passwords.bin` is made by `contrib/passwords/build.py`, which says of what. It begins with four letters and the
length of its notice (4 bytes), the notice, and where each of 4,096 shelves begins (4,097 numbers of 4 bytes, all
big-endian); then come the entries, 6 bytes each, shelf after shelf. Of the SHA-256 of a text (NFC, case-folded, UTF-8)
the first 12 bits name the shelf, and its octets 2 to 7 are the entry. A text that is not listed is taken for one of the
370,000 with a chance of one in 10^12.

Kept in memory, the texts would be 30 MiB; a password is chosen now and then, and reads some hundred bytes of a file.

Source: NIST SP 800-63B-4 section 3.1.1.2; ASVS 5.0 6.2.4.
"""

import hashlib
from collections.abc import Iterable
from importlib.resources import files
from typing import Final

MAGIC: Final = b"FGLP"
SHELVES: Final = 4096
ENTRY_BYTES: Final = 6
_FILE: Final = files("failgate.accounts").joinpath("long_passwords.bin")


def place_of(text: str) -> tuple[int, bytes]:
    """Return the shelf on which `text` would stand, and its entry there."""
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:2], "big") >> 4, digest[2 : 2 + ENTRY_BYTES]


def is_any_listed(texts: Iterable[str]) -> bool:
    """Tell whether one of `texts` (NFC, case-folded) is on the list."""
    places = [place_of(text) for text in texts]
    if not places:
        return False
    with _FILE.open("rb") as file:
        index = 8 + int.from_bytes(file.read(8)[4:], "big")
        entries = index + 4 * (SHELVES + 1)
        for shelf, entry in places:
            file.seek(index + 4 * shelf)
            bounds = file.read(8)
            first, last = int.from_bytes(bounds[:4], "big"), int.from_bytes(bounds[4:], "big")
            file.seek(entries + ENTRY_BYTES * first)
            standing = file.read(ENTRY_BYTES * (last - first))
            at = standing.find(entry)
            while at % ENTRY_BYTES and at >= 0:  # the end of one and the beginning of the next
                at = standing.find(entry, at + 1)
            if at >= 0:
                return True
    return False


def notice() -> str:
    """Return of what the list is made, and under which licence."""
    with _FILE.open("rb") as file:
        head = file.read(8)
        return file.read(int.from_bytes(head[4:], "big")).decode()
