"""The file: a tar archive that is written and read in one pass, every member by its digest.

```text
failgate-backup.json   what this is, and in which format
objects/<key>          artifacts, as they lie in the store
audit.heads.json       the signed heads, read before the database
database/…             SQLite: a copy of the file; PostgreSQL: the rows of each table
plugins/<name>/<file>  databases of plugins
keys.sealed            audit.key and secrets.key under a passphrase, when that was asked for
manifest.json          everything above by size and SHA-256, and the heads of the audit logs
```
"""

import hashlib
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import msgspec

from failgate import __version__
from failgate.backup.manifest import FORMAT, HEADER, MANIFEST, Header, Manifest, Member
from failgate.base.errors import BadInput, FailgateError, StartRefused
from failgate.base.whole_file import WholeFile

PIECE_BYTES: Final = 1 << 20
_LARGEST_JSON: Final = 1 << 30


class BackupDamaged(FailgateError):
    """The file is not what was written, or its audit log is not what was signed."""

    slug = "backup-damaged"
    exit_code = 1


class BackupIncomplete(FailgateError):
    """Something of the backup is missing: the end of the file, or a member."""

    slug = "backup-incomplete"
    exit_code = 3


class ArchiveWriter:
    """A backup on its way to `path`; it has a name once `finish` returned."""

    def __init__(self, file: WholeFile, backup_id: str) -> None:
        """Begin with the header, which is no member of the manifest: a reader looks at it first."""
        self._file = file
        self.members: dict[str, Member] = {}
        self._name = ""
        self._left = 0
        self._size = 0
        self._digest = hashlib.sha256()
        self.add(HEADER, msgspec.json.encode(Header(FORMAT, backup_id, __version__)))

    def begin(self, name: str, size_bytes: int) -> None:
        """Begin a member of exactly `size_bytes`."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = size_bytes, 0o600
        self._file.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict"))
        self._name, self._size, self._left, self._digest = name, size_bytes, size_bytes, hashlib.sha256()

    def write(self, piece: bytes) -> None:
        """Append to the member that was begun. Raises: FailgateError (it has more bytes than it said)."""
        self._left -= len(piece)
        if self._left < 0:
            raise _resized(self._name)
        self._digest.update(piece)
        self._file.write(piece)

    def end(self) -> None:
        """End the member. Raises: FailgateError (it has fewer bytes than it said)."""
        if self._left:
            raise _resized(self._name)
        self._file.write(b"\0" * (-self._size % tarfile.BLOCKSIZE))
        self.members[self._name] = Member(self._name, self._size, self._digest.hexdigest())

    def add(self, name: str, octets: bytes) -> None:
        """Add a small member."""
        self.begin(name, len(octets))
        self.write(octets)
        self.end()

    def add_file(self, name: str, source: IO[bytes]) -> None:
        """Add all that `source` holds; closes it."""
        with source:
            size_bytes = source.seek(0, 2)
            source.seek(0)
            self.begin(name, size_bytes)
            while piece := source.read(PIECE_BYTES):
                self.write(piece)
            self.end()

    def finish(self, manifest: Manifest) -> str:
        """Add the manifest, make all of it durable and visible; return the manifest's SHA-256 in hex."""
        octets = manifest.octets
        self.add(MANIFEST, octets)
        self._file.write(b"\0" * (2 * tarfile.BLOCKSIZE))
        self._file.keep()
        return hashlib.sha256(octets).hexdigest()


def _resized(name: str) -> FailgateError:
    return FailgateError(f"{name} changed its size while it was read.", hint="Run the backup again.")


@contextmanager
def members_of(path: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """Yield name and stream of each member, in order, each to be read before the next.

    Raises: BadInput (no backup), StartRefused (of a newer version), BackupDamaged.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.", hint="Name the file of a backup.") from error
    with file:
        try:
            with tarfile.open(fileobj=file, mode="r|") as archive:
                yield _members(path, archive)
        except (tarfile.TarError, EOFError) as error:
            file.seek(0)
            if HEADER.encode() not in file.read(tarfile.BLOCKSIZE):
                raise _no_backup(path) from error
            raise BackupIncomplete(
                f"{path} is cut off or damaged: {error}.", hint="Use another copy of it, or another backup."
            ) from error


def _members(path: Path, archive: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for number, info in enumerate(archive):
        stream = archive.extractfile(info) if info.isreg() else None
        if stream is None or (number == 0 and info.name != HEADER):
            if number == 0:
                raise _no_backup(path)
            raise BackupDamaged(f"{path} holds {info.name!a}, which is no plain member.", hint="Use another copy.")
        if number == 0:
            _check_header(path, stream.read(_LARGEST_JSON))
            continue
        yield info.name, stream


def _no_backup(path: Path) -> BadInput:
    return BadInput(f"{path} is no backup of Failgate.", hint="`failgate backup FILE` writes one.")


def _check_header(path: Path, octets: bytes) -> None:
    try:
        header = msgspec.json.decode(octets, type=Header)
    except msgspec.MsgspecError as error:
        raise BackupDamaged(f"The header of {path} is damaged.", hint="Use another copy of it.") from error
    if header.failgate_backup > FORMAT:
        raise StartRefused(
            f"{path} was written by failgate {header.version}, in the newer format {header.failgate_backup}.",
            hint="Restore it with that version.",
        )


def read_manifest(path: Path) -> Manifest:
    """Read the whole file once; return its manifest when every member has the bytes that it names.

    Raises: as `members_of`; BackupDamaged (other bytes), BackupIncomplete (a member or the end is missing).
    """
    found: dict[str, Member] = {}
    manifest: Manifest | None = None
    with members_of(path) as members:
        for name, stream in members:
            if name == MANIFEST:
                manifest = _decoded(path, stream.read(_LARGEST_JSON))
                continue
            if name in found or manifest is not None:
                raise BackupDamaged(f"{path} holds {name!a} twice, or after its end.", hint="Use another copy of it.")
            found[name] = Member(name, *_measured(stream))
    if manifest is None:
        raise BackupIncomplete(f"{path} is cut off or damaged: it has no end.", hint="Use another copy of it.")
    named = {member.name: member for member in manifest.members}
    for name, member in named.items():
        if name not in found:
            raise BackupIncomplete(f"{path} lacks {name}.", hint="Use another copy of it.")
        if found[name] != member:
            raise BackupDamaged(f"In {path}, {name} is not what was written.", hint="Use another copy of it.")
    if stranger := sorted(set(found) - set(named)):
        raise BackupDamaged(f"{path} holds {stranger[0]!a}, which it does not name.", hint="Use another copy of it.")
    return manifest


def _measured(stream: IO[bytes]) -> tuple[int, str]:
    digest, size_bytes = hashlib.sha256(), 0
    while piece := stream.read(PIECE_BYTES):
        digest.update(piece)
        size_bytes += len(piece)
    return size_bytes, digest.hexdigest()


def _decoded(path: Path, octets: bytes) -> Manifest:
    try:
        manifest = msgspec.json.decode(octets, type=Manifest)
    except msgspec.MsgspecError as error:
        raise BackupDamaged(f"The manifest of {path} is damaged: {error}.", hint="Use another copy of it.") from error
    if manifest.octets != octets:
        raise BackupDamaged(f"The manifest of {path} is not as it was written.", hint="Use another copy of it.")
    return manifest
