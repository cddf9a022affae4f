"""Putting staged files in place, in an order in which a kill at any point leaves nothing that starts by mistake.

The signed heads come first and the database last: in between there are heads without their database, and no server
starts over that. What was there is moved aside, never removed.
"""

import itertools
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from failgate.audit.erasure_list import LIST_FILE
from failgate.audit.signing import SIDECAR_FILE
from failgate.backup.present import ASIDE, STAGING, UNDER_WAY
from failgate.base.before_upgrade import FOLDER as BEFORE_UPGRADE
from failgate.base.clock import MICROSECONDS
from failgate.base.data_folder import LOCK_FILE
from failgate.base.errors import StorageUnavailable
from failgate.base.sqlite_copy import sync

_STAY: Final = {LOCK_FILE, STAGING, UNDER_WAY, BEFORE_UPGRADE, SIDECAR_FILE, LIST_FILE}


@dataclass(frozen=True, slots=True)
class Placing:
    """From where to where: the data folder, the staged folder in it, the database file (None: PostgreSQL)."""

    data_dir: Path
    staging: Path
    database: Path | None
    staged_database: Path | None
    stamp: str

    @classmethod
    def begun(
        cls, data_dir: Path, staging: Path, database: Path | None, staged_database: Path | None, now_us: int
    ) -> Self:
        """Return the placing of a restore of the moment `now_us`: what it moves aside meets nothing that lies aside.

        One that was killed may be done again within the second. Whoever asks holds the data folder.
        """
        moment = datetime.fromtimestamp(now_us / MICROSECONDS, UTC).strftime("%Y%m%dT%H%M%SZ")
        stamps = itertools.chain((moment,), (f"{moment}-{number}" for number in itertools.count(2)))
        placings = (cls(data_dir, staging, database, staged_database, stamp) for stamp in stamps)
        return next(placing for placing in placings if not placing.is_taken())

    def is_taken(self) -> bool:
        """Tell whether something lies aside under the names of this one."""
        databases = [] if self.database is None else self._database_names(self.database)
        return any(path.exists() for path in (self._aside(), *map(self._beside, databases)))

    def move_aside(self, *, keep: set[str]) -> Path | None:
        """Move what is in the data folder into a folder of its own in it; return that, or None when nothing was there.

        The names in `keep` stay: key files that are right already. The signed heads and the list of erasures stay until
        others replace them.

        Raises: StorageUnavailable.
        """
        aside = self._aside()
        try:
            databases = self._database_files()
            others = [entry for entry in sorted(self.data_dir.iterdir()) if self._is_moved(entry, keep)]
            if not databases and not others:
                return None
            aside.mkdir(mode=0o700)
            heads = self.data_dir / SIDECAR_FILE
            if heads.exists():
                shutil.copy2(heads, aside / SIDECAR_FILE)
            for path in databases:
                path.rename(aside / path.name if path.parent == self.data_dir else self._beside(path))
            for entry in others:
                if entry.exists():
                    entry.rename(aside / entry.name)
            sync(aside)
            sync(self.data_dir)
        except OSError as error:
            raise _not_moved(self.data_dir, error) from error
        return aside

    def put(self) -> None:
        """Rename what is staged into its place: the heads, then the rest, a SQLite database last.

        Raises: StorageUnavailable.
        """
        try:
            names = sorted(entry.name for entry in self.staging.iterdir())
            last = self.staged_database.name if self.staged_database else ""
            for name in sorted(names, key=lambda name: (name != SIDECAR_FILE, name == last, name)):
                (self.staging / name).replace(self.data_dir / name)
                sync(self.data_dir)
            if self.staged_database is not None and self.database is not None and self.staged_database.exists():
                self.staged_database.replace(self.database)
                sync(self.database.parent)
        except OSError as error:
            raise _not_moved(self.data_dir, error) from error

    def clear(self) -> None:
        """Remove the empty staging folder and the note about what was there; the restore is through."""
        shutil.rmtree(self.staging, ignore_errors=True)
        (self.data_dir / UNDER_WAY).unlink(missing_ok=True)

    def _database_files(self) -> list[Path]:
        if self.database is None:
            return []
        return [path for path in self._database_names(self.database) if path.exists()]

    @staticmethod
    def _database_names(database: Path) -> list[Path]:
        return [database.with_name(database.name + end) for end in ("", "-wal", "-shm")]

    def _aside(self) -> Path:
        return self.data_dir / f"{ASIDE}{self.stamp}"

    def _is_moved(self, entry: Path, keep: set[str]) -> bool:
        is_lock = self.database is not None and entry.name == f"{self.database.name}.lock"
        return entry.name not in _STAY | keep and not entry.name.startswith(ASIDE) and not is_lock

    def _beside(self, path: Path) -> Path:
        return path.with_name(f"{path.name}.{ASIDE}{self.stamp}")


def _not_moved(data_dir: Path, error: OSError) -> StorageUnavailable:
    return StorageUnavailable(
        f"The restored files were not put into {data_dir}: {error}.", hint="Run the restore again: nothing is lost."
    )
