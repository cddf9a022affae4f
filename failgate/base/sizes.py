"""How much a database holds."""

from failgate.base.db import Database

_BYTES = {
    "sqlite": "SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()",
    "postgres": "SELECT pg_database_size(current_database()) AS bytes",
}


async def database_bytes(database: Database) -> int:
    """Return how many bytes the database takes on its disk, without the journal of SQLite."""
    row = await database.fetch_one(_BYTES[database.dialect])
    return int(row["bytes"]) if row is not None else 0
