"""How the key that signs the audit logs is changed: the old one hands over to the new one, and says what it signed.

`audit.keys.json` in the data folder lists the public keys from before, oldest first. Each entry is signed by the key
that it retires, over the key that follows and the size of every log at that moment, so that nobody without the old key
could have written it. What an old key signed counts up to those sizes: a checkpoint from before stays good, and whoever
stole the key can sign nothing later by it.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from failgate.base.canonical import canonical
from failgate.base.errors import StartRefused

HANDOVERS_FILE: Final = "audit.keys.json"
_LARGEST: Final = 64 * 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Retired:
    """A public key that signed before, the sizes of the logs up to which it did, and its signature over both."""

    public: bytes
    until: Mapping[str, int]
    signature: bytes


@dataclass(frozen=True, slots=True)
class Handovers:
    """The keys from before, oldest first, and the name under which all of them sign."""

    origin: str
    retired: tuple[Retired, ...]
    current: bytes

    def after(self, old: Ed25519PrivateKey, fresh: bytes, until: Mapping[str, int]) -> "Handovers":
        """Return them with `old` retired in favour of the public key `fresh`."""
        signature = old.sign(_signed(self.origin, self.current, fresh, until))
        return Handovers(self.origin, (*self.retired, Retired(self.current, dict(until), signature)), fresh)


def mark_of(public: bytes) -> str:
    """Return what recognises a public key: 16 hex digits of its SHA-256."""
    return sha256(public).hexdigest()[:16]


def read_handovers(path: Path) -> Handovers | None:
    """Return what the file says, each entry proven by the key that it retires; None when there is no file.

    Raises: StartRefused (it cannot be read, is damaged, or an entry is not signed by its key).
    """
    try:
        with path.open("rb") as file:
            return parse_handovers(file.read(_LARGEST))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StartRefused(f"{path} cannot be read: {error.strerror}.", hint="Check its owner.") from error
    except (ValueError, KeyError, TypeError, AttributeError, InvalidSignature) as error:
        raise StartRefused(
            f"{path}, which lists the keys that signed the audit logs before, is damaged or was changed.",
            hint="Put it back from a backup.",
        ) from error


def parse_handovers(octets: bytes) -> Handovers:
    """Return what the content of the file says. Raises: ValueError, KeyError, TypeError, InvalidSignature."""
    content: Any = json.loads(octets)
    if content["v"] != 1 or not isinstance(content["origin"], str):
        raise ValueError("another version")
    origin, current = str(content["origin"]), bytes.fromhex(content["current"])
    retired = tuple(
        Retired(
            bytes.fromhex(one["public"]),
            {str(log): int(size) for log, size in one["until"].items()},
            bytes.fromhex(one["signature"]),
        )
        for one in content["retired"]
    )
    followers: Sequence[bytes] = [*(one.public for one in retired[1:]), current] if retired else []
    for one, fresh in zip(retired, followers, strict=True):
        signed = _signed(origin, one.public, fresh, one.until)
        Ed25519PublicKey.from_public_bytes(one.public).verify(one.signature, signed)
    return Handovers(origin, retired, current)


def text_of_handovers(handovers: Handovers) -> str:
    """Return the content of the file."""
    content = {
        "v": 1,
        "origin": handovers.origin,
        "current": handovers.current.hex(),
        "retired": [
            {"public": one.public.hex(), "until": dict(sorted(one.until.items())), "signature": one.signature.hex()}
            for one in handovers.retired
        ],
    }
    return json.dumps(content, indent=1)


def write_handovers(path: Path, handovers: Handovers) -> None:
    """Replace the file at once and for good. Raises: OSError; the old one then still stands."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text_of_handovers(handovers).encode())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _signed(origin: str, old: bytes, fresh: bytes, until: Mapping[str, int]) -> bytes:
    stated = {"origin": origin, "from": old.hex(), "to": fresh.hex(), "until": {log: until[log] for log in until}}
    return b"failgate log key handover v1\n" + canonical(stated)
