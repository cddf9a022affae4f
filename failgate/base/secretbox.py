"""Values sealed at rest: AES-256-GCM under a key that lies beside the database, never in it.

Who copies the database alone gets no TOTP secret out of it. Each value is bound to its purpose and owner, so a sealed
value cannot be moved to another row. Not here: passwords and tokens, which are hashed and never opened again.

The key is changed in three steps, each of which a kill leaves in a state that the next start goes on from: the new key
is durable in `secrets.key.next` and seals from then on, everything is sealed anew (`failgate/resealing.py`), the new
file takes the place of the old one, which stays as `secrets.key.<its mark>` for backups of its days.
"""

import hashlib
import os
import secrets
import stat
from pathlib import Path
from typing import Final, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from failgate.base.errors import Conflict, FailgateError, StartRefused

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12  # NIST SP 800-38D section 8.2.2: random, far below 2**32 values under one key
_VERSION: Final = b"\x01"


@final
class SecretBox:
    """Seals and opens values under one 256-bit key; while it is changed, opens those of the one before too."""

    __slots__ = ("_keys", "_path")

    def __init__(self, key: bytes, previous: bytes | None = None, *, path: Path | None = None) -> None:
        """Seal by `key`, 32 bytes; `previous` opens what is not sealed anew yet. `path` is the file of the key.

        Raises: StartRefused (another length).
        """
        keys = [key] if previous is None or previous == key else [key, previous]
        for each in keys:
            if len(each) != KEY_BYTES:
                raise StartRefused(
                    f"The key for sealed values has {len(each)} bytes in place of {KEY_BYTES}.",
                    hint="Put the key file back from a backup.",
                )
        self._keys = [(mark_of(each), AESGCM(each)) for each in keys]
        self._path = path

    @classmethod
    def open(cls, path: Path) -> "SecretBox":
        """Return a box under the key in `path`, which is made (mode 0600) when it does not exist.

        Raises: StartRefused (the file is readable by others, of a wrong size, a link, or cannot be read or made).
        """
        try:
            _make_key_file(path)
            fresh = _next(path)
            kept = _read_key_file(path)
            return cls(kept, path=path) if not fresh.exists() else cls(_read_key_file(fresh), kept, path=path)
        except OSError as error:
            raise StartRefused(
                f"The key file {path} cannot be used: {error.strerror or error}.",
                hint="Make it a readable plain file in a writable folder.",
            ) from error

    @classmethod
    def given(cls, key: bytes, path: Path, previous: bytes | None = None) -> "SecretBox":
        """Return a box under `key`, which is kept elsewhere, as is `previous`; in `path` there may be no other one.

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
        return cls(key, previous)

    @property
    def mark(self) -> str:
        """Return what recognises the key that seals: 16 hex digits, no secret."""
        return self._keys[0][0]

    @property
    def mark_before(self) -> str | None:
        """Return that of the key before it, while values may still be sealed by that one."""
        return self._keys[1][0] if len(self._keys) > 1 else None

    def begin(self) -> None:
        """Seal by a new key from now on, durable in the file beside the old one; both open. Again: goes on.

        Raises: Conflict (the key is not in a file of ours), StartRefused (the new file cannot be made).
        """
        if self._path is None:
            raise Conflict(
                "The key is with your secrets manager ([keys] sealing), which this command cannot change.",
                hint="Put a new key there, name the old one as previous_sealing in [keys], and start the server again.",
            )
        if self.mark_before is None:
            try:
                _make_key_file(_next(self._path))
            except OSError as error:
                raise StartRefused(
                    f"{_next(self._path)} cannot be made: {error.strerror or error}.", hint="Make space there."
                ) from error
            fresh = _read_key_file(_next(self._path))
            self._keys.insert(0, (mark_of(fresh), AESGCM(fresh)))

    def finish(self) -> str | None:
        """Let the new key alone stand; return the name of the file in which the old one lies, if it is in a file.

        Raises: OSError; the next start then goes on.
        """
        before = self.mark_before
        if before is None:
            return None
        kept = None
        if self._path is not None and _next(self._path).exists():
            old = self._path.with_name(f"{self._path.name}.{before}")
            if not old.exists():
                os.link(self._path, old)
            _next(self._path).replace(self._path)
            _sync(self._path.parent)
            kept = old.name
        self._keys = self._keys[:1]
        return kept

    def is_current(self, sealed: bytes, *, purpose: str, owner: str) -> bool:
        """Tell whether the key that seals now opens `sealed`. Raises: FailgateError (no key does)."""
        opened_by, _ = self._opened(bytes(sealed), purpose, owner)
        return opened_by == self.mark

    def seal(self, plain: bytes, *, purpose: str, owner: str) -> bytes:
        """Return `plain` sealed for `purpose` and `owner`: version byte, nonce, ciphertext, tag (29 bytes longer)."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return _VERSION + nonce + self._keys[0][1].encrypt(nonce, plain, _binding(purpose, owner))

    def unseal(self, sealed: bytes, *, purpose: str, owner: str) -> bytes:
        """Return what was sealed for the same `purpose` and `owner`.

        Raises: FailgateError (another key, purpose or owner, or changed bytes).
        """
        return self._opened(bytes(sealed), purpose, owner)[1]

    def _opened(self, body: bytes, purpose: str, owner: str) -> tuple[str, bytes]:
        nonce, rest = body[1 : 1 + NONCE_BYTES], body[1 + NONCE_BYTES :]
        for mark, cipher in self._keys if body[:1] == _VERSION else ():
            try:
                return mark, cipher.decrypt(nonce, rest, _binding(purpose, owner))
            except (InvalidTag, ValueError):
                continue
        raise _does_not_open(purpose)


def mark_of(key: bytes) -> str:
    """Return what recognises the key: 16 hex digits of a SHA-256 over its 256 random bits."""
    return hashlib.sha256(b"failgate secrets key\n" + key).hexdigest()[:16]


def _next(path: Path) -> Path:
    return path.with_name(f"{path.name}.next")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
        _sync(path.parent)
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
