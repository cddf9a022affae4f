"""Making a backup: objects first, then one moment of every database, until each row of that moment has its object.

It runs in a process of its own beside the server, which waits for it a few milliseconds at most.
"""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from failgate import __version__
from failgate.artifacts.artifact import Artifact
from failgate.artifacts.artifacts import closing
from failgate.artifacts.store import ArtifactStore
from failgate.audit.signing import KEY_FILE, SIDECAR_FILE
from failgate.backup.archive import ArchiveWriter
from failgate.backup.found_keys import marks_of_keys
from failgate.backup.manifest import FORMAT, HANDOVERS, HEADER, OBJECT_FOLDER, SEALED_KEYS, SIDECAR, Manifest
from failgate.backup.moment import Moment, take_moment
from failgate.backup.sealed_keys import KEY_FILES, seal_keys
from failgate.base.clock import Clock
from failgate.base.data_folder import SECRETS_KEY
from failgate.base.errors import BadInput, FailgateError, NotFound, StartRefused, StorageUnavailable
from failgate.base.ids import new_id
from failgate.base.whole_file import WholeFile
from failgate.config.model import Config

TOLD_EVERY: Final = 500  # artifacts
ROUNDS: Final = 20  # of taking the moment again because something was deleted meanwhile
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made: its manifest, the manifest's digest, the size of the file."""

    manifest: Manifest
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Wishes:
    """What goes in: artifacts, and the keys under `passphrase` (None: they are left out)."""

    has_artifacts: bool = True
    passphrase: str | None = None


async def make_backup(
    config: Config, data_dir: Path, target: Path, wishes: Wishes, *, store: ArtifactStore, clock: Clock, tell: Tell
) -> Made:
    """Write the installation into the new file `target`, which has that name only once it is whole and durable.

    Raises: Conflict (`target` is there), StartRefused, StorageUnavailable; nothing is left of the file then.
    """
    keys = _read_keys(data_dir)
    if wishes.passphrase is not None and not keys:
        raise BadInput(
            f"There is no key file in {data_dir}: [keys] takes them from a secrets manager.",
            hint="Leave --seal-keys out, and back the manager up.",
        )
    with WholeFile(target) as file:
        making = _Making(config, data_dir, file, wishes, _Objects(store, tell), tell)
        manifest = await making.fill(keys, new_id(), clock)
        return Made(manifest, making.writer.finish(manifest), file.size_bytes)


class _Making:
    """One backup on its way."""

    def __init__(
        self, config: Config, data_dir: Path, file: WholeFile, wishes: Wishes, objects: "_Objects", tell: Tell
    ) -> None:
        self._config = config
        self._data_dir = data_dir
        self._scratch = file.path.parent
        self._file = file
        self._wishes = wishes
        self._objects = objects
        self._tell = tell

    async def fill(self, keys: dict[str, bytes], backup_id: str, clock: Clock) -> Manifest:
        """Write every member but the manifest, which is returned."""
        self.writer = ArchiveWriter(self._file, backup_id)
        if self._wishes.passphrase is not None:
            self.writer.add(SEALED_KEYS, seal_keys(keys, self._wishes.passphrase, backup_id))
        if self._wishes.has_artifacts:
            async with take_moment(self._config, self._data_dir) as moment:
                artifacts = await moment.artifacts()
            await self._objects.copy(artifacts, self.writer)  # the longest part, and no moment is held meanwhile
        for _ in range(ROUNDS):
            sidecar = _read_sidecar(self._data_dir)  # before the moment: the database then holds what was signed
            async with take_moment(self._config, self._data_dir) as moment:
                if self._wishes.has_artifacts and not await self._objects.copy(await moment.artifacts(), self.writer):
                    continue
                self.writer.add(SIDECAR, sidecar)
                handovers = self._data_dir / HANDOVERS
                if handovers.exists():
                    self.writer.add(HANDOVERS, handovers.read_bytes())
                async for name, content in moment.copies(self._scratch):
                    self._tell(name)
                    self.writer.add_file(name, content)
                return await self._manifest(moment, backup_id, clock.now_us())
        raise StorageUnavailable("Artifacts were deleted all the time that the backup ran.", hint="Run it again.")

    async def _manifest(self, moment: Moment, backup_id: str, now_us: int) -> Manifest:
        marks = marks_of_keys(self._config, self._data_dir)
        return Manifest(
            format=FORMAT,
            id=backup_id,
            made_us=now_us,
            version=__version__,
            database=moment.core.dialect,
            schema=await moment.schema(),
            heads=await moment.heads(),
            public_key=marks.get(KEY_FILE),
            secrets_key=marks.get(SECRETS_KEY),
            keys="left out" if self._wishes.passphrase is None else "sealed",
            artifacts="copied" if self._wishes.has_artifacts else "left out",
            store=self._config.artifacts.store,
            members=[member for name, member in sorted(self.writer.members.items()) if name != HEADER],
            tables=moment.core.tables,
            lost=sorted(self._objects.lost),
        )


class _Objects:
    """The artifacts that are in the archive, and those that cannot be."""

    def __init__(self, store: ArtifactStore, tell: Tell) -> None:
        self._store = store
        self._tell = tell
        self._absent: set[str] = set()
        self._copied: set[str] = set()
        self.lost: set[str] = set()

    async def copy(self, artifacts: list[Artifact], writer: ArchiveWriter) -> bool:
        """Copy what is not copied yet; tell whether all of it is there, or lost for good.

        An object that is not there twice in a row while its row is, is lost: a deletion removes the row first.
        """
        due = [one.key for one in artifacts if one.key not in self._copied and one.key not in self.lost]
        absent: set[str] = set()
        for number, key in enumerate(due, 1):
            try:
                await self._add(key, writer)
            except NotFound:
                absent.add(key)
            if number % TOLD_EVERY == 0 or number == len(due):
                self._tell(f"{number} of {len(due)} artifacts")
        self.lost |= absent & self._absent
        self._absent = absent
        return not absent - self.lost

    async def _add(self, key: str, writer: ArchiveWriter) -> None:
        size_bytes = await self._store.size(key)
        async with aclosing(closing(self._store.open(key))) as pieces:
            first = await anext(pieces, b"")  # an object that is gone says so here, before anything is written of it
            writer.begin(f"{OBJECT_FOLDER}{key}", size_bytes)
            writer.write(first)
            try:
                async for piece in pieces:
                    writer.write(piece)
            except NotFound as error:
                raise FailgateError("An artifact was deleted while it was copied.", hint="Run it again.") from error
        writer.end()
        self._copied.add(key)


def _read_keys(data_dir: Path) -> dict[str, bytes]:
    """Return the key files that there are."""
    try:
        return {name: (data_dir / name).read_bytes() for name in KEY_FILES if (data_dir / name).exists()}
    except OSError as error:
        raise StartRefused(
            f"The keys in {data_dir} cannot be read: {error.strerror}.", hint="Run as the account that runs the server."
        ) from error


def _read_sidecar(data_dir: Path) -> bytes:
    try:
        return (data_dir / SIDECAR_FILE).read_bytes()
    except OSError as error:
        raise StartRefused(
            f"{data_dir / SIDECAR_FILE}, which holds the last signed heads of the audit logs, cannot be read: "
            f"{error.strerror}.",
            hint="Start the server once: a backup without it would prove nothing.",
        ) from error
