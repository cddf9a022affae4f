"""Putting staged files in place, in an order in which a kill at any point leaves nothing that starts by mistake.

The signed heads come first and the database last: in between there are heads without their database, and no server
starts over that. What was there is moved aside, never removed.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from failgate.audit.signing import SIDECAR_FILE
from failgate.backup.present import ASIDE, STAGING, UNDER_WAY
from failgate.base.before_upgrade import FOLDER as BEFORE_UPGRADE
from failgate.base.data_folder import LOCK_FILE
from failgate.base.errors import StorageUnavailable
from failgate.base.sqlite_copy import sync

_STAY: Final = {LOCK_FILE, STAGING, UNDER_WAY, BEFORE_UPGRADE, SIDECAR_FILE}


@dataclass(frozen=True, slots=True)
class Placing:
    """From where to where: the data folder, the staged folder in it, the database file (None: PostgreSQL)."""

    data_dir: Path
    staging: Path
    database: Path | None
    staged_database: Path | None
    stamp: str

    def move_aside(self, *, keep: set[str]) -> Path | None:
        """Move what is in the data folder into a folder of its own in it; return that, or None when nothing was there.

        The names in `keep` stay: key files that are right already. The signed heads stay until others replace them.

        Raises: StorageUnavailable.
        """
        aside = self.data_dir / f"{ASIDE}{self.stamp}"
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
        names = [self.database.name + end for end in ("", "-wal", "-shm")]
        return [path for name in names if (path := self.database.with_name(name)).exists()]

    def _is_moved(self, entry: Path, keep: set[str]) -> bool:
        is_lock = self.database is not None and entry.name == f"{self.database.name}.lock"
        return entry.name not in _STAY | keep and not entry.name.startswith(ASIDE) and not is_lock

    def _beside(self, path: Path) -> Path:
        return path.with_name(f"{path.name}.{ASIDE}{self.stamp}")


def _not_moved(data_dir: Path, error: OSError) -> StorageUnavailable:
    return StorageUnavailable(
        f"The restored files were not put into {data_dir}: {error}.", hint="Run the restore again: nothing is lost."
    )
