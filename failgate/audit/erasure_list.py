"""The list of erasures that were asked for: in the database, which backups carry, and in a file, which outlives it.

A database that is put back from before an erasure, by whatever means, lacks a line that the file has: then it is erased
again. The file has each line before the first body goes. It names accounts and workspaces by their ids, nothing else.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from failgate.base.db import Database, Transaction
from failgate.base.errors import BadInput, StorageUnavailable
from failgate.base.sqlite_copy import sync

LIST_FILE: Final = "audit.erasures.json"
_LARGEST: Final = 64 << 20  # bytes; a line takes some 100
_MEND: Final = "Put back a copy of it, or remove it: the server writes it anew from the database."
_ALL: Final = "SELECT kind, subject_id, until_us, done_us FROM audit_erasure ORDER BY kind, subject_id"
_NOTE: Final = """
INSERT INTO audit_erasure (kind, subject_id, until_us, done_us) VALUES ($1, $2, $3, NULL)
ON CONFLICT (kind, subject_id) DO UPDATE SET until_us = excluded.until_us, done_us = NULL
WHERE audit_erasure.until_us < excluded.until_us
"""
_DONE: Final = """
UPDATE audit_erasure SET done_us = $1 WHERE kind = $2 AND subject_id = $3 AND until_us = $4 AND done_us IS NULL
"""


class Subject(NamedTuple):
    """Whose bodies: those of what an account did, or of all records of a workspace's log."""

    kind: Literal["account", "workspace"]
    id: str


Listed: TypeAlias = dict[Subject, int]
"""Until when the bodies of each are erased: those of records of this time, in microseconds since 1970, are too."""


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    kind: Literal["account", "workspace"]
    id: str
    until_us: int


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    v: Literal[1]
    erased: list[_Line]


def merged(*lists: Mapping[Subject, int]) -> Listed:
    """Return all of them in one, each subject until the latest time."""
    found: Listed = {}
    for listed in lists:
        for subject, until_us in listed.items():
            found[subject] = max(until_us, found.get(subject, 0))
    return found


def read_list(path: Path, *, is_optional: bool = False) -> Listed:
    """Return what the file at `path` lists; nothing when it is not there and `is_optional`.

    Raises: BadInput (it cannot be read, or is no such list).
    """
    try:
        with path.open("rb") as file:
            content = msgspec.json.decode(file.read(_LARGEST), type=_Content)
    except FileNotFoundError as error:
        if is_optional:
            return {}
        raise BadInput(f"There is no file {path}.", hint=f"Name a copy of {LIST_FILE}.") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.", hint="Check its owner and its mode.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is no list of erasures: {error}.", hint=_MEND) from error
    return merged(*({Subject(line.kind, line.id): line.until_us} for line in content.erased))


def write_list(path: Path, listed: Mapping[Subject, int]) -> None:
    """Replace the file at once and for good, mode 0600. Raises: StorageUnavailable; the old one then still stands."""
    lines = [{"kind": one.kind, "id": one.id, "until_us": listed[one]} for one in sorted(listed)]
    content: dict[str, Any] = {"v": 1, "erased": lines}
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(content, indent=1).encode())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync(path.parent)
    except OSError as error:
        raise StorageUnavailable(
            f"{path}, which lists what was erased, was not written: {error.strerror}.", hint="Make space there."
        ) from error
    finally:
        fresh.unlink(missing_ok=True)


class ErasureList:
    """The list of one installation, in both places."""

    def __init__(self, database: Database, folder: Path) -> None:
        """Keep the file in `folder`."""
        self._database = database
        self._path = folder / LIST_FILE

    async def note(self, subject: Subject, until_us: int) -> None:
        """Put an erasure on the list, before it begins. Raises: BadInput (the file is damaged), StorageUnavailable."""
        await self.take({subject: until_us})

    async def take(self, listed: Mapping[Subject, int]) -> None:
        """Put erasures on the list, those of the database and of the file into both. Raises: as `note`."""
        stored, _ = await self._stored()
        kept = read_list(self._path, is_optional=True)
        wanted = merged(listed, kept, stored)
        if wanted != kept:
            write_list(self._path, wanted)
        fresh = [(one.kind, one.id, wanted[one]) for one in sorted(wanted) if stored.get(one) != wanted[one]]

        async def verb(tx: Transaction) -> None:
            for values in fresh:
                await tx.execute(_NOTE, *values)

        if fresh:
            await self._database.write(verb)

    async def due(self) -> Listed:
        """Return what is on the list and not erased in this database."""
        stored, done = await self._stored()
        return {subject: until_us for subject, until_us in stored.items() if subject not in done}

    async def compare(self) -> tuple[Listed, Listed]:
        """Return what the file lacks of what the database lists, and the other way round.

        Raises: BadInput (the file is damaged).
        """
        stored, _ = await self._stored()
        kept = read_list(self._path, is_optional=True)
        return (
            {one: until_us for one, until_us in stored.items() if kept.get(one, -1) < until_us},
            {one: until_us for one, until_us in kept.items() if stored.get(one, -1) < until_us},
        )

    async def done(self, subject: Subject, until_us: int, now_us: int) -> None:
        """Note that it is erased, unless more was asked meanwhile."""
        await self._database.write(lambda tx: tx.execute(_DONE, now_us, *subject, until_us))

    async def _stored(self) -> tuple[Listed, set[Subject]]:
        listed: Listed = {}
        done: set[Subject] = set()
        for row in await self._database.fetch(_ALL):
            subject = Subject(row["kind"], row["subject_id"])
            listed[subject] = row["until_us"]
            if row["done_us"] is not None:
                done.add(subject)
        return listed, done
