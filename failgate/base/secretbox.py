"""Values sealed at rest: AES-256-GCM under a key that lies beside the database, never in it.

Who copies the database alone gets no TOTP secret out of it. Each value is bound to its purpose and owner, so a sealed
value cannot be moved to another row. Not here: passwords and tokens, which are hashed and never opened again.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import Final, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from failgate.base.errors import FailgateError, StartRefused

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12  # NIST SP 800-38D section 8.2.2: random, far below 2**32 values under one key
_VERSION: Final = b"\x01"


@final
class SecretBox:
    """Seals and opens values under one 256-bit key."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        """Use `key`, 32 bytes.

        Raises: StartRefused (another length).
        """
        if len(key) != KEY_BYTES:
            raise StartRefused(
                f"The key for sealed values has {len(key)} bytes in place of {KEY_BYTES}.",
                hint="Put the key file back from a backup.",
            )
        self._cipher = AESGCM(key)

    @classmethod
    def open(cls, path: Path) -> "SecretBox":
        """Return a box under the key in `path`, which is made (mode 0600) when it does not exist.

        Raises: StartRefused (the file is readable by others, of a wrong size, a link, or cannot be read or made).
        """
        try:
            _make_key_file(path)
            return cls(_read_key_file(path))
        except OSError as error:
            raise StartRefused(
                f"The key file {path} cannot be used: {error.strerror or error}.",
                hint="Make it a readable plain file in a writable folder.",
            ) from error

    @classmethod
    def given(cls, key: bytes, path: Path) -> "SecretBox":
        """Return a box under `key`, which is kept elsewhere; in `path` there may be no other one.

        Raises: StartRefused (the file `path` holds another key: one of the two opens what is sealed).
        """
        try:
            is_other = path.exists() and _read_key_file(path) != key
        except OSError as error:
            raise StartRefused(f"The key file {path} cannot be read: {error.strerror or error}.") from error
        if is_other:
            raise StartRefused(
                f"[keys] sealing is another key than that of {path}.",
                hint="Give the manager this file's key (base64 < secrets.key), start, then remove the file.",
            )
        return cls(key)

    def seal(self, plain: bytes, *, purpose: str, owner: str) -> bytes:
        """Return `plain` sealed for `purpose` and `owner`: version byte, nonce, ciphertext, tag (29 bytes longer)."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plain, _binding(purpose, owner))

    def unseal(self, sealed: bytes, *, purpose: str, owner: str) -> bytes:
        """Return what was sealed for the same `purpose` and `owner`.

        Raises: FailgateError (another key, purpose or owner, or changed bytes).
        """
        body = bytes(sealed)
        if body[:1] != _VERSION:
            raise _does_not_open(purpose)
        try:
            return self._cipher.decrypt(body[1 : 1 + NONCE_BYTES], body[1 + NONCE_BYTES :], _binding(purpose, owner))
        except (InvalidTag, ValueError) as error:
            raise _does_not_open(purpose) from error


def _does_not_open(purpose: str) -> FailgateError:
    return FailgateError(
        f"A sealed value ({purpose}) does not open: it was changed, or it was made with another key file.",
        hint="Put `secrets.key` back from the backup that belongs to this database.",
    )


def _binding(purpose: str, owner: str) -> bytes:
    # The length in front keeps ("ab", "c") and ("a", "bc") apart.
    return f"failgate:{len(purpose)}:{purpose}:{owner}".encode()


def _make_key_file(path: Path) -> None:
    if path.exists():
        return
    # Written whole under another name first: a crash or a second process never meets half a key.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        draft.unlink(missing_ok=True)


def _read_key_file(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise StartRefused(
                f"The key file {path} is open to other users (mode {mode:04o}).", hint=f"Run `chmod 600 {path}`."
            )
        return file.read(KEY_BYTES + 1)
