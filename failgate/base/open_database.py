"""One way to open a database, by its URL."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

from piccolo.table import Table

from failgate.base.db import Database
from failgate.base.errors import StartRefused
from failgate.base.piccolo_engine import bind_tables
from failgate.base.secret import Secret


async def open_database(
    url: str, *, password: Secret | None = None, tables: Sequence[type[Table]] = (), is_exclusive: bool = True
) -> Database:
    """Open the database at `url` and bind the Piccolo `tables` to it.

    `url` is `sqlite:///absolute/path.db` or `postgresql://user@host/name`; PostgreSQL's `password`, where the URL says
    none, is asked for at each new connection. `is_exclusive` keeps a second server off a
    PostgreSQL database; a SQLite file is guarded by the lock of the data folder.

    Raises: StartRefused, naming the cause and the mend.
    """
    scheme = urlsplit(url).scheme
    path = sqlite_path(url)
    if path is not None:
        from failgate.base.sqlite import open_sqlite

        database = open_sqlite(path)
    elif scheme in {"postgresql", "postgres"}:
        from failgate.base.postgres import open_postgres

        database = await open_postgres(url, password=password, is_exclusive=is_exclusive)
    else:
        raise StartRefused(
            f"The database URL has the scheme {scheme!r}.", hint="Use sqlite:///path or postgresql://host/name."
        )
    bind_tables(database, tables)
    return database


def sqlite_path(url: str) -> Path | None:
    """Return the file that a SQLite URL names; None for another kind of database."""
    parts = urlsplit(url)
    return Path("/" + unquote(parts.path).lstrip("/")) if parts.scheme == "sqlite" else None


def tables_of(*modules: ModuleType) -> list[type[Table]]:
    """Return the Piccolo tables that `modules` define, in their order."""
    values = [value for module in modules for value in vars(module).values()]
    return [value for value in values if isinstance(value, type) and issubclass(value, Table) and value is not Table]
