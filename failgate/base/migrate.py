"""Migrations: one linear, hand-written, additive history, run on both engines.

A folder holds `NNNN_name.sql`, and beside it, when an engine needs more, `NNNN_name.sqlite.sql` or
`NNNN_name.postgres.sql`, which runs right after it. Statements are parted by a line `--;`; `{BYTES}` stands for the
engine's type of byte strings. What was applied is written down with its digest in `schema_migration`.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from failgate.base.clock import Clock, SystemClock
from failgate.base.db import Database, Transaction
from failgate.base.dialect import Dialect
from failgate.base.errors import StartRefused

_NAME = re.compile(r"(?P<number>[0-9]{4})_[a-z0-9_]+", re.ASCII)
_BYTES: dict[Dialect, str] = {"sqlite": "BLOB", "postgres": "BYTEA"}
_HISTORY = """
CREATE TABLE IF NOT EXISTS schema_migration (name TEXT PRIMARY KEY, sha256 TEXT NOT NULL, applied_us BIGINT NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: its name (`0001_audit`), its statements for the engine at hand, and the SHA-256 of its files in hex."""

    name: str
    statements: tuple[str, ...]
    sha256: str


def core_migrations() -> Traversable:
    """Return the folder of the core's migrations."""
    return shipped("migrations")


def shipped(path: str) -> Traversable:
    """Return a file or folder that ships beside the code: in the installed package, else in the source tree."""
    packaged = resources.files("failgate").joinpath("shipped", *path.split("/"))
    if packaged.is_dir() or packaged.is_file():
        return packaged
    return Path(__file__).parents[2] / path


def read_migrations(folder: Traversable, dialect: Dialect) -> list[Migration]:
    """Return the migrations of `folder` in order.

    Raises: StartRefused (a file that is not named like a migration, a number used twice).
    """
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    steps: dict[str, list[str]] = {}
    for name in names:
        stem, _, rest = name.partition(".")
        if _NAME.fullmatch(stem) is None or rest not in {"sql", "sqlite.sql", "postgres.sql"}:
            raise StartRefused(f"{name} is not named like a migration.", hint="Name it NNNN_name.sql.")
        if rest in {"sql", f"{dialect}.sql"}:
            steps.setdefault(stem, []).insert(0 if rest == "sql" else 1, name)
    numbers = [stem[:4] for stem in steps]
    if len(set(numbers)) != len(numbers):
        raise StartRefused("Two migrations have the same number.", hint="Give the later one the next number.")
    return [_read(folder, stem, files, dialect) for stem, files in sorted(steps.items())]


def _read(folder: Traversable, stem: str, files: Sequence[str], dialect: Dialect) -> Migration:
    texts = [(folder / name).read_text(encoding="utf-8") for name in files]
    statements = tuple(
        part.strip().replace("{BYTES}", _BYTES[dialect])
        for text in texts
        for part in re.split(r"^--;[ \t]*$", text, flags=re.MULTILINE)
        if _has_sql(part)
    )
    return Migration(stem, statements, hashlib.sha256("\0".join(texts).encode()).hexdigest())


def _has_sql(part: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("--") for line in part.splitlines())


async def pending_migrations(database: Database, folder: Traversable) -> list[Migration]:
    """Return the migrations that `database` lacks, in order.

    Raises: StartRefused (the database is of a newer version, or a migration was changed after it was applied).
    """

    async def history(tx: Transaction) -> dict[str, str]:
        await tx.execute(_HISTORY)
        return {row["name"]: row["sha256"] for row in await tx.fetch("SELECT name, sha256 FROM schema_migration")}

    applied = await database.write(history)
    known = read_migrations(folder, database.dialect)
    names = {migration.name for migration in known}
    newer = sorted(set(applied) - names)
    if newer:
        newest = known[-1].name if known else "none"
        raise StartRefused(
            f"The database is of a newer version: it has {newer[-1]}, this program knows up to {newest}.",
            hint="Run the version of failgate that wrote it, or restore the backup made before the upgrade.",
        )
    for migration in known:
        if applied.get(migration.name, migration.sha256) != migration.sha256:
            raise StartRefused(
                f"Migration {migration.name} differs from the one that this database was made with.",
                hint="Install the released version of failgate again.",
            )
    return [migration for migration in known if migration.name not in applied]


async def migrate(database: Database, folder: Traversable, clock: Clock | None = None) -> list[str]:
    """Bring `database` up to date; return the names that were applied. Each migration is one transaction.

    Raises: StartRefused as `pending_migrations`.
    """
    clock = clock or SystemClock()
    steps = await pending_migrations(database, folder)
    for step in steps:

        async def apply(tx: Transaction, step: Migration = step) -> None:
            for statement in step.statements:
                await tx.execute(statement)
            await tx.execute(
                "INSERT INTO schema_migration (name, sha256, applied_us) VALUES ($1, $2, $3)",
                step.name,
                step.sha256,
                clock.now_us(),
            )

        await database.write(apply)
    return [step.name for step in steps]
