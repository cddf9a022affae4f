"""A line to a service over which a test decides: it carries bytes, breaks off, falls silent."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Relay:
    """Passes bytes to the service at `target`. After `breaks_after` bytes it breaks off; or it falls silent."""

    def __init__(self, target: str) -> None:
        host, _, port = target.removeprefix("http://").partition("/")[0].partition(":")
        self._target = host, int(port)
        self.breaks_after: int | None = None
        self.is_speaking = asyncio.Event()
        self.is_speaking.set()
        self._passed = 0
        self._tasks: set[asyncio.Task] = set()
        self.endpoint = ""

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Relay"]:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._tasks.add(asyncio.create_task(self._serve(reader, writer)))

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(*self._target)
        both = asyncio.gather(self._pass(reader, forth), self._pass(back, writer))
        try:
            await both
        except OSError:
            both.cancel()
        finally:
            writer.close()
            forth.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            await self.is_speaking.wait()
            self._passed += len(piece)
            if self.breaks_after is not None and self._passed > self.breaks_after:
                raise ConnectionResetError
            writer.write(piece)
            await writer.drain()
        writer.close()
