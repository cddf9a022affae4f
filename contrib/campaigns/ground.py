"""What is on the disk after a fall, read without the product where that is possible."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SEQ_BITS = 40


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    try:
        yield connection
    finally:
        connection.close()


def records(connection: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    """Yield every record of every log, in order."""
    for (leaf,) in connection.execute("SELECT leaf FROM audit_record ORDER BY position"):
        yield json.loads(leaf)


def verification(database: Path | str, data: Path | None) -> tuple[str, str]:
    """Return the state of all logs of the file or the address, and what is said of those that are not intact."""
    from failgate.audit.verification import verify_logs
    from failgate.base.open_database import open_database

    async def verified() -> tuple[str, str]:
        url = database if isinstance(database, str) else f"sqlite://{database}"
        opened = await open_database(url, is_exclusive=False)
        try:
            found = await verify_logs(opened, data)
        finally:
            await opened.close()
        return found.state, "; ".join(one.sentence for one in found.verdicts if one.state != "intact")

    return asyncio.run(verified())
