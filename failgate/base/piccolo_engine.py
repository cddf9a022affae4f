"""The engine that Piccolo tables are bound to: queries go to the readers, or into the open transaction of a verb."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from piccolo.engine.base import Engine
from piccolo.querystring import QueryString
from piccolo.table import Table

from failgate.base.db import Database, Row, current_transaction


class PiccoloEngine(Engine[Any]):
    """The engine that Piccolo tables are bound to: queries read beside the writer, or inside the open transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        super().__init__(engine_type=database.dialect, min_version_number=0)

    async def run_querystring(self, querystring: QueryString, in_pool: bool = True) -> Any:  # noqa: ARG002, FBT002  # Piccolo's signature
        """Run a compiled query.

        Raises: RuntimeError for a change outside `Database.write`.
        """
        sql, args = querystring.compile_string(engine_type=self.engine_type)
        tx = current_transaction.get()
        if tx is not None:
            return await tx.fetch(_number(sql), *args)
        if not sql.lstrip().upper().startswith(("SELECT", "WITH")):
            raise RuntimeError("a change outside Database.write")
        return await self._database.fetch(_number(sql), *args)

    async def run_ddl(self, ddl: str, in_pool: bool = True) -> Any:  # noqa: ARG002, FBT002  # Piccolo's signature
        """Refuse: tables are made by migrations."""
        raise RuntimeError(f"tables are made by migrations, not by {ddl[:40]!r}")

    def transform_response_to_dicts(self, results: list[Row]) -> list[Row]:
        """Return `results`, which are dictionaries already."""
        return results

    async def get_version(self) -> float:
        """Return a number that satisfies Piccolo's check; `open_database` makes the real one."""
        return 99.0

    def get_version_sync(self) -> float:
        """Return the same number."""
        return 99.0

    async def check_version(self) -> None:
        """Do nothing: `open_database` checked it."""

    async def prep_database(self) -> None:
        """Do nothing: `open_database` prepared it."""

    async def batch(self, *_args: Any, **_options: Any) -> Any:
        """Refuse: page by a key instead."""
        raise RuntimeError("page by a key instead of batch()")

    def transaction(self, *_args: Any, **_options: Any) -> Any:
        """Refuse: `Database.write` is the only way to open a transaction."""
        raise RuntimeError("Database.write is the only way to open a transaction")

    def atomic(self) -> Any:
        """Refuse: `Database.write` is the only way to open a transaction."""
        raise RuntimeError("Database.write is the only way to open a transaction")


def bind_tables(database: Database, tables: Sequence[type[Table]]) -> None:
    """Let the Piccolo `tables` read through `database`."""
    engine = PiccoloEngine(database)
    for table in tables:
        table._meta.db = engine  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # Piccolo has no public setter


@lru_cache(maxsize=2048)
def _number(sql: str) -> str:
    parts = sql.split("?")
    return parts[0] + "".join(f"${place}{part}" for place, part in enumerate(parts[1:], 1))
