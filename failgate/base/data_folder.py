"""Who holds a data folder and a database file: one server or command at a time; the locks end with their process."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from failgate.base.errors import StartRefused
from failgate.base.open_database import sqlite_path

LOCK_FILE: Final = "server.lock"
SECRETS_KEY: Final = "secrets.key"


def holds_failgate(folder: Path) -> bool:
    """Tell whether a server or a command has begun in `folder`: it left its lock or its key there.

    Raises: StartRefused (another account's folder).
    """
    try:
        return (folder / LOCK_FILE).exists() or (folder / SECRETS_KEY).exists()
    except OSError as error:
        raise _not_usable(f"data folder {folder}", error) from error


def require_failgate(folder: Path) -> None:
    """Return when `folder` holds a Failgate, so that a mistyped name makes no second one.

    Raises: StartRefused.
    """
    if not holds_failgate(folder):
        raise StartRefused(
            f"There is no Failgate in {folder}.",
            hint="Name its folder with --data DIR, or begin one: failgate serve, failgate admin bootstrap.",
        )


@contextlib.contextmanager
def hold_data_folder(folder: Path) -> Iterator[None]:
    """Make `folder` (mode 0700) and keep every other server and command off it until left.

    Raises: StartRefused (not writable, or another server uses it).
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _not_usable(f"data folder {folder}", error) from error
    with _hold(folder / LOCK_FILE, f"data folder {folder}"):
        yield


@contextlib.contextmanager
def hold_database_file(url: str) -> Iterator[None]:
    """Keep every other server off the SQLite file at `url`, whichever data folder it uses; PostgreSQL locks itself.

    Raises: StartRefused.
    """
    path = sqlite_path(url)
    with contextlib.nullcontext() if path is None else _hold(path.with_name(f"{path.name}.lock"), f"database {path}"):
        yield


@contextlib.contextmanager
def _hold(lock: Path, what: str) -> Iterator[None]:
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _not_usable(what, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise StartRefused(
            f"Another Failgate server uses the {what}.",
            hint="Stop it first, or give this one a folder of its own with --data DIR.",
        ) from error
    try:
        yield
    finally:
        os.close(handle)


def _not_usable(what: str, error: OSError) -> StartRefused:
    return StartRefused(
        f"The {what} cannot be used: {error.strerror}.",
        hint="Make it writable for this account, or choose another with --data DIR.",
    )
