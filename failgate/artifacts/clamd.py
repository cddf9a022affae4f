"""A clamd asked what is in a stream of bytes, over a socket of this machine.

Each question is a connection of its own. The bytes go in chunks behind their length; the answer is one text. Whatever
is no clear answer is a failure: nothing is called clean that clamd did not call so.

Source: clamd(8), COMMANDS: `INSTREAM`, `VERSION`, and the prefix `z` (commands and answers end with a zero byte).
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterable, AsyncIterator
from typing import Final

from failgate.base.errors import FailgateError

CHUNK_BYTES: Final = 256 * 1024
MOST_ANSWER_BYTES: Final = 4096
_FOUND: Final = re.compile(r"stream: (.+) FOUND\Z")
_UNSHOWN: Final = re.compile(r"[^A-Za-z0-9._:+/() \-]")
_ON_THE_WAY: Final = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)


class ScannerFailed(FailgateError):
    """The virus scanner gave no answer, or none that says what is there; `is_away` when it cannot be asked at all."""

    slug = "scanner-failed"
    status = 503
    title = "The virus scanner gave no answer"

    def __init__(self, sentence: str, *, is_away: bool) -> None:
        """Keep whether the next question would fail as well."""
        super().__init__(sentence, hint="Nothing is shown that it did not see; it is asked again.")
        self.is_away = is_away


class Clamd:
    """One clamd, by the path of its socket or HOST:PORT."""

    def __init__(self, address: str, timeout_seconds: float) -> None:
        """Wait `timeout_seconds` for each step: the connection, taking a chunk, the answer."""
        self._address = address
        self._timeout_seconds = timeout_seconds

    async def scan(self, pieces: AsyncIterable[bytes]) -> str | None:
        """Return the name of what is in the bytes, at most 100 characters; None when clamd calls them clean.

        Raises: ScannerFailed; whatever `pieces` raises.
        """
        async with self._connected() as (reader, writer):
            answering = asyncio.ensure_future(reader.readuntil(b"\0"))
            try:
                with contextlib.suppress(ConnectionError):  # it ends a stream that is too long, and says so
                    await self._send(writer, pieces, answering)
                answer = await self._text(answering)
            except ConnectionError:
                mend = "its log says why; StreamMaxLength has to be as large as [artifacts.scan] limit"
                raise ScannerFailed(f"clamd at {self._address} broke off: {mend}.", is_away=False) from None
            finally:
                if not answering.cancel() and not answering.cancelled():
                    answering.exception()  # looked at, so that it is not reported as never retrieved
        if answer == "stream: OK":
            return None
        if found := _FOUND.match(answer):
            return _shown(found[1]).replace(" ", "_")
        mend = "; make its StreamMaxLength as large as [artifacts.scan] limit" if "size limit" in answer else ""
        raise ScannerFailed(f"clamd says: {_shown(answer)}{mend}.", is_away=False)

    async def version(self) -> str:
        """Return its version and that of its signatures. Raises: ScannerFailed."""
        async with self._connected() as (reader, writer):
            await self._write(writer, b"zVERSION\0")
            return _shown(await self._text(asyncio.ensure_future(reader.readuntil(b"\0"))))

    async def _send(
        self, writer: asyncio.StreamWriter, pieces: AsyncIterable[bytes], answering: "asyncio.Future[bytes]"
    ) -> None:
        """Send the stream, unless it is answered before its end."""
        await self._write(writer, b"zINSTREAM\0")
        async for piece in pieces:
            for start in range(0, len(piece), CHUNK_BYTES):
                chunk = piece[start : start + CHUNK_BYTES]
                await asyncio.sleep(0)  # what has come is read before a write finds the connection ended
                if answering.done():
                    return
                await self._write(writer, len(chunk).to_bytes(4, "big") + chunk)
        await self._write(writer, bytes(4))

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                reader, writer = await self._opened()
        except (OSError, TimeoutError) as error:
            raise self._away(error) from None
        try:
            yield reader, writer
        except _ON_THE_WAY as error:
            raise self._away(error) from None
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._address.startswith("/"):
            return await asyncio.open_unix_connection(self._address, limit=MOST_ANSWER_BYTES)
        host, _, port = self._address.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port), limit=MOST_ANSWER_BYTES)

    async def _write(self, writer: asyncio.StreamWriter, content: bytes) -> None:
        writer.write(content)
        async with asyncio.timeout(self._timeout_seconds):
            await writer.drain()

    async def _text(self, answering: "asyncio.Future[bytes]") -> str:
        async with asyncio.timeout(self._timeout_seconds):
            answer = await answering
        return answer[:-1].decode("utf-8", "replace").strip()

    def _away(self, error: Exception) -> ScannerFailed:
        kind = "took too long" if isinstance(error, TimeoutError) else f"cannot be asked ({type(error).__name__})"
        return ScannerFailed(f"clamd at {self._address} {kind}.", is_away=True)


def _shown(text: str) -> str:
    """Return what another program said, as it may stand in a record and on a page."""
    return _UNSHOWN.sub("_", text)[:100].rstrip(".")
