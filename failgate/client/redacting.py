"""The scanner of this machine: its rules, its sensitive variables, and the key that makes its tags.

The key lies in the client's own folder for this user alone. Reports of one machine give one secret one tag; whoever has
a report and not that key cannot try guesses against its tags.
"""
# ruff: noqa: PTH103, PTH108, PTH118 -- pathlib would slow the start

import contextlib
import os
from collections.abc import Mapping

from failgate.client.keyring import home
from failgate.redaction import Scanner, environment_secrets

KEY_FILE = "redaction.key"
_KEY_BYTES = 32


def open_scanner(environment: Mapping[str, str]) -> Scanner:
    """Return a scanner that knows the secrets of `environment` and has this machine's key.

    Where no key can be kept (a read-only home), the scanner has a key of its own: nothing is lost but equal tags in
    another report.
    """
    return Scanner(values=environment_secrets(environment), key=_machine_key(home(environment)))


def _machine_key(folder: str) -> bytes | None:
    path = os.path.join(folder, KEY_FILE)
    with contextlib.suppress(OSError):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            _write(path, os.urandom(_KEY_BYTES))
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            key = os.read(descriptor, _KEY_BYTES)
        finally:
            os.close(descriptor)
        if len(key) == _KEY_BYTES:
            return key
    return None


def _write(path: str, key: bytes) -> None:
    """Write `key` to `path` unless it is there: the file appears with its content or not at all."""
    fresh = f"{path}.{os.urandom(8).hex()}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(key)
        os.link(fresh, path)
    finally:
        os.unlink(fresh)
