"""What lies in a data folder before something is restored into it: how far its logs went, what was deleted there."""

import contextlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from failgate.audit.encoding import record_of
from failgate.audit.erasure_list import LIST_FILE
from failgate.audit.erasures import Erasures
from failgate.audit.places import record_position
from failgate.audit.record import Act
from failgate.audit.signing import SIDECAR_FILE, read_sidecar
from failgate.backup.manifest import Head
from failgate.base.data_folder import LOCK_FILE, holds_failgate
from failgate.base.errors import BadInput, StartRefused
from failgate.base.sqlite_copy import sync

STAGING: Final = ".restoring"
UNDER_WAY: Final = (
    ".rollback.json"  # how far the logs went before a restore that was killed while it put things in place
)
ASIDE: Final = "before-restore-"
_LEAVES: Final = "SELECT leaf FROM audit_record WHERE position >= ? AND position < ?"
_ENDS_WORKSPACE: Final = {Act.WORKSPACE_CLOSED, Act.ARTIFACT_KEY_DESTROYED}
_ENDS_CONTENT: Final = {Act.REPORT_DELETED, Act.RECORDING_DELETED}
_OURS: Final = {STAGING, UNDER_WAY, LOCK_FILE, LIST_FILE}


@dataclass(slots=True)
class Present:
    """What is there: the last signed note of each log, how many records of each the database has.

    `gone` are workspaces that were deleted since the backup was made, `deleted` reports and recordings, `erased` the
    addresses of records, by log: those of which the log that is there says so.
    """

    notes: dict[str, str] = field(default_factory=dict[str, str])
    sizes: dict[str, int] = field(default_factory=dict[str, int])
    gone: set[str] = field(default_factory=set[str])
    deleted: set[str] = field(default_factory=set[str])
    erased: dict[str, Erasures] = field(default_factory=dict[str, Erasures])


def check_folder(data_dir: Path) -> None:
    """Return when something may be restored into `data_dir`: it is absent, empty, or a Failgate's.

    Raises: BadInput.
    """
    if not data_dir.exists() or holds_failgate(data_dir):
        return
    if not data_dir.is_dir() or any(entry.name not in _OURS for entry in data_dir.iterdir()):
        raise BadInput(f"{data_dir} is not empty and holds no Failgate.", hint="Name a new folder with --data DIR.")


def read_present(data_dir: Path, database: Path | None, heads: Sequence[Head]) -> Present:
    """Return what is in `data_dir` and in its SQLite file `database`, and what happened there after `heads`.

    A database that cannot be read counts as one that says nothing: it may be why somebody restores. A sidecar that is
    damaged does not: it is removed by hand, or accepted.

    Raises: StartRefused.
    """
    present = Present(read_sidecar(data_dir / SIDECAR_FILE) or {})
    with contextlib.suppress(FileNotFoundError):
        try:
            kept = json.loads((data_dir / UNDER_WAY).read_bytes())
            notes, sizes = dict(kept["notes"]), dict(kept["sizes"])
        except (ValueError, KeyError, TypeError) as error:
            raise StartRefused(
                f"{data_dir / UNDER_WAY}, left by a restore that was killed, is damaged.",
                hint="Remove it, and restore with --accept-rollback.",
            ) from error
        present.notes |= notes
        present.sizes |= sizes
    if database is not None and database.is_file():
        with contextlib.suppress(sqlite3.Error, ValueError, TypeError):
            _read_database(database, present, {head.log: head.size for head in heads})
    return present


def _read_database(path: Path, present: Present, sizes: Mapping[str, int]) -> None:
    from urllib.parse import quote

    with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)) as connection:
        connection.execute("PRAGMA query_only=ON")
        heads = connection.execute("SELECT log, number, size FROM audit_head").fetchall()
        for log, _, size in heads:
            present.sizes[str(log)] = max(int(size), present.sizes.get(str(log), 0))
        for log, number, size in heads:
            span = record_position(number, sizes.get(log, 0)), record_position(number, size)
            for (leaf,) in connection.execute(_LEAVES, span):
                record = record_of(leaf)
                if record["act"] in _ENDS_WORKSPACE:
                    present.gone.add(record["obj"]["id"])
                elif record["act"] in _ENDS_CONTENT:
                    present.deleted.add(record["obj"]["id"])
                elif record["act"] == Act.BODY_ERASED:
                    present.erased.setdefault(str(log), Erasures()).add(leaf)


def keep_under_way(data_dir: Path, notes: Mapping[str, str], sizes: Mapping[str, int]) -> None:
    """Keep how far the logs went, durably, until the restore is through. Raises: OSError."""
    path = data_dir / UNDER_WAY
    draft = path.with_suffix(".part")
    content: dict[str, Any] = {"notes": dict(notes), "sizes": dict(sizes)}
    draft.write_bytes(json.dumps(content).encode())
    draft.chmod(0o600)
    sync(draft)
    draft.replace(path)
    sync(data_dir)
