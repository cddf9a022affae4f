"""The key files of an installation, under a passphrase: without it, who has the backup signs and opens nothing.

They are left out unless the operator asks: with `audit.key` and `secrets.key` beside the database, a stolen backup
would sign audit heads and open every sealed secret.
"""

import base64
import secrets
from typing import Final

import msgspec
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from failgate.audit.signing import KEY_FILE
from failgate.base.data_folder import SECRETS_KEY
from failgate.base.errors import BadInput, FailgateError
from failgate.base.secretbox import SecretBox

KEY_FILES: Final = (KEY_FILE, SECRETS_KEY)
SHORTEST: Final = 15  # characters of a passphrase, as of a password
_N, _R, _P = 1 << 17, 8, 1  # scrypt: 128 MiB and a third of a second for each guess
_SALT_BYTES: Final = 16
_PURPOSE: Final = "backup keys"


class _Sealed(msgspec.Struct, frozen=True):
    salt: str
    sealed: str
    kdf: str = "scrypt 131072 8 1"


def seal_keys(files: dict[str, bytes], passphrase: str, backup_id: str) -> bytes:
    """Return the member that holds `files`. Raises: BadInput (a short passphrase)."""
    if len(passphrase) < SHORTEST:
        raise BadInput(f"The passphrase has less than {SHORTEST} characters.", hint="Take a longer one.")
    salt = secrets.token_bytes(_SALT_BYTES)
    plain = msgspec.json.encode({name: base64.b64encode(octets).decode() for name, octets in files.items()})
    sealed = _box(passphrase, salt).seal(plain, purpose=_PURPOSE, owner=backup_id)
    return msgspec.json.encode(_Sealed(base64.b64encode(salt).decode(), base64.b64encode(sealed).decode()))


def open_keys(member: bytes, passphrase: str, backup_id: str) -> dict[str, bytes]:
    """Return the files by name. Raises: BadInput (another passphrase, or a damaged member)."""
    try:
        kept = msgspec.json.decode(member, type=_Sealed)
        salt, sealed = base64.b64decode(kept.salt), base64.b64decode(kept.sealed)
        plain = _box(passphrase, salt).unseal(sealed, purpose=_PURPOSE, owner=backup_id)
        found = msgspec.json.decode(plain, type=dict[str, str])
    except (FailgateError, ValueError, msgspec.MsgspecError) as error:
        raise BadInput(
            "This passphrase does not open the keys of the backup.", hint="Give the one of that day."
        ) from error
    return {name: base64.b64decode(text) for name, text in found.items() if name in KEY_FILES}


def _box(passphrase: str, salt: bytes) -> SecretBox:
    return SecretBox(Scrypt(salt, 32, _N, _R, _P).derive(passphrase.encode()))
