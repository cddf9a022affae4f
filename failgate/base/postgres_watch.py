"""Connections to PostgreSQL that say nothing any more, and are given up.

A server that froze, or a network that drops what is sent, answers nothing for as long as TCP is patient: a quarter of
an hour. A statement may also take long because there is much to do. PostgreSQL itself tells the two apart: over a new
connection it says which of ours it works for.
"""

import asyncio
import contextlib
import time
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # the driver ships no stubs

from failgate.base.secret import Secret, asking

SILENT_SECONDS = 5.0  # without an answer, before it is asked for what it works
CONNECT_SECONDS = 3.0  # for a connection anew; a server that is there takes milliseconds
LOOK_SECONDS = 0.5
LOST = (
    asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError, asyncpg.PostgresSystemError, asyncpg.InternalClientError, OSError,
)  # fmt: skip
"""What is raised when a server goes away, is not up yet, or has no room; TimeoutError is an OSError.

The driver calls it an error of its own (InternalClientError) when a connection breaks while it is being opened.
"""
_AT_WORK = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND usename = current_user"


class Watch:
    """Ends each connection whose statement has no answer, and for which the server does not work."""

    def __init__(self, url: str, password: Secret | None = None) -> None:
        """Ask the server at `url`, with the `password` that is right then."""
        self._url = url
        self._password = password
        self._asked: dict[Any, float] = {}
        self._task = asyncio.get_running_loop().create_task(self._run(), name="postgres-watch")

    def begin(self, connection: Any) -> None:
        """Note that `connection` was asked something."""
        self._asked[connection] = time.monotonic()

    def end(self, connection: Any) -> None:
        """Note that it answered, or broke."""
        self._asked.pop(connection, None)

    async def close(self) -> None:
        """Look no more."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            late = self._late()
            if not late:
                continue
            at_work = await self._at_work()
            for connection, since in late.items():
                is_waiting = self._asked.get(connection) == since and not connection.is_closed()
                if is_waiting and connection.get_server_pid() not in at_work:
                    connection.terminate()  # who waits is told that the connection broke

    def _late(self) -> dict[Any, float]:
        now = time.monotonic()
        return {connection: since for connection, since in self._asked.items() if now - since > SILENT_SECONDS}

    async def _at_work(self) -> set[int]:
        """Return the numbers of the server's processes that work for this role; none when it does not say."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await asyncpg.connect(
                    self._url, password=asking(self._password), server_settings={"application_name": "failgate-watch"}
                )
                try:
                    return {row["pid"] for row in await connection.fetch(_AT_WORK)}
                finally:
                    connection.terminate()
        except (*LOST, asyncpg.PostgresError):
            return set()
