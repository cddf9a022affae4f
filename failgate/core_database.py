"""The core's own database: which tables it has, which of them hold what is of one workspace, and how it is opened."""

from collections.abc import Sequence
from pathlib import Path

from failgate.accounts import tables as account_tables
from failgate.artifacts import tables as artifact_tables
from failgate.audit import tables as audit_tables
from failgate.base import tables as base_tables
from failgate.base.before_upgrade import copy_before_upgrade
from failgate.base.clock import Clock
from failgate.base.db import Database
from failgate.base.errors import StartRefused
from failgate.base.migrate import Migration, core_migrations, migrate, pending_migrations
from failgate.base.open_database import open_database, sqlite_path, tables_of
from failgate.base.reserve import Reserve
from failgate.config.model import Config
from failgate.evidence import tables as evidence_tables
from failgate.gate import tables as gate_tables
from failgate.notify import tables as notify_tables
from failgate.recordings import tables as recording_tables
from failgate.relay import tables as relay_tables
from failgate.reports import tables as report_tables
from failgate.sso import tables as sso_tables
from failgate.sso.scim import tables as scim_tables
from failgate.workspaces import tables as workspace_tables

CORE_TABLES = tables_of(
    *(account_tables, artifact_tables, audit_tables, base_tables, gate_tables, report_tables, scim_tables, sso_tables),
    recording_tables,
    workspace_tables,
    notify_tables,
    evidence_tables,
    relay_tables,
)
# What goes with a workspace that is deleted; a row goes before what it refers to.
ROWS_OF_WORKSPACE = (
    *evidence_tables.OF_WORKSPACE,
    *notify_tables.OF_WORKSPACE,
    *relay_tables.OF_WORKSPACE,
    *gate_tables.OF_WORKSPACE,
    *recording_tables.OF_WORKSPACE,
    *report_tables.OF_WORKSPACE,
    *artifact_tables.OF_WORKSPACE,
    *scim_tables.OF_WORKSPACE,
    *sso_tables.OF_WORKSPACE,
    *account_tables.OF_WORKSPACE,
    *workspace_tables.OF_WORKSPACE,
)


async def open_core_database(config: Config, data_dir: Path, clock: Clock) -> Database:
    """Open it; SQLite is migrated at once, PostgreSQL only by `failgate migrate`. Raises: StartRefused."""
    db = await open_database(config.database.url_in(data_dir), password=config.database.password, tables=CORE_TABLES)
    try:
        if db.dialect == "sqlite":
            await migrate_core(db, config, data_dir, clock)
        else:
            _must_be_migrated(await pending_migrations(db, core_migrations()))
    except BaseException:
        await db.close()
        raise
    return db


def keep_reserve(db: Database, config: Config, data_dir: Path) -> None:
    """Put space by for denials on the disk of a SQLite database; PostgreSQL's disk is its operator's.

    Raises: StartRefused (the folder takes no file).
    """
    path, size_bytes = sqlite_path(config.database.url_in(data_dir)), config.database.reserve.bytes
    if path is None or not size_bytes:
        return
    file = path.with_name(f"{path.name}.reserve")
    try:
        db.keep_reserve(Reserve(file, size_bytes))
    except OSError as error:
        raise StartRefused(
            f"The reserve {file} cannot be written: {error.strerror}.", hint="Give the account that serves its folder."
        ) from error


async def migrate_core(db: Database, config: Config, data_dir: Path, clock: Clock) -> list[str]:
    """Bring the core's database up to date, SQLite after a copy of it was made; return the names that were applied.

    Raises: StartRefused (a newer version, or no room for the copy).
    """
    path = sqlite_path(config.database.url_in(data_dir))
    if path is not None:
        steps = await pending_migrations(db, core_migrations())
        await copy_before_upgrade(db, path, data_dir, steps, clock)
    return await migrate(db, core_migrations(), clock)


def _must_be_migrated(steps: Sequence[Migration]) -> None:
    if steps:
        raise StartRefused(
            f"The PostgreSQL database lacks {len(steps)} migrations, the first is {steps[0].name}.",
            hint="Make a backup with the version before, then run `failgate migrate` with the same config.",
        )
