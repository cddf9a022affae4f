"""The core's database, read beside a running server."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from failgate.base.errors import StartRefused
from failgate.config.model import Config


@contextlib.asynccontextmanager
async def core_database(config: Config, data: Path) -> AsyncIterator[Any]:
    """Open the core's database beside a running server: nothing is written, nothing is made.

    Raises: StartRefused (there is none).
    """
    from failgate.base.open_database import open_database, sqlite_path
    from failgate.core_database import CORE_TABLES

    url = config.database.url_in(data)
    path = sqlite_path(url)
    if path is not None and not path.is_file():
        raise StartRefused(f"There is no database in {data}.", hint="Name the server's folder with --data DIR.")
    database = await open_database(url, password=config.database.password, tables=CORE_TABLES, is_exclusive=False)
    try:
        yield database
    finally:
        await database.close()
