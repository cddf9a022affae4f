"""The copy of a SQLite database that is made before it is migrated: the way back when an upgrade was a mistake."""

from pathlib import Path
from typing import Final

from failgate.base.clock import MICROSECONDS, Clock
from failgate.base.db import Database, Transaction
from failgate.base.errors import StartRefused, StorageUnavailable
from failgate.base.migrate import Migration
from failgate.base.sqlite_copy import copy_to

FOLDER: Final = "before-upgrade"
KEPT: Final = 3  # copies; older ones go when a new one is made


async def copy_before_upgrade(
    database: Database, path: Path, data_dir: Path, steps: list[Migration], clock: Clock
) -> Path | None:
    """Copy the database file `path` beside, unless it is new or `steps` is empty; return where it lies.

    It is named by its newest migration and the second (the next that is free), and the newest three are kept.

    Raises: StartRefused (no room): nothing was migrated.
    """
    if not steps:
        return None

    async def newest(tx: Transaction) -> str | None:
        row = await tx.fetch_one("SELECT max(name) AS name FROM schema_migration")
        return row["name"] if row is not None else None

    name = await database.write(newest)
    if name is None:
        return None
    folder = data_dir / FOLDER
    second = clock.now_us() // MICROSECONDS
    while (target := folder / f"failgate-{name}-{second}.sqlite").exists():  # after another one within the second
        second += 1
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        copy_to(path, target)
    except (OSError, StorageUnavailable) as error:
        raise StartRefused(
            f"The database has to be migrated, and there is no copy of it for the way back: {error}",
            hint=f"Make space in {data_dir}; nothing was changed.",
        ) from error
    for old in _copies(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return target


def _copies(folder: Path) -> list[Path]:
    """Return the copies in `folder`, the oldest first."""
    found = [path for path in folder.glob("failgate-*.sqlite") if path.stem.rpartition("-")[2].isdigit()]
    return sorted(found, key=lambda path: (int(path.stem.rpartition("-")[2]), path.name))
