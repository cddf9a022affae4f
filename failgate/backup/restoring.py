"""Restoring: read and prove everything aside, refuse what would go back in silence, then put it in place."""

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from failgate.audit.erasure_list import LIST_FILE, Listed, merged, read_list
from failgate.audit.handover import read_handovers
from failgate.audit.signing import SIDECAR_FILE, read_sidecar
from failgate.backup.archive import BackupDamaged, read_manifest
from failgate.backup.extracting import extract, plain_name, put_objects
from failgate.backup.found_keys import Keys, find_keys
from failgate.backup.manifest import CORE, HANDOVERS, Manifest
from failgate.backup.placing import Placing
from failgate.backup.present import STAGING, Present, check_folder, keep_under_way, read_present
from failgate.backup.proof import Proof, RollbackRefused
from failgate.backup.recording import erase_again, forget, record_restored
from failgate.backup.within import Filling, filling
from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.data_folder import hold_data_folder, hold_database_file
from failgate.base.db import Database
from failgate.base.errors import BadInput, StartRefused, StorageUnavailable
from failgate.base.migrate import core_migrations, migrate, read_migrations
from failgate.base.open_database import open_database, sqlite_path
from failgate.config.model import Config
from failgate.workspaces.receipts import read_receipt

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator said.

    A folder of keys, the passphrase of sealed ones, checkpoints as `(source, note)`, texts of receipts of workspaces
    that were deleted since, files that list what was erased since, whether the log may go back, whether only to read
    and prove.
    """

    keys: Path | None = None
    passphrase: str | None = None
    against: Sequence[tuple[str, str]] = ()
    receipts: Sequence[str] = ()
    erasures: Sequence[Path] = ()
    accept_rollback: bool = False
    only_check: bool = False


@dataclass(slots=True)
class Restored:
    """What was restored, or only proven: how many records and artifacts, and what the operator has to know."""

    backup: str
    made_us: int
    is_in_place: bool
    records: int = 0
    artifacts: int = 0
    aside: str | None = None
    rolled_back: list[str] = field(default_factory=list[str])
    warnings: list[str] = field(default_factory=list[str])

    @property
    def sentence(self) -> str:
        """Return it for a person."""
        made = datetime.fromtimestamp(self.made_us / MICROSECONDS, UTC).isoformat(timespec="seconds")
        done = "restored" if self.is_in_place else "whole and proven, nothing was put anywhere"
        return f"the backup of {made} is {done}: {self.records} records verified, {self.artifacts} artifacts"


async def restore_backup(
    config: Config, data_dir: Path, file: Path, terms: Terms, *, clock: Clock, tell: Tell
) -> Restored:
    """Put the installation in `file` into `data_dir` and the configured database; it has proven itself before.

    Raises: BadInput, BackupDamaged, BackupIncomplete, StartRefused, RollbackRefused, StorageUnavailable. Whatever is
    raised, what was there is as it was.
    """
    database = sqlite_path(config.database.url_in(data_dir))
    if not terms.only_check:
        check_folder(data_dir)
    manifest = read_manifest(file)
    _check_fit(config, data_dir, manifest)
    if terms.only_check:
        with tempfile.TemporaryDirectory(prefix="failgate-check-") as scratch:
            folder = Path(scratch)
            staged = None if database is None else folder / STAGING / "place" / "failgate.sqlite"
            _begin_anew(folder / STAGING, staged)
            placing = Placing(data_dir, folder / STAGING / "place", None, staged, "")
            return await _Restoring(config, placing, manifest, terms, clock, tell).run(file)
    with hold_data_folder(data_dir), hold_database_file(config.database.url_in(data_dir)):
        staging = data_dir / STAGING
        staged_database = _staged_database(data_dir, staging, database)
        try:
            _begin_anew(staging, staged_database)
            placing = Placing.begun(data_dir, staging / "place", database, staged_database, clock.now_us())
            return await _Restoring(config, placing, manifest, terms, clock, tell).run(file)
        except OSError as error:
            raise StorageUnavailable(
                f"{data_dir} did not take the restored files: {error.strerror or error}.", hint="Make space there."
            ) from error
        finally:
            _begin_anew(staging, staged_database, is_over=True)


def _check_fit(config: Config, data_dir: Path, manifest: Manifest) -> None:
    """Refuse a backup of another kind of database, or of a newer version. Raises: BadInput, StartRefused."""
    wanted = "sqlite" if sqlite_path(config.database.url_in(data_dir)) is not None else "postgres"
    if wanted != manifest.database:
        raise BadInput(
            f"The backup is of {manifest.database}, [database] url names {wanted}.",
            hint="Name a database of that kind; rows are not carried over from one to the other.",
        )
    known = {step.name: step.sha256 for step in read_migrations(core_migrations(), manifest.database)}
    newer = sorted(set(manifest.schema) - set(known))
    if newer:
        raise StartRefused(
            f"The backup is of failgate {manifest.version}, which is newer: it has {newer[-1]}.",
            hint="Restore it with that version.",
        )
    for name, sha256 in manifest.schema.items():
        if known[name] != sha256:
            raise StartRefused(
                f"Migration {name} differs from the one that the backup was made with.",
                hint="Install the released version of failgate again.",
            )


def _staged_database(data_dir: Path, staging: Path, database: Path | None) -> Path | None:
    """Return where the database is built: on the file system on which it will lie."""
    if database is None:
        return None
    if database.parent == data_dir:
        return staging / "place" / database.name
    return database.with_name(f"{STAGING}-{database.name}")


def _begin_anew(staging: Path, staged_database: Path | None, *, is_over: bool = False) -> None:
    """Remove what a restore left in its own folder, also a killed one; make the folder unless it is over."""
    shutil.rmtree(staging, ignore_errors=True)
    if staged_database is not None:
        for end in ("", "-wal", "-shm"):
            staged_database.with_name(staged_database.name + end).unlink(missing_ok=True)
    if not is_over:
        staging.mkdir(mode=0o700)
        (staging / "place").mkdir(mode=0o700)
        (staging / "members").mkdir(mode=0o700)


class _Restoring:
    """One restore, in the order in which it happens."""

    def __init__(
        self, config: Config, placing: Placing, manifest: Manifest, terms: Terms, clock: Clock, tell: Tell
    ) -> None:
        self._config = config
        self._placing = placing
        self._manifest = manifest
        self._terms = terms
        self._clock = clock
        self._tell = tell
        self._members = placing.staging.parent / "members"
        self._restored = Restored(manifest.id, manifest.made_us, is_in_place=not terms.only_check)

    async def run(self, file: Path) -> Restored:
        """Stage, prove, record, fill the store, put in place."""
        restored, terms, manifest = self._restored, self._terms, self._manifest
        extract(file, manifest, self._members)
        proof = Proof(manifest)
        came = self._members / HANDOVERS
        for path in (came, self._placing.data_dir / HANDOVERS):
            proof.meet_handovers(read_handovers(path))
        sidecar = plain_name(self._members, SIDECAR_FILE)
        proof.meet_own(read_sidecar(sidecar) or {})
        proof.meet_kept(terms.against)
        present = Present()
        listed = self._listed()
        if not terms.only_check:
            present = read_present(self._placing.data_dir, self._placing.database, manifest.heads)
        proof.meet_present(present)
        if proof.behind and not terms.accept_rollback and not terms.only_check:
            raise RollbackRefused(
                " ".join(one.sentence for one in proof.behind.values()),
                hint="What happened since would be undone. If that is meant: --accept-rollback, which is recorded.",
            )
        restored.rolled_back = [one.sentence for one in proof.behind.values()]
        restored.warnings += restored.rolled_back
        keys = find_keys(manifest, self._config, self._placing.data_dir, terms.keys, terms.passphrase, self._members)
        async with self._opened() as (database, filled):
            self._tell("verifying the audit log")
            restored.records = await proof.verify(database)
            forgotten = present.gone | self._receipts(proof)
            forgotten |= {one.id for one in listed if one.kind == "workspace"}
            if terms.only_check:
                restored.artifacts = len(manifest.objects)
                return restored
            await migrate(database, core_migrations(), self._clock)
            forgotten = await forget(database, forgotten, self._clock.now_us())
            await record_restored(
                database, self._clock, manifest, list(proof.behind.values()), keys.state, len(forgotten)
            )
            erased = await erase_again(database, self._clock, present.erased, listed, self._placing.staging)
            if erased:
                restored.warnings.append(f"{erased} addresses of records that were erased since are erased again.")
            sidecar.replace(self._placing.staging / SIDECAR_FILE)
            if came.exists() and HANDOVERS not in keys.kept:
                came.replace(self._placing.staging / HANDOVERS)
            await self._fill_store(file, database, forgotten, present)
            if filled is not None:
                self._put(keys, present)
                await filled.commit()
        if self._placing.database is not None:
            self._put(keys, present)
        self._placing.clear()
        self._warn(keys, forgotten)
        return restored

    @contextlib.asynccontextmanager
    async def _opened(self) -> AsyncIterator[tuple[Database, Filling | None]]:
        """Yield the staged database: a file aside, or the open transaction that fills the empty PostgreSQL database."""
        if self._placing.staged_database is None:
            url = self._config.database.url_in(self._placing.data_dir)
            password = self._config.database.password
            async with filling(url, password, self._manifest, core_migrations(), self._members) as filled:
                yield filled.database, filled
            return
        plain_name(self._members, CORE).replace(self._placing.staged_database)
        self._placing.staged_database.chmod(0o600)
        try:
            database = await open_database(f"sqlite://{quote(str(self._placing.staged_database))}", is_exclusive=False)
            try:
                [checked] = await database.fetch("PRAGMA quick_check(1)")
                if "ok" not in checked.values():
                    raise BackupDamaged("The database of the backup is damaged.", hint="Use another backup.")
                yield database, None
            finally:
                await database.close()
        except sqlite3.DatabaseError as error:
            raise BackupDamaged(
                f"The database of the backup is damaged: {error}.", hint="Use another backup."
            ) from error

    def _receipts(self, proof: Proof) -> set[str]:
        """Return the workspaces whose receipts were given. Raises: BadInput (not signed by this installation)."""
        found: set[str] = set()
        for text in self._terms.receipts:
            receipt = read_receipt(text).receipt
            if not proof.is_signed(receipt.checkpoint):
                raise BadInput(
                    "A receipt is not of this installation.", hint="Its checkpoint is signed by another key."
                )
            found.add(receipt.id)
        return found

    def _listed(self) -> Listed:
        """Return what the lists of erasures say, those given and the one of the folder. Raises: BadInput."""
        given = [read_list(path) for path in self._terms.erasures]
        return merged(*given, read_list(self._placing.data_dir / LIST_FILE, is_optional=True))

    async def _fill_store(self, file: Path, database: Database, forgotten: set[str], present: Present) -> None:
        placed = await put_objects(
            self._config, self._placing.staging, file, self._manifest, database, forgotten, present, self._tell
        )
        self._restored.artifacts = placed.count
        self._restored.warnings += placed.warnings

    def _put(self, keys: Keys, present: Present) -> None:
        """Move aside what is there and put in place what is staged."""
        for name, octets in keys.staged.items():
            path = self._placing.staging / name
            path.touch(mode=0o600)
            path.write_bytes(octets)
        for plugin in sorted((self._members / "plugins").glob("*/*.sqlite")):
            folder = self._placing.staging / "plugins" / plugin.parent.name
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.parent.chmod(0o700)
            plugin.replace(folder / plugin.name)
        make_durable(self._placing.staging)
        keep_under_way(self._placing.data_dir, present.notes, present.sizes)
        aside = self._placing.move_aside(keep=keys.kept)
        self._restored.aside = None if aside is None else str(aside)
        self._placing.put()

    def _warn(self, keys: Keys, forgotten: set[str]) -> None:
        restored = self._restored
        restored.warnings += keys.warnings
        if forgotten:
            named = ", ".join(sorted(forgotten))
            restored.warnings.append(
                f"Deleted since, and to be deleted again; their artifacts stay unreadable: {named}."
            )
        if restored.aside is not None:
            restored.warnings.append(f"What was there before lies in {restored.aside}; remove it when you are sure.")
        restored.warnings.append("Before you start: failgate audit verify --gate")


def make_durable(folder: Path) -> None:
    """Wait until every file and folder below `folder` is durable. Raises: OSError."""
    from failgate.base.sqlite_copy import sync

    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() or path.is_dir():
            sync(path)
    sync(folder)
