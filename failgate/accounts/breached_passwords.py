"""Passwords that others lost: a file or a folder of their SHA-1 hashes, kept by the operator, asked on this machine.

The file is the one of Have I Been Pwned "ordered by hash": lines `SHA1:COUNT` in upper or lower case, ascending, 40 hex
digits. It is searched by halves, so some 40 reads answer however large it is. The folder has one file for each first
five digits, `00000.txt` to `FFFFF.txt` (or without the ending), with the other 35 in its lines: what the range API
answers. Nothing is loaded at the start, nothing leaves the machine, and a newer file may be moved into place at any
time.

SHA-1 is the format of these lists, and no secret is kept by it: the password that is asked for is there in the clear.
Source: NIST SP 800-63B-4 section 3.1.1.2; ASVS 5.0 6.2.4, 6.2.12.
"""

import asyncio
import hashlib
import os
import re
import unicodedata
from pathlib import Path
from typing import BinaryIO, Final

from failgate.base.errors import BadInput, StartRefused, StorageUnavailable
from failgate.base.log import get_logger

LONGEST_LINE: Final = 128  # bytes; 40 digits, a colon, a count and a line end are fewer than 60
LARGEST_RANGE: Final = 8 << 20  # bytes of a file in a folder; those of 2026 hold about 2,000 lines
_LINE: Final = re.compile(rb"([0-9A-Fa-f]{40})(?::[0-9]{1,15})?\r?\n?")
_RANGE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{35})(?::[0-9]{1,15})?")
_MEND: Final = (
    "Name the file of hashes in ascending order (SHA1:COUNT), or the folder with one file for each first five digits."
)
log = get_logger(__name__)


class BreachedPasswords:
    """Says whether a password stands in the list at `path`. Making one opens nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self) -> None:
        """Look whether the list can be read: its first and its last line, in ascending order.

        Raises: StartRefused, naming the mend.
        """
        try:
            if self._path.is_dir():
                self._in_folder("0" * 40)
                return
            with self._path.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                first, last = self._at(stream, 0, size), self._at(stream, max(size - 2, 0), size)
        except (OSError, ValueError) as error:
            raise StartRefused(f"[accounts] breached_passwords: {self._path}: {_why(error)}", hint=_MEND) from None
        if first is None or last is None or first > last:
            raise StartRefused(f"[accounts] breached_passwords: {self._path} is empty or not in order.", hint=_MEND)

    async def refuse(self, password: str) -> None:
        """Return when `password` is not in the list, as it was typed and in NFC.

        Raises: BadInput (it is); StorageUnavailable (the list cannot be read: no password is accepted unseen).
        """
        forms = {password, unicodedata.normalize("NFC", password)}
        digests = [hashlib.sha1(form.encode(), usedforsecurity=False).hexdigest().upper() for form in forms]
        try:
            is_known = await asyncio.to_thread(lambda: any(self._holds(digest) for digest in digests))
        except (OSError, ValueError) as error:
            log.warning("breached_passwords.unreadable", path=str(self._path), reason=_why(error))
            raise StorageUnavailable(
                "The list of breached passwords cannot be read now, so no password is taken.",
                hint="Try again later, or tell whoever runs this server.",
            ) from None
        if is_known:
            raise BadInput(
                "The password was found in data that others lost.", hint="Choose one that was never used anywhere."
            )

    def _holds(self, digest: str) -> bool:
        if self._path.is_dir():
            return self._in_folder(digest)
        wanted = digest.encode()
        with self._path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            low, high = 0, size  # whoever holds a byte of [low, high) may be the line
            while low < high:
                middle = (low + high) // 2
                found = self._at(stream, middle, size)
                if found == wanted:
                    return True
                low, high = (low, middle) if found is None or found > wanted else (middle + 1, high)
        return False

    def _in_folder(self, digest: str) -> bool:
        name, rest = digest[:5], digest[5:].encode()
        path = self._path / f"{name}.txt"
        path = path if path.exists() else self._path / name
        with path.open("rb") as stream:
            content = stream.read(LARGEST_RANGE + 1)
        if len(content) > LARGEST_RANGE:
            raise ValueError(f"{path.name} is larger than any range")
        lines = content.split()
        if not lines:
            raise ValueError(f"{path.name} is empty")
        for line in lines:
            found = _RANGE_LINE.fullmatch(line)
            if found is None:
                raise ValueError(f"{path.name} holds something else")
            if found[1].upper() == rest:
                return True
        return False

    def _at(self, stream: BinaryIO, offset: int, size: int) -> bytes | None:
        """Return the hash of the line in which the byte `offset` lies; None where the file has none.

        Raises: ValueError (something else stands there).
        """
        begin = max(offset - LONGEST_LINE, 0)
        stream.seek(begin)
        window = stream.read(offset - begin + LONGEST_LINE)
        if not window:
            return None
        start = window.rfind(b"\n", 0, offset - begin) + 1
        end = window.find(b"\n", offset - begin)
        if end < 0 and begin + len(window) < size:
            raise ValueError(f"a line at byte {begin + start} is too long")
        line = window[start:] if end < 0 else window[start : end + 1]
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"the line at byte {begin + start} is no hash")
        return found[1].upper()


def _why(error: OSError | ValueError) -> str:
    return (error.strerror or "cannot be read") if isinstance(error, OSError) else str(error)
