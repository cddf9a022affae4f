"""The signer's two files in the data folder: its key, and the sidecar with the last signed head of each log.

The sidecar lies outside the database, so that a database that was put back to an older state is found out at the next
start. Both are written whole, made durable and then renamed.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from failgate.audit.checkpoint import Checkpoint, NoteRejected, Verifier, open_note, read_unverified, sign
from failgate.audit.handover import HANDOVERS_FILE, Handovers, Retired, read_handovers
from failgate.base.errors import StartRefused
from failgate.base.secret import Secret, key_of

KEY_FILE = "audit.key"
SIDECAR_FILE = "audit.heads.json"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signs: the Ed25519 public key, and the name under which it signs each log: `<origin>/log/<log>`.

    `earlier` are the keys that signed before it, which count up to where each handed over.
    """

    public: bytes
    origin: str
    earlier: tuple[Retired, ...] = ()

    def verifier(self, log: str) -> Verifier:
        """Return the public key that proves checkpoints of `log`."""
        return Verifier(f"{self.origin}/log/{log}", self.public)

    def signed(self, log: str, note: str) -> Checkpoint:
        """Return the head in `note`, which this key signed for `log`, or an earlier one up to where it handed over.

        Raises: NoteRejected.
        """
        checkpoint, verifier = read_unverified(note), self.verifier(log)
        if checkpoint.origin != verifier.name:
            raise NoteRejected(f"The note is of {checkpoint.origin}, not of {verifier.name}.")
        return self.vouched(note)

    def vouched(self, note: str) -> Checkpoint:
        """Return the head in `note` as `signed` does, of whatever log, under whatever name the installation has.

        Raises: NoteRejected.
        """
        checkpoint = read_unverified(note)
        log = checkpoint.origin.rpartition("/log/")[2]
        for one in self.earlier:
            try:
                open_note(note, [Verifier(checkpoint.origin, one.public)])
            except NoteRejected:
                continue
            if checkpoint.size > one.until.get(log, 0):
                raise NoteRejected(
                    f"The note is signed by a key that was retired when the log had {one.until.get(log, 0)} records.",
                    hint="Somebody who has the old key may have made it.",
                )
            return checkpoint
        open_note(note, [Verifier(checkpoint.origin, self.public)])
        return checkpoint

    def is_of_current(self, note: str) -> bool:
        """Tell whether the key in use signed `note`."""
        try:
            open_note(note, [Verifier(read_unverified(note).origin, self.public)])
        except NoteRejected:
            return False
        return True


class Signer(Identity):
    """An identity whose private key is in this process."""

    __slots__ = ("key",)

    def __init__(self, key: Ed25519PrivateKey, origin: str, earlier: tuple[Retired, ...] = ()) -> None:
        """Sign by `key` under `origin`, after the keys `earlier`."""
        Identity.__init__(self, key.public_key().public_bytes_raw(), origin, earlier)
        object.__setattr__(self, "key", key)
        self.key: Ed25519PrivateKey

    def checkpoint(self, log: str, size: int, root: bytes) -> str:
        """Return the signed note of this head."""
        verifier = self.verifier(log)
        return sign(Checkpoint(verifier.name, size, root).text, verifier, self.key)


def default_origin(public: bytes) -> str:
    """Return a name that no other installation has: it comes from the public key."""
    return f"failgate-{sha256(public).hexdigest()[:16]}"


def read_key(path: Path) -> Ed25519PrivateKey | None:
    """Return the key in the file `path`, or None when there is no file.

    Raises: StartRefused (readable by others, or not an Ed25519 key in PEM).
    """
    try:
        mode = path.stat().st_mode
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StartRefused(
            f"The audit key {path} cannot be read: {error.strerror}.", hint="Check its owner."
        ) from error
    if mode & 0o077:
        raise StartRefused(f"The audit key {path} is open to other users.", hint=f"Run: chmod 600 {path}")
    try:
        key = load_pem_private_key(text, password=None)
    except (ValueError, TypeError) as error:
        raise StartRefused(f"The audit key {path} is damaged.", hint="Put it back from a backup.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StartRefused(f"The audit key {path} is not an Ed25519 key.", hint="Put it back from a backup.")
    return key


def log_key_of(secret: Secret | None) -> Ed25519PrivateKey | None:
    """Return the key that `[keys] log` says: the 32 bytes of an Ed25519 private key (RFC 8032) in base64."""
    return None if secret is None else Ed25519PrivateKey.from_private_bytes(key_of(secret))


def key_in_use(path: Path, given: Ed25519PrivateKey | None) -> Ed25519PrivateKey | None:
    """Return `given`, a key that is kept elsewhere, or without one that of the file `path`; None when there is neither.

    Raises: StartRefused (as `read_key`; or the file holds another key than the given one).
    """
    kept = read_key(path)
    if given is not None and kept is not None and kept.private_bytes_raw() != given.private_bytes_raw():
        raise StartRefused(
            f"[keys] log is another key than that of {path}.",
            hint="Give the manager this file's key (docs/operator.md), start, then remove the file.",
        )
    return given or kept


def signer_of(data_dir: Path, key: Ed25519PrivateKey, origin: str | None = None) -> Signer:
    """Return `key` as the signer of this folder, with the keys that handed over to it and the name that they signed by.

    Raises: StartRefused (the list of earlier keys is damaged, or ends at another key).
    """
    handovers = read_handovers(data_dir / HANDOVERS_FILE)
    if handovers is None:
        return Signer(key, origin or default_origin(key.public_key().public_bytes_raw()))
    if handovers.current != key.public_key().public_bytes_raw():
        raise StartRefused(
            f"The audit key is not the one that {data_dir / HANDOVERS_FILE} says took over.",
            hint="Put both back from one backup.",
        )
    return Signer(key, origin or handovers.origin, handovers.retired)


def handovers_of(data_dir: Path, signer: Signer) -> Handovers:
    """Return what the folder's list says, or an empty one that begins with the key of `signer`."""
    found = read_handovers(data_dir / HANDOVERS_FILE)
    return found or Handovers(signer.origin, (), signer.public)


def make_key(path: Path) -> Ed25519PrivateKey:
    """Make a key and keep it as `keep_key` does. Raises: FileExistsError, OSError."""
    key = Ed25519PrivateKey.generate()
    keep_key(path, key)
    return key


def keep_key(path: Path, key: Ed25519PrivateKey) -> None:
    """Keep `key` in the new file `path`, readable by its owner alone. An older file is left as it is.

    Raises: FileExistsError, OSError.
    """
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def read_sidecar(path: Path) -> dict[str, str] | None:
    """Return the last signed note of each log, or None when there is no file.

    Raises: StartRefused (damaged).
    """
    try:
        content: Any = json.loads(path.read_bytes())
        logs: Any = content["logs"]
        is_damaged = content["v"] != 1 or not all(isinstance(note, str) for note in logs.values())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StartRefused(f"{path} cannot be read: {error.strerror}.", hint="Check its owner.") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        is_damaged, logs = True, {}
    if is_damaged:
        raise StartRefused(
            f"{path}, which holds the last signed heads of the audit logs, is damaged.",
            hint="Put it back from a backup, or remove it and start once with --accept-rollback, which is recorded.",
        )
    return cast("dict[str, str]", logs)


def write_sidecar(path: Path, notes: Mapping[str, str]) -> None:
    """Replace the sidecar by one with these notes, at once and for good.

    Raises: OSError; the old file then still stands.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    text = json.dumps({"v": 1, "logs": dict(sorted(notes.items()))}, indent=1).encode()
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
